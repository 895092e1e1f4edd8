/* fcachectl latency and slowest with a real daemon. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/ctl.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define HITS 50u
#define SLOW_NS UINT64_C(200000000) /* how long the scripted client does not read */
#define SLOW_S 0.2
#define IDLE_NS UINT64_C(1000000000)
#define LARGE (8u << 20) /* more than a socket takes at once */
#define PATIENCE_MS 60000u
#define MANY 3000u /* more entries than the daemon looks at in one request */

static struct daemon daemon_;

static void start(void) {
  ctl_start_daemon(&daemon_);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}

/* Returns the kind of a reading. Borrows from `all`. */
static const json_t *kind_of(const json_t *all, const char *path, const char *operation) {
  const json_t *kinds = json_object_get(all, "kinds"), *kind;
  size_t i;

  json_array_foreach(kinds, i, kind) {
    if (strcmp(json_string_value(json_object_get(kind, "path")), path) == 0 &&
        strcmp(json_string_value(json_object_get(kind, "operation")), operation) == 0)
      return kind;
  }
  ck_abort_msg("no kind %s %s", path, operation);
}

static json_int_t count_of(const json_t *all, const char *path, const char *operation) {
  return json_integer_value(json_object_get(kind_of(all, path, operation), "count"));
}

static double number_of(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);

  ck_assert_msg(json_is_number(value), "%s is no number", name);
  return json_number_value(value);
}

/* ---- latency ---- */

START_TEST(latency_counts_hits_from_the_region_and_messages_apart) {
  struct fcache *cache = library_open(daemon_.socket, "m", "worker", 0);
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  json_t *all;

  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 0, 0), FCACHE_OK);
  for (unsigned i = 0; i < HITS; i++)
    ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_OK);
  all = ctl_json(CTL("latency", "--json"));
  ck_assert_int_eq(count_of(all, "region", "hit"), HITS);
  ck_assert_int_eq(count_of(all, "socket", "hit"), 0);
  ck_assert_int_eq(count_of(all, "socket", "miss"), 1);
  ck_assert_int_eq(count_of(all, "socket", "put"), 1);
  ck_assert(number_of(kind_of(all, "region", "hit"), "p50_s") > 0);
  ck_assert(number_of(kind_of(all, "region", "hit"), "p50_s") <=
            number_of(kind_of(all, "region", "hit"), "max_s"));
  ck_assert_int_gt(count_of(all, "daemon", "turn"), 0);
  json_decref(all);
  fcache_value_free(&value);
  fcache_close(cache);
}
END_TEST

START_TEST(latency_reset_starts_anew) {
  struct fcache *cache = library_open(daemon_.socket, "m", "worker", 0);
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  json_t *all;

  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 0, 0), FCACHE_OK);
  all = ctl_json(CTL("latency", "--reset", "--json"));
  ck_assert_int_eq(count_of(all, "socket", "put"), 1);
  json_decref(all);
  all = ctl_json(CTL("latency", "--json"));
  ck_assert_int_eq(count_of(all, "socket", "put"), 0);
  json_decref(all);
  fcache_close(cache);
}
END_TEST

START_TEST(latency_interval_has_only_what_happened_in_it) {
  struct fcache *cache = library_open(daemon_.socket, "m", "worker", 0);
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  json_t *all;

  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 0, 0), FCACHE_OK);
  all = ctl_json(CTL("latency", "--interval", "1", "--count", "1", "--json"));
  ck_assert_int_eq(count_of(all, "socket", "put"), 0);
  ck_assert_int_eq(count_of(all, "socket", "listing"), 1); /* the first reading */
  ck_assert(number_of(all, "period_s") >= 0.9);
  json_decref(all);
  ctl_expect_part(CTL("latency", "--interval", "1", "--count", "1"), "socket listing          1 ");
  fcache_close(cache);
}
END_TEST

START_TEST(latency_intrinsic_needs_no_daemon) {
  json_t *all = ctl_json(CTL("latency", "--intrinsic=1", "--json", "--socket", "/nowhere/socket"));

  ck_assert(number_of(all, "duration_s") >= 1);
  ck_assert(number_of(all, "count") > 1000);
  ck_assert(number_of(all, "sum_s") <= number_of(all, "duration_s") + 1e-9);
  ck_assert_uint_le(json_array_size(json_object_get(all, "longest")), 10);
  json_decref(all);
}
END_TEST

