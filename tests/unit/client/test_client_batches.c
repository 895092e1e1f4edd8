/* Batches where others compute some of it: what is computed here and when, what is waited for, and
 * daemons that go away or talk nonsense in the middle. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcache.h"
#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_leases.h"

#define LONG_MS 20000u /* nothing is to run into it */
#define WAIT_MS 60000u
#define MOST 600u /* prompts in a batch here */
#define CALLS 8u

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

static struct fcache_counters counters_of(const struct fcache *cache) {
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  return counters;
}

/* ---- a batch, and what it computed ---- */

struct batch {
  unsigned calls;
  size_t n[CALLS];
  size_t misses[CALLS][MOST];
  unsigned fails;                    /* this call, from 1; 0: none */
  int error;                         /* with it, or one value too few */
  const struct fcache_value *values; /* of run_keys */
  size_t n_values;
  uint64_t filled[CALLS]; /* a bit for each that had a value when compute was called */
};

static int compute(void *arg, const size_t *misses, size_t n, struct fcache_batch *out) {
  struct batch *batch = arg;
  ck_assert_uint_lt(batch->calls, CALLS);
  batch->n[batch->calls] = n;
  for (size_t i = 0; i < batch->n_values; i++)
    batch->filled[batch->calls] |= (uint64_t)(batch->values[i].size > 0) << i;
  memcpy(batch->misses[batch->calls++], misses, n * sizeof *misses);
  bool fails = batch->calls == batch->fails;
  for (size_t i = fails ? 1 : 0; i < n; i++)
    ck_assert_int_eq(fcache_batch_add(out, "mine", 4), FCACHE_OK);
  return fails ? batch->error : 0;
}

static bool computed(const struct batch *batch, size_t i) {
  for (unsigned call = 0; call < batch->calls; call++)
    for (size_t at = 0; at < batch->n[call]; at++)
      if (batch->misses[call][at] == i)
        return true;
  return false;
}

static int run_keys(struct fcache *cache, const uint32_t *keys, size_t n, struct batch *batch) {
  struct fcache_hash prompts[LEASE_KEYS] = {{{0}}};
  struct fcache_value values[LEASE_KEYS] = {{0}};
  for (size_t i = 0; i < n; i++)
    prompts[i] = lease_prompt(keys[i]);
  batch->values = values;
  batch->n_values = n < 64 ? n : 0;
  int rc = fcache_cached_batch(cache, "op", "base", 0, prompts, n, compute, batch, values);
  for (size_t i = 0; i < n; i++) {
    char text[32];
    int size = snprintf(text, sizeof text, "value %u", keys[i]);
    if (rc == FCACHE_OK && computed(batch, i)) {
      ck_assert_uint_eq(values[i].size, 4);
      ck_assert_mem_eq(values[i].data, "mine", 4);
    } else if (rc == FCACHE_OK) {
      ck_assert_uint_eq(values[i].size, (size_t)size + leases->padding);
      ck_assert_mem_eq(values[i].data, text, (size_t)size);
    }
    fcache_value_free(&values[i]);
  }
  return rc;
}

/* Keys 0 to n - 1. */
static int run(struct fcache *cache, size_t n, struct batch *batch) {
  uint32_t keys[LEASE_KEYS];
  for (uint32_t i = 0; i < n; i++)
    keys[i] = i;
  return run_keys(cache, keys, n, batch);
}

