/* Rings that are full, asleep, revoked or ended, and requests for another one. */
#include <check.h>
#include <stdatomic.h>
#include <unistd.h>

#include "client/lib/shm/shm.h"
#include "fcache.h"
#include "proto/limits.h"
#include "tests/support/library.h"
#include "tests/support/runner.h"
#include "tests/support/sharing_daemon.h"

#define DEADLINE_MS 600u

/* The daemon sends no other ring. */
START_TEST(ring_full_emptied_by_ping) {
  sharing.scripted.welcome.version = 4;
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (unsigned i = 0; i < 3 * SHARING_SLOTS; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(sharing_head(0), 3 * SHARING_SLOTS + 1);
  ck_assert_uint_eq(atomic_load(&sharing.pings), 3);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* The request costs one deadline. Then hits go on and are counted, and the next ring publishes
 * their number. */
START_TEST(ring_full_daemon_stopped_hits_counted) {
  sharing.scripted.welcome.version = 4;
  struct fcache *cache = sharing_open(DEADLINE_MS);
  unsigned hits = SHARING_SLOTS - 1;
  for (unsigned i = 0; i < hits; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  atomic_store(&sharing.silent, true);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_ge(runner_now_ms() - start_ms, DEADLINE_MS - 1);
  for (hits++; hits < 2 * SHARING_SLOTS; hits++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.pings), 0);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.unrecorded, SHARING_SLOTS + 1);
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->unrecorded), SHARING_SLOTS + 1);
  atomic_store(&sharing.silent, false);
  hits += sharing_hit_until_connected(cache, 2);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  hits++;
  sharing_wait_for(&sharing.ended[sharing.first]);
  counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, hits);
  ck_assert_uint_eq(counters.region_hits, hits);
  /* Each hit is in one of the rings, or in the number that the first ring publishes. */
  ck_assert_uint_eq(sharing_head(0) - 1 + sharing_head(1) - 1 + counters.unrecorded, hits);
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->unrecorded), counters.unrecorded);
  ck_assert_uint_eq(atomic_load(&sharing_ring(1)->unrecorded), 0);
  fcache_close(cache);
}
END_TEST

/* Hits and contexts in one ring, and hits in another one. */
static void assert_records(const struct fc_ring_header *ring, uint64_t hits) {
  ck_assert_uint_eq(atomic_load(&ring->head), hits + 1);
}

START_TEST(ring_full_replaced_by_larger) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  atomic_store(&sharing.next_slots, 4 * SHARING_SLOTS);
  for (unsigned i = 0; i < 3 * SHARING_SLOTS; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), 1);
  ck_assert_uint_eq(atomic_load(&sharing.wanted_slots), FC_RING_SLOTS_MAX);
  ck_assert_uint_eq(atomic_load(&sharing.pings), 0);
  assert_records(atomic_load(&sharing.former_rings[sharing.first]), SHARING_SLOTS - 1);
  assert_records(sharing_ring(0), 2 * SHARING_SLOTS + 1);
  ck_assert_uint_eq(library_counters(cache).region_hits, 3 * SHARING_SLOTS);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  ck_assert_uint_eq(sharing_mappings("test-ring"), 3); /* ours, and its own */
  fcache_close(cache);
}
END_TEST

START_TEST(ring_full_no_larger_emptied) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (unsigned i = 0; i < 3 * SHARING_SLOTS; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), 3);
  assert_records(sharing_ring(0), 3 * SHARING_SLOTS);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* The request costs one deadline. Hits after it are not recorded, since the daemon may have
 * switched rings when it replied. The next ring publishes their number. */