START_TEST(latency_wrong_usage_refused) {
  ctl_expect_status(CTL("latency", "--intrinsic", "--reset"), 2, NULL, "--intrinsic");
  ctl_expect_status(CTL("latency", "--count", "3"), 2, NULL, "--count needs --interval");
  ctl_expect_status(CTL("latency", "--interval", "0"), 2, NULL, "--interval");
  ctl_expect_status(CTL("slowest", "--entries", "--reset"), 2, NULL, "--reset");
  ctl_expect_status(CTL("slowest", "--limit", "0"), 2, NULL, "--limit");
}
END_TEST

/* ---- slowest ---- */

static bool is_over(void *arg) {
  const uint64_t *end_ns = arg;

  return harness_now_ns() >= *end_ns;
}

static void pass_time(uint64_t ns) {
  uint64_t end_ns = harness_now_ns() + ns;

  ck_assert(harness_wait_until(is_over, &end_ns, PATIENCE_MS));
}

/* Requests a large value twice, and reads no reply for SLOW_NS. So the second request waits. */
static void be_slow(struct raw *raw) {
  struct fc_get get = {.key = raw_key("logprob_of", "ft", 0, "large")};
  struct fc_buf both = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_get(&both, raw->next_id++, &get), 0);
  ck_assert_int_eq(fc_encode_get(&both, raw->next_id++, &get), 0);
  ck_assert_int_eq(raw_send_buf(raw, &both), 0);
  fc_buf_free(&both);
  pass_time(SLOW_NS);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(raw_recv(raw, &reply, PATIENCE_MS), RAW_REPLY);
    ck_assert_uint_eq(reply.get.value_size, LARGE);
  }
}

static void put_large(struct raw *raw) {
  uint8_t *value = calloc(1, LARGE);
  struct fc_put put = {
      .key = raw_key("logprob_of", "ft", 0, "large"), .value = value, .value_size = LARGE};
  struct fc_reply reply;

  ck_assert_ptr_nonnull(value);
  ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.put, FC_STORED);
  free(value);
}

START_TEST(slow_request_shown_with_its_parts_and_in_percentiles) {
  struct raw raw;
  const json_t *first;
  json_t *all;

  raw_open(&raw, daemon_.socket, "gpt2");
  put_large(&raw);
  json_decref(ctl_json(CTL("slowest", "--requests", "--reset", "--json"))); /* forgets a slow put */
  be_slow(&raw);
  all = ctl_json(CTL("slowest", "--requests", "--json"));
  first = json_array_get(json_object_get(all, "requests"), 0);
  ck_assert_str_eq(json_string_value(json_object_get(first, "request")), "get");
  ck_assert_str_eq(json_string_value(json_object_get(first, "namespace")), "gpt2");
  ck_assert_str_eq(json_string_value(json_object_get(first, "view")), "ft");
  ck_assert(number_of(first, "queue_s") >= SLOW_S * 0.9); /* it was sent after the clock was read */
  ck_assert(number_of(first, "bytes") > LARGE);
  ck_assert_ptr_null(json_object_get(all, "entries"));
  json_decref(all);
  ctl_expect_part(CTL("slowest"), ", namespace gpt2, op logprob_of, view ft\n");
  all = ctl_json(CTL("latency", "--json"));
  ck_assert_int_eq(count_of(all, "socket", "hit"), 2);
  ck_assert(number_of(kind_of(all, "socket", "hit"), "p999_s") >= SLOW_S * 0.9);
  ck_assert(number_of(kind_of(all, "daemon", "queue"), "max_s") >= SLOW_S * 0.9);
  json_decref(all);
  raw_close(&raw);
}
END_TEST