static void answer_with(const char *const *answers, size_t n) {
  for (size_t i = 0; i < n; i++)
    leases->answers[i] = answers[i];
}
#define ANSWER(...)                                                                                \
  answer_with((const char *const[]){__VA_ARGS__},                                                  \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void check_call(const struct batch *batch, unsigned call, const size_t *want, size_t n) {
  ck_assert_uint_lt(call, batch->calls);
  ck_assert_uint_eq(batch->n[call], n);
  for (size_t at = 0; at < n; at++)
    ck_assert_uint_eq(batch->misses[call][at], want[at]);
}
#define CHECK_CALL(batch, call, ...)                                                               \
  check_call(batch, call, (const size_t[]){__VA_ARGS__},                                           \
             sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

static struct lease_seen check_seen(unsigned i, enum fc_type type, const uint32_t *keys,
                                    uint32_t n) {
  struct lease_seen seen = lease_seen(leases, i);
  ck_assert_uint_eq(seen.type, type);
  ck_assert_uint_eq(seen.n, n);
  for (uint32_t at = 0; at < n; at++)
    ck_assert_uint_eq(seen.keys[at], keys[at]);
  return seen;
}
#define CHECK_SEEN(i, type, ...)                                                                   \
  check_seen(i, type, (const uint32_t[]){__VA_ARGS__},                                             \
             sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* ---- the order of things ---- */

/* What is free is computed by one call and put in one message, and only then it waits. */
START_TEST(others_are_waited_for_after_the_put) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  leases->padding = _i == 0 ? 0 : 300000; /* which goes straight to its place */
  ANSWER("G", "TH", "H", "N", "TW", "G");
  ck_assert_int_eq(run(cache, 6, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  CHECK_CALL(&batch, 0, 0, 3, 5);
  ck_assert_uint_eq(batch.filled[0], UINT64_C(1) << 2);
  struct lease_seen asked = CHECK_SEEN(0, FC_GET_MANY, 0, 1, 2, 3, 4, 5);
  ck_assert_uint_eq(asked.flags, FC_LEASE);
  ck_assert(asked.has_terms);
  ck_assert_uint_eq(asked.terms.lease_ms, PEER_LEASE_MS);
  struct lease_seen put = CHECK_SEEN(1, FC_PUT_MANY, 0, 3, 5);
  ck_assert_uint_eq(put.flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(put.generation, 7);
  struct lease_seen waits = CHECK_SEEN(2, FC_GET, 1);
  ck_assert_uint_eq(waits.flags, FC_LEASE);
  ck_assert_uint_eq(waits.terms.lease_ms, PEER_LEASE_MS);
  ck_assert_uint_gt(waits.terms.wait_ms, WAIT_MS / 2);
  ck_assert_uint_le(waits.terms.wait_ms, WAIT_MS);
  CHECK_SEEN(3, FC_GET, 4);
  ck_assert_uint_eq(lease_n_seen(leases), 4);
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.leases_granted, 2);
  ck_assert_uint_eq(counters.cache_hits, 3);
  ck_assert_uint_eq(counters.coalesced_hits, 1); /* the other had been put by then */
  ck_assert_uint_eq(counters.cache_misses, 3);
  ck_assert_uint_eq(counters.forward_passes, 3);
  ck_assert_uint_eq(counters.batches_sent, 1);
  ck_assert_uint_eq(counters.batched_prompts, 3);
  ck_assert_uint_gt(counters.lease_wait_ns, 0);
  ck_assert_uint_ge(counters.scoring_wall_ns, counters.lease_wait_ns);
  fcache_close(cache);
}
END_TEST

/* One is granted in the middle: what was not served is asked for again, and all that is free by
 * then is computed by one call, whatever came of the waits that the grant ended. */
START_TEST(what_others_give_up_is_computed_together) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("G", "TTG", "TG", "TNH", "TNN", "TW", "TNTH");
  ck_assert_int_eq(run(cache, 7, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 2);
  CHECK_CALL(&batch, 0, 0);
  CHECK_CALL(&batch, 1, 1, 2, 4);
  CHECK_SEEN(1, FC_PUT_MANY, 0);
  for (unsigned i = 0; i < 6; i++)
    CHECK_SEEN(2 + i, FC_GET, i + 1);
  ck_assert_uint_eq(CHECK_SEEN(8, FC_GET_MANY, 1, 3, 4, 6).flags, FC_LEASE);
  struct lease_seen put = CHECK_SEEN(9, FC_PUT_MANY, 1, 2, 4);
  ck_assert_uint_eq(put.flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(put.generation, 9); /* as the first of these was granted, not as of the last */
  CHECK_SEEN(10, FC_GET, 6);
  ck_assert_uint_eq(lease_n_seen(leases), 11);
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.leases_granted, 3);
  ck_assert_uint_eq(counters.cache_hits, 3);
  ck_assert_uint_eq(counters.coalesced_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 4);
  ck_assert_uint_eq(counters.batches_sent, 2);
  ck_assert_uint_eq(counters.max_batch_size, 3);
  fcache_close(cache);
}
END_TEST

START_TEST(what_nobody_is_to_be_waited_for_is_computed) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("TN", "TH", "TE", "TN");
  ck_assert_int_eq(run(cache, 4, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  CHECK_CALL(&batch, 0, 0, 2, 3);
  /* as of the first answer that led to it: it may be the oldest */
  ck_assert_uint_eq(CHECK_SEEN(5, FC_PUT_MANY, 0, 2, 3).generation, 8);
  ck_assert_uint_eq(lease_n_seen(leases), 6);
  fcache_close(cache);
}
END_TEST

START_TEST(prompt_that_stands_twice_is_passed_twice) {
  static const uint32_t keys[] = {1, 2, 1, 3, 3};
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("", "GN", "G", "TTGTN"); /* key 3 is another's at first, and then given up */
  ck_assert_int_eq(run_keys(cache, keys, 5, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 2);
  CHECK_CALL(&batch, 0, 0, 1, 2);
  CHECK_CALL(&batch, 1, 3, 4);
  fcache_close(cache);
}
END_TEST

START_TEST(no_wait_computes_what_is_taken) {
  struct fcache *cache = open_one(LONG_MS, FCACHE_NO_WAIT);
  struct batch batch = {0};
  ANSWER("G", "T", "H", "T");
  ck_assert_int_eq(run(cache, 4, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  CHECK_CALL(&batch, 0, 0, 1, 3);
  ck_assert_uint_eq(lease_n_seen(leases), 2);
  ck_assert_uint_eq(counters_of(cache).lease_wait_ns, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(taken_for_ever_is_not_asked_for_ever) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("T", "T", "T");
  ck_assert_int_eq(run(cache, 3, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  ck_assert_uint_eq(batch.n[0], 3);
  ck_assert_uint_le(lease_n_seen(leases), 32);
  fcache_close(cache);
}
END_TEST

/* The pings make sure of the daemon, for longer than its deadline. */
START_TEST(batch_waits_longer_than_a_deadline) {
  struct fcache *cache = open_one(1200, WAIT_MS);
  struct batch batch = {0};
  ANSWER("TPW", "TPW", "TPW");
  leases->pings_wanted = 5;
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(run(cache, 3, &batch), FCACHE_OK);
  ck_assert_uint_ge(runner_now_ms() - start_ms, 1499);
  ck_assert_uint_eq(batch.calls, 0);
  ck_assert_uint_eq(lease_pings(leases), 5);
  ck_assert_uint_eq(counters_of(cache).coalesced_hits, 3);
  /* They were waited for side by side: that is one time. */
  ck_assert_uint_lt(counters_of(cache).lease_wait_ns, (runner_now_ms() - start_ms + 1) * 1000000u);
  fcache_close(cache);
}
END_TEST

/* A reply tells as well as a pong that the daemon is there: together they take far longer than a
 * deadline, and no ping is ever answered. */
START_TEST(each_reply_is_a_word_from_the_daemon) {
  struct fcache *cache = open_one(800, WAIT_MS);
  struct batch batch = {0};
  ANSWER("TPW", "TPW", "TPW", "TPW", "TPW", "TPW", "TPW", "TPW");
  leases->trickles = true;
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(run(cache, 8, &batch), FCACHE_OK);
  ck_assert_uint_ge(runner_now_ms() - start_ms, 1599); /* each after a quarter of silence */
  ck_assert_uint_eq(batch.calls, 0);
  ck_assert_uint_eq(counters_of(cache).coalesced_hits, 8);
  ck_assert(fcache_connected(cache));
  fcache_close(cache);
}
END_TEST

/* Its patience is over: all is computed by one call. */
START_TEST(impatient_batch_computes_the_rest) {
  const uint32_t wait_ms = 400;
  struct fcache *cache = open_one(4 * wait_ms, wait_ms); /* so that the first ping is as late */
  struct batch batch = {0};
  ANSWER("TPN", "TPN", "TPT");
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(run(cache, 3, &batch), FCACHE_OK);
  ck_assert_uint_ge(runner_now_ms() - start_ms, wait_ms - 1);
  ck_assert_uint_eq(batch.calls, 1);
  CHECK_CALL(&batch, 0, 0, 1, 2);
  CHECK_SEEN(4, FC_PUT_MANY, 0, 1, 2);
  ck_assert_uint_eq(lease_n_seen(leases), 5);
  fcache_close(cache);
}
END_TEST

struct relabel {
  struct fcache *cache;
  const char *probe;
};

static int compute_relabelled(void *arg, const size_t *misses, size_t n, struct fcache_batch *out) {
  const struct relabel *relabel = arg;
  (void)misses;
  ck_assert_int_eq(fcache_set_probe(relabel->cache, relabel->probe), FCACHE_OK);
  for (size_t i = 0; i < n; i++)
    ck_assert_int_eq(fcache_batch_add(out, "mine", 4), FCACHE_OK);
  return 0;
}

/* compute_misses may change it: what is looked up after that has the new one. */
START_TEST(lookups_have_the_probe_of_their_time) {
  static const char *const probes[] = {NULL, "longer"};
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct relabel relabel = {cache, probes[_i]};
  struct fcache_hash prompts[3] = {lease_prompt(0), lease_prompt(1), lease_prompt(2)};
  struct fcache_value values[3] = {{0}};
  ANSWER("G", "TG", "TTH");
  ck_assert_int_eq(fcache_set_probe(cache, "old"), FCACHE_OK);
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "base", 0, prompts, 3, compute_relabelled, &relabel, values),
      FCACHE_OK);
  ck_assert_str_eq(CHECK_SEEN(0, FC_GET_MANY, 0, 1, 2).probe, "old");
  const char *probe = relabel.probe == NULL ? "" : relabel.probe;
  ck_assert_str_eq(CHECK_SEEN(2, FC_GET, 1).probe, probe);
  ck_assert_str_eq(CHECK_SEEN(3, FC_GET, 2).probe, probe);
  ck_assert_str_eq(CHECK_SEEN(4, FC_GET_MANY, 2).probe, probe);
  for (size_t i = 0; i < 3; i++)
    fcache_value_free(&values[i]);
  fcache_close(cache);
}
END_TEST

/* ---- failures ---- */

/* Of each call that fails, what was granted for it; what others compute stays theirs. */
START_TEST(failed_compute_gives_up_what_was_granted) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {.fails = _i / 2 == 0 ? 1 : 2, .error = _i % 2 == 0 ? 99 : 0};
  ANSWER("G", "T", "N", "G", "TG", "TTN", "TTG");
  if (_i / 2 == 0)
    leases->answers[4] = leases->answers[5] = leases->answers[6] = "T";
  else
    leases->answers[1] = "TH";
  ck_assert_int_eq(run(cache, 7, &batch), _i % 2 == 0 ? 99 : FCACHE_EBATCH);
  ck_assert_uint_eq(batch.calls, batch.fails);
  unsigned last = lease_n_seen(leases) - 1;
  if (_i / 2 == 0)
    CHECK_SEEN(last, FC_GIVE_UP, 0, 3);
  else
    CHECK_SEEN(last, FC_GIVE_UP, 4, 6);
  ck_assert(!lease_seen(leases, last).all); /* it may be nested in a call that has some */
  if (_i == 1)
    ck_assert_str_eq(fcache_last_error(cache), "batched compute returned 2 values for 3 misses");
  ck_assert_uint_eq(counters_of(cache).cache_misses, _i / 2 == 0 ? 0 : 3);
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

/* Some of what was computed, or all of it. */
START_TEST(what_is_skipped_is_given_up) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct fcache_hash prompts[4];
  struct fcache_value values[4] = {{0}};
  bool skips[4] = {_i == 1, true, true, _i == 1};
  for (uint32_t i = 0; i < 4; i++)
    prompts[i] = lease_prompt(i);
  ANSWER("G", "G", "N", "G");
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "base", 0, prompts, 4, compute_and_skip, skips, values),
      FCACHE_OK);
  if (_i == 0) {
    CHECK_SEEN(1, FC_PUT_MANY, 0, 3);
    CHECK_SEEN(2, FC_GIVE_UP, 1); /* 2 was not granted */
  } else {
    CHECK_SEEN(1, FC_GIVE_UP, 0, 1, 3);
  }
  for (unsigned i = 0; i < 4; i++) {
    ck_assert_uint_eq(values[i].size, skips[i] ? 0 : 4);
    fcache_value_free(&values[i]);
  }
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.forward_passes, 4);
  ck_assert_uint_eq(counters.batched_prompts, 4);
  fcache_close(cache);
}
END_TEST

START_TEST(many_are_given_up_in_several_messages) {
  struct fcache_hash *prompts = calloc(MANY, sizeof *prompts);
  struct fcache_value *values = calloc(MANY, sizeof *values);
  ck_assert(prompts != NULL && values != NULL);
  for (uint32_t i = 0; i < MANY; i++)
    prompts[i] = lease_prompt(LEASE_KEYS + i);
  leases->others = 'G';
  leases->peer.welcome.max_frame = 65536;
  leases->peer.welcome.max_value = 32768;
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "base", 0, prompts, MANY, compute_nothing, NULL, values),
      99);
  ck_assert_uint_eq(lease_n_seen(leases), 4);
  ck_assert_uint_eq(lease_seen(leases, 2).type, FC_GIVE_UP);
  ck_assert_uint_eq(lease_seen(leases, 2).n + lease_seen(leases, 3).n, MANY);
  ck_assert_uint_eq(counters_of(cache).leases_granted, MANY);
  fcache_close(cache);
  free(prompts);
  free(values);
}
END_TEST

START_TEST(what_could_not_be_put_is_given_up) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("N", "G", "G");
  leases->put_error = FC_ENOMEM;
  ck_assert_int_eq(run(cache, 3, &batch), FCACHE_OK);
  CHECK_SEEN(2, FC_GIVE_UP, 1, 2);
  fcache_close(cache);
}
END_TEST

/* It hangs up at the first lookup, at the second wait, or as the rest is asked for again. */
START_TEST(rest_is_computed_when_the_daemon_goes_away) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("G", "TH", _i == 0 ? "X" : _i == 1 ? "TX" : _i == 2 ? "TL" : "TG", "TTX", "T");
  ck_assert_int_eq(run(cache, 5, &batch), FCACHE_OK);
  if (_i == 0) {
    ck_assert_uint_eq(batch.calls, 1);
    CHECK_CALL(&batch, 0, 0, 1, 2, 3, 4);
  } else {
    ck_assert_uint_eq(batch.calls, 2);
    CHECK_CALL(&batch, 0, 0);
    CHECK_CALL(&batch, 1, 2, 3, 4);
  }
  ck_assert_uint_ge(counters_of(cache).degraded, 1);
  fcache_close(cache);
}
END_TEST

START_TEST(stopped_daemon_costs_a_batch_one_deadline) {
  const uint32_t deadline_ms = 1500;
  struct fcache *cache = open_one(deadline_ms, WAIT_MS);
  struct batch batch = {0};
  ANSWER("G", "TH", "TS", "TH", "TH");
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(run(cache, 5, &batch), FCACHE_OK);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms - 2);
  ck_assert_uint_lt(took_ms, 4 * deadline_ms);
  ck_assert_uint_eq(batch.calls, 2);
  CHECK_CALL(&batch, 1, 2, 3, 4);
  fcache_close(cache);
}
END_TEST

