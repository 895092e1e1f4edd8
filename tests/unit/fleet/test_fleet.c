/* Fills, from a miss to the value: over a fake tier, on a clock that the test moves. */
#include <check.h>

#include "tests/support/fleet_world.h"
#include "tests/support/runner.h"

static struct world *const world = &the_world;
static struct world_node *const a = &the_world.nodes[0];
static struct world_worker *const first = &the_world.nodes[0].workers[0];
static struct world_worker *const second = &the_world.nodes[0].workers[1];
static struct world_worker *const other = &the_world.nodes[1].workers[0];

/* ---- a value of another node ---- */

START_TEST(miss_value_in_tier_is_hit) {
  world_publish(world, 1, 0, "theirs", 5);
  worker_get(first, 1);
  ck_assert_int_eq(first->state, WORKER_PARKED);
  world_run(world, 2 * WORLD_LATENCY_NS);
  ck_assert_int_eq(first->state, WORKER_IDLE);
  ck_assert_str_eq(first->value, "theirs");
  ck_assert_uint_eq(a->fleet.counts.found, 1);
  ck_assert_uint_eq(world->tier.executed[FLEET_OP_LEASE], 0);
  struct fc_key key = world_key(1);
  const struct entry *entry = store_peek(&a->store, a->ns, &key);
  ck_assert_uint_eq(entry_compute_ns(entry), 7 * WORLD_MS);
  ck_assert_uint_eq(entry_origin(entry), 0);
}
END_TEST

/* One read and one request for the version, however many sessions miss. */
START_TEST(misses_of_one_key_ask_once) {
  world_publish(world, 1, 0, "theirs", 5);
  for (uint32_t i = 0; i < WORLD_WORKERS; i++)
    worker_get(&a->workers[i], 1);
  world_run(world, 2 * WORLD_LATENCY_NS);
  for (uint32_t i = 0; i < WORLD_WORKERS; i++)
    ck_assert_uint_eq(a->workers[i].hits, 1);
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_READ], 1);
}
END_TEST

START_TEST(misses_of_one_turn_share_version) {
  for (uint32_t i = 0; i < WORLD_WORKERS; i++)
    worker_get(&a->workers[i], i);
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_VERSION], 1);
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_READ], WORLD_WORKERS);
}
END_TEST

/* The request for the version that is on its way may be older than a clear that the second session
 * knows of. */
START_TEST(miss_after_version_was_sent_asks_again) {
  worker_get(first, 1);
  fake_io_flush(&a->io);
  worker_get(second, 2);
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_VERSION], 2);
}
END_TEST

/* ---- the fleet lease ---- */

START_TEST(miss_nowhere_computes_with_fleet_lease) {
  worker_compute(first, 1);
  ck_assert_uint_eq(fleet_gauges(&a->fleet, world->now_ns).held, 1);
  ck_assert_int_eq(worker_put(first, "ours"), FC_STORED);
  world_run(world, 2 * WORLD_LATENCY_NS);
  ck_assert_str_eq(world_published(world, 1, 0), "ours");
  ck_assert(!world_leased(world, 1, 0));
  ck_assert_uint_eq(a->fleet.counts.published, 1);
}
END_TEST

START_TEST(computation_of_other_node_is_waited_for) {
  worker_compute(other, 1);
  worker_get(first, 1);
  worker_get(second, 1);
  world_run(world, 100 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_WAITS);
  ck_assert_int_eq(second->state, WORKER_WAITS);
  ck_assert_uint_eq(fleet_gauges(&a->fleet, world->now_ns).remote, 1);
  (void)worker_put(other, "theirs");
  world_run(world, 400 * WORLD_MS);
  ck_assert_str_eq(first->value, "theirs");
  ck_assert_str_eq(second->value, "theirs");
  ck_assert_uint_eq(a->fleet.counts.remote_found, 1);
  ck_assert_uint_eq(a->leases.n, 0);
}
END_TEST

