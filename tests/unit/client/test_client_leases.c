/* Gets and cached where somebody else computes: leases taken and given back, waits with their
 * pings, and daemons that stop, talk nonsense, or know nothing of it. */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcache.h"
#include "proto/errors.h"
#include "tests/support/colliding.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_leases.h"

#define LONG_MS 20000u   /* nothing is to run into it */
#define DEADLINE_MS 600u /* where waits are to be longer */
#define WAIT_MS 60000u

static struct peer_leases *leases;

static void set_up(void) {
  leases = peer_leases_start();
}

static void tear_down(void) {
  peer_leases_stop(leases);
}

static struct fcache *open_one(uint32_t deadline_ms, uint32_t wait_ms) {
  return peer_leases_open(leases->peer.path, deadline_ms, wait_ms);
}

/* Connected, though a busy machine may miss so short a deadline over the greeting itself. */
static struct fcache *open_connected(uint32_t deadline_ms, uint32_t wait_ms) {
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  struct fcache *cache = open_one(deadline_ms, wait_ms);
  while (!fcache_connected(cache)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    fcache_close(cache);
    cache = open_one(deadline_ms, wait_ms);
  }
  return cache;
}

static struct fcache_key key_of(uint32_t key) {
  return (struct fcache_key){.op = "op", .view = "base", .prompt = lease_prompt(key)};
}

static struct fcache_counters counters_of(const struct fcache *cache) {
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  return counters;
}

static int get(struct fcache *cache, uint32_t number, unsigned flags, uint32_t wait_ms) {
  struct fcache_key key = key_of(number);
  struct fcache_value value = {0};
  char text[32];
  int n = snprintf(text, sizeof text, "value %u", number);
  int rc = fcache_get_wait(cache, &key, flags, wait_ms, &value);
  if (rc == FCACHE_OK) {
    ck_assert_uint_eq(value.size, (size_t)n + leases->padding);
    ck_assert_mem_eq(value.data, text, (size_t)n);
  }
  fcache_value_free(&value);
  return rc;
}

static int put(struct fcache *cache, uint32_t number) {
  struct fcache_key key = key_of(number);
  return fcache_put(cache, &key, "x", 1, 1000, 0);
}

struct compute {
  unsigned calls;
  int error;
};

static int compute(void *arg, struct fcache_value *value) {
  struct compute *compute = arg;
  compute->calls++;
  return compute->error != 0 ? compute->error : fcache_value_set(value, "mine", 4);
}

/* Returns whether it computed. */
static bool cached(struct fcache *cache, uint32_t number) {
  struct compute computed = {0};
  struct fcache_key key = key_of(number);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_cached(cache, &key, compute, &computed, &value), FCACHE_OK);
  ck_assert_uint_ge(value.size, 4);
  ck_assert_mem_eq(value.data, computed.calls > 0 ? "mine" : "valu", 4);
  fcache_value_free(&value);
  ck_assert_uint_le(computed.calls, 1);
  return computed.calls == 1;
}

static void check_types(const enum fc_type *types, unsigned n) {
  ck_assert_uint_eq(lease_n_seen(leases), n);
  for (unsigned i = 0; i < n; i++)
    ck_assert_uint_eq(lease_seen(leases, i).type, types[i]);
}
#define CHECK_TYPES(...)                                                                           \
  check_types((const enum fc_type[]){__VA_ARGS__},                                                 \
              sizeof((const enum fc_type[]){__VA_ARGS__}) / sizeof(enum fc_type))

/* ---- gets and puts ---- */