START_TEST(nonsense_about_leases_ends_the_connection) {
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("G", "T", _i == 0 ? "?" : "T");
  leases->leases_too_few = _i == 1;
  leases->leases_unasked = _i == 2;
  if (_i == 2) {
    struct fcache_hash prompts[2] = {lease_prompt(0), lease_prompt(1)};
    struct fcache_value values[2] = {{0}};
    bool hit[2];
    ck_assert_int_eq(fcache_get_many(cache, "op", "base", 0, prompts, 2, 0, values, hit),
                     FCACHE_OK);
    ck_assert(!hit[0] && !hit[1]);
  } else {
    ck_assert_int_eq(run(cache, 3, &batch), FCACHE_OK);
    ck_assert_uint_eq(batch.calls, 1);
    CHECK_CALL(&batch, 0, 0, 1, 2);
  }
  ck_assert(!fcache_connected(cache));
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "does not speak the protocol of fcached"));
  fcache_close(cache);
}
END_TEST

START_TEST(older_daemons_are_asked_as_ever) {
  leases->version = 2;
  struct fcache *cache = open_one(LONG_MS, WAIT_MS);
  struct batch batch = {0};
  ANSWER("T", "H", "T");
  ck_assert_int_eq(run(cache, 3, &batch), FCACHE_OK);
  CHECK_CALL(&batch, 0, 0, 2);
  struct lease_seen asked = CHECK_SEEN(0, FC_GET_MANY, 0, 1, 2);
  ck_assert_uint_eq(asked.flags, 0);
  ck_assert(!asked.has_terms);
  ck_assert_uint_eq(lease_n_seen(leases), 2);
  fcache_close(cache);
}
END_TEST

