/* Batches whose computation fails, and daemons that go away or are wrong in the middle. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fcache.h"
#include "proto/errors.h"
#include "tests/support/batch_fixture.h"
#include "tests/support/lease_fixture.h"
#include "tests/support/library.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_leases.h"

#define WAIT_MS 60000u

/* The failed call gives up its own leases only. */
START_TEST(batch_compute_fails_leases_given_up) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {.fails = _i / 2 == 0 ? 1 : 2, .error = _i % 2 == 0 ? 99 : 0};
  BATCH_ANSWER("G", "T", "N", "G", "TG", "TTN", "TTG");
  if (_i / 2 == 0)
    scripted_leases->answers[4] = scripted_leases->answers[5] = scripted_leases->answers[6] = "T";
  else
    scripted_leases->answers[1] = "TH";
  ck_assert_int_eq(batch_run_first(cache, 7, &batch), _i % 2 == 0 ? 99 : FCACHE_EBATCH);
  ck_assert_uint_eq(batch.calls, batch.fails);
  unsigned last = lease_n_seen(scripted_leases) - 1;
  if (_i / 2 == 0)
    BATCH_CHECK_SEEN(last, FC_GIVE_UP, 0, 3);
  else
    BATCH_CHECK_SEEN(last, FC_GIVE_UP, 4, 6);
  ck_assert(!lease_seen(scripted_leases, last).all); /* an outer call may hold leases */
  if (_i == 1)
    ck_assert_str_eq(fcache_last_error(cache), "batched compute returned 2 values for 3 misses");
  ck_assert_uint_eq(library_counters(cache).cache_misses, _i / 2 == 0 ? 0 : 3);
  fcache_close(cache);
}
END_TEST

#define MANY 5000u /* more than a small frame takes */

static int compute_nothing(void *arg, const size_t *misses, size_t n, struct fcache_batch *out) {
  (void)arg;
  (void)misses;
  (void)out;
  ck_assert_uint_eq(n, MANY);
  return 99;
}

static int compute_and_skip(void *arg, const size_t *misses, size_t n, struct fcache_batch *out) {
  const bool *skips = arg;
  for (size_t i = 0; i < n; i++)
    ck_assert_int_eq(skips[misses[i]] ? fcache_batch_skip(out) : fcache_batch_add(out, "mine", 4),
                     FCACHE_OK);
  return 0;
}

/* Some of the values, or all. */
START_TEST(batch_skipped_value_lease_given_up) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct fcache_hash prompts[4];
  struct fcache_value values[4] = {{0}};
  bool skips[4] = {_i == 1, true, true, _i == 1};
  for (uint32_t i = 0; i < 4; i++)
    prompts[i] = lease_prompt(i);
  BATCH_ANSWER("G", "G", "N", "G");
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "base", 0, prompts, 4, compute_and_skip, skips, values),
      FCACHE_OK);
  if (_i == 0) {
    BATCH_CHECK_SEEN(1, FC_PUT_MANY, 0, 3);
    BATCH_CHECK_SEEN(2, FC_GIVE_UP, 1); /* 2 was not granted */
  } else {
    BATCH_CHECK_SEEN(1, FC_GIVE_UP, 0, 1, 3);
  }
  for (unsigned i = 0; i < 4; i++) {
    ck_assert_uint_eq(values[i].size, skips[i] ? 0 : 4);
    fcache_value_free(&values[i]);
  }
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.forward_passes, 4);
  ck_assert_uint_eq(counters.batched_prompts, 4);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_many_leases_given_up_in_parts) {
  struct fcache_hash *prompts = calloc(MANY, sizeof *prompts);
  struct fcache_value *values = calloc(MANY, sizeof *values);
  ck_assert(prompts != NULL && values != NULL);
  for (uint32_t i = 0; i < MANY; i++)
    prompts[i] = lease_prompt(LEASE_KEYS + i);
  scripted_leases->others = 'G';
  scripted_leases->scripted.welcome.max_frame = 65536;
  scripted_leases->scripted.welcome.max_value = 32768;
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "base", 0, prompts, MANY, compute_nothing, NULL, values),
      99);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 4);
  ck_assert_uint_eq(lease_seen(scripted_leases, 2).type, FC_GIVE_UP);
  ck_assert_uint_eq(lease_seen(scripted_leases, 2).n + lease_seen(scripted_leases, 3).n, MANY);
  ck_assert_uint_eq(library_counters(cache).leases_granted, MANY);
  fcache_close(cache);
  free(prompts);
  free(values);
}
END_TEST

