/* Leases that are granted, put and given up. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcache.h"
#include "proto/errors.h"
#include "tests/support/colliding.h"
#include "tests/support/lease_fixture.h"
#include "tests/support/library.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/scripted_leases.h"

#define WAIT_MS 60000u

START_TEST(put_with_lease_keeps_first) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, 0);
  scripted_leases->answers[1] = "G";
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  struct lease_seen seen = lease_seen(scripted_leases, 0);
  ck_assert_uint_eq(seen.flags, FC_LEASE);
  ck_assert(seen.has_terms);
  ck_assert_uint_eq(seen.terms.lease_ms, SCRIPTED_LEASE_MS);
  ck_assert_uint_eq(seen.terms.wait_ms, 0);
  ck_assert_int_eq(client_lease_put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(scripted_leases, 1).flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(lease_seen(scripted_leases, 1).generation, 7);
  ck_assert_int_eq(client_lease_put(cache, 1), FCACHE_OK); /* the lease has ended */
  ck_assert_uint_eq(lease_seen(scripted_leases, 2).flags, 0);
  ck_assert_uint_eq(library_counters(cache).leases_granted, 1);
  ck_assert_uint_eq(library_counters(cache).lease_wait_ns, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(get_without_lease_no_terms) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, 0);
  scripted_leases->answers[1] = "N";
  ck_assert_int_eq(lease_get(cache, 1, 0, 0), FCACHE_MISS);
  ck_assert(!lease_seen(scripted_leases, 0).has_terms);
  ck_assert_uint_eq(lease_seen(scripted_leases, 0).flags, 0);
  ck_assert_int_eq(client_lease_put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(scripted_leases, 1).flags, 0);
  ck_assert_uint_eq(library_counters(cache).leases_granted, 0);
  fcache_close(cache);
}
END_TEST

/* A second lookup by the owner is a miss, and does not lose the lease. */
START_TEST(lease_after_other_lookups_remembered) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, 0);
  struct fcache_hash prompts[2] = {lease_prompt(1), lease_prompt(2)};
  struct fcache_bytes values[2] = {{"a", 1}, {"b", 1}};
  scripted_leases->answers[1] = scripted_leases->answers[2] = "GN";
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_MISS);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, 2, 1, 0), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(scripted_leases, 2).flags, 0); /* another client holds one of them */
  ck_assert_int_eq(lease_get(cache, 2, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts + 1, values, 1, 1, 0),
                   FCACHE_OK);
  ck_assert_uint_eq(lease_seen(scripted_leases, 4).flags, FC_KEEP_FIRST);
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_MISS);
  ck_assert_int_eq(client_lease_put(cache, 1), FCACHE_OK); /* the first put ended it */
  ck_assert_uint_eq(lease_seen(scripted_leases, 6).flags, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(give_up_lease_sent) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, 0);
  struct fcache_key key = client_lease_key(1), wrong = client_lease_key(1);
  scripted_leases->answers[1] = "G";
  wrong.view = "";
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_give_up(cache, &wrong), FCACHE_ENAME);
  ck_assert_int_eq(fcache_give_up(cache, NULL), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_give_up(cache, &key), FCACHE_OK);
  struct lease_seen seen = lease_seen(scripted_leases, 1);
  ck_assert_uint_eq(seen.type, FC_GIVE_UP);
  ck_assert(!seen.all);
  ck_assert_uint_eq(seen.n, 1);
  ck_assert_uint_eq(seen.keys[0], 1);
  ck_assert_int_eq(client_lease_put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(scripted_leases, 2).flags, 0);
  ck_assert_int_eq(fcache_give_up(cache, &key),
                   FCACHE_OK); /* this handle may have forgotten the lease */
  LEASE_CHECK_TYPES(FC_GET, FC_GIVE_UP, FC_PUT, FC_GIVE_UP);
  fcache_close(cache);
}
END_TEST

