/* The names of the bench's rows: patterns select them, and requirements refer to them. Their keys.
 */
#include "tests/bench/bench_rows.h"
#include "tests/bench/requirements.h"
#include "tests/support/runner.h"

#include "fcache.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct search {
  const char *name;
  int times;
};

static void count_name(void *arg, const char *name) {
  struct search *search = arg;
  search->times += strcmp(name, search->name) == 0;
}

static int times_named(const char *name) {
  struct search search = {.name = name};
  bench_row_names(count_name, &search);
  return search.times;
}

START_TEST(requirement_refers_to_one_row) {
  const struct bench_requirement *need = &bench_requirements[_i];
  ck_assert_msg(times_named(need->row) == 1, "%s", need->row);
  if (need->compare != COMPARE_NONE)
    ck_assert_msg(times_named(need->against) == 1, "%s", need->against);
  else
    ck_assert_ptr_null(need->against);
}
END_TEST

/* A group: rows that are compared with the first of them. */
START_TEST(compared_rows_are_neighbours_behind_ours) {
  const struct bench_row *row = &bench_rows[_i];
  if (row->ours == NULL || strcmp(row->label, row->ours) == 0)
    return;
  ck_assert_int_gt(_i, 0);
  ck_assert_str_eq(row[-1].ours, row->ours);
}
END_TEST

static const struct {
  const char *patterns, *others;
  bool ok;
} lists[] = {
    {NULL, NULL, true},
    {"", NULL, true},
    {" , ", NULL, true},
    {"hit_region/64", NULL, true},
    {"hit_*/64,redis", NULL, true},
    {"hit_region_20k/3100 lmdb_get_200k", NULL, true},
    {"3100/unpinned", NULL, true},
    {"herd8/fcached", NULL, true},
    {"hit_regoin", NULL, false},
    {"hit_region/64,hit_regoin", NULL, false},
    {"hit_region/65", NULL, false},
    {"hit_region_1m/64/unpinned", NULL, false},
    {"*/65", NULL, false},
    {"py_hit/fcached", NULL, false},
    {"py_hit/fcached", "py_hit/fcached snapshot", true},
    {"snapshot,hit_region/64", "py_hit/fcached snapshot", true},
    {"snapshott,hit_region/64", "py_hit/fcached snapshot", false},
};

START_TEST(pattern_that_selects_no_row_refused) {
  ck_assert_int_eq(bench_patterns_ok(lists[_i].patterns, lists[_i].others), lists[_i].ok);
}
END_TEST

START_TEST(key_text_has_the_names_and_the_hash_of_the_prompt) {
  struct workload load;
  char key[WORKLOAD_KEY_BYTES + 1] = "";
  ck_assert_int_eq(workload_init(&load, 64, 3), 0);
  struct fcache_hash hash = fcache_hash(load.prompts[2], WORKLOAD_PROMPT);
  char expected[WORKLOAD_KEY_BYTES + 1];
  int n = snprintf(expected, sizeof expected, "bench:next_token_dist:base:50:");
  for (size_t i = 0; i < sizeof hash.bytes; i++)
    n += snprintf(expected + n, sizeof expected - (size_t)n, "%02x", hash.bytes[i]);
  ck_assert_ptr_eq(workload_key_text(&load, 2, key), key + n);
  ck_assert_str_eq(key, expected);
  ck_assert_uint_eq(load.key_bytes, (size_t)n);
  workload_deinit(&load);
}
END_TEST

/* Small sets are read in steps, and large ones in order. */
static const uint32_t sizes[] = {1, 2, 64, 617, 1000, 9999, 10000, 20000};

START_TEST(every_key_is_read_and_stored_once) {
  struct workload load;
  uint32_t n = sizes[_i], index = 0;
  bool *read = calloc(n, sizeof *read), *stored = calloc(n, sizeof *stored);
  ck_assert(read != NULL && stored != NULL);
  ck_assert_int_eq(workload_init(&load, 64, n), 0);
  for (uint32_t i = 0; i < n; i++, index = workload_next(&load, index)) {
    uint32_t other = workload_stored(&load, i);
    ck_assert(index < n && !read[index]);
    ck_assert(other < n && !stored[other]);
    read[index] = stored[other] = true;
  }
  ck_assert_uint_eq(index, 0);
  workload_deinit(&load);
  free(read);
  free(stored);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("bench_rows");
  TCase *tc = tcase_create("rows");
  tcase_add_loop_test(tc, requirement_refers_to_one_row, 0, (int)bench_n_requirements);
  tcase_add_loop_test(tc, compared_rows_are_neighbours_behind_ours, 0, (int)bench_n_rows);
  tcase_add_loop_test(tc, pattern_that_selects_no_row_refused, 0, sizeof lists / sizeof lists[0]);
  tcase_add_test(tc, key_text_has_the_names_and_the_hash_of_the_prompt);
  tcase_add_loop_test(tc, every_key_is_read_and_stored_once, 0, sizeof sizes / sizeof sizes[0]);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