/* ---- the window ---- */

#define WINDOW 256u
#define VALUE_BYTES 20000u /* all of a window's are far more than a socket holds */

struct crowd {
  struct peer peer;
  atomic_uint most; /* gets that were outstanding at a time */
};

static bool send_taken(int fd, const struct fc_request *request) {
  struct fc_buf out = {0};
  uint8_t states[MOST];
  struct fc_get_many_reply reply = {.last = true, .values.n = request->get_many.n};
  reply.n_leases = reply.values.n;
  memset(states, FC_LEASE_TAKEN, sizeof states);
  (void)fc_encode_get_many_reply_head(&out, request->id, &reply);
  for (uint32_t i = 0; i < reply.values.n; i++)
    (void)fc_encode_nil(&out);
  (void)fc_encode_leases(&out, states, reply.n_leases);
  fc_frame_finish(&out, 0, 0);
  bool sent = peer_write(fd, out.data, out.size);
  fc_buf_free(&out);
  return sent;
}

/* Takes all the gets that come before it answers any: as many as a window has, or all that are
 * left. The last is answered first, and the replies are more than the client's socket takes: so it
 * does not read while the client sends more. */
static void serve_crowd(struct peer *peer, int fd, unsigned nth) {
  (void)nth;
  struct crowd *crowd = peer->arg;
  struct fc_request request;
  uint8_t *body;
  uint32_t ids[MOST], n = 0, answered = 0;
  static const char value[VALUE_BYTES];
  if (!peer_greet(peer, fd) || !peer_read(peer, fd, &body, &request))
    return;
  bool goes_on = request.type == FC_GET_MANY && send_taken(fd, &request);
  free(body);
  while (goes_on && answered < MOST && peer_read(peer, fd, &body, &request)) {
    bool is_get = request.type == FC_GET;
    free(body);
    if (!is_get)
      continue;
    ids[n++] = request.id;
    if (n > atomic_load(&crowd->most))
      atomic_store(&crowd->most, n);
    if (n < WINDOW && answered + n < MOST)
      continue;
    struct pollfd more = {.fd = fd, .events = POLLIN};
    if (answered + n < MOST && poll(&more, 1, 50) != 0)
      atomic_store(&crowd->most, MOST); /* it sends more than it may */
    for (answered += n; n > 0; n--)
      peer_send_hit(fd, ids[n - 1], value, sizeof value);
  }
  peer_wait_closed(fd);
}