START_TEST(give_up_daemon_absent_nothing_sent) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, 0);
  struct fcache_key key = client_lease_key(1);
  scripted_leases->answers[1] = "X";
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_MISS);
  ck_assert_int_eq(fcache_give_up(cache, &key), FCACHE_OK);
  LEASE_CHECK_TYPES(FC_GET, FC_GET, FC_GET, FC_GET); /* repeated after each loss */
  fcache_close(cache);
}
END_TEST

static int lease_keys(struct fcache *cache, unsigned n, int *results) {
  struct fcache_hash prompts[8] = {{{0}}};
  struct fcache_value values[8] = {{0}};
  for (unsigned i = 0; i < n; i++)
    prompts[i] = lease_prompt(i);
  int rc = fcache_lease_many(cache, "op", "base", 0, prompts, n, 0, values, results);
  for (unsigned i = 0; i < n; i++) {
    if (rc == FCACHE_OK && results[i] == FCACHE_OK)
      ck_assert_mem_eq(values[i].data, "value", 5);
    fcache_value_free(&values[i]);
  }
  return rc;
}

START_TEST(lease_many_one_message) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  int results[4];
  scripted_leases->answers[0] = "GH";
  scripted_leases->answers[1] = "T";
  scripted_leases->answers[2] = "H";
  scripted_leases->answers[3] = "N";
  ck_assert_int_eq(lease_keys(cache, 4, results), FCACHE_OK);
  ck_assert_int_eq(results[0], FCACHE_LEASED);
  ck_assert_int_eq(results[1], FCACHE_MISS);
  ck_assert_int_eq(results[2], FCACHE_OK);
  ck_assert_int_eq(results[3], FCACHE_MISS);
  LEASE_CHECK_TYPES(FC_GET_MANY);
  struct lease_seen seen = lease_seen(scripted_leases, 0);
  ck_assert_uint_eq(seen.flags, FC_LEASE);
  ck_assert_uint_eq(seen.terms.lease_ms, SCRIPTED_LEASE_MS);
  ck_assert_uint_eq(library_counters(cache).leases_granted, 1);
  ck_assert_uint_eq(library_counters(cache).cache_hits, 1);
  ck_assert_int_eq(client_lease_put(cache, 0), FCACHE_OK); /* with a lease, and with its epoch */
  ck_assert_uint_eq(lease_seen(scripted_leases, 1).flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(lease_seen(scripted_leases, 1).generation, 7);
  ck_assert_int_eq(client_lease_put(cache, 3), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(scripted_leases, 2).flags, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(lease_many_not_granted_misses) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  int results[2] = {77, 77};
  struct fcache_hash prompt = lease_prompt(0);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_lease_many(cache, "", "base", 0, &prompt, 1, 0, &value, results),
                   FCACHE_ENAME);
  ck_assert_int_eq(fcache_lease_many(cache, "op", "base", 0, &prompt, 1, 0, &value, NULL),
                   FCACHE_EINVAL);
  ck_assert_int_eq(fcache_lease_many(cache, "op", "base", 0, NULL, 0, 0, NULL, NULL), FCACHE_OK);
  scripted_leases->answers[0] = "X";
  ck_assert_int_eq(lease_keys(cache, 2, results), FCACHE_OK);
  ck_assert(results[0] == FCACHE_MISS && results[1] == FCACHE_MISS);
  ck_assert_uint_eq(library_counters(cache).degraded, 1);
  fcache_close(cache);
}
END_TEST

START_TEST(compute_fails_lease_given_up) {
  struct lease_compute computed = {.error = 77};
  struct fcache_key granted = client_lease_key(1), free = client_lease_key(2);
  struct fcache_value value = {0};
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  scripted_leases->answers[1] = "G";
  scripted_leases->answers[2] = "N";
  ck_assert_int_eq(fcache_cached(cache, &granted, lease_compute, &computed, &value), 77);
  ck_assert_int_eq(fcache_cached(cache, &free, lease_compute, &computed, &value), 77);
  LEASE_CHECK_TYPES(FC_GET, FC_GIVE_UP, FC_GET);
  ck_assert_uint_eq(lease_seen(scripted_leases, 1).keys[0], 1);
  fcache_close(cache);
}
END_TEST