START_TEST(lease_is_asked_for_and_its_put_keeps_the_first) {
  struct fcache *cache = open_one(LONG_MS, 0);
  leases->answers[1] = "G";
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  struct lease_seen seen = lease_seen(leases, 0);
  ck_assert_uint_eq(seen.flags, FC_LEASE);
  ck_assert(seen.has_terms);
  ck_assert_uint_eq(seen.terms.lease_ms, PEER_LEASE_MS);
  ck_assert_uint_eq(seen.terms.wait_ms, 0);
  ck_assert_int_eq(put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, 1).flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(lease_seen(leases, 1).generation, 7);
  ck_assert_int_eq(put(cache, 1), FCACHE_OK); /* of no lease any more */
  ck_assert_uint_eq(lease_seen(leases, 2).flags, 0);
  ck_assert_uint_eq(counters_of(cache).leases_granted, 1);
  ck_assert_uint_eq(counters_of(cache).lease_wait_ns, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(plain_gets_are_as_ever) {
  struct fcache *cache = open_one(LONG_MS, 0);
  leases->answers[1] = "N";
  ck_assert_int_eq(get(cache, 1, 0, 0), FCACHE_MISS);
  ck_assert(!lease_seen(leases, 0).has_terms);
  ck_assert_uint_eq(lease_seen(leases, 0).flags, 0);
  ck_assert_int_eq(put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, 1).flags, 0);
  ck_assert_uint_eq(counters_of(cache).leases_granted, 0);
  fcache_close(cache);
}
END_TEST

/* Looking again, as its owner is told to compute for itself, does not lose the lease. */
START_TEST(lease_is_remembered_over_other_lookups) {
  struct fcache *cache = open_one(LONG_MS, 0);
  struct fcache_hash prompts[2] = {lease_prompt(1), lease_prompt(2)};
  struct fcache_bytes values[2] = {{"a", 1}, {"b", 1}};
  leases->answers[1] = leases->answers[2] = "GN";
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_MISS);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, 2, 1, 0), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, 2).flags, 0); /* one of them is another's */
  ck_assert_int_eq(get(cache, 2, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts + 1, values, 1, 1, 0),
                   FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, 4).flags, FC_KEEP_FIRST);
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_MISS);
  ck_assert_int_eq(put(cache, 1), FCACHE_OK); /* the first put ended it */
  ck_assert_uint_eq(lease_seen(leases, 6).flags, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(lease_is_given_up) {
  struct fcache *cache = open_one(LONG_MS, 0);
  struct fcache_key key = key_of(1), wrong = key_of(1);
  leases->answers[1] = "G";
  wrong.view = "";
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_give_up(cache, &wrong), FCACHE_ENAME);
  ck_assert_int_eq(fcache_give_up(cache, NULL), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_give_up(cache, &key), FCACHE_OK);
  struct lease_seen seen = lease_seen(leases, 1);
  ck_assert_uint_eq(seen.type, FC_GIVE_UP);
  ck_assert(!seen.all);
  ck_assert_uint_eq(seen.n, 1);
  ck_assert_uint_eq(seen.keys[0], 1);
  ck_assert_int_eq(put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, 2).flags, 0);
  ck_assert_int_eq(fcache_give_up(cache, &key), FCACHE_OK); /* it may have been forgotten here */
  CHECK_TYPES(FC_GET, FC_GIVE_UP, FC_PUT, FC_GIVE_UP);
  fcache_close(cache);
}
END_TEST

START_TEST(nothing_is_given_up_without_a_daemon) {
  struct fcache *cache = open_one(LONG_MS, 0);
  struct fcache_key key = key_of(1);
  leases->answers[1] = "X";
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_MISS);
  ck_assert_int_eq(fcache_give_up(cache, &key), FCACHE_OK);
  CHECK_TYPES(FC_GET);
  fcache_close(cache);
}
END_TEST

START_TEST(get_waits_when_told) {
  struct fcache *cache = open_one(LONG_MS, FCACHE_NO_WAIT);
  leases->answers[1] = "TH";
  leases->answers[2] = "TN";
  leases->answers[3] = "NH";
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_MISS); /* taken, and no wait */
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 500), FCACHE_OK);
  ck_assert_uint_eq(counters_of(cache).coalesced_hits, 0); /* it was there by now */
  ck_assert_int_eq(get(cache, 2, FCACHE_LEASE, 500), FCACHE_MISS);
  ck_assert_uint_gt(lease_seen(leases, 3).terms.wait_ms, 0);
  ck_assert_uint_le(lease_seen(leases, 3).terms.wait_ms, 500);
  ck_assert_uint_eq(lease_n_seen(leases), 4);
  /* Without a lease: nobody says at once whether somebody computes. */
  ck_assert_int_eq(get(cache, 3, FCACHE_UNRECORDED, 500), FCACHE_OK);
  struct lease_seen seen = lease_seen(leases, 5);
  ck_assert_uint_eq(seen.flags, FC_UNRECORDED);
  ck_assert_uint_eq(seen.terms.lease_ms, 0);
  ck_assert_uint_gt(seen.terms.wait_ms, 0);
  ck_assert_uint_eq(counters_of(cache).cache_hits, 1);
  ck_assert_uint_eq(counters_of(cache).coalesced_hits, 0); /* unrecorded */
  fcache_close(cache);
}
END_TEST

