/* Which value is served and which is published: damaged ones, deletes, the first value, the write
 * queue. */
#include <check.h>
#include <string.h>

#include "daemon/fleet/fleet_value.h"
#include "daemon/region/entry.h"
#include "tests/support/fleet_world.h"
#include "tests/support/runner.h"

#define MANY 500u

static struct world *const world = &the_world;
static struct world_node *const a = &the_world.nodes[0];
static struct world_worker *const first = &the_world.nodes[0].workers[0];
static struct world_worker *const second = &the_world.nodes[0].workers[1];

static void set_bytes(uint32_t key, const void *bytes, size_t size) {
  struct fleet_key name = world_name(a, key, FLEET_KEY_VALUE);
  fake_tier_set(&world->tier, fleet_key_str(&name), bytes, size, 0);
}

START_TEST(time_that_another_node_claims_is_bounded) {
  uint8_t bytes[FLEET_VALUE_HEAD + 6];
  const struct fleet_value value = {
      .data = (const uint8_t *)"theirs", .size = 6, .compute_ns = UINT64_MAX, .node = 9};
  struct fc_key key = world_key(1);
  struct fc_hash hash = fleet_key_hash(a->ns->name, &key);
  fleet_value_encode_head(&value, &hash, bytes);
  memcpy(bytes + FLEET_VALUE_HEAD, value.data, value.size);
  set_bytes(1, bytes, sizeof bytes);
  worker_get(first, 1);
  world_run(world, 4 * WORLD_LATENCY_NS);
  ck_assert_str_eq(first->value, "theirs");
  ck_assert_uint_eq(entry_compute_ns(store_peek(&a->store, a->ns, &key)), 86400000000000u);
}
END_TEST

/* Changes a byte of the value of key 1, which the tier has. */
static void damage(size_t at) {
  uint8_t bytes[256];
  struct fleet_key name = world_name(a, 1, FLEET_KEY_VALUE);
  size_t size;
  const uint8_t *present = fake_tier_get(&world->tier, fleet_key_str(&name), world->now_ns, &size);
  ck_assert_uint_lt(at, size);
  memcpy(bytes, present, size);
  bytes[at]++;
  set_bytes(1, bytes, size);
}

/* A tombstone of key 1, by the delete that made clear version `deleted`. */
static void bury(uint64_t deleted, uint64_t stamp) {
  uint8_t head[FLEET_VALUE_HEAD];
  struct fc_key key = world_key(1);
  struct fc_hash hash = fleet_key_hash(a->ns->name, &key);
  struct fleet_value value = {.stamp = stamp, .node = 9, .deleted = deleted};
  value.version = fleet_clears_version_of(&a->clears, a->ns->name, &key);
  fleet_value_encode_head(&value, &hash, head);
  set_bytes(1, head, sizeof head);
}

static const char *published(void) {
  struct fc_key key = world_key(1);
  return world_published(world, 1, fleet_clears_version_of(&a->clears, a->ns->name, &key));
}

static void put(struct world_worker *worker, const char *value, bool keep_first) {
  ck_assert_int_eq(worker_put_key(worker, 1, value, keep_first), FC_STORED);
}

/* A miss of key 1 that ends with a computation, whose value is published. */
static void compute(const char *value) {
  worker_get(first, 1);
  world_run(world, 5 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_int_eq(worker_put(first, value), FC_STORED);
  world_run(world, 10 * WORLD_MS);
}

/* ---- damaged values ---- */

START_TEST(damaged_value_is_counted_not_served_and_replaced) {
  static const size_t places[] = {0, 5, 9, 20, 41, 50, FLEET_VALUE_HEAD, FLEET_VALUE_HEAD + 5};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    world_publish(world, 1, 0, "theirs", 5);
    damage(places[i]);
    uint64_t bad = a->fleet.counts.bad_values;
    compute("ours");
    ck_assert_uint_eq(first->hits, 0);
    ck_assert_uint_eq(a->fleet.counts.bad_values, bad + 1);
    ck_assert_str_eq(published(), "ours");
    world_evict(a, 1);
  }
  ck_assert_uint_eq(a->fleet.own.n, 0);
}
END_TEST

