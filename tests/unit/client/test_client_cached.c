/* fcache_cached: computes, counts, puts, and nests. */
#include <check.h>
#include <string.h>
#include <sys/socket.h>

#include "fcache.h"
#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/store_fixture.h"

struct compute {
  unsigned calls;
  const char *text;
  int error;
  void (*meanwhile)(void);
};

static int compute_text(void *arg, struct fcache_value *value) {
  struct compute *compute = arg;
  compute->calls++;
  ck_assert_uint_eq(value->size, 0);
  if (compute->meanwhile != NULL)
    compute->meanwhile();
  if (compute->error != 0)
    return compute->error;
  return fcache_value_set(value, compute->text, strlen(compute->text));
}

static void check_cached(struct fcache *by, const char *prompt, struct compute *compute, int want,
                         const char *text) {
  struct fcache_key key = store_key(prompt);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_value_set(&value, "garbage", 7), FCACHE_OK); /* a used buffer */
  ck_assert_int_eq(fcache_cached(by, &key, compute_text, compute, &value), want);
  if (want == FCACHE_OK) {
    ck_assert_uint_eq(value.size, strlen(text));
    ck_assert_mem_eq(value.data, text, value.size);
  }
  fcache_value_free(&value);
}

START_TEST(cached_second_caller_hit) {
  struct compute compute = {.text = "result"};
  struct fcache_counters counters;
  check_cached(store_cache, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(store_last_put().flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(store_last_put().epoch.boot_id, SCRIPTED_BOOT_ID);
  ck_assert_uint_eq(store_last_put().epoch.clear_generation, 7);
  check_cached(store_cache, "a", &compute, FCACHE_OK, "result");
  check_cached(store_other, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(compute.calls, 1);
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 1);
  ck_assert_uint_eq(counters.forward_passes, 1);
  ck_assert_uint_eq(counters.batches_sent, 0);
  ck_assert_uint_ge(counters.scoring_wall_ns, store_last_put().compute_ns);
  fcache_get_counters(store_other, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.forward_passes, 0);
}
END_TEST

START_TEST(cached_compute_fails_nothing_counted) {
  struct compute compute = {.text = "result", .error = 12345};
  struct fcache_counters counters;
  check_cached(store_cache, "a", &compute, 12345, NULL);
  compute.error = -77;
  check_cached(store_cache, "a", &compute, -77, NULL);
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_misses, 0);
  ck_assert_uint_eq(counters.forward_passes, 0);
  ck_assert_uint_eq(counters.scoring_wall_ns, 0);
  ck_assert_uint_eq(store_puts_seen(), 0);
}
END_TEST

static void store_meanwhile(void) {
  store_check_put(store_other, "a", "first", FCACHE_OK);
}

static void clear_meanwhile(void) {
  ck_assert_int_eq(fcache_clear(store_other, NULL, NULL, NULL), FCACHE_OK);
}

START_TEST(cached_key_stored_during_compute_own_value_returned) {
  struct compute compute = {.text = "mine", .meanwhile = store_meanwhile};
  check_cached(store_cache, "a", &compute, FCACHE_OK, "mine");
  store_check_get(store_other, "a", "first");
}
END_TEST

START_TEST(cached_key_cleared_during_compute_not_stored) {
  struct compute compute = {.text = "mine", .meanwhile = clear_meanwhile};
  check_cached(store_cache, "a", &compute, FCACHE_OK, "mine");
  store_check_get(store_other, "a", NULL);
  compute.meanwhile = NULL;
  check_cached(store_cache, "a", &compute, FCACHE_OK, "mine");
  store_check_get(store_other, "a", "mine");
}
END_TEST

static int compute_nested(void *arg, struct fcache_value *value) {
  struct compute *inner = arg;
  check_cached(store_cache, "inner", inner, FCACHE_OK, "inner result");
  store_check_get(store_cache, "inner", "inner result");
  ck_assert_int_eq(fcache_set_probe(store_cache, "inner probe"), FCACHE_OK);
  return fcache_value_set(value, "outer result", 12);
}

START_TEST(cached_nested_calls_time_counted_once) {
  struct compute inner = {.text = "inner result"};
  struct fcache_key key = store_key("outer");
  struct fcache_value value = {0};
  struct fcache_counters counters;
  ck_assert_int_eq(fcache_cached(store_cache, &key, compute_nested, &inner, &value), FCACHE_OK);
  ck_assert_mem_eq(value.data, "outer result", 12);
  store_check_get(store_other, "outer", "outer result");
  store_check_get(store_other, "inner", "inner result");
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.forward_passes, 2);
  fcache_value_free(&value);
}
END_TEST

/* The caller gets its value, though the daemon returned an error. */
START_TEST(cached_daemon_error_computes) {
  static const int codes[] = {FC_ENOMEM,  FC_EREFUSED,  FC_ESHUTDOWN, FC_EINVAL, FC_ETOOBIG,
                              FC_EDENIED, FC_EPROTOCOL, FC_EBUSY,     -999};
  struct compute compute = {.text = "result"};
  store_lock();
  if (_i % 2 == 0)
    scripted_store->get_error = codes[_i / 2];
  else
    scripted_store->put_error = codes[_i / 2];
  store_unlock();
  check_cached(store_cache, "a", &compute, FCACHE_OK, "result");
  check_cached(store_cache, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(compute.calls, 2);
  struct fcache_counters counters;
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.forward_passes, 2);
}
END_TEST

static void no_stat(void *arg, const struct fcache_stat *stat) {
  (void)arg;
  ck_abort_msg("a item of no daemon: %s", stat->name);
}

START_TEST(cached_daemon_absent_computes) {
  struct fcache *alone = client_open("/nonexistent/socket", CLIENT_LONG_MS);
  struct compute compute = {.text = "result"};
  struct fcache_counters counters;
  check_cached(alone, "a", &compute, FCACHE_OK, "result");
  check_cached(alone, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(compute.calls, 2);
  fcache_get_counters(alone, &counters);
  ck_assert_uint_eq(counters.cache_misses, 2);
  ck_assert_uint_eq(counters.forward_passes, 2);
  ck_assert_uint_eq(counters.cache_hits, 0);
  ck_assert_uint_eq(counters.degraded, 2);
  ck_assert_int_eq(fcache_server_stats(alone, no_stat, NULL), FCACHE_EUNAVAILABLE);
  ck_assert_int_eq(fcache_server_stats(alone, NULL, NULL), FCACHE_EINVAL);
  fcache_close(alone);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_cached");
  TCase *tcase = tcase_create("client_cached");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, store_set_up, store_tear_down);
  tcase_add_test(tcase, cached_second_caller_hit);
  tcase_add_test(tcase, cached_compute_fails_nothing_counted);
  tcase_add_test(tcase, cached_key_stored_during_compute_own_value_returned);
  tcase_add_test(tcase, cached_key_cleared_during_compute_not_stored);
  tcase_add_test(tcase, cached_nested_calls_time_counted_once);
  tcase_add_loop_test(tcase, cached_daemon_error_computes, 0, 18);
  tcase_add_test(tcase, cached_daemon_absent_computes);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
