/* What happens while the trace is behind: records stay in their rings, except for what may not
 * wait, and lines for which the trace has no room are lost and counted. */
#include <check.h>

#include "tests/support/rings_fixture.h"
#include "tests/support/runner.h"

#define BUSY_MS 1u

static const uint32_t full_ring = FC_RING_SLOTS_MAX - 1; /* hits: a context takes one slot */

static void check_hits(uint64_t counted, uint64_t lost) {
  ck_assert_uint_eq(fix.totals.counters.hits, counted);
  ck_assert_uint_eq(fix.traced.trace.lost, lost);
}

START_TEST(trace_behind_request_waits_and_records_stay) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, 100);
  traced_fall_behind(&fix.traced);
  ck_assert_uint_eq(rings_sweep(&fix.rings, 0), BUSY_MS);
  ck_assert(!rings_drain(&fix.rings, one.ring));
  ck_assert_uint_eq(rings_period_ms(&fix.rings), BUSY_MS);
  ck_assert_uint_eq(ring_builder_used(&one.builder), 101);
  check_hits(0, 0);
  traced_write_out(&fix.traced);
  ck_assert(rings_drain(&fix.rings, one.ring));
  check_hits(100, 0);
  rings_fixture_check_lines("one", 100);
  ring_client_close(&one);
}
END_TEST

START_TEST(trace_behind_other_clients_do_not_wait) {
  struct ring_client one = ring_client_join("one"), other = ring_client_join("other");
  ring_client_hit(&one, 1, 100);
  traced_fall_behind(&fix.traced);
  ck_assert(rings_drain(&fix.rings, other.ring));
  ck_assert(rings_drain(&fix.rings, NULL));
  check_hits(0, 0);
  ring_client_close(&one);
  ring_client_close(&other);
}
END_TEST

/* A full ring has more lines than may wait: a request reads it in parts. */
START_TEST(full_ring_requests_lose_no_line) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, full_ring);
  unsigned turns = 0;
  while (!rings_drain(&fix.rings, one.ring)) {
    turns++;
    traced_write_out(&fix.traced);
  }
  ck_assert_uint_ge(turns, 1);
  check_hits(full_ring, 0);
  rings_fixture_check_lines("one", full_ring);
  ring_client_close(&one);
}
END_TEST

START_TEST(trace_behind_end_waits_until_lines_written) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, 100);
  traced_fall_behind(&fix.traced);
  ck_assert(!rings_end(&fix.rings, one.ring));
  ck_assert_uint_eq(rings_period_ms(&fix.rings), BUSY_MS);
  check_hits(0, 0);
  traced_write_out(&fix.traced);
  ck_assert(rings_end(&fix.rings, one.ring));
  check_hits(100, 0);
  rings_fixture_check_lines("one", 100);
  rings_detach(&fix.rings, one.ring);
  ring_client_close(&one);
}
END_TEST

/* What may not wait. The ring is detached in the last case. */
static void drain_now(struct ring_client *client, int how) {
  if (how == 0)
    rings_drain_before_eviction(&fix.rings);
  else if (how == 1)
    rings_drain_all(&fix.rings);
  else
    rings_detach(&fix.rings, client->ring);
}

/* The trace is behind from half of its room on. The other half is for such needs. */
START_TEST(trace_behind_urgent_reading_writes_lines) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, 100);
  traced_fall_behind(&fix.traced);
  drain_now(&one, _i);
  check_hits(100, 0);
  ck_assert_uint_eq(ring_builder_used(&one.builder), 0);
  rings_fixture_check_lines("one", 100);
  ring_client_close(&one);
}
END_TEST

START_TEST(trace_full_urgent_reading_counts_lost_lines) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, full_ring);
  traced_fill(&fix.traced);
  uint64_t lost = fix.traced.trace.lost;
  drain_now(&one, _i);
  check_hits(full_ring, lost + full_ring);
  ck_assert_uint_eq(ring_builder_used(&one.builder), 0);
  rings_fixture_check_lines("one", 0);
  ring_client_close(&one);
}
END_TEST

/* The lines that are written come first, in order; then the trace is full. */
START_TEST(trace_filled_by_one_ring_keeps_order) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, full_ring);
  traced_fall_behind(&fix.traced);
  rings_drain_before_eviction(&fix.rings);
  uint64_t lost = fix.traced.trace.lost;
  ck_assert_uint_gt(lost, 0);
  ck_assert_uint_lt(lost, full_ring);
  check_hits(full_ring, lost);
  rings_fixture_check_lines("one", full_ring - (uint32_t)lost);
  ring_client_close(&one);
}
END_TEST

/* The end of one client costs no other its lines. */
START_TEST(trace_behind_end_of_client_leaves_other_records) {
  struct ring_client one = ring_client_join("one"), other = ring_client_join("other");
  ring_client_hit(&one, 1, 10);
  ring_client_hit(&other, 1, 10);
  traced_fall_behind(&fix.traced);
  rings_detach(&fix.rings, one.ring);
  check_hits(10, 0);
  ck_assert_uint_eq(ring_builder_used(&other.builder), 11);
  rings_fixture_check_lines("one", 10);
  ck_assert(rings_drain(&fix.rings, other.ring));
  rings_fixture_check_lines("other", 10);
  ring_client_close(&one);
  ring_client_close(&other);
}
END_TEST

START_TEST(trace_off_nothing_waits) {
  struct ring_client one = ring_client_join("one");
  ring_client_hit(&one, 1, 100);
  traced_fall_behind(&fix.traced);
  trace_off(&fix.traced.trace);
  ck_assert(rings_drain(&fix.rings, one.ring));
  check_hits(100, 0);
  rings_fixture_check_lines("one", 0);
  ring_client_close(&one);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rings_trace");
  TCase *tcase = tcase_create("rings_trace");
  tcase_add_checked_fixture(tcase, rings_fixture_start, rings_fixture_end);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, trace_behind_request_waits_and_records_stay);
  tcase_add_test(tcase, trace_behind_other_clients_do_not_wait);
  tcase_add_test(tcase, full_ring_requests_lose_no_line);
  tcase_add_test(tcase, trace_behind_end_waits_until_lines_written);
  tcase_add_loop_test(tcase, trace_behind_urgent_reading_writes_lines, 0, 3);
  tcase_add_loop_test(tcase, trace_full_urgent_reading_counts_lost_lines, 0, 3);
  tcase_add_test(tcase, trace_filled_by_one_ring_keeps_order);
  tcase_add_test(tcase, trace_behind_end_of_client_leaves_other_records);
  tcase_add_test(tcase, trace_off_nothing_waits);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
