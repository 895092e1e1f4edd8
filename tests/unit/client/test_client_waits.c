/* Waits for values that another client computes, beside daemons that stop, go away, break the
 * protocol, or are old. */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/lease_fixture.h"
#include "tests/support/library.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_leases.h"

#define DEADLINE_MS 600u /* shorter than the waits under test */
#define WAIT_MS 60000u

START_TEST(get_wait_leased_elsewhere_waits) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, FCACHE_NO_WAIT);
  scripted_leases->answers[1] = "TH";
  scripted_leases->answers[2] = "TN";
  scripted_leases->answers[3] = "NH";
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0),
                   FCACHE_MISS); /* leased elsewhere, and no wait */
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 500), FCACHE_OK);
  ck_assert_uint_eq(library_counters(cache).coalesced_hits, 0); /* the value was stored by then */
  ck_assert_int_eq(lease_get(cache, 2, FCACHE_LEASE, 500), FCACHE_MISS);
  ck_assert_uint_gt(lease_seen(scripted_leases, 3).terms.wait_ms, 0);
  ck_assert_uint_le(lease_seen(scripted_leases, 3).terms.wait_ms, 500);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 4);
  /* Without FCACHE_LEASE the first reply does not say whether another client computes. */
  ck_assert_int_eq(lease_get(cache, 3, FCACHE_UNRECORDED, 500), FCACHE_OK);
  struct lease_seen seen = lease_seen(scripted_leases, 5);
  ck_assert_uint_eq(seen.flags, FC_UNRECORDED);
  ck_assert_uint_eq(seen.terms.lease_ms, 0);
  ck_assert_uint_gt(seen.terms.wait_ms, 0);
  ck_assert_uint_eq(library_counters(cache).cache_hits, 1);
  ck_assert_uint_eq(library_counters(cache).coalesced_hits, 0); /* unrecorded */
  fcache_close(cache);
}
END_TEST

/* The wait is far longer than a deadline. Pings show that the daemon is alive. */
START_TEST(cached_value_put_elsewhere_hit) {
  struct fcache *cache = lease_open_connected(DEADLINE_MS, WAIT_MS);
  scripted_leases->answers[1] = "TPW";
  scripted_leases->pings_wanted = 5;
  scripted_leases->padding =
      _i == 0 ? 0 : 1u << 20; /* large enough to be received into its destination */
  uint64_t start_ms = runner_now_ms();
  ck_assert(!lease_cached(cache, 1));
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, 5 * DEADLINE_MS / 4 - 1); /* each after a quarter of silence */
  ck_assert_uint_eq(lease_pings(scripted_leases), 5);
  LEASE_CHECK_TYPES(FC_GET, FC_GET);
  struct lease_seen first = lease_seen(scripted_leases, 0), second = lease_seen(scripted_leases, 1);
  ck_assert(first.flags == FC_LEASE && second.flags == FC_LEASE);
  ck_assert_uint_eq(first.terms.wait_ms, 0);
  ck_assert_uint_gt(second.terms.wait_ms, WAIT_MS / 2);
  ck_assert_uint_le(second.terms.wait_ms, WAIT_MS);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.coalesced_hits, 1);
  ck_assert_uint_eq(counters.leases_granted, 0);
  ck_assert_uint_eq(counters.cache_misses, 0);
  ck_assert_uint_ge(counters.lease_wait_ns, DEADLINE_MS * (uint64_t)1000000);
  ck_assert_uint_ge(counters.scoring_wall_ns, counters.lease_wait_ns);
  ck_assert_uint_le(counters.scoring_wall_ns, (took_ms + 1) * 1000000u);
  ck_assert_uint_eq(counters.degraded, 0);
  fcache_close(cache);
}
END_TEST

/* The owner gave up or took too long: the time of the computation excludes the wait. */
START_TEST(cached_wait_without_value_computes) {
  static const char *const answers[] = {"TPG", "TPN", "TTTPG", "TPE", "TE"};
  static const unsigned requests[] = {3, 3, 5, 3, 3}; /* an error is not asked for again */
  struct fcache *cache = lease_open_connected(DEADLINE_MS, WAIT_MS);
  scripted_leases->answers[1] = answers[_i];
  ck_assert(lease_cached(cache, 1));
  unsigned n = lease_n_seen(scripted_leases);
  ck_assert_uint_eq(n, requests[_i]);
  ck_assert_uint_eq(lease_seen(scripted_leases, n - 1).type, FC_PUT);
  ck_assert_uint_eq(lease_seen(scripted_leases, n - 1).flags, FC_KEEP_FIRST);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.leases_granted, _i == 0 || _i == 2);
  ck_assert_uint_eq(counters.cache_misses, 1);
  ck_assert_uint_eq(counters.cache_hits, 0);
  ck_assert_uint_eq(counters.coalesced_hits, 0);
  ck_assert_uint_gt(counters.lease_wait_ns, 0);
  if (_i < 4)
    ck_assert_uint_lt(counters.scoring_wall_ns, counters.lease_wait_ns);
  ck_assert(fcache_connected(cache));
  fcache_close(cache);
}
END_TEST

