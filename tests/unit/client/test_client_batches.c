/* Batches of which other clients compute a part: the order of computing, putting and
 * waiting. */
#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fcache.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/batch_fixture.h"
#include "tests/support/lease_fixture.h"
#include "tests/support/library.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/scripted_leases.h"

#define WAIT_MS 60000u

/* One call computes all misses, one message puts them, and only then the batch waits. */
START_TEST(batch_leased_elsewhere_waits_after_put) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  scripted_leases->padding =
      _i == 0 ? 0 : 300000; /* large enough to be received into its destination */
  BATCH_ANSWER("G", "TH", "H", "N", "TW", "G");
  ck_assert_int_eq(batch_run_first(cache, 6, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  BATCH_CHECK_CALL(&batch, 0, 0, 3, 5);
  ck_assert_uint_eq(batch.filled[0], UINT64_C(1) << 2);
  struct lease_seen asked = BATCH_CHECK_SEEN(0, FC_GET_MANY, 0, 1, 2, 3, 4, 5);
  ck_assert_uint_eq(asked.flags, FC_LEASE);
  ck_assert(asked.has_terms);
  ck_assert_uint_eq(asked.terms.lease_ms, SCRIPTED_LEASE_MS);
  struct lease_seen put = BATCH_CHECK_SEEN(1, FC_PUT_MANY, 0, 3, 5);
  ck_assert_uint_eq(put.flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(put.generation, 7);
  struct lease_seen waits = BATCH_CHECK_SEEN(2, FC_GET, 1);
  ck_assert_uint_eq(waits.flags, FC_LEASE);
  ck_assert_uint_eq(waits.terms.lease_ms, SCRIPTED_LEASE_MS);
  ck_assert_uint_gt(waits.terms.wait_ms, WAIT_MS / 2);
  ck_assert_uint_le(waits.terms.wait_ms, WAIT_MS);
  BATCH_CHECK_SEEN(3, FC_GET, 4);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 4);
  struct fcache_counters counters = library_counters(cache);
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

/* A grant in the middle ends the other waits. The batch then looks up all keys without a value
 * again, and computes the free ones in one call. */
START_TEST(batch_given_up_elsewhere_computed_together) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("G", "TTG", "TG", "TNH", "TNN", "TW", "TNTH");
  ck_assert_int_eq(batch_run_first(cache, 7, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 2);
  BATCH_CHECK_CALL(&batch, 0, 0);
  BATCH_CHECK_CALL(&batch, 1, 1, 2, 4);
  BATCH_CHECK_SEEN(1, FC_PUT_MANY, 0);
  for (unsigned i = 0; i < 6; i++)
    BATCH_CHECK_SEEN(2 + i, FC_GET, i + 1);
  ck_assert_uint_eq(BATCH_CHECK_SEEN(8, FC_GET_MANY, 1, 3, 4, 6).flags, FC_LEASE);
  struct lease_seen put = BATCH_CHECK_SEEN(9, FC_PUT_MANY, 1, 2, 4);
  ck_assert_uint_eq(put.flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(put.generation, 9); /* of the first grant, not of the last */
  BATCH_CHECK_SEEN(10, FC_GET, 6);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 11);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.leases_granted, 3);
  ck_assert_uint_eq(counters.cache_hits, 3);
  ck_assert_uint_eq(counters.coalesced_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 4);
  ck_assert_uint_eq(counters.batches_sent, 2);
  ck_assert_uint_eq(counters.max_batch_size, 3);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_no_lease_granted_computes) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("TN", "TH", "TE", "TN");
  ck_assert_int_eq(batch_run_first(cache, 4, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  BATCH_CHECK_CALL(&batch, 0, 0, 2, 3);
  /* of the first reply that led to the put, since it may be the oldest */
  ck_assert_uint_eq(BATCH_CHECK_SEEN(5, FC_PUT_MANY, 0, 2, 3).generation, 8);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 6);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_prompt_twice_passed_twice) {
  static const uint32_t keys[] = {1, 2, 1, 3, 3};
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("", "GN", "G", "TTGTN"); /* another client holds key 3, and then gives it up */
  ck_assert_int_eq(batch_run_keys(cache, keys, 5, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 2);
  BATCH_CHECK_CALL(&batch, 0, 0, 1, 2);
  BATCH_CHECK_CALL(&batch, 1, 3, 4);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_no_wait_computes_all) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, FCACHE_NO_WAIT);
  struct batch_run batch = {0};
  BATCH_ANSWER("G", "T", "H", "T");
  ck_assert_int_eq(batch_run_first(cache, 4, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  BATCH_CHECK_CALL(&batch, 0, 0, 1, 3);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 2);
  ck_assert_uint_eq(library_counters(cache).lease_wait_ns, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_always_elsewhere_attempts_bounded) {
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("T", "T", "T");
  ck_assert_int_eq(batch_run_first(cache, 3, &batch), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  ck_assert_uint_eq(batch.n[0], 3);
  ck_assert_uint_le(lease_n_seen(scripted_leases), 32);
  fcache_close(cache);
}
END_TEST

/* The waits last longer than the deadline. Pings show that the daemon is alive. */
START_TEST(batch_wait_longer_than_deadline_hit) {
  struct fcache *cache = lease_open(1200, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("TPW", "TPW", "TPW");
  scripted_leases->pings_wanted = 5;
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(batch_run_first(cache, 3, &batch), FCACHE_OK);
  ck_assert_uint_ge(runner_now_ms() - start_ms, 1499);
  ck_assert_uint_eq(batch.calls, 0);
  ck_assert_uint_eq(lease_pings(scripted_leases), 5);
  ck_assert_uint_eq(library_counters(cache).coalesced_hits, 3);
  /* The waits overlapped, so their time counts once. */
  ck_assert_uint_lt(library_counters(cache).lease_wait_ns,
                    (runner_now_ms() - start_ms + 1) * 1000000u);
  fcache_close(cache);
}
END_TEST

/* A reply shows as well as a pong that the daemon is alive. The replies together take far longer
 * than a deadline, and no ping gets a pong. */
START_TEST(batch_replies_trickle_daemon_alive) {
  struct fcache *cache = lease_open(800, WAIT_MS);
  struct batch_run batch = {0};
  BATCH_ANSWER("TPW", "TPW", "TPW", "TPW", "TPW", "TPW", "TPW", "TPW");
  scripted_leases->trickles = true;
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(batch_run_first(cache, 8, &batch), FCACHE_OK);
  ck_assert_uint_ge(runner_now_ms() - start_ms, 1599); /* each after a quarter of silence */
  ck_assert_uint_eq(batch.calls, 0);
  ck_assert_uint_eq(library_counters(cache).coalesced_hits, 8);
  ck_assert(fcache_connected(cache));
  fcache_close(cache);
}
END_TEST

/* The wait ends by its time: one call computes all keys. */
START_TEST(batch_wait_over_computes_rest) {
  const uint32_t wait_ms = 400;
  struct fcache *cache =
      lease_open(4 * wait_ms, wait_ms); /* the first ping would be as late as the end */
  struct batch_run batch = {0};
  BATCH_ANSWER("TPN", "TPN", "TPT");
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(batch_run_first(cache, 3, &batch), FCACHE_OK);
  ck_assert_uint_ge(runner_now_ms() - start_ms, wait_ms - 1);
  ck_assert_uint_eq(batch.calls, 1);
  BATCH_CHECK_CALL(&batch, 0, 0, 1, 2);
  BATCH_CHECK_SEEN(4, FC_PUT_MANY, 0, 1, 2);
  ck_assert_uint_eq(lease_n_seen(scripted_leases), 5);
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

/* compute_misses may change the probe. Later lookups have the new one. */
START_TEST(batch_probe_changed_in_compute_used) {
  static const char *const probes[] = {NULL, "longer"};
  struct fcache *cache = lease_open(CLIENT_LONG_MS, WAIT_MS);
  struct relabel relabel = {cache, probes[_i]};
  struct fcache_hash prompts[3] = {lease_prompt(0), lease_prompt(1), lease_prompt(2)};
  struct fcache_value values[3] = {{0}};
  BATCH_ANSWER("G", "TG", "TTH");
  ck_assert_int_eq(fcache_set_probe(cache, "old"), FCACHE_OK);
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "base", 0, prompts, 3, compute_relabelled, &relabel, values),
      FCACHE_OK);
  ck_assert_str_eq(BATCH_CHECK_SEEN(0, FC_GET_MANY, 0, 1, 2).probe, "old");
  const char *probe = relabel.probe == NULL ? "" : relabel.probe;
  ck_assert_str_eq(BATCH_CHECK_SEEN(2, FC_GET, 1).probe, probe);
  ck_assert_str_eq(BATCH_CHECK_SEEN(3, FC_GET, 2).probe, probe);
  ck_assert_str_eq(BATCH_CHECK_SEEN(4, FC_GET_MANY, 2).probe, probe);
  for (size_t i = 0; i < 3; i++)
    fcache_value_free(&values[i]);
  fcache_close(cache);
}
END_TEST

#define WINDOW 256u
#define VALUE_BYTES 20000u /* a window of these is far more than a socket holds */

struct crowd {
  struct scripted_daemon scripted;
  atomic_uint most; /* gets without a reply, at one time */
};

static bool send_leased_elsewhere(int fd, const struct fc_request *request) {
  struct fc_buf out = {0};
  uint8_t states[BATCH_MAX];
  struct fc_get_many_reply reply = {.last = true, .values.n = request->get_many.n};
  reply.n_leases = reply.values.n;
  memset(states, FC_LEASE_TAKEN, sizeof states);
  (void)fc_encode_get_many_reply_head(&out, request->id, &reply);
  for (uint32_t i = 0; i < reply.values.n; i++)
    (void)fc_encode_nil(&out);
  (void)fc_encode_leases(&out, states, reply.n_leases);
  fc_frame_finish(&out, 0, 0);
  bool sent = scripted_write(fd, out.data, out.size);
  fc_buf_free(&out);
  return sent;
}

/* Reads a window of gets, or all that are left, before it replies to any. It replies to the last
 * one first. The replies do not fit the client's socket, so the daemon reads nothing while the
 * client sends more. */
static void serve_crowd(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  struct crowd *crowd = scripted->arg;
  struct fc_request request;
  uint8_t *body;
  uint32_t ids[BATCH_MAX], n = 0, answered = 0;
  static const char value[VALUE_BYTES];
  if (!scripted_handshake(scripted, fd) || !scripted_read(scripted, fd, &body, &request))
    return;
  bool goes_on = request.type == FC_GET_MANY && send_leased_elsewhere(fd, &request);
  free(body);
  while (goes_on && answered < BATCH_MAX && scripted_read(scripted, fd, &body, &request)) {
    bool is_get = request.type == FC_GET;
    free(body);
    if (!is_get)
      continue;
    ids[n++] = request.id;
    if (n > atomic_load(&crowd->most))
      atomic_store(&crowd->most, n);
    if (n < WINDOW && answered + n < BATCH_MAX)
      continue;
    struct pollfd more = {.fd = fd, .events = POLLIN};
    if (answered + n < BATCH_MAX && poll(&more, 1, 50) != 0)
      atomic_store(&crowd->most, BATCH_MAX); /* the client sends more than a window */
    for (answered += n; n > 0; n--)
      scripted_send_hit(fd, ids[n - 1], value, sizeof value);
  }
  scripted_wait_closed(fd);
}

START_TEST(batch_many_waits_sent_in_windows) {
  struct crowd crowd = {0};
  struct batch_run batch = {0};
  struct fcache_hash prompts[BATCH_MAX];
  struct fcache_value *values = calloc(BATCH_MAX, sizeof *values);
  ck_assert_ptr_nonnull(values);
  scripted_start(&crowd.scripted, serve_crowd, &crowd);
  struct fcache *cache = scripted_leases_open(crowd.scripted.path, CLIENT_LONG_MS, WAIT_MS);
  for (uint32_t i = 0; i < BATCH_MAX; i++)
    prompts[i] = lease_prompt(i);
  ck_assert_int_eq(fcache_cached_batch(cache, "op", "base", 0, prompts, BATCH_MAX, batch_compute,
                                       &batch, values),
                   FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 0);
  ck_assert_uint_eq(atomic_load(&crowd.most), WINDOW);
  for (uint32_t i = 0; i < BATCH_MAX; i++) {
    ck_assert_uint_eq(values[i].size, VALUE_BYTES);
    fcache_value_free(&values[i]);
  }
  ck_assert_uint_eq(library_counters(cache).cache_hits, BATCH_MAX);
  ck_assert_uint_eq(library_counters(cache).coalesced_hits,
                    0); /* no reply has the flag of a wait */
  fcache_close(cache);
  scripted_stop(&crowd.scripted);
  free(values);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_batches");
  TCase *tcase = tcase_create("client_batches");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, lease_set_up, lease_tear_down);
  tcase_add_loop_test(tcase, batch_leased_elsewhere_waits_after_put, 0, 2);
  tcase_add_test(tcase, batch_given_up_elsewhere_computed_together);
  tcase_add_test(tcase, batch_no_lease_granted_computes);
  tcase_add_test(tcase, batch_prompt_twice_passed_twice);
  tcase_add_test(tcase, batch_no_wait_computes_all);
  tcase_add_test(tcase, batch_always_elsewhere_attempts_bounded);
  tcase_add_test(tcase, batch_wait_longer_than_deadline_hit);
  tcase_add_test(tcase, batch_replies_trickle_daemon_alive);
  tcase_add_test(tcase, batch_wait_over_computes_rest);
  tcase_add_loop_test(tcase, batch_probe_changed_in_compute_used, 0, 2);
  tcase_add_test(tcase, batch_many_waits_sent_in_windows);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