/* ---- many at once ---- */

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

START_TEST(many_are_leased_in_one_exchange) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  int results[4];
  leases->answers[0] = "GH";
  leases->answers[1] = "T";
  leases->answers[2] = "H";
  leases->answers[3] = "N";
  ck_assert_int_eq(lease_keys(cache, 4, results), FCACHE_OK);
  ck_assert_int_eq(results[0], FCACHE_LEASED);
  ck_assert_int_eq(results[1], FCACHE_MISS);
  ck_assert_int_eq(results[2], FCACHE_OK);
  ck_assert_int_eq(results[3], FCACHE_MISS);
  CHECK_TYPES(FC_GET_MANY);
  struct lease_seen seen = lease_seen(leases, 0);
  ck_assert_uint_eq(seen.flags, FC_LEASE);
  ck_assert_uint_eq(seen.terms.lease_ms, PEER_LEASE_MS);
  ck_assert_uint_eq(counters_of(cache).leases_granted, 1);
  ck_assert_uint_eq(counters_of(cache).cache_hits, 1);
  ck_assert_int_eq(put(cache, 0), FCACHE_OK); /* of a lease, and of its time */
  ck_assert_uint_eq(lease_seen(leases, 1).flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(lease_seen(leases, 1).generation, 7);
  ck_assert_int_eq(put(cache, 3), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, 2).flags, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(many_are_leased_by_nobody) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  int results[2] = {77, 77};
  struct fcache_hash prompt = lease_prompt(0);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_lease_many(cache, "", "base", 0, &prompt, 1, 0, &value, results),
                   FCACHE_ENAME);
  ck_assert_int_eq(fcache_lease_many(cache, "op", "base", 0, &prompt, 1, 0, &value, NULL),
                   FCACHE_EINVAL);
  ck_assert_int_eq(fcache_lease_many(cache, "op", "base", 0, NULL, 0, 0, NULL, NULL), FCACHE_OK);
  leases->answers[0] = "X";
  ck_assert_int_eq(lease_keys(cache, 2, results), FCACHE_OK);
  ck_assert(results[0] == FCACHE_MISS && results[1] == FCACHE_MISS);
  ck_assert_uint_eq(counters_of(cache).degraded, 1);
  fcache_close(cache);
}
END_TEST

/* ---- cached ---- */

/* The wait is far longer than a deadline: the pings make sure of the daemon. */
START_TEST(wait_ends_with_the_value) {
  struct fcache *cache = open_connected(DEADLINE_MS, WAIT_MS);
  leases->answers[1] = "TPW";
  leases->pings_wanted = 5;
  leases->padding = _i == 0 ? 0 : 1u << 20; /* which goes straight to its place */
  uint64_t start_ms = runner_now_ms();
  ck_assert(!cached(cache, 1));
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, 5 * DEADLINE_MS / 4 - 1); /* each after a quarter of silence */
  ck_assert_uint_eq(lease_pings(leases), 5);
  CHECK_TYPES(FC_GET, FC_GET);
  struct lease_seen first = lease_seen(leases, 0), second = lease_seen(leases, 1);
  ck_assert(first.flags == FC_LEASE && second.flags == FC_LEASE);
  ck_assert_uint_eq(first.terms.wait_ms, 0);
  ck_assert_uint_gt(second.terms.wait_ms, WAIT_MS / 2);
  ck_assert_uint_le(second.terms.wait_ms, WAIT_MS);
  struct fcache_counters counters = counters_of(cache);
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