START_TEST(foreign_bytes_are_counted_and_replaced) {
  set_bytes(1, "hello", 5);
  compute("ours");
  ck_assert_uint_eq(a->fleet.counts.bad_values, 1);
  ck_assert_str_eq(published(), "ours");
}
END_TEST

/* Another node has repaired it meanwhile: its value stays. */
START_TEST(damaged_value_repaired_by_other_node_stays) {
  world_publish(world, 1, 0, "theirs", 5);
  damage(FLEET_VALUE_HEAD);
  worker_get(first, 1);
  world_run(world, 5 * WORLD_MS);
  world_publish(world, 1, 0, "repaired", 6);
  (void)worker_put(first, "ours");
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(published(), "repaired");
  ck_assert_uint_eq(a->fleet.own.n, 1);
}
END_TEST

START_TEST(value_above_limit_is_not_read_twice) {
  static uint8_t bytes[FLEET_VALUE_HEAD + WORLD_MAX_VALUE + 100];
  struct fc_key key = world_key(1);
  struct fc_hash hash = fleet_key_hash(a->ns->name, &key);
  struct fleet_value value = {.data = bytes + FLEET_VALUE_HEAD,
                              .size = sizeof bytes - FLEET_VALUE_HEAD};
  fleet_value_encode_head(&value, &hash, bytes);
  set_bytes(1, bytes, sizeof bytes);
  for (int i = 0; i < 2; i++) {
    worker_get(first, 1);
    world_run(world, 5 * WORLD_MS);
    ck_assert_int_eq(first->state, WORKER_COMPUTES);
    worker_die(first);
    world_run(world, 5 * WORLD_MS);
  }
  ck_assert_uint_eq(a->fleet.counts.too_big, 1);
  ck_assert_uint_eq(a->fleet.counts.skipped_own, 1);
}
END_TEST

/* ---- the first value, and own keys ---- */

/* The tier got its value while this node computed. Both values exist, and this node serves its own
 * from now on: it has served it already. */
START_TEST(first_value_stays_and_second_node_never_reads_it) {
  worker_compute(first, 1);
  world_publish(world, 1, 0, "first", 5);
  (void)worker_put(first, "second");
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(published(), "first");
  ck_assert_uint_eq(a->fleet.counts.refused, 1);
  world_evict(a, 1);
  worker_get(second, 1);
  ck_assert_int_eq(second->state, WORKER_COMPUTES);
  ck_assert_uint_eq(a->fleet.counts.skipped_own, 1);
}
END_TEST

START_TEST(put_without_keep_first_replaces_older_value) {
  world_publish(world, 1, 0, "older", 5);
  put(first, "newer", false);
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(published(), "newer");
}
END_TEST

START_TEST(put_without_keep_first_leaves_later_value) {
  world_publish(world, 1, 0, "later", UINT64_MAX);
  put(first, "earlier", false);
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(published(), "later");
  ck_assert_uint_eq(a->fleet.own.n, 0); /* the tier's is newer: it may be read */
}
END_TEST

/* Stamps follow those of other nodes, but not a clock that is far off. */
START_TEST(stamps_rise_above_what_was_read) {
  uint64_t wall_ns = world->now_ns + 1000000 * WORLD_MS, ahead_ns = wall_ns + 60000 * WORLD_MS;
  world_publish(world, 1, 0, "ahead", ahead_ns);
  worker_get(first, 1);
  world_run(world, 5 * WORLD_MS);
  ck_assert_uint_eq(fleet_stamp(&a->fleet, world->now_ns), ahead_ns + 1);
  world_publish(world, 2, 0, "broken", UINT64_MAX - 1);
  worker_get(first, 2);
  world_run(world, 5 * WORLD_MS);
  ck_assert_uint_eq(fleet_stamp(&a->fleet, world->now_ns), ahead_ns + 2);
  fleet_set_wall(&a->fleet, world->now_ns, 5); /* the clock is set back */
  ck_assert_uint_eq(fleet_stamp(&a->fleet, world->now_ns), ahead_ns + 3);
}
END_TEST