START_TEST(cached_several_waits_bounded_together) {
  struct fcache *cache = lease_open_connected(DEADLINE_MS, WAIT_MS);
  scripted_leases->answers[1] = "TPTPW";
  ck_assert(!lease_cached(cache, 1));
  LEASE_CHECK_TYPES(FC_GET, FC_GET, FC_GET);
  ck_assert_uint_le(lease_seen(scripted_leases, 2).terms.wait_ms,
                    lease_seen(scripted_leases, 1).terms.wait_ms - DEADLINE_MS / 4 + 1);
  ck_assert_uint_ge(library_counters(cache).lease_wait_ns, DEADLINE_MS / 2 * (uint64_t)1000000);
  fcache_close(cache);
}
END_TEST

START_TEST(cached_no_wait_computes_at_once) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, FCACHE_NO_WAIT);
  scripted_leases->answers[1] = scripted_leases->answers[2] = "T";
  scripted_leases->answers[3] = scripted_leases->answers[4] = "TH";
  ck_assert(lease_cached(cache, 1));
  LEASE_CHECK_TYPES(FC_GET, FC_PUT);
  ck_assert_uint_eq(lease_seen(scripted_leases, 0).flags,
                    FC_LEASE); /* other clients may wait for this lease */
  fcache_set_wait(cache, 0);
  ck_assert(!lease_cached(cache, 3));
  ck_assert_uint_le(lease_seen(scripted_leases, 3).terms.wait_ms, SCRIPTED_LEASE_MS);
  ck_assert_uint_gt(lease_seen(scripted_leases, 3).terms.wait_ms, SCRIPTED_LEASE_MS / 2);
  fcache_set_wait(cache, 777);
  ck_assert(!lease_cached(cache, 4));
  ck_assert_uint_le(lease_seen(scripted_leases, 5).terms.wait_ms, 777);
  fcache_set_wait(cache, FCACHE_NO_WAIT);
  ck_assert(lease_cached(cache, 2));
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 8);
  fcache_close(cache);
}
END_TEST

START_TEST(lease_always_elsewhere_attempts_bounded) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  scripted_leases->answers[1] = "T";
  ck_assert(lease_cached(cache, 1));
  ck_assert_uint_le(lease_n_seen(scripted_leases), 10);
  fcache_close(cache);
}
END_TEST

/* The daemon goes away at once, or after some pings. */
START_TEST(wait_daemon_stopped_costs_one_deadline) {
  const uint32_t deadline_ms = 500;
  struct fcache *cache = lease_open_connected(deadline_ms, WAIT_MS);
  scripted_leases->answers[1] = _i == 0 ? "TS" : "TP";
  scripted_leases->pings_max = scripted_leases->pings_wanted = _i == 0 ? 0 : 2;
  scripted_leases->pings_wanted = 100;
  uint64_t start_ms = runner_now_ms();
  ck_assert(lease_cached(cache, 1));
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms + (_i == 0 ? 0 : deadline_ms / 2) - 2);
  ck_assert_uint_lt(took_ms, 8 * deadline_ms);
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "did not answer within 500 ms"));
  ck_assert_uint_gt(library_counters(cache).lease_wait_ns, 0);
  ck_assert_uint_ge(library_counters(cache).degraded, 1);
  fcache_close(cache);
}
END_TEST

START_TEST(wait_daemon_gone_ends_at_once) {
  static const char *const answers[] = {"TX", "TPX", "TL", "TPL"};
  struct fcache *cache = lease_open_connected(4000, WAIT_MS);
  scripted_leases->answers[1] = answers[_i];
  uint64_t start_ms = runner_now_ms();
  ck_assert(lease_cached(cache, 1));
  ck_assert_uint_lt(runner_now_ms() - start_ms, 3900); /* a ping after a second, and the end */
  if (_i >= 2)
    ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "good bye"));
  fcache_close(cache);
}
END_TEST