/* The owner gave up, or it took too long: compute, without what the wait took. */
START_TEST(wait_ends_without_a_value) {
  static const char *const answers[] = {"TPG", "TPN", "TTTPG", "TPE", "TE"};
  struct fcache *cache = open_connected(DEADLINE_MS, WAIT_MS);
  leases->answers[1] = answers[_i];
  ck_assert(cached(cache, 1));
  unsigned n = lease_n_seen(leases);
  ck_assert_uint_eq(lease_seen(leases, n - 1).type, FC_PUT);
  ck_assert_uint_eq(lease_seen(leases, n - 1).flags, FC_KEEP_FIRST);
  struct fcache_counters counters = counters_of(cache);
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

START_TEST(patience_is_of_all_waits_together) {
  struct fcache *cache = open_connected(DEADLINE_MS, WAIT_MS);
  leases->answers[1] = "TPTPW";
  ck_assert(!cached(cache, 1));
  CHECK_TYPES(FC_GET, FC_GET, FC_GET);
  ck_assert_uint_le(lease_seen(leases, 2).terms.wait_ms,
                    lease_seen(leases, 1).terms.wait_ms - DEADLINE_MS / 4 + 1);
  ck_assert_uint_ge(counters_of(cache).lease_wait_ns, DEADLINE_MS / 2 * (uint64_t)1000000);
  fcache_close(cache);
}
END_TEST

START_TEST(no_wait_computes_at_once) {
  struct fcache *cache = open_one(LONG_MS, FCACHE_NO_WAIT);
  leases->answers[1] = leases->answers[2] = "T";
  leases->answers[3] = leases->answers[4] = "TH";
  ck_assert(cached(cache, 1));
  CHECK_TYPES(FC_GET, FC_PUT);
  ck_assert_uint_eq(lease_seen(leases, 0).flags, FC_LEASE); /* others may wait for us */
  fcache_set_wait(cache, 0);
  ck_assert(!cached(cache, 3));
  ck_assert_uint_le(lease_seen(leases, 3).terms.wait_ms, PEER_LEASE_MS);
  ck_assert_uint_gt(lease_seen(leases, 3).terms.wait_ms, PEER_LEASE_MS / 2);
  fcache_set_wait(cache, 777);
  ck_assert(!cached(cache, 4));
  ck_assert_uint_le(lease_seen(leases, 5).terms.wait_ms, 777);
  fcache_set_wait(cache, FCACHE_NO_WAIT);
  ck_assert(cached(cache, 2));
  ck_assert_uint_eq(lease_n_seen(leases), 8);
  fcache_close(cache);
}
END_TEST

START_TEST(taken_for_ever_is_not_asked_for_ever) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  leases->answers[1] = "T";
  ck_assert(cached(cache, 1));
  ck_assert_uint_le(lease_n_seen(leases), 10);
  fcache_close(cache);
}
END_TEST

START_TEST(failed_compute_gives_up_what_was_granted) {
  struct compute computed = {.error = 77};
  struct fcache_key granted = key_of(1), free = key_of(2);
  struct fcache_value value = {0};
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  leases->answers[1] = "G";
  leases->answers[2] = "N";
  ck_assert_int_eq(fcache_cached(cache, &granted, compute, &computed, &value), 77);
  ck_assert_int_eq(fcache_cached(cache, &free, compute, &computed, &value), 77);
  CHECK_TYPES(FC_GET, FC_GIVE_UP, FC_GET);
  ck_assert_uint_eq(lease_seen(leases, 1).keys[0], 1);
  fcache_close(cache);
}
END_TEST

START_TEST(what_could_not_be_put_is_given_up) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  leases->answers[1] = "G";
  leases->answers[2] = "N";
  leases->put_error = FC_ENOMEM;
  ck_assert(cached(cache, 1));
  ck_assert(cached(cache, 2));
  CHECK_TYPES(FC_GET, FC_PUT, FC_GIVE_UP, FC_GET, FC_PUT);
  leases->put_error = FC_ETOOBIG; /* told: the daemon has drawn its conclusions */
  ck_assert(cached(cache, 1));
  ck_assert_uint_eq(lease_n_seen(leases), 7);
  fcache_close(cache);
}
END_TEST

/* One of them was looked up while no daemon was there: nothing is put, but others wait for the
 * other one. */
