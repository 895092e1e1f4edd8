/* fcachectl leases: rows within 80 columns, and JSON. */
#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/commands/listing.h"
#include "client/ctl/print/text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

static void print_items(struct listing *listing, const void *items, size_t n) {
  for (size_t i = 0; i < n; i++)
    leases_print_lease(listing, (const struct fc_lease_entry *)items + i);
}

static char *print_leases(struct listing options, const struct fc_lease_entry *leases, size_t n) {
  return printed_listing(options, &leases_kind, print_items, leases, n);
}

static struct fc_lease_entry small_lease(void) {
  return (struct fc_lease_entry){.name_space = fc_str_of("gpt2"),
                                 .key = printed_key("logprob_of", "base"),
                                 .client_id = 3,
                                 .client = fc_str_of("worker-1"),
                                 .pid = 4711,
                                 .held_ns = 1500000000,
                                 .left_ns = UINT64_C(298500000000),
                                 .waits = 7};
}

static struct fc_lease_entry largest_lease(void) {
  return (struct fc_lease_entry){.name_space = fc_str_of(printed_long_name()),
                                 .key = printed_key(printed_long_name(), printed_long_name()),
                                 .client_id = UINT64_MAX,
                                 .client = fc_str_of(printed_long_name()),
                                 .pid = INT64_MAX,
                                 .held_ns = UINT64_MAX,
                                 .left_ns = UINT64_MAX,
                                 .waits = UINT32_MAX};
}

START_TEST(leases_print_rows) {
  struct fc_lease_entry lease = small_lease();

  printed_is(print_leases((struct listing){.filter.name_space = "n"}, &lease, 1),
             "OP         VIEW PROMPT   CLIENT    PID   HELD   LEFT WAITING\n"
             "logprob_of base abcdef01 worker-1 4711 1.50 s 4m 58s       7\n");
  printed_is(print_leases((struct listing){0}, &lease, 1),
             "NAMESPACE OP         VIEW PROMPT   CLIENT    PID   HELD   LEFT WAITING\n"
             "gpt2      logprob_of base abcdef01 worker-1 4711 1.50 s 4m 58s       7\n");
  lease.pid = 0; /* of another pid namespace */
  char *text = print_leases((struct listing){0}, &lease, 1);
  printed_contains(text, "worker-1   - 1.50 s");
  free(text);
}
END_TEST

START_TEST(leases_fit_80_columns) {
  struct fc_lease_entry leases[] = {largest_lease(), small_lease(), largest_lease()};
  char *text;

  leases[2].pid = 4194304;
  leases[2].waits = 9999999;
  leases[2].held_ns = leases[2].left_ns = UINT64_C(8639999000000000);
  text = print_leases((struct listing){.filter.name_space = _i == 1 ? "n" : NULL}, leases, 3);
  printed_fits(text);
  printed_contains(text, " 4194304 99d 23h 99d 23h 9999999\n");
  printed_contains(text, "       - 213503d 213503d   4.29G\n");
  ck_assert_ptr_null(strstr(strstr(text, "CLIENT") + 1, "CLIENT")); /* one header */
  free(text);
}
END_TEST

START_TEST(leases_json_has_everything) {
  struct fc_lease_entry leases[] = {small_lease(), largest_lease(), small_lease()};
  json_t *all, *first;

  leases[2].pid = 0;
  first = printed_first_object(print_leases((struct listing){.json = true}, leases, 3), 3, &all);
  printed_string(first, "namespace", "gpt2");
  printed_key_is(first);
  printed_string(first, "client", "worker-1");
  printed_number(first, "client_id", 3);
  printed_number(first, "pid", 4711);
  printed_number(first, "held_s", 1.5);
  printed_number(first, "left_s", 298.5);
  printed_number(first, "waits", 7);
  ck_assert_uint_eq(json_object_size(first), 11);
  printed_string(json_array_get(all, 1), "client", printed_long_name());
  ck_assert(json_is_null(json_object_get(json_array_get(all, 2), "pid")));
  json_decref(all);
}
END_TEST

START_TEST(leases_none_says_so_or_is_an_empty_array) {
  printed_is(print_leases((struct listing){0}, NULL, 0), "no active leases\n");
  printed_is(print_leases((struct listing){.filter.name_space = "n"}, NULL, 0),
             "no active leases in this namespace\n");
  printed_is(print_leases((struct listing){.json = true}, NULL, 0), "[]\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("print_leases");
  TCase *tests = tcase_create("print_leases");

  setlocale(LC_CTYPE, "C.UTF-8");
  text_force_columns(PRINTED_COLUMNS);
  tcase_add_test(tests, leases_print_rows);
  tcase_add_loop_test(tests, leases_fit_80_columns, 0, 2);
  tcase_add_test(tests, leases_json_has_everything);
  tcase_add_test(tests, leases_none_says_so_or_is_an_empty_array);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