/* ---- deletes ---- */

START_TEST(tombstone_is_miss_and_known_delete_is_published_over) {
  world_know(a, 3);
  bury(3, 5);
  compute("ours");
  ck_assert_uint_eq(a->fleet.counts.tombstones, 1);
  ck_assert_str_eq(published(), "ours");
  ck_assert_uint_eq(a->fleet.own.n, 0);
}
END_TEST

/* The put may have been computed before the delete, which the node has not learnt of. */
START_TEST(tombstone_of_unknown_delete_stays) {
  static const bool keeps[] = {true, false};
  for (size_t i = 0; i < 2; i++) {
    bury(3, 5);
    put(first, "old", keeps[i]);
    world_run(world, 10 * WORLD_MS);
    ck_assert_ptr_null(published());
    world_evict(a, 1);
  }
}
END_TEST

/* The deleted value waits in the queue. */
START_TEST(deleted_value_is_not_served_from_queue) {
  struct fc_key key = world_key(1);
  a->io.is_down = true;
  put(first, "old", true);
  ck_assert(store_delete(&a->store, a->ns, &key));
  worker_get(second, 1);
  ck_assert_int_eq(second->state, WORKER_COMPUTES);
}
END_TEST

/* ---- clears of the fleet ---- */

/* A miss of key 1 on a node that has heard of clears and does not know them yet. */
static void get_before_refresh(void) {
  world_hear_later_version(a);
  worker_get(first, 1);
  world_run(world, 10 * WORLD_MS);
  ck_assert_int_eq(first->state, WORKER_PARKED);
}

START_TEST(value_is_not_served_before_refresh) {
  world_publish(world, 1, 0, "theirs", 5);
  get_before_refresh();
  ck_assert_uint_gt(fleet_bytes(&a->fleet), 0);
  world_refreshed(a, true); /* the clears were of other keys */
  world_settle(world);
  ck_assert_str_eq(first->value, "theirs");
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_READ], 1);
}
END_TEST

START_TEST(value_of_cleared_key_is_read_under_new_version) {
  world_publish(world, 1, 0, "old", 5);
  world_publish(world, 1, 4, "new", 6);
  get_before_refresh();
  world_know(a, 4);
  world_refreshed(a, true);
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(first->value, "new");
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_VERSION], 1); /* the table is new enough */
}
END_TEST

START_TEST(failed_refresh_computes) {
  world_publish(world, 1, 0, "old", 5);
  get_before_refresh();
  world_refreshed(a, false);
  world_settle(world);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
}
END_TEST

START_TEST(slow_refresh_costs_one_deadline) {
  world_publish(world, 1, 0, "old", 5);
  world_hear_later_version(a);
  worker_get(first, 1);
  world_run(world, 2 * WORLD_DEADLINE_NS);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  world_know(a, 4);
  world_refreshed(a, true);
  world_run(world, 10 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.n, 0);
  struct fc_key key = world_key(1);
  ck_assert_ptr_null(store_peek(&a->store, a->ns, &key));
}
END_TEST

/* The value came before the version, and is too large to be kept: it is read again. */
START_TEST(large_value_before_version_is_read_again) {
  static char large[FLEET_QUEUE_IN_FLIGHT_BYTES / 10];
  memset(large, 'x', 90000);
  (void)worker_put_key(first, 1, large, true); /* it is stored: the next lines need it */
  world_run(world, 10 * WORLD_MS);
  world_evict(a, 1);
  get_before_refresh();
  world_refreshed(a, true);
  world_run(world, 10 * WORLD_MS);
  ck_assert_uint_eq(first->hits, 1);
  ck_assert_uint_eq(a->io.submitted[FLEET_OP_READ], 2);
}
END_TEST