START_TEST(what_is_not_put_for_anothers_sake_is_given_up) {
  struct fcache_hash prompts[2] = {lease_prompt(1), lease_prompt(2)};
  struct fcache_bytes values[2] = {{"a", 1}, {"b", 1}};
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  leases->answers[1] = "X";
  leases->answers[2] = "G";
  ck_assert_int_eq(get(cache, 1, 0, 0), FCACHE_MISS);
  for (uint64_t end_ms = runner_now_ms() + LONG_MS; get(cache, 3, 0, 0) == FCACHE_MISS;) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    if (fcache_connected(cache))
      break;
    (void)poll(NULL, 0, 1);
  }
  ck_assert_int_eq(get(cache, 2, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, 2, 1, 0),
                   FCACHE_NOT_STORED);
  struct lease_seen last = lease_seen(leases, lease_n_seen(leases) - 1);
  ck_assert_uint_eq(last.type, FC_GIVE_UP);
  ck_assert_uint_eq(last.n, 1);
  ck_assert_uint_eq(last.keys[0], 2);
  fcache_close(cache);
}
END_TEST

/* Nor does each key of a batch have a message of its own. */
START_TEST(batch_whose_put_failed_gives_up_in_one_message) {
  enum { MANY = 40 };
  struct fcache_hash prompts[MANY];
  struct fcache_bytes values[MANY];
  struct fcache_value found[MANY] = {{0}};
  int results[MANY];
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  for (uint32_t i = 0; i < MANY; i++) {
    prompts[i] = lease_prompt(i);
    values[i] = (struct fcache_bytes){"v", 1};
    leases->answers[i] = i % 2 == 0 ? "G" : "T";
  }
  leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(fcache_lease_many(cache, "op", "base", 0, prompts, MANY, 0, found, results),
                   FCACHE_OK);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, MANY, 1, 0),
                   FCACHE_NOT_STORED);
  CHECK_TYPES(FC_GET_MANY, FC_PUT_MANY, FC_GIVE_UP);
  struct lease_seen given_up = lease_seen(leases, 2);
  ck_assert_uint_eq(given_up.n, MANY / 2);
  for (uint32_t i = 0; i < MANY / 2; i++)
    ck_assert_uint_eq(given_up.keys[i], 2 * i);
  fcache_close(cache);
}
END_TEST

START_TEST(many_are_given_up_in_one_message) {
  struct fcache_hash prompts[3] = {lease_prompt(1), lease_prompt(2), lease_prompt(3)};
  struct fcache_bytes values[3] = {{"a", 1}, {"b", 1}, {"c", 1}};
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  leases->answers[1] = leases->answers[2] = leases->answers[3] = "G";
  for (uint32_t i = 1; i <= 3; i++)
    ck_assert_int_eq(get(cache, i, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "", 0, prompts, 3), FCACHE_ENAME);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "base", 0, NULL, 3), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "base", 0, NULL, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_give_up_many(cache, "op", "base", 0, prompts, 3), FCACHE_OK);
  leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, prompts, values, 3, 1, 0),
                   FCACHE_NOT_STORED); /* and there is nothing left to give up */
  CHECK_TYPES(FC_GET, FC_GET, FC_GET, FC_GIVE_UP, FC_PUT_MANY);
  ck_assert_uint_eq(lease_seen(leases, 3).n, 3);
  fcache_close(cache);
}
END_TEST

/* Whoever chooses prompts for a process could otherwise make one key pass for another: a result
 * from before a clear would be stored after it. */
START_TEST(no_prompt_passes_for_another) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct fcache_key keys[2];
  struct fcache_value value = {0};
  leases->others = 'N';
  for (uint32_t i = 0; i < 2; i++) {
    struct fc_key key = colliding_key(0, "op", "base", i);
    keys[i] = (struct fcache_key){.op = "op", .view = "base", .top_k = key.top_k};
    memcpy(keys[i].prompt.bytes, key.prompt.bytes, FC_HASH_SIZE);
    ck_assert_int_eq(fcache_get(cache, &keys[i], 0, &value), FCACHE_MISS);
  }
  ck_assert_int_eq(fcache_put(cache, &keys[0], "x", 1, 1000, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_put(cache, &keys[1], "x", 1, 1000, 0), FCACHE_OK);
  ck_assert_uint_lt(lease_seen(leases, 2).generation, lease_seen(leases, 3).generation);
  fcache_value_free(&value);
  fcache_close(cache);
}
END_TEST