START_TEST(put_fails_lease_given_up) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  scripted_leases->answers[1] = "G";
  scripted_leases->answers[2] = "N";
  scripted_leases->put_error = FC_ENOMEM;
  ck_assert(lease_cached(cache, 1));
  ck_assert(lease_cached(cache, 2));
  LEASE_CHECK_TYPES(FC_GET, FC_PUT, FC_GIVE_UP, FC_GET, FC_PUT);
  scripted_leases->put_error = FC_ETOOBIG; /* the daemon received the put, and ended the lease */
  ck_assert(lease_cached(cache, 1));
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 7);
  fcache_close(cache);
}
END_TEST

/* One key was looked up without a daemon, so nothing is put. Others wait for the other key, whose
 * lease is given up. */
START_TEST(put_withheld_lease_given_up) {
  struct fcache_hash prompts[2] = {lease_prompt(1), lease_prompt(2)};
  struct fcache_bytes values[2] = {{"a", 1}, {"b", 1}};
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  scripted_leases->answers[1] = "X";
  scripted_leases->answers[2] = "G";
  ck_assert_int_eq(lease_get(cache, 1, 0, 0), FCACHE_MISS);
  for (uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
       lease_get(cache, 3, 0, 0) == FCACHE_MISS;) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    if (fcache_connected(cache))
      break;
    (void)poll(NULL, 0, 1);
  }
  ck_assert_int_eq(lease_get(cache, 2, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, 2, 1, 0),
                   FCACHE_NOT_STORED);
  struct lease_seen last = lease_seen(scripted_leases, lease_n_seen(scripted_leases) - 1);
  ck_assert_uint_eq(last.type, FC_GIVE_UP);
  ck_assert_uint_eq(last.n, 1);
  ck_assert_uint_eq(last.keys[0], 2);
  fcache_close(cache);
}
END_TEST

/* The keys of a batch share one message. */
START_TEST(put_many_fails_leases_given_up_in_one_message) {
  enum { MANY = 40 };
  struct fcache_hash prompts[MANY];
  struct fcache_bytes values[MANY];
  struct fcache_value found[MANY] = {{0}};
  int results[MANY];
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  for (uint32_t i = 0; i < MANY; i++) {
    prompts[i] = lease_prompt(i);
    values[i] = (struct fcache_bytes){"v", 1};
    scripted_leases->answers[i] = i % 2 == 0 ? "G" : "T";
  }
  scripted_leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(fcache_lease_many(cache, "op", "base", 0, prompts, MANY, 0, found, results),
                   FCACHE_OK);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, MANY, 1, 0),
                   FCACHE_NOT_STORED);
  LEASE_CHECK_TYPES(FC_GET_MANY, FC_PUT_MANY, FC_GIVE_UP);
  struct lease_seen given_up = lease_seen(scripted_leases, 2);
  ck_assert_uint_eq(given_up.n, MANY / 2);
  for (uint32_t i = 0; i < MANY / 2; i++)
    ck_assert_uint_eq(given_up.keys[i], 2 * i);
  fcache_close(cache);
}
END_TEST

START_TEST(give_up_many_one_message) {
  struct fcache_hash prompts[3] = {lease_prompt(1), lease_prompt(2), lease_prompt(3)};
  struct fcache_bytes values[3] = {{"a", 1}, {"b", 1}, {"c", 1}};
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  scripted_leases->answers[1] = scripted_leases->answers[2] = scripted_leases->answers[3] = "G";
  for (uint32_t i = 1; i <= 3; i++)
    ck_assert_int_eq(lease_get(cache, i, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "", 0, prompts, 3), FCACHE_ENAME);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "base", 0, NULL, 3), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "base", 0, NULL, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "base", 0, prompts, 3), FCACHE_OK);
  scripted_leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, 3, 1, 0),
                   FCACHE_NOT_STORED); /* no lease is left to give up */
  LEASE_CHECK_TYPES(FC_GET, FC_GET, FC_GET, FC_GIVE_UP, FC_PUT_MANY);
  ck_assert_uint_eq(lease_seen(scripted_leases, 3).n, 3);
  fcache_close(cache);
}
END_TEST