START_TEST(ring_requested_daemon_stopped_hits_counted) {
  struct fcache *cache = sharing_open(DEADLINE_MS);
  unsigned hits = SHARING_SLOTS - 1;
  for (unsigned i = 0; i < hits; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  atomic_store(&sharing.next_slots, 4 * SHARING_SLOTS);
  atomic_store(&sharing.silent, true);
  for (unsigned end = 2 * SHARING_SLOTS; hits < end; hits++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(library_counters(cache).unrecorded, SHARING_SLOTS + 1);
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->unrecorded), 0);
  atomic_store(&sharing.silent, false);
  hits += sharing_hit_until_connected(cache, 2);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  hits++;
  sharing_wait_for(&sharing.ended[sharing.first]);
  assert_records(atomic_load(&sharing.former_rings[sharing.first]), SHARING_SLOTS - 1);
  ck_assert_uint_eq(sharing_head(0), 0);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(SHARING_SLOTS - 1 + sharing_head(1) - 1 + counters.unrecorded, hits);
  ck_assert_uint_eq(atomic_load(&sharing_ring(1)->unrecorded), counters.unrecorded);
  fcache_close(cache);
}
END_TEST

/* Without a ring the client does not use the region, as if the welcome had brought none. */
START_TEST(ring_received_not_mappable_uses_socket) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (unsigned i = 0; i < SHARING_SLOTS - 1; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  atomic_store(&sharing.next_slots, 4 * SHARING_SLOTS);
  atomic_store(&sharing.omits_ring_fd, true);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r'); /* and is not recorded */
  ck_assert_int_eq(sharing_get(cache, "a"), 's');
  ck_assert_uint_eq(library_counters(cache).unrecorded, 1);
  ck_assert_uint_eq(sharing_mappings("test-region"), 1); /* ours */
  fcache_close(cache);
}
END_TEST

static void set_state(uint32_t state) {
  atomic_store(&sharing_ring(0)->state, state);
}

START_TEST(ring_asleep_hit_sends_ping) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  set_state(FC_RING_ASLEEP);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.pings), 1);
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->tail),
                    2); /* after the hit, which the daemon read */
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'm'); /* it would need a message */
  ck_assert_uint_eq(sharing_head(0), 2);
  set_state(0);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.pings), 1);
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), 0);
  fcache_close(cache);
}
END_TEST

/* The hit is recorded. The daemon reads it when it continues. */
START_TEST(ring_asleep_daemon_stopped_hit_recorded) {
  struct fcache *cache = sharing_open(DEADLINE_MS);
  set_state(FC_RING_ASLEEP);
  atomic_store(&sharing.silent, true);
  for (unsigned i = 0; i < 10; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(sharing_head(0), 11);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  atomic_store(&sharing.silent, false);
  fcache_close(cache);
}
END_TEST

START_TEST(ring_revoked_not_written) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  set_state(_i == 0 ? FC_RING_REVOKED : FC_RING_REVOKED | FC_RING_ASLEEP);
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'm');
  atomic_store(&sharing.next_slots, SHARING_SLOTS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), 1);
  ck_assert_uint_eq(atomic_load(&sharing.wanted_slots), 0); /* one like any other */
  assert_records(atomic_load(&sharing.former_rings[sharing.first]), 1);
  assert_records(sharing_ring(0), 2);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  set_state(FC_RING_REVOKED); /* the daemon has no other ring */
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  assert_records(sharing_ring(0), 2);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 1);
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->unrecorded), 1);
  fcache_close(cache);
}
END_TEST

/* The daemon no longer reads this ring, nor its number of unrecorded hits. */
START_TEST(ring_ended_not_written) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  set_state(FC_RING_ENDED); /* the daemon has no other ring */
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  assert_records(sharing_ring(0), 1);
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->unrecorded), 0);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 1);
  fcache_close(cache);
}
END_TEST

/* The welcome had no usable region. */
START_TEST(region_missing_requested_again) {
  sharing.n_fds = _i == 0 ? 0 : sharing.n_region_fds;
  if (_i == 0)
    sharing.scripted.welcome.namespace_id = 0;
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(sharing_get(cache, "a"), 's');
  atomic_store(&sharing.next_slots, SHARING_SLOTS);
  unsigned gets = 1;
  for (; sharing_get(cache, "a") != 'r'; gets++)
    ck_assert_uint_lt(runner_now_ms() - start_ms, CLIENT_LONG_MS);
  ck_assert_uint_ge(gets, SHM_REQUEST_LOOKUPS);
  ck_assert_uint_ge(runner_now_ms() - start_ms, SHM_REQUEST_MIN_NS / 1000000);
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), 1);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  assert_records(sharing_ring(0), 2);
  ck_assert_uint_eq(atomic_load(&sharing.gets), gets);
  fcache_close(cache);
}
END_TEST

