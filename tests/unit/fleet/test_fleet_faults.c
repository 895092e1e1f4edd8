/* Fills over a tier that is slow, full, gone or wrong: a worker loses one deadline at most. */
#include <check.h>
#include <string.h>

#include "tests/support/fleet_world.h"
#include "tests/support/runner.h"

static struct world *const world = &the_world;
static struct world_node *const a = &the_world.nodes[0];
static struct world_worker *const first = &the_world.nodes[0].workers[0];
static struct world_worker *const second = &the_world.nodes[0].workers[1];
static struct world_worker *const other = &the_world.nodes[1].workers[0];

/* ---- a tier that does not answer ---- */

START_TEST(breaker_open_costs_nothing) {
  a->io.is_down = true;
  worker_get(first, 1);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_uint_eq(a->fleet.counts.skipped_down, 1);
  (void)worker_put(first, "ours");
  world_run(world, 200 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.queue.n, 1);
  a->io.is_down = false;
  world_run(world, 200 * WORLD_MS);
  ck_assert_str_eq(world_published(world, 1, 0), "ours");
}
END_TEST

START_TEST(silent_tier_costs_one_deadline) {
  uint64_t start_ns = world->now_ns;
  a->io.lost_requests = 1000;
  worker_get(first, 1);
  worker_get(second, 1);
  world_run(world, 1000 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_uint_eq(first->since_ns - start_ns, WORLD_DEADLINE_NS);
  ck_assert_int_eq(second->state, WORKER_WAITS);
  ck_assert_uint_eq(second->since_ns - start_ns, WORLD_DEADLINE_NS);
  ck_assert_uint_eq(a->fleet.n, 0);
}
END_TEST

/* Both requests of a fill are within the deadline of each, and together are not. */
START_TEST(slow_tier_costs_one_deadline) {
  uint64_t start_ns = world->now_ns;
  a->io.latency_ns = 40 * WORLD_MS;
  worker_get(first, 1);
  world_run(world, 1000 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_uint_eq(first->since_ns - start_ns, WORLD_DEADLINE_NS);
  ck_assert_uint_eq(a->fleet.counts.late, 1);
  /* The lease came late, and the worker that computes has it. */
  ck_assert(world_leased(world, 1, 0));
  ck_assert_uint_eq(fleet_gauges(&a->fleet, world->now_ns).held, 1);
}
END_TEST

START_TEST(late_lease_nobody_computes_is_released) {
  a->io.latency_ns = 40 * WORLD_MS;
  worker_get(first, 1);
  world_run(world, 60 * WORLD_MS);
  worker_die(first);
  world_run(world, 200 * WORLD_MS);
  ck_assert(!world_leased(world, 1, 0));
  ck_assert_uint_eq(a->fleet.n, 0);
}
END_TEST

/* A large value takes longer than the deadline, but its first bytes have come. */
START_TEST(arriving_value_is_waited_for) {
  a->io.latency_ns = 80 * WORLD_MS;
  a->io.streams = true;
  world_publish(world, 1, 0, "theirs", 5);
  worker_get(first, 1);
  world_run(world, 200 * WORLD_MS);
  ck_assert_str_eq(first->value, "theirs");
  ck_assert_uint_eq(a->fleet.counts.late, 0);
}
END_TEST

START_TEST(arriving_value_is_waited_for_four_deadlines) {
  uint64_t start_ns = world->now_ns;
  a->io.latency_ns = 90 * WORLD_MS;
  a->io.streams = true;
  worker_get(first, 1); /* 90 ms for the miss, and 90 ms for the lease */
  world_run(world, 1000 * WORLD_MS);
  ck_assert_uint_le(first->since_ns - start_ns, 4 * WORLD_DEADLINE_NS);
}
END_TEST

/* ---- a transport that forgets ---- */

/* In each state of a fill its op is forgotten. Nothing waits for it for ever. */
START_TEST(forgotten_op_ends_after_eight_deadlines) {
  static const uint64_t befores[] = {0, WORLD_LATENCY_NS + 1, 2 * WORLD_LATENCY_NS + 1};
  if (_i == 3) { /* REMOTE: the polls of a are forgotten */
    worker_compute(other, 1);
    worker_get(first, 1);
    world_run(world, 4 * WORLD_LATENCY_NS);
    ck_assert_int_eq(first->state, WORKER_WAITS);
    a->io.forgets = true;
  } else if (_i == 0) { /* ASKING */
    a->io.forgets = true;
    worker_get(first, 1);
  } else { /* 1: LEASING, 2: HELD, whose renewal is forgotten */
    worker_get(first, 1);
    world_run(world, befores[_i] - WORLD_LATENCY_NS / 2);
    a->io.forgets = true;
  }
  world_run(world, (_i == 2 ? WORLD_LEASE_NS / 3 : 0) + 8 * WORLD_DEADLINE_NS + 300 * WORLD_MS);
  ck_assert_uint_gt(a->io.io.lost, 0);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  a->io.forgets = false;
  (void)worker_put(first, "ours");
  world_run(world, 1000 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.n, 0);
  ck_assert_uint_eq(a->io.n, 0);
  ck_assert_str_eq(world_published(world, 1, 0), "ours");
}
END_TEST

START_TEST(forgotten_write_is_tried_again) {
  worker_compute(first, 1);
  a->io.forgets = true;
  (void)worker_put(first, "ours");
  world_run(world, 8 * WORLD_DEADLINE_NS);
  a->io.forgets = false;
  world_run(world, 1000 * WORLD_MS);
  ck_assert_str_eq(world_published(world, 1, 0), "ours");
  ck_assert_uint_eq(a->fleet.queue.n, 0);
  ck_assert_uint_eq(a->fleet.n, 0);
}
END_TEST

/* The daemon was stopped for longer than that: the transport has its turn first. */
START_TEST(op_of_a_stopped_daemon_is_not_lost) {
  worker_get(first, 1);
  fleet_tick(&a->fleet, world->now_ns + 100 * WORLD_DEADLINE_NS);
  ck_assert_uint_eq(a->io.io.lost, 0);
  world_run(world, 4 * WORLD_LATENCY_NS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_uint_eq(a->io.io.lost, 0);
}
END_TEST

/* ---- a tier that goes away ---- */

START_TEST(lost_connection_computes_at_once) {
  worker_get(first, 1);
  fake_io_break(&a->io, world->now_ns);
  world_settle(world);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_uint_eq(a->fleet.counts.failed, 1);
}
END_TEST

START_TEST(lost_connection_while_waiting_for_other_node_computes) {
  worker_compute(other, 1);
  worker_get(first, 1);
  worker_get(second, 1);
  world_run(world, 500 * WORLD_MS);
  ck_assert_int_eq(second->state, WORKER_WAITS);
  a->io.is_down = true;
  world_run(world, 400 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_int_eq(second->state, WORKER_WAITS); /* for the first */
  ck_assert_uint_eq(a->fleet.n, 0);
}
END_TEST

START_TEST(full_tier_serves_reads_and_takes_writes_later) {
  a->io.refuses_writes = true;
  world_publish(world, 2, 0, "theirs", 5);
  worker_get(second, 2);
  worker_get(first, 1);
  world_run(world, 3 * WORLD_LATENCY_NS);
  ck_assert_str_eq(second->value, "theirs");
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  (void)worker_put(first, "ours");
  world_run(world, 1000 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.queue.n, 1);
  a->io.refuses_writes = false;
  world_run(world, 200 * WORLD_MS);
  ck_assert_str_eq(world_published(world, 1, 0), "ours");
}
END_TEST

/* The reply to the first attempt is lost. The second finds the value that the first has stored. */
START_TEST(publish_without_reply_is_found_published) {
  worker_compute(first, 1);
  a->io.lost_replies = 1000;
  (void)worker_put(first, "ours");
  world_run(world, 20 * WORLD_MS);
  a->io.lost_replies = 0;
  world_run(world, 500 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.counts.published, 1);
  ck_assert_uint_eq(a->fleet.counts.refused, 0);
  ck_assert_uint_eq(a->fleet.own.n, 0);
}
END_TEST

/* ---- leases ---- */

/* Another node has taken the fleet lease, because this one could not renew it. */
START_TEST(lost_lease_is_not_released) {
  worker_compute(first, 1);
  struct fleet_key name = world_name(a, 1, FLEET_KEY_LEASE);
  fake_tier_set(&world->tier, fleet_key_str(&name), "theirs", 6, 0);
  world_run(world, WORLD_LEASE_NS);
  ck_assert_uint_eq(a->fleet.counts.leases_lost, 1);
  ck_assert_int_eq(worker_put(first, "ours"), FC_STORED);
  world_run(world, 10 * WORLD_MS);
  ck_assert(world_leased(world, 1, 0));
  ck_assert_str_eq(world_published(world, 1, 0), "ours");
}
END_TEST

/* The value waits in the queue. Until it is sent no other node may compute. */
START_TEST(lease_is_released_behind_the_value) {
  worker_compute(first, 1);
  (void)worker_put(first, "ours");
  uint64_t releases = world->tier.releases;
  a->io.is_down = true;
  world_run(world, 300 * WORLD_MS);
  a->io.is_down = false;
  while (world->tier.releases == releases) {
    world_run(world, WORLD_MS / 2);
    ck_assert(world->tier.releases == releases || world_published(world, 1, 0) != NULL);
  }
  ck_assert(!world_leased(world, 1, 0));
}
END_TEST

START_TEST(poll_in_flight_when_wait_ends_leaves_no_lease) {
  worker_compute(other, 1);
  worker_get(first, 1);
  world_run(world, 3 * WORLD_LATENCY_NS);
  ck_assert_int_eq(first->state, WORKER_WAITS);
  worker_die(other);
  uint64_t polls = a->fleet.counts.polls;
  while (a->fleet.counts.polls == polls)
    world_run(world, WORLD_MS / 4);
  (void)worker_put_key(second, 1, "ours", true); /* ends the local lease: the poll is of no fill */
  world_run(world, 500 * WORLD_MS);
  ck_assert_str_eq(first->value, "ours");
  ck_assert(!world_leased(world, 1, 0));
  ck_assert_uint_eq(a->fleet.n, 0);
}
END_TEST

/* ---- sessions ---- */

START_TEST(session_left_while_parked_value_is_stored) {
  world_publish(world, 1, 0, "theirs", 5);
  worker_get(first, 1);
  worker_die(first);
  fleet_leave(&a->fleet, &first->waiter); /* idempotent */
  world_run(world, 5 * WORLD_MS);
  worker_get(second, 1);
  ck_assert_uint_eq(second->hits, 1);
}
END_TEST

/* The first of three that wait leaves. */
START_TEST(one_of_parked_left_others_are_resumed) {
  for (uint32_t i = 0; i < WORLD_WORKERS; i++)
    worker_get(&a->workers[i], 1);
  worker_die(second);
  world_publish(world, 1, 0, "theirs", 5);
  world_run(world, 5 * WORLD_MS);
  ck_assert_uint_eq(first->hits, 1);
  ck_assert_uint_eq(second->hits, 0);
  ck_assert_uint_eq(a->workers[2].hits, 1);
}
END_TEST

/* ---- clears of the node ---- */

START_TEST(clear_while_asking_reads_again) {
  world_publish(world, 1, 0, "theirs", 5);
  worker_get(first, 1);
  world_clear(a);
  world_run(world, 5 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.counts.stale, 1);
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_READ], 2);
  ck_assert_str_eq(first->value, "theirs"); /* a clear of one node leaves the tier's value */
}
END_TEST

START_TEST(clear_while_computing_next_waiter_computes_with_lease) {
  worker_get(first, 1);
  worker_get(second, 1);
  world_run(world, 4 * WORLD_LATENCY_NS);
  world_clear(a);
  world_settle(world);
  ck_assert_int_eq(second->state, WORKER_COMPUTES);
  ck_assert_uint_eq(fleet_gauges(&a->fleet, world->now_ns).held, 1);
  ck_assert_int_eq(worker_put(first, "old"), FC_STALE);
  ck_assert_int_eq(worker_put(second, "new"), FC_STORED);
  world_run(world, 5 * WORLD_MS);
  ck_assert_str_eq(world_published(world, 1, 0), "new");
}
END_TEST

/* The first waiter computes at once. Meanwhile the fill asks for the fleet lease again. */
START_TEST(clear_while_other_node_computes_asks_for_first_waiter) {
  worker_compute(other, 1);
  worker_get(first, 1);
  world_run(world, 100 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_WAITS);
  world_clear(a);
  world_settle(world);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_uint_eq(fleet_gauges(&a->fleet, world->now_ns).asking, 1);
  worker_get(second, 1);
  world_run(world, 100 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.n, 0); /* the other node still has the lease */
  ck_assert_int_eq(second->state, WORKER_WAITS);
}
END_TEST

/* The next owner's value has another name. So it has another fleet lease. */
START_TEST(fleet_clear_while_computing_takes_lease_of_new_version) {
  worker_get(first, 1);
  worker_get(second, 1);
  world_run(world, 4 * WORLD_LATENCY_NS);
  world_know(a, 7);
  world_clear(a);
  world_run(world, 5 * WORLD_MS);
  ck_assert_int_eq(second->state, WORKER_COMPUTES);
  ck_assert(!world_leased(world, 1, 0));
  ck_assert(world_leased(world, 1, 7));
  ck_assert_int_eq(worker_put(second, "new"), FC_STORED);
  world_run(world, 5 * WORLD_MS);
  ck_assert_str_eq(world_published(world, 1, 7), "new");
  ck_assert(!world_leased(world, 1, 7));
}
END_TEST

START_TEST(refused_write_past_age_is_counted_as_refused) {
  a->io.refuses_writes = true;
  (void)worker_put_key(first, 1, "ours", true);
  world_run(world, 11000 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.counts.dropped_refused, 1);
  ck_assert_uint_eq(a->fleet.counts.dropped_age, 0);
  ck_assert_uint_eq(a->fleet.own.n, 1);
}
END_TEST

/* ---- the end ---- */

START_TEST(stop_resumes_flushes_and_releases) {
  worker_compute(first, 1);
  worker_get(second, 2);
  (void)worker_put_key(&a->workers[2], 3, "queued", true);
  fleet_stop(&a->fleet, world->now_ns);
  ck_assert(second->is_resumed);
  ck_assert(!fleet_is_idle(&a->fleet));
  world_run(world, 5 * WORLD_MS);
  ck_assert(fleet_is_idle(&a->fleet));
  ck_assert_str_eq(world_published(world, 3, 0), "queued");
  ck_assert(!world_leased(world, 1, 0));
  ck_assert_int_eq(second->state, WORKER_COMPUTES); /* without a fill */
}
END_TEST

START_TEST(deinit_with_ops_in_flight_cancels_them) {
  worker_compute(first, 1);
  worker_get(second, 2);
  (void)worker_put_key(&a->workers[2], 3, "queued", true);
  fleet_tick(&a->fleet, world->now_ns);
  ck_assert_uint_ge(a->io.n, 3);
  worker_die(second);
  fleet_deinit(&a->fleet);
  ck_assert_uint_eq(a->io.n, 0);
  ck_assert_uint_eq(a->ns->clients, 1);
  a->leases.on_change = NULL;
  struct fleet_config config = {.store = &a->store,
                                .leases = &a->leases,
                                .namespaces = &a->namespaces,
                                .client = &a->client,
                                .io = &a->io.io,
                                .clears = &a->clears,
                                .node = 1};
  ck_assert_int_eq(fleet_init(&a->fleet, &config), 0); /* for the end of the world */
}
END_TEST

/* ---- modes and bounds ---- */

static void tune_read_only(uint32_t node, struct fleet_config *config) {
  config->writes = node != 0;
}

START_TEST(read_only_node_takes_no_lease_and_publishes_nothing) {
  world_restart(tune_read_only);
  world_publish(world, 2, 0, "theirs", 5);
  worker_get(first, 1);
  worker_get(second, 2);
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(second->value, "theirs");
  (void)worker_put(first, "ours");
  world_run(world, 10 * WORLD_MS);
  ck_assert_ptr_null(world_published(world, 1, 0));
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_LEASE], 0);
}
END_TEST