/* The daemon has no memory for it, and perhaps never got as far as the lease. */
START_TEST(own_put_that_failed_gives_up) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct fcache_hash prompt = lease_prompt(2);
  struct fcache_bytes value = {"b", 1};
  leases->answers[1] = leases->answers[2] = "G";
  leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(get(cache, 2, FCACHE_LEASE, 0), FCACHE_LEASED);
  ck_assert_int_eq(put(cache, 1), FCACHE_NOT_STORED);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 0, &prompt, &value, 1, 1, 0),
                   FCACHE_NOT_STORED);
  CHECK_TYPES(FC_GET, FC_GET, FC_PUT, FC_GIVE_UP, FC_PUT_MANY, FC_GIVE_UP);
  ck_assert_uint_eq(lease_seen(leases, 3).keys[0], 1);
  ck_assert_uint_eq(lease_seen(leases, 5).keys[0], 2);
  fcache_close(cache);
}
END_TEST

/* ---- daemons that stop in the middle ---- */

/* At once, or after some pings. */
START_TEST(stopped_daemon_costs_a_waiter_one_deadline) {
  const uint32_t deadline_ms = 500;
  struct fcache *cache = open_connected(deadline_ms, WAIT_MS);
  leases->answers[1] = _i == 0 ? "TS" : "TP";
  leases->pings_max = leases->pings_wanted = _i == 0 ? 0 : 2;
  leases->pings_wanted = 100;
  uint64_t start_ms = runner_now_ms();
  ck_assert(cached(cache, 1));
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms + (_i == 0 ? 0 : deadline_ms / 2) - 2);
  ck_assert_uint_lt(took_ms, 8 * deadline_ms);
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "did not answer within 500 ms"));
  ck_assert_uint_gt(counters_of(cache).lease_wait_ns, 0);
  ck_assert_uint_ge(counters_of(cache).degraded, 1);
  fcache_close(cache);
}
END_TEST

START_TEST(daemon_that_goes_away_costs_nothing) {
  static const char *const answers[] = {"TX", "TPX", "TL", "TPL"};
  struct fcache *cache = open_connected(4000, WAIT_MS);
  leases->answers[1] = answers[_i];
  uint64_t start_ms = runner_now_ms();
  ck_assert(cached(cache, 1));
  ck_assert_uint_lt(runner_now_ms() - start_ms, 3900); /* a ping after a second, and the end */
  if (_i >= 2)
    ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "good bye"));
  fcache_close(cache);
}
END_TEST

/* It answers pings, or talks without end, but of this key it says nothing. */
START_TEST(wait_is_bounded_here_too) {
  const uint32_t deadline_ms = 300, wait_ms = 500;
  struct fcache *cache = open_connected(deadline_ms, wait_ms);
  leases->answers[1] = "TP";
  leases->pings_wanted = 1000000;
  leases->floods = _i == 1;
  uint64_t start_ms = runner_now_ms();
  ck_assert(cached(cache, 1));
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms + wait_ms - 2);
  ck_assert_uint_lt(took_ms, LONG_MS / 2);
  ck_assert(!fcache_connected(cache));
  fcache_close(cache);
}
END_TEST

/* Who was stopped itself looks at what has come before it judges. */
START_TEST(stopped_waiter_finds_its_value) {
  const uint32_t deadline_ms = 500;
  leases->answers[1] = "TPW";
  leases->pings_wanted = 1;
  pid_t child = fork();
  int status;
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct fcache *cache = open_connected(deadline_ms, WAIT_MS);
    bool right = !cached(cache, 1) && counters_of(cache).coalesced_hits == 1;
    fcache_close(cache);
    _exit(right ? 0 : 1);
  }
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (lease_n_held(leases) == 0 && runner_now_ms() < end_ms)
    (void)poll(NULL, 0, 1);
  ck_assert_int_eq(kill(child, SIGSTOP), 0);
  ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
  ck_assert(WIFSTOPPED(status));
  for (end_ms = runner_now_ms() + 3 * (uint64_t)deadline_ms;
       runner_now_ms() < end_ms;) /* the lapse under test */
    (void)poll(NULL, 0, 1);
  ck_assert_int_eq(kill(child, SIGCONT), 0);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---- daemons that are wrong, or old ---- */

