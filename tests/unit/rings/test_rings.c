/* When rings are read, what malformed ones do, and how often the timer comes. */
#include <check.h>
#include <string.h>

#include "daemon/rings/rings_idle.h"
#include "tests/support/rings_fixture.h"
#include "tests/support/runner.h"

#define BUSY_MS 1u
#define USED_MS 50u
#define IDLE_MS 100u

START_TEST(drain_few_rings_reads_all) {
  struct ring_client one = ring_client_join("one"), other = ring_client_join("other");
  ring_client_hit(&one, 1, 100);
  ring_client_hit(&other, 1, 7);
  ck_assert(rings_drain(&fix.rings, one.ring));
  ck_assert_uint_eq(fix.totals.counters.hits, 107);
  ck_assert_uint_eq(fix.ns->counters.hits, 107);
  ck_assert_uint_eq(fix.totals.hits_region, 107);
  ck_assert_uint_eq(fix.totals.ring_records, 107);
  ck_assert_uint_gt(fix.totals.drain_ns, 0);
  ck_assert_uint_eq(ring_builder_used(&one.builder), 0);
  ck_assert_uint_eq(ring_builder_used(&other.builder), 0);
  ring_client_hit(&other, 8, 3);
  ck_assert(rings_drain(&fix.rings, NULL)); /* a client without a ring */
  ck_assert_uint_eq(fix.totals.counters.hits, 110);
  rings_fixture_check_lines("one", 100);
  rings_fixture_check_lines("other", 10);
  ring_client_close(&one);
  ring_client_close(&other);
}
END_TEST

START_TEST(drain_many_rings_reads_own) {
  rings_fixture_resize(RINGS_FIXTURE_POOL, 1000);
  struct ring_client one = ring_client_join("one"), other = ring_client_join("other");
  while (rings_n_awake(&fix.rings) < RINGS_TOGETHER)
    ck_assert_ptr_nonnull(rings_fixture_attach("another", false));
  rings_wake(&fix.rings, rings_fixture_attach("one that has hits", false));
  ring_client_hit(&one, 1, 100);
  ring_client_hit(&other, 1, 7);
  ck_assert(rings_drain(&fix.rings, NULL));
  ck_assert_uint_eq(fix.totals.counters.hits, 0);
  ck_assert(rings_drain(&fix.rings, one.ring));
  ck_assert_uint_eq(fix.totals.counters.hits, 100);
  ck_assert_uint_eq(ring_builder_used(&other.builder), 8);
  rings_drain_all(&fix.rings);
  ck_assert_uint_eq(fix.totals.counters.hits, 107);
  ring_client_close(&one);
  ring_client_close(&other);
}
END_TEST

START_TEST(detach_unread_records_applied) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, 10);
  rings_detach(&fix.rings, one.ring);
  ck_assert_uint_eq(fix.totals.counters.hits, 10);
  ck_assert_uint_eq(fix.rings.n, 0);
  ck_assert_uint_eq(fix.rings.used_bytes, 0);
  rings_fixture_check_lines("one", 10);
  ring_client_close(&one);
}
END_TEST

START_TEST(unrecorded_hits_of_all_summed_once) {
  struct ring_client one = ring_client_join("one"), other = ring_client_join("other");
  atomic_store_explicit(&one.builder.header->unrecorded, 3, memory_order_relaxed);
  atomic_store_explicit(&other.builder.header->unrecorded, 4, memory_order_relaxed);
  for (int i = 0; i < 2; i++)
    rings_drain_all(&fix.rings);
  ck_assert_uint_eq(fix.totals.hits_unrecorded, 7);
  ring_client_close(&one);
  ring_client_close(&other);
}
END_TEST

START_TEST(malformed_ring_others_unharmed) {
  struct ring_client bad = ring_client_join("bad"), good = ring_client_join("good");
  ring_client_hit(&bad, 1, 5);
  ring_client_hit_with_bad_flags(&bad);
  ring_client_hit(&bad, 6, 5);
  ring_client_hit(&good, 1, 5);
  rings_drain_all(&fix.rings);
  ck_assert_uint_eq(fix.totals.counters.hits, 10); /* the hits before it count */
  ck_assert_ptr_nonnull(rings_error(bad.ring));
  ck_assert_ptr_null(rings_error(good.ring));
  ck_assert(fix.rings.attention);
  ck_assert(rings_drain(&fix.rings, bad.ring)); /* no client waits for it */
  ck_assert_uint_eq(fix.totals.counters.hits, 10);
  rings_fixture_check_lines("bad", 5);
  ring_client_close(&bad);
  ring_client_close(&good);
}
END_TEST

START_TEST(impossible_head_is_error) {
  struct ring_client bad = ring_client_join("bad");
  atomic_store_explicit(&bad.builder.header->head, UINT64_MAX, memory_order_release);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), BUSY_MS); /* its connection must end soon */
  ck_assert_ptr_nonnull(strstr(rings_error(bad.ring), "head"));
  ck_assert_uint_eq(fix.totals.counters.hits, 0);
  ring_client_close(&bad);
}
END_TEST

START_TEST(period_follows_load) {
  ck_assert_uint_eq(rings_period_ms(&fix.rings), 0);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), 0);
  struct ring_client one = ring_client_join("one");
  ck_assert_uint_eq(rings_period_ms(&fix.rings), IDLE_MS);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), IDLE_MS);
  ring_client_hit(&one, 1, 1);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), USED_MS);
  ring_client_hit(&one, 2, FC_RING_SLOTS_MAX / 8 + 1);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), BUSY_MS);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), IDLE_MS);
  ring_client_hit(&one, 2, FC_RING_SLOTS_MAX / 8 + 1);
  ck_assert(rings_drain(&fix.rings, one.ring)); /* a request found it so */
  ck_assert_uint_eq(rings_period_ms(&fix.rings), BUSY_MS);
  rings_detach(&fix.rings, one.ring);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), 0);
  ring_client_close(&one);
}
END_TEST

START_TEST(sweep_many_records_bounded) {
  struct ring_client clients[4];
  uint64_t left = 0;
  trace_off(&fix.traced.trace);
  for (int i = 0; i < 4; i++) {
    clients[i] = ring_client_join("client");
    ring_client_hit(&clients[i], 1, clients[i].builder.header->n_slots - 1);
    left += clients[i].builder.header->n_slots - 1;
  }
  ck_assert_uint_eq(left, 131068);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), BUSY_MS);
  ck_assert_uint_ge(fix.totals.counters.hits, 64u << 10);
  ck_assert_uint_lt(fix.totals.counters.hits, left);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), BUSY_MS); /* the rest */
  ck_assert_uint_eq(fix.totals.counters.hits, left);
  for (int i = 0; i < 4; i++)
    ring_client_close(&clients[i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rings");
  TCase *tcase = tcase_create("rings");
  tcase_add_checked_fixture(tcase, rings_fixture_start, rings_fixture_end);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, drain_few_rings_reads_all);
  tcase_add_test(tcase, drain_many_rings_reads_own);
  tcase_add_test(tcase, detach_unread_records_applied);
  tcase_add_test(tcase, unrecorded_hits_of_all_summed_once);
  tcase_add_test(tcase, malformed_ring_others_unharmed);
  tcase_add_test(tcase, impossible_head_is_error);
  tcase_add_test(tcase, period_follows_load);
  tcase_add_test(tcase, sweep_many_records_bounded);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