/* The holder's worker dies without another: the next node computes at its next poll. */
START_TEST(lease_of_dead_worker_passes_to_other_node) {
  worker_compute(other, 1);
  worker_get(first, 1);
  worker_get(second, 1);
  world_run(world, 100 * WORLD_MS);
  worker_die(other);
  world_run(world, 400 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_int_eq(second->state, WORKER_WAITS);
  ck_assert(world_leased(world, 1, 0));
  (void)worker_put(first, "ours");
  world_run(world, 5 * WORLD_MS);
  ck_assert_str_eq(second->value, "ours");
}
END_TEST

/* The fleet lease stays with the node while it has another waiter for it. */
START_TEST(lease_of_dead_worker_passes_to_local_waiter_first) {
  worker_get(first, 1);
  worker_get(second, 1);
  world_run(world, 4 * WORLD_LATENCY_NS);
  worker_get(other, 1);
  world_run(world, 100 * WORLD_MS);
  worker_die(first);
  world_run(world, 400 * WORLD_MS);
  ck_assert_int_eq(second->state, WORKER_COMPUTES);
  ck_assert_int_eq(other->state, WORKER_WAITS);
  ck_assert_uint_eq(a->fleet.counts.leases_released, 0);
}
END_TEST

/* The daemon knows that the worker is alive, which no time says. */
START_TEST(lease_is_renewed_while_worker_computes) {
  worker_get(first, 1);
  world_run(world, 10 * WORLD_LEASE_NS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert(world_leased(world, 1, 0));
  ck_assert_uint_ge(a->fleet.counts.leases_renewed, 28);
  ck_assert_uint_le(a->fleet.counts.leases_renewed, 31);
}
END_TEST

START_TEST(lease_lost_by_tier_is_taken_again) {
  worker_compute(first, 1);
  fake_tier_forget(&world->tier);
  world_run(world, WORLD_LEASE_NS / 2);
  ck_assert(world_leased(world, 1, 0));
  ck_assert_uint_eq(a->fleet.counts.leases_lost, 0);
}
END_TEST

/* The worker began while the tier could not be asked. */
START_TEST(fleet_lease_is_for_worker_that_computes_already) {
  uint32_t clients = namespace_clients(a->ns);
  a->io.is_down = true;
  worker_get(&a->workers[0], 1);
  ck_assert_int_eq(a->workers[0].state, WORKER_COMPUTES);
  a->io.is_down = false;
  worker_get(&a->workers[1], 1);
  ck_assert_uint_eq(namespace_clients(a->ns), clients); /* a fill is none */
  world_run(world, 2 * WORLD_LEASE_NS);
  ck_assert_int_eq(a->workers[1].state, WORKER_WAITS);
  ck_assert_uint_eq(fleet_gauges(&a->fleet, world->now_ns).held, 1);
  ck_assert(world_leased(world, 1, 0));
  (void)worker_put(&a->workers[0], "ours");
  world_run(world, 10 * WORLD_LATENCY_NS);
  ck_assert(!world_leased(world, 1, 0));
  ck_assert_str_eq(a->workers[1].value, "ours");
}
END_TEST

START_TEST(offer_without_taker_is_released) {
  worker_get(first, 1);
  worker_die(first);
  world_run(world, 10 * WORLD_LATENCY_NS);
  ck_assert(world_leased(world, 1, 0));
  world_run(world, 1100 * WORLD_MS);
  ck_assert(!world_leased(world, 1, 0));
  ck_assert_uint_eq(a->fleet.n, 0);
}
END_TEST

START_TEST(remote_without_waiter_ends_within_two_seconds) {
  worker_compute(other, 1);
  worker_get(first, 1);
  world_run(world, 100 * WORLD_MS);
  worker_die(first);
  world_run(world, 2000 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.n, 0);
  ck_assert_uint_eq(a->leases.n, 0);
  ck_assert(world_leased(world, 1, 0)); /* it is the other node's */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet");
  TCase *tcase = tcase_create("fleet");
  tcase_add_checked_fixture(tcase, world_set_up, world_stop);
  tcase_add_test(tcase, miss_value_in_tier_is_hit);
  tcase_add_test(tcase, misses_of_one_key_ask_once);
  tcase_add_test(tcase, misses_of_one_turn_share_version);
  tcase_add_test(tcase, miss_after_version_was_sent_asks_again);
  tcase_add_test(tcase, miss_nowhere_computes_with_fleet_lease);
  tcase_add_test(tcase, computation_of_other_node_is_waited_for);
  tcase_add_test(tcase, lease_of_dead_worker_passes_to_other_node);
  tcase_add_test(tcase, lease_of_dead_worker_passes_to_local_waiter_first);
  tcase_add_test(tcase, lease_is_renewed_while_worker_computes);
  tcase_add_test(tcase, lease_lost_by_tier_is_taken_again);
  tcase_add_test(tcase, fleet_lease_is_for_worker_that_computes_already);
  tcase_add_test(tcase, offer_without_taker_is_released);
  tcase_add_test(tcase, remote_without_waiter_ends_within_two_seconds);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