static void tune_write_only(uint32_t node, struct fleet_config *config) {
  config->reads = node != 0;
}

START_TEST(write_only_node_publishes_and_asks_nothing) {
  world_restart(tune_write_only);
  worker_get(first, 1);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  (void)worker_put(first, "ours");
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(world_published(world, 1, 0), "ours");
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_READ] + a->io.submitted[FLEET_OP_LEASE], 0);
}
END_TEST

static bool select_none(void *arg, const struct namespace *ns) {
  (void)arg;
  (void)ns;
  return false;
}

static void tune_unselected(uint32_t node, struct fleet_config *config) {
  (void)node;
  config->selects = select_none;
}

START_TEST(unselected_namespace_never_reaches_tier) {
  world_restart(tune_unselected);
  worker_get(first, 1);
  (void)worker_put(first, "ours");
  world_run(world, 10 * WORLD_MS);
  for (int i = 0; i < FLEET_OP_KINDS; i++)
    ck_assert_uint_eq(a->io.submitted[i], 0);
}
END_TEST

static void tune_one_fill(uint32_t node, struct fleet_config *config) {
  (void)node;
  config->max_fills = 1;
}

START_TEST(fills_beyond_bound_go_on_without_tier) {
  world_restart(tune_one_fill);
  worker_get(first, 1);
  worker_get(second, 2);
  ck_assert_int_eq(first->state, WORKER_PARKED);
  ck_assert_int_eq(second->state, WORKER_COMPUTES);
  ck_assert_uint_eq(a->fleet.counts.skipped_full, 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_faults");
  TCase *tcase = tcase_create("fleet_faults");
  tcase_add_checked_fixture(tcase, world_set_up, world_stop);
  tcase_add_test(tcase, breaker_open_costs_nothing);
  tcase_add_test(tcase, silent_tier_costs_one_deadline);
  tcase_add_test(tcase, slow_tier_costs_one_deadline);
  tcase_add_test(tcase, late_lease_nobody_computes_is_released);
  tcase_add_test(tcase, arriving_value_is_waited_for);
  tcase_add_test(tcase, arriving_value_is_waited_for_four_deadlines);
  tcase_add_loop_test(tcase, forgotten_op_ends_after_eight_deadlines, 0, 4);
  tcase_add_test(tcase, forgotten_write_is_tried_again);
  tcase_add_test(tcase, op_of_a_stopped_daemon_is_not_lost);
  tcase_add_test(tcase, lost_connection_computes_at_once);
  tcase_add_test(tcase, lost_connection_while_waiting_for_other_node_computes);
  tcase_add_test(tcase, full_tier_serves_reads_and_takes_writes_later);
  tcase_add_test(tcase, publish_without_reply_is_found_published);
  tcase_add_test(tcase, lost_lease_is_not_released);
  tcase_add_test(tcase, lease_is_released_behind_the_value);
  tcase_add_test(tcase, poll_in_flight_when_wait_ends_leaves_no_lease);
  tcase_add_test(tcase, session_left_while_parked_value_is_stored);
  tcase_add_test(tcase, one_of_parked_left_others_are_resumed);
  tcase_add_test(tcase, clear_while_asking_reads_again);
  tcase_add_test(tcase, clear_while_computing_next_waiter_computes_with_lease);
  tcase_add_test(tcase, clear_while_other_node_computes_asks_for_first_waiter);
  tcase_add_test(tcase, fleet_clear_while_computing_takes_lease_of_new_version);
  tcase_add_test(tcase, refused_write_past_age_is_counted_as_refused);
  tcase_add_test(tcase, stop_resumes_flushes_and_releases);
  tcase_add_test(tcase, deinit_with_ops_in_flight_cancels_them);
  tcase_add_test(tcase, read_only_node_takes_no_lease_and_publishes_nothing);
  tcase_add_test(tcase, write_only_node_publishes_and_asks_nothing);
  tcase_add_test(tcase, unselected_namespace_never_reaches_tier);
  tcase_add_test(tcase, fills_beyond_bound_go_on_without_tier);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