/* The tier has not acknowledged a clear that this node made. */
START_TEST(unacknowledged_clear_keeps_key_from_tier) {
  world_know(a, FLEET_CLEARS_LOCAL + 1);
  worker_get(first, 1);
  ck_assert_int_eq(first->state, WORKER_COMPUTES);
  ck_assert_int_eq(worker_put(first, "ours"), FC_STORED);
  ck_assert_uint_eq(a->fleet.queue.n, 0);
  ck_assert_uint_eq(a->fleet.counts.dropped_cleared, 1);
}
END_TEST

/* ---- the queue ---- */

START_TEST(evicted_value_is_served_from_queue) {
  a->io.is_down = true;
  put(first, "queued", true);
  world_evict(a, 1);
  worker_get(second, 1);
  ck_assert_str_eq(second->value, "queued");
  ck_assert_uint_eq(a->fleet.counts.found_queued, 1);
}
END_TEST

START_TEST(second_write_of_key_supersedes_first) {
  a->io.is_down = true;
  put(first, "one", true);
  put(first, "two", false);
  ck_assert_uint_eq(a->fleet.queue.n, 1);
  ck_assert_uint_eq(a->fleet.counts.superseded, 1);
  a->io.is_down = false;
  world_run(world, 200 * WORLD_MS);
  ck_assert_str_eq(published(), "two");
}
END_TEST

/* The first is in flight. */
START_TEST(second_write_behind_one_in_flight_wins) {
  put(first, "one", true);
  fleet_tick(&a->fleet, world->now_ns);
  put(first, "two", false);
  ck_assert_uint_eq(a->fleet.queue.n, 2);
  world_evict(a, 1);
  worker_get(second, 1);
  ck_assert_str_eq(second->value, "two"); /* from the queue */
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(published(), "two");
}
END_TEST

/* The second is in the tier before the deadline of the first, whose request was lost. */
START_TEST(lost_first_write_is_neither_served_nor_sent_again) {
  a->io.lost_requests = 1000;
  put(first, "one", true);
  fleet_tick(&a->fleet, world->now_ns);
  a->io.lost_requests = 0;
  put(first, "two", false);
  world_run(world, 10 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.queue.n, 1);
  world_evict(a, 1);
  worker_get(second, 1);
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(second->value, "two");
  world_run(world, WORLD_DEADLINE_NS);
  ck_assert_uint_eq(a->fleet.queue.n, 0);
  ck_assert_str_eq(published(), "two");
}
END_TEST

START_TEST(write_past_age_is_dropped_and_key_is_own) {
  a->io.is_down = true;
  put(first, "lost", true);
  world_run(world, 9000 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.queue.n, 1);
  ck_assert_uint_ge(fleet_gauges(&a->fleet, world->now_ns).queue_age_ns, 9000 * WORLD_MS);
  world_run(world, 1200 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.queue.n, 0);
  ck_assert_uint_eq(a->fleet.counts.dropped_age, 1);
  a->io.is_down = false;
  world_evict(a, 1);
  worker_get(second, 1);
  ck_assert_uint_eq(a->fleet.counts.skipped_own, 1);
}
END_TEST

/* 1 MiB of queue, values of 64 KiB. */
START_TEST(queue_is_bounded_in_bytes) {
  static char large[65001];
  memset(large, 'x', sizeof large - 1);
  a->io.is_down = true;
  for (uint32_t key = 0; key < 40; key++)
    (void)worker_put_key(first, key, large, true); /* stored or not: the queue counts */
  ck_assert_uint_eq(a->fleet.queue.n, 15);
  ck_assert_uint_eq(a->fleet.counts.dropped_full, 25);
  ck_assert_uint_le(a->fleet.queue.bytes, 1u << 20);
  a->io.is_down = false;
  world_run(world, 1000 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.counts.published, 15);
  ck_assert_uint_eq(a->fleet.queue.bytes, 0);
}
END_TEST

/* The queue has more writes than the tier gets at a time. */
static void put_many(void) {
  for (uint32_t key = 0; key < MANY; key++)
    ck_assert_int_eq(worker_put_key(first, key, "value", true), FC_STORED);
  fleet_tick(&a->fleet, world->now_ns);
}