START_TEST(region_unavailable_requested_seldom) {
  sharing.n_fds = 0;
  sharing.scripted.welcome.namespace_id = 0;
  sharing.scripted.welcome.version = _i == 0 ? FC_PROTOCOL_VERSION : 4;
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (uint64_t start_ms = runner_now_ms(); runner_now_ms() - start_ms < 2500;)
    ck_assert_int_eq(sharing_get(cache, "a"), 's');
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), _i == 0 ? 2 : 0);
  fcache_close(cache);
}
END_TEST

/* Makes another region, with key "a", which the daemon hands out from now on. Returns the former
 * one, whose descriptors are closed. */
static struct region_build replace_region(void) {
  struct region_build former = sharing.region;
  struct fc_key a = sharing_key("a");
  for (unsigned i = 0; i < sharing.n_region_fds; i++)
    ck_assert_int_eq(close(sharing.region_fds[i]), 0);
  sharing.n_region_fds = region_build_fds(&sharing.region, SHARING_REGION_BYTES, SCRIPTED_BOOT_ID,
                                          64, SHARING_SEALS, sharing.region_fds);
  (void)region_build_add(&sharing.region, SHARING_SPACE, &a, "region", 6, 0);
  return former;
}

/* The daemon has replaced the region: the next lookup requests the new one, once. A daemon that
 * ends has no other. */
START_TEST(region_replaced_requested_at_once) {
  bool replaced = _i < 3, refused = _i == 1, local = _i == 2;
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  struct region_build former = replace_region();
  atomic_store(&former.header->retired, replaced ? FC_REGION_REPLACED : FC_REGION_ENDED);
  if (local) { /* sends no message */
    ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'm');
    ck_assert_uint_eq(atomic_load(&sharing.ring_requests), 0);
  }
  atomic_store(&sharing.next_slots, refused ? 0 : SHARING_SLOTS);
  char first = sharing_get(cache, "a");
  ck_assert_int_eq(first, replaced && !refused ? 'r' : 's');
  for (unsigned i = 0; i < SHM_REQUEST_LOOKUPS / 2; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), first);
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), replaced ? 1 : 0);
  if (first == 'r')
    assert_records(sharing_ring(0), SHM_REQUEST_LOOKUPS / 2 + 1);
  ck_assert_uint_eq(library_counters(cache).degraded, 0);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  ck_assert_uint_eq(client_lines.n, 0);
  fcache_close(cache);
  region_build_unmap(&former);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("shm_ring_state");
  TCase *tcase = tcase_create("shm_ring_state");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, sharing_set_up, sharing_tear_down);
  tcase_add_test(tcase, ring_full_emptied_by_ping);
  tcase_add_test(tcase, ring_full_daemon_stopped_hits_counted);
  tcase_add_test(tcase, ring_full_replaced_by_larger);
  tcase_add_test(tcase, ring_full_no_larger_emptied);
  tcase_add_test(tcase, ring_requested_daemon_stopped_hits_counted);
  tcase_add_test(tcase, ring_received_not_mappable_uses_socket);
  tcase_add_test(tcase, ring_asleep_hit_sends_ping);
  tcase_add_test(tcase, ring_asleep_daemon_stopped_hit_recorded);
  tcase_add_loop_test(tcase, ring_revoked_not_written, 0, 2);
  tcase_add_test(tcase, ring_ended_not_written);
  tcase_add_loop_test(tcase, region_replaced_requested_at_once, 0, 4);
  tcase_add_loop_test(tcase, region_missing_requested_again, 0, 2);
  tcase_add_loop_test(tcase, region_unavailable_requested_seldom, 0, 2);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