START_TEST(batch_put_fails_leases_given_up) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("N", "G", "G");
  scripted_leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(batch_run_first(cache, 3, &batch), FCACHE_OK);
  BATCH_CHECK_SEEN(2, FC_GIVE_UP, 1, 2);
  fcache_close(cache);
}
END_TEST

/* The daemon closes each connection at the first lookup, at the second wait, or at the second
 * lookup of the rest. The third of them is a restart, after which the rest is looked up again. */
START_TEST(batch_daemon_gone_computes_rest) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("G", "TH", _i == 0 ? "X" : _i == 1 ? "TX" : _i == 2 ? "TL" : "TG", "TTX", "T");
  ck_assert_int_eq(batch_run_first(cache, 5, &batch), FCACHE_OK);
  if (_i == 0) {
    ck_assert_uint_eq(batch.calls, 1);
    BATCH_CHECK_CALL(&batch, 0, 0, 1, 2, 3, 4);
  } else if (_i == 2) {
    ck_assert_uint_eq(library_counters(cache).forward_passes, 4); /* each but the hit, once */
    ck_assert_uint_ge(library_counters(cache).reconnects, 1);
  } else {
    ck_assert_uint_eq(batch.calls, 2);
    BATCH_CHECK_CALL(&batch, 0, 0);
    BATCH_CHECK_CALL(&batch, 1, 2, 3, 4);
  }
  ck_assert(_i == 2 || library_counters(cache).degraded >= 1);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_daemon_stopped_costs_one_deadline) {
  const uint32_t deadline_ms = 1500;
  struct fcache *cache = lease_open(deadline_ms, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("G", "TH", "TS", "TH", "TH");
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(batch_run_first(cache, 5, &batch), FCACHE_OK);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms - 2);
  ck_assert_uint_lt(took_ms, 4 * deadline_ms);
  ck_assert_uint_eq(batch.calls, 2);
  BATCH_CHECK_CALL(&batch, 1, 2, 3, 4);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_lease_reply_invalid_closes) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("G", "T", _i == 0 ? "?" : "T");
  scripted_leases->leases_too_few = _i == 1;
  scripted_leases->leases_unasked = _i == 2;
  if (_i == 2) {
    struct fcache_hash prompts[2] = {lease_prompt(0), lease_prompt(1)};
    struct fcache_value values[2] = {{0}};
    bool hit[2];
    ck_assert_int_eq(fcache_get_many(cache, "op", "base", 0, prompts, 2, 0, values, hit),
                     FCACHE_OK);
    ck_assert(!hit[0] && !hit[1]);
  } else {
    ck_assert_int_eq(batch_run_first(cache, 3, &batch), FCACHE_OK);
    ck_assert_uint_eq(batch.calls, 1);
    BATCH_CHECK_CALL(&batch, 0, 0, 1, 2);
  }
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "does not speak the protocol of fcached"));
  fcache_close(cache);
}
END_TEST

START_TEST(batch_daemon_older_no_lease_fields_sent) {
  scripted_leases->version = 2;
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("T", "H", "T");
  ck_assert_int_eq(batch_run_first(cache, 3, &batch), FCACHE_OK);
  BATCH_CHECK_CALL(&batch, 0, 0, 2);
  struct lease_seen asked = BATCH_CHECK_SEEN(0, FC_GET_MANY, 0, 1, 2);
  ck_assert_uint_eq(asked.flags, 0);
  ck_assert(!asked.has_terms);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 2);
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_batch_failures");
  TCase *tcase = tcase_create("client_batch_failures");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, lease_set_up, lease_tear_down);
  tcase_add_loop_test(tcase, batch_compute_fails_leases_given_up, 0, 4);
  tcase_add_loop_test(tcase, batch_skipped_value_lease_given_up, 0, 2);
  tcase_add_test(tcase, batch_many_leases_given_up_in_parts);
  tcase_add_test(tcase, batch_put_fails_leases_given_up);
  tcase_add_loop_test(tcase, batch_daemon_gone_computes_rest, 0, 4);
  tcase_add_test(tcase, batch_daemon_stopped_costs_one_deadline);
  tcase_add_loop_test(tcase, batch_lease_reply_invalid_closes, 0, 3);
  tcase_add_test(tcase, batch_daemon_older_no_lease_fields_sent);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