/* With a known seed, an author of prompts could make two keys share a slot. A result from before a
 * clear would then be stored after it. */
START_TEST(lease_colliding_prompts_kept_apart) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct fcache_key keys[2];
  struct fcache_value value = {0};
  scripted_leases->others = 'N';
  for (uint32_t i = 0; i < 2; i++) {
    struct fc_key key = colliding_key(0, "op", "base", i);
    keys[i] = (struct fcache_key){.op = "op", .view = "base", .top_k = key.top_k};
    memcpy(keys[i].prompt.bytes, key.prompt.bytes, FC_HASH_SIZE);
    ck_assert_int_eq(fcache_get(cache, &keys[i], 0, &value), FCACHE_MISS);
  }
  ck_assert_int_eq(fcache_put(cache, &keys[0], "x", 1, 1000, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_put(cache, &keys[1], "x", 1, 1000, 0), FCACHE_OK);
  ck_assert_uint_lt(lease_seen(scripted_leases, 2).generation,
                    lease_seen(scripted_leases, 3).generation);
  fcache_value_free(&value);
  fcache_close(cache);
}
END_TEST

/* The daemon had no memory for the request. It may not have ended the lease. */
START_TEST(put_out_of_memory_lease_given_up) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct fcache_hash prompt = lease_prompt(2);
  struct fcache_bytes value = {"b", 1};
  scripted_leases->answers[1] = scripted_leases->answers[2] = "G";
  scripted_leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(lease_get(cache, 2, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(client_lease_put(cache, 1), FCACHE_NOT_STORED);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, &prompt, &value, 1, 1, 0),
                   FCACHE_NOT_STORED);
  LEASE_CHECK_TYPES(FC_GET, FC_GET, FC_PUT, FC_GIVE_UP, FC_PUT_MANY, FC_GIVE_UP);
  ck_assert_uint_eq(lease_seen(scripted_leases, 3).keys[0], 1);
  ck_assert_uint_eq(lease_seen(scripted_leases, 5).keys[0], 2);
  fcache_close(cache);
}
END_TEST

START_TEST(fork_child_has_no_lease) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  scripted_leases->answers[1] = "G";
  ck_assert_int_eq(lease_get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  scripted_wait_idle(&scripted_leases->scripted);
  pid_t child = fork();
  int status;
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct fcache_key key = client_lease_key(1);
    bool right = fcache_put(cache, &key, "x", 1, 1, 0) == FCACHE_OK &&
                 library_counters(cache).leases_granted == 0;
    fcache_close(cache);
    _exit(right ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
  ck_assert_uint_eq(lease_seen(scripted_leases, 1).flags, 0); /* the child's */
  ck_assert_int_eq(client_lease_put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(scripted_leases, 2).flags, FC_KEEP_FIRST);
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_leases");
  TCase *tcase = tcase_create("client_leases");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, lease_set_up, lease_tear_down);
  tcase_add_test(tcase, put_with_lease_keeps_first);
  tcase_add_test(tcase, get_without_lease_no_terms);
  tcase_add_test(tcase, lease_after_other_lookups_remembered);
  tcase_add_test(tcase, give_up_lease_sent);
  tcase_add_test(tcase, give_up_daemon_absent_nothing_sent);
  tcase_add_test(tcase, lease_many_one_message);
  tcase_add_test(tcase, lease_many_not_granted_misses);
  tcase_add_test(tcase, compute_fails_lease_given_up);
  tcase_add_test(tcase, put_fails_lease_given_up);
  tcase_add_test(tcase, put_withheld_lease_given_up);
  tcase_add_test(tcase, put_many_fails_leases_given_up_in_one_message);
  tcase_add_test(tcase, give_up_many_one_message);
  tcase_add_test(tcase, lease_colliding_prompts_kept_apart);
  tcase_add_test(tcase, put_out_of_memory_lease_given_up);
  tcase_add_test(tcase, fork_child_has_no_lease);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
