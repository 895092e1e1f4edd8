/* The report of a fleet, and the counters that the cache keeps for life. */
#include <check.h>
#include <string.h>

#include "daemon/fleet/fleet_report.h"
#include "tests/support/fleet_world.h"
#include "tests/support/runner.h"

#define QUEUE_BYTES 4096u

static struct world *const world = &the_world;
static struct world_node *const a = &the_world.nodes[0];
static struct world_node *const b = &the_world.nodes[1];
static struct world_worker *const first = &the_world.nodes[0].workers[0];
static struct world_worker *const other = &the_world.nodes[1].workers[0];
static struct tier_totals totals[2];

static void tune(uint32_t node, struct fleet_config *config) {
  config->totals = &totals[node];
  config->queue_bytes = QUEUE_BYTES;
}

static void set_up(void) {
  memset(totals, 0, sizeof totals);
  world_start(2, tune);
}

static struct tier_report report_of(const struct world_node *node) {
  struct tier_report report = {0};
  fleet_report(&node->fleet, world->now_ns, &report);
  return report;
}

START_TEST(fill_reported_in_each_state) {
  worker_get(other, 1);
  struct tier_report report = report_of(b);
  ck_assert_uint_eq(report.fills[TIER_FILL_ASKING], 1);
  ck_assert_uint_eq(report.waits, 1);
  world_run(world, 4 * WORLD_LATENCY_NS);
  ck_assert_int_eq(other->state, WORKER_COMPUTES);
  report = report_of(b);
  ck_assert_uint_eq(report.fills[TIER_FILL_HELD], 1);
  ck_assert_uint_eq(report.waits, 0);
  ck_assert_uint_eq(report.leases_taken, 1);
  worker_get(first, 1);
  world_run(world, 100 * WORLD_MS);
  report = report_of(a);
  ck_assert_uint_eq(report.fills[TIER_FILL_REMOTE], 1);
  ck_assert_uint_eq(report.remote_fills, 1);
  ck_assert_uint_eq(report.remote_hits, 0);
  ck_assert_int_eq(worker_put(other, "theirs"), FC_STORED);
  world_run(world, 400 * WORLD_MS);
  ck_assert_str_eq(first->value, "theirs");
  report = report_of(a);
  ck_assert_uint_eq(report.fills[TIER_FILL_REMOTE], 0);
  ck_assert_uint_eq(report.remote_hits, 1);
  ck_assert_uint_eq(report.fills_begun, 1);
}
END_TEST

START_TEST(totals_rise_with_hits_misses_and_writes) {
  worker_compute(other, 1);
  ck_assert_int_eq(worker_put(other, "theirs"), FC_STORED);
  world_run(world, 4 * WORLD_LATENCY_NS);
  worker_get(first, 1);
  world_run(world, 4 * WORLD_LATENCY_NS);
  ck_assert_str_eq(first->value, "theirs");
  ck_assert_uint_eq(totals[1].misses, 1);
  ck_assert_uint_eq(totals[1].writes, 1);
  ck_assert_uint_eq(totals[1].hits, 0);
  ck_assert_uint_eq(totals[0].hits, 1);
  ck_assert_uint_eq(totals[0].misses, 0);
}
END_TEST

/* The second value of a key that both put at once. */
START_TEST(totals_count_value_that_the_tier_had_as_kept) {
  ck_assert_int_eq(worker_put_key(other, 1, "theirs", true), FC_STORED);
  world_run(world, 4 * WORLD_LATENCY_NS);
  ck_assert_int_eq(worker_put_key(first, 1, "ours", true), FC_STORED);
  world_run(world, 8 * WORLD_LATENCY_NS);
  ck_assert_uint_eq(totals[1].writes, 1);
  ck_assert_uint_eq(totals[0].writes, 0);
  ck_assert_uint_eq(totals[0].kept, 1);
}
END_TEST

START_TEST(write_without_room_reported_as_dropped) {
  struct tier_report report = report_of(a);
  ck_assert_uint_eq(report.queue_bytes_max, QUEUE_BYTES);
  for (uint32_t key = 0; totals[0].dropped == 0 && key < QUEUE_BYTES; key++)
    ck_assert_int_eq(worker_put_key(first, key, "ours", true), FC_STORED);
  report = report_of(a);
  ck_assert_uint_eq(totals[0].dropped, 1);
  ck_assert_uint_eq(report.drops[TIER_DROP_FULL], 1);
  ck_assert_uint_eq(report.drops[TIER_DROP_OLD] + report.drops[TIER_DROP_STOP], 0);
  ck_assert_uint_gt(report.queue_entries, 1);
  ck_assert_uint_le(report.queue_bytes, QUEUE_BYTES);
  world_run(world, 20 * WORLD_LATENCY_NS);
  ck_assert_uint_eq(report_of(a).queue_entries, 0);
  ck_assert_uint_eq(totals[0].writes, report.queue_entries);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("fleet_report");
  TCase *tcase = tcase_create("fleet_report");
  tcase_add_checked_fixture(tcase, set_up, world_stop);
  tcase_add_test(tcase, fill_reported_in_each_state);
  tcase_add_test(tcase, totals_rise_with_hits_misses_and_writes);
  tcase_add_test(tcase, totals_count_value_that_the_tier_had_as_kept);
  tcase_add_test(tcase, write_without_room_reported_as_dropped);
  suite_add_tcase(suite, tcase);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