START_TEST(writes_in_flight_are_bounded) {
  put_many();
  ck_assert_uint_eq(a->io.n, FLEET_QUEUE_IN_FLIGHT);
  world_run(world, 100 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.counts.published, MANY);
}
END_TEST

/* One write at a time, then two, and so on up to the bound. */
START_TEST(failed_write_next_writes_begin_slowly) {
  put_many();
  fake_io_break(&a->io, world->now_ns);
  for (uint32_t sent = 1; sent <= 2 * FLEET_QUEUE_IN_FLIGHT; sent *= 2) {
    fleet_tick(&a->fleet, world->now_ns);
    ck_assert_uint_eq(a->io.n, sent < FLEET_QUEUE_IN_FLIGHT ? sent : FLEET_QUEUE_IN_FLIGHT);
    uint64_t published = a->fleet.counts.published;
    for (; a->fleet.counts.published < published + sent; fake_io_step(&a->io, world->now_ns)) {
      fake_io_flush(&a->io);
      world->now_ns = fake_io_next_ns(&a->io);
    }
  }
  world_run(world, 1000 * WORLD_MS);
  ck_assert_uint_eq(a->fleet.counts.published, MANY);
}
END_TEST

static void tune_ttl(uint32_t node, struct fleet_config *config) {
  (void)node;
  config->options.ttl_ns = 100 * WORLD_MS;
}

START_TEST(values_expire_after_ttl) {
  world_restart(tune_ttl);
  put(first, "first", true);
  world_run(world, 10 * WORLD_MS);
  ck_assert_str_eq(published(), "first");
  put(first, "second", false);
  world_run(world, 95 * WORLD_MS);
  ck_assert_str_eq(published(), "second");
  world_run(world, 20 * WORLD_MS);
  ck_assert_ptr_null(published());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_values");
  TCase *tcase = tcase_create("fleet_values");
  tcase_add_checked_fixture(tcase, world_set_up, world_stop);
  tcase_add_test(tcase, time_that_another_node_claims_is_bounded);
  tcase_add_test(tcase, damaged_value_is_counted_not_served_and_replaced);
  tcase_add_test(tcase, foreign_bytes_are_counted_and_replaced);
  tcase_add_test(tcase, damaged_value_repaired_by_other_node_stays);
  tcase_add_test(tcase, value_above_limit_is_not_read_twice);
  tcase_add_test(tcase, first_value_stays_and_second_node_never_reads_it);
  tcase_add_test(tcase, put_without_keep_first_replaces_older_value);
  tcase_add_test(tcase, put_without_keep_first_leaves_later_value);
  tcase_add_test(tcase, stamps_rise_above_what_was_read);
  tcase_add_test(tcase, tombstone_is_miss_and_known_delete_is_published_over);
  tcase_add_test(tcase, tombstone_of_unknown_delete_stays);
  tcase_add_test(tcase, deleted_value_is_not_served_from_queue);
  tcase_add_test(tcase, value_is_not_served_before_refresh);
  tcase_add_test(tcase, value_of_cleared_key_is_read_under_new_version);
  tcase_add_test(tcase, failed_refresh_computes);
  tcase_add_test(tcase, slow_refresh_costs_one_deadline);
  tcase_add_test(tcase, large_value_before_version_is_read_again);
  tcase_add_test(tcase, unacknowledged_clear_keeps_key_from_tier);
  tcase_add_test(tcase, evicted_value_is_served_from_queue);
  tcase_add_test(tcase, second_write_of_key_supersedes_first);
  tcase_add_test(tcase, second_write_behind_one_in_flight_wins);
  tcase_add_test(tcase, lost_first_write_is_neither_served_nor_sent_again);
  tcase_add_test(tcase, write_past_age_is_dropped_and_key_is_own);
  tcase_add_test(tcase, queue_is_bounded_in_bytes);
  tcase_add_test(tcase, writes_in_flight_are_bounded);
  tcase_add_test(tcase, failed_write_next_writes_begin_slowly);
  tcase_add_test(tcase, values_expire_after_ttl);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