START_TEST(crowd_of_waits_is_a_window_at_a_time) {
  struct crowd crowd = {0};
  struct batch batch = {0};
  struct fcache_hash prompts[MOST];
  struct fcache_value *values = calloc(MOST, sizeof *values);
  ck_assert_ptr_nonnull(values);
  peer_start(&crowd.peer, serve_crowd, &crowd);
  struct fcache *cache = peer_leases_open(crowd.peer.path, LONG_MS, WAIT_MS);
  for (uint32_t i = 0; i < MOST; i++)
    prompts[i] = lease_prompt(i);
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "base", 0, prompts, MOST, compute, &batch, values),
      FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 0);
  ck_assert_uint_eq(atomic_load(&crowd.most), WINDOW);
  for (uint32_t i = 0; i < MOST; i++) {
    ck_assert_uint_eq(values[i].size, VALUE_BYTES);
    fcache_value_free(&values[i]);
  }
  ck_assert_uint_eq(counters_of(cache).cache_hits, MOST);
  ck_assert_uint_eq(counters_of(cache).coalesced_hits,
                    0); /* the peer says of none that it waited */
  fcache_close(cache);
  peer_stop(&crowd.peer);
  free(values);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_batches");
  TCase *tcase = tcase_create("batches");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_loop_test(tcase, others_are_waited_for_after_the_put, 0, 2);
  tcase_add_test(tcase, what_others_give_up_is_computed_together);
  tcase_add_test(tcase, what_nobody_is_to_be_waited_for_is_computed);
  tcase_add_test(tcase, prompt_that_stands_twice_is_passed_twice);
  tcase_add_test(tcase, no_wait_computes_what_is_taken);
  tcase_add_test(tcase, taken_for_ever_is_not_asked_for_ever);
  tcase_add_test(tcase, batch_waits_longer_than_a_deadline);
  tcase_add_test(tcase, each_reply_is_a_word_from_the_daemon);
  tcase_add_test(tcase, impatient_batch_computes_the_rest);
  tcase_add_loop_test(tcase, lookups_have_the_probe_of_their_time, 0, 2);
  tcase_add_loop_test(tcase, failed_compute_gives_up_what_was_granted, 0, 4);
  tcase_add_loop_test(tcase, what_is_skipped_is_given_up, 0, 2);
  tcase_add_test(tcase, many_are_given_up_in_several_messages);
  tcase_add_test(tcase, what_could_not_be_put_is_given_up);
  tcase_add_loop_test(tcase, rest_is_computed_when_the_daemon_goes_away, 0, 4);
  tcase_add_test(tcase, stopped_daemon_costs_a_batch_one_deadline);
  tcase_add_loop_test(tcase, nonsense_about_leases_ends_the_connection, 0, 3);
  tcase_add_test(tcase, older_daemons_are_asked_as_ever);
  tcase_add_test(tcase, crowd_of_waits_is_a_window_at_a_time);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