START_TEST(nonsense_about_leases_ends_the_connection) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  leases->answers[1] = "G";
  leases->answers[2] = "?";
  leases->answers[3] = "T?";
  int rc = _i == 0   ? get(cache, 1, 0, 0) /* granted unasked */
           : _i == 1 ? get(cache, 1, 0, 100)
           : _i == 2 ? get(cache, 2, FCACHE_LEASE, 100)
                     : get(cache, 3, FCACHE_LEASE, 100);
  ck_assert_int_eq(rc, FCACHE_MISS);
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "does not speak the protocol of fcached"));
  fcache_close(cache);
}
END_TEST

START_TEST(older_daemons_are_asked_as_ever) {
  leases->version = 2;
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct fcache_key key = key_of(1);
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 1000), FCACHE_MISS);
  ck_assert(cached(cache, 1));
  ck_assert_int_eq(fcache_give_up(cache, &key), FCACHE_OK);
  CHECK_TYPES(FC_GET, FC_GET, FC_PUT);
  for (unsigned i = 0; i < 2; i++) {
    ck_assert(!lease_seen(leases, i).has_terms);
    ck_assert_uint_eq(lease_seen(leases, i).flags, 0);
  }
  fcache_close(cache);
}
END_TEST

START_TEST(forked_child_has_no_lease) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  leases->answers[1] = "G";
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, 0), FCACHE_LEASED);
  peer_wait_idle(&leases->peer);
  pid_t child = fork();
  int status;
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct fcache_key key = key_of(1);
    bool right = fcache_put(cache, &key, "x", 1, 1, 0) == FCACHE_OK &&
                 counters_of(cache).leases_granted == 0;
    fcache_close(cache);
    _exit(right ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
  ck_assert_uint_eq(lease_seen(leases, 1).flags, 0); /* the child's */
  ck_assert_int_eq(put(cache, 1), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, 2).flags, FC_KEEP_FIRST);
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_leases");
  TCase *tcase = tcase_create("leases");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, lease_is_asked_for_and_its_put_keeps_the_first);
  tcase_add_test(tcase, plain_gets_are_as_ever);
  tcase_add_test(tcase, lease_is_remembered_over_other_lookups);
  tcase_add_test(tcase, lease_is_given_up);
  tcase_add_test(tcase, nothing_is_given_up_without_a_daemon);
  tcase_add_test(tcase, many_are_leased_in_one_exchange);
  tcase_add_test(tcase, many_are_leased_by_nobody);
  tcase_add_test(tcase, get_waits_when_told);
  tcase_add_loop_test(tcase, wait_ends_with_the_value, 0, 2);
  tcase_add_loop_test(tcase, wait_ends_without_a_value, 0, 5);
  tcase_add_test(tcase, patience_is_of_all_waits_together);
  tcase_add_test(tcase, no_wait_computes_at_once);
  tcase_add_test(tcase, taken_for_ever_is_not_asked_for_ever);
  tcase_add_test(tcase, failed_compute_gives_up_what_was_granted);
  tcase_add_test(tcase, what_could_not_be_put_is_given_up);
  tcase_add_test(tcase, what_is_not_put_for_anothers_sake_is_given_up);
  tcase_add_test(tcase, own_put_that_failed_gives_up);
  tcase_add_test(tcase, batch_whose_put_failed_gives_up_in_one_message);
  tcase_add_test(tcase, many_are_given_up_in_one_message);
  tcase_add_test(tcase, no_prompt_passes_for_another);
  tcase_add_loop_test(tcase, stopped_daemon_costs_a_waiter_one_deadline, 0, 2);
  tcase_add_loop_test(tcase, daemon_that_goes_away_costs_nothing, 0, 4);
  tcase_add_loop_test(tcase, wait_is_bounded_here_too, 0, 2);
  tcase_add_test(tcase, stopped_waiter_finds_its_value);
  tcase_add_loop_test(tcase, nonsense_about_leases_ends_the_connection, 0, 4);
  tcase_add_test(tcase, older_daemons_are_asked_as_ever);
  tcase_add_test(tcase, forked_child_has_no_lease);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