/* The daemon sends pongs, or other messages without end, but no reply for this key. */
START_TEST(wait_never_ended_bounded_by_client) {
  const uint32_t deadline_ms = 300, wait_ms = 500;
  struct fcache *cache = lease_open_connected(deadline_ms, wait_ms);
  scripted_leases->answers[1] = "TP";
  scripted_leases->pings_wanted = 1000000;
  scripted_leases->floods = _i == 1;
  uint64_t start_ms = runner_now_ms();
  ck_assert(lease_cached(cache, 1));
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms + wait_ms - 2);
  ck_assert_uint_lt(took_ms, CLIENT_LONG_MS / 2);
  ck_assert(!fcache_connected(cache));
  fcache_close(cache);
}
END_TEST

/* A process that was stopped reads its messages before it checks the deadline. */
START_TEST(wait_process_stopped_finds_value) {
  const uint32_t deadline_ms = 500;
  scripted_leases->answers[1] = "TPW";
  scripted_leases->pings_wanted = 1;
  pid_t child = fork();
  int status;
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct fcache *cache = lease_open_connected(deadline_ms, WAIT_MS);
    bool right = !lease_cached(cache, 1) && library_counters(cache).coalesced_hits == 1;
    fcache_close(cache);
    _exit(right ? 0 : 1);
  }
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (lease_n_held(scripted_leases) == 0 && runner_now_ms() < end_ms)
    (void)poll(NULL, 0, 1);
  ck_assert_int_eq(kill(child, SIGSTOP), 0);
  ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
  ck_assert(WIFSTOPPED(status));
  for (end_ms = runner_now_ms() + 3 * (uint64_t)deadline_ms;
       runner_now_ms() < end_ms;) /* until the process was stopped for longer than the deadline */
    (void)poll(NULL, 0, 1);
  ck_assert_int_eq(kill(child, SIGCONT), 0);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(lease_reply_invalid_closes) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  scripted_leases->answers[1] = "G";
  scripted_leases->answers[2] = "?";
  scripted_leases->answers[3] = "T?";
  int rc = _i == 0   ? lease_get(cache, 1, 0, 0) /* granted unasked */
           : _i == 1 ? lease_get(cache, 1, 0, 100)
           : _i == 2 ? lease_get(cache, 2, FCACHE_LEASE, 100)
                     : lease_get(cache, 3, FCACHE_LEASE, 100);
  ck_assert_int_eq(rc, FCACHE_MISS);
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "does not speak the protocol of fcached"));
  fcache_close(cache);
}
END_TEST

START_TEST(daemon_older_no_lease_fields_sent) {
  scripted_leases->version = 2;
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct fcache_key key = client_lease_key(1);
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 1000), FCACHE_MISS);
  ck_assert(lease_cached(cache, 1));
  ck_assert_int_eq(fcache_give_up(cache, &key), FCACHE_OK);
  LEASE_CHECK_TYPES(FC_GET, FC_GET, FC_PUT);
  for (unsigned i = 0; i < 2; i++) {
    ck_assert(!lease_seen(scripted_leases, i).has_terms);
    ck_assert_uint_eq(lease_seen(scripted_leases, i).flags, 0);
  }
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_waits");
  TCase *tcase = tcase_create("client_waits");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, lease_set_up, lease_tear_down);
  tcase_add_test(tcase, get_wait_leased_elsewhere_waits);
  tcase_add_loop_test(tcase, cached_value_put_elsewhere_hit, 0, 2);
  tcase_add_loop_test(tcase, cached_wait_without_value_computes, 0, 5);
  tcase_add_test(tcase, cached_several_waits_bounded_together);
  tcase_add_test(tcase, cached_no_wait_computes_at_once);
  tcase_add_test(tcase, lease_always_elsewhere_attempts_bounded);
  tcase_add_loop_test(tcase, wait_daemon_stopped_costs_one_deadline, 0, 2);
  tcase_add_loop_test(tcase, wait_daemon_gone_ends_at_once, 0, 4);
  tcase_add_loop_test(tcase, wait_never_ended_bounded_by_client, 0, 2);
  tcase_add_test(tcase, wait_process_stopped_finds_value);
  tcase_add_loop_test(tcase, lease_reply_invalid_closes, 0, 4);
  tcase_add_test(tcase, daemon_older_no_lease_fields_sent);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