START_TEST(time_between_requests_counts_as_none_of_theirs) {
  struct raw raw;
  struct fc_get get = {.key = raw_key("op", "view", 0, "absent")};
  struct fc_reply reply;
  json_t *all;

  raw_open(&raw, daemon_.socket, "gpt2");
  ck_assert_int_eq(raw_get(&raw, &get, &reply), RAW_REPLY);
  pass_time(IDLE_NS);
  ck_assert_int_eq(raw_get(&raw, &get, &reply), RAW_REPLY);
  all = ctl_json(CTL("latency", "--json"));
  ck_assert_int_eq(count_of(all, "socket", "miss"), 2);
  ck_assert(number_of(kind_of(all, "socket", "miss"), "max_s") < (double)IDLE_NS / 1e9);
  ck_assert(number_of(kind_of(all, "daemon", "turn"), "max_s") < (double)IDLE_NS / 1e9);
  json_decref(all);
  raw_close(&raw);
}
END_TEST

START_TEST(slowest_requests_filtered_and_forgotten) {
  struct raw raw;
  json_t *all;

  raw_open(&raw, daemon_.socket, "gpt2");
  put_large(&raw);
  all = ctl_json(CTL("slowest", "--requests", "--json", "--view", "ft"));
  ck_assert_uint_eq(json_array_size(json_object_get(all, "requests")), 1);
  json_decref(all);
  all = ctl_json(CTL("slowest", "--requests", "--json", "--view", "other"));
  ck_assert_uint_eq(json_array_size(json_object_get(all, "requests")), 0);
  json_decref(all);
  json_decref(ctl_json(CTL("slowest", "--requests", "--json", "--reset")));
  all = ctl_json(CTL("slowest", "--requests", "--json", "--view", "ft"));
  ck_assert_uint_eq(json_array_size(json_object_get(all, "requests")), 0);
  json_decref(all);
  raw_close(&raw);
}
END_TEST

/* The computation of entry i takes i ms. */
static void put_many(const char *name_space) {
  struct raw raw;
  struct fc_reply reply;
  char prompt[16];

  raw_open(&raw, daemon_.socket, name_space);
  for (unsigned i = 0; i < MANY; i++) {
    (void)snprintf(prompt, sizeof prompt, "%u", i * 7 % MANY);
    struct fc_put put = {.key = raw_key("op", "view", 0, prompt),
                         .compute_ns = UINT64_C(1000000) * (i * 7 % MANY),
                         .value = (const uint8_t *)"v",
                         .value_size = 1};
    ck_assert_int_eq(raw_put(&raw, &put, &reply), RAW_REPLY);
  }
  raw_close(&raw);
}

START_TEST(most_expensive_entries_of_all_pages_shown_in_order) {
  const json_t *entries, *entry;
  json_t *all;
  size_t i;

  put_many("one");
  put_many("two");
  all = ctl_json(CTL("slowest", "--entries", "--namespace", "two", "--limit", "20", "--json"));
  entries = json_object_get(all, "entries");
  ck_assert_uint_eq(json_array_size(entries), 20);
  json_array_foreach(entries, i, entry) {
    ck_assert_double_eq_tol(number_of(entry, "compute_s"), (double)(MANY - 1 - i) / 1000, 1e-9);
    ck_assert_str_eq(json_string_value(json_object_get(entry, "namespace")), "two");
  }
  json_decref(all);
  all = ctl_json(CTL("slowest", "--entries", "--limit", "1000", "--json"));
  ck_assert_uint_eq(json_array_size(json_object_get(all, "entries")), 1000);
  json_decref(all);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("ctl_times");
  TCase *test_case = tcase_create("ctl_times");

  tcase_set_timeout(test_case, 60);
  tcase_add_checked_fixture(test_case, start, stop);
  tcase_add_test(test_case, latency_counts_hits_from_the_region_and_messages_apart);
  tcase_add_test(test_case, latency_reset_starts_anew);
  tcase_add_test(test_case, latency_interval_has_only_what_happened_in_it);
  tcase_add_test(test_case, latency_intrinsic_needs_no_daemon);
  tcase_add_test(test_case, latency_wrong_usage_refused);
  tcase_add_test(test_case, slow_request_shown_with_its_parts_and_in_percentiles);
  tcase_add_test(test_case, time_between_requests_counts_as_none_of_theirs);
  tcase_add_test(test_case, slowest_requests_filtered_and_forgotten);
  tcase_add_test(test_case, most_expensive_entries_of_all_pages_shown_in_order);
  suite_add_tcase(suite, test_case);
  return suite;
}

int main(void) {
  return harness_main(make_suite());
}
