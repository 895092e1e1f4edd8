/* The transport against a cluster of three real servers: routing, slots that move, servers that
 * fail and come back. A test runs once for each engine. */
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/breaker.h"
#include "daemon/fleet/fleet_scripts.h"
#include "daemon/tier/key_slot.h"
#include "tests/support/harness.h"
#include "tests/support/tier_cluster.h"
#include "tests/support/tier_fixture.h"

#define KEYS 60

struct world {
  struct tier_cluster cluster;
  struct tier_fixture fixture;
};

static bool start(struct world *world, int engine) {
  const struct tier_server_config config = {.program = tier_engine_program(engine)};
  if (config.program == NULL)
    return false;
  tier_cluster_start(&world->cluster, &config);
  tier_fixture_init(&world->fixture, world->cluster.url);
  return true;
}

static void stop(struct world *world) {
  tier_fixture_deinit(&world->fixture);
  tier_cluster_stop(&world->cluster);
}

static const char *key_of(int i, char key[32]) {
  (void)snprintf(key, 32, "fcached:1:{%d}:0:v", i);
  return key;
}

static void publish_all(struct world *world, enum fleet_status wanted) {
  char key[32];
  for (int i = 0; i < KEYS; i++) {
    size_t size = strlen(key_of(i, key));
    ck_assert_int_eq(tier_fixture_publish(&world->fixture, key, key, size), wanted);
  }
}

static void read_all(struct world *world) {
  char key[32];
  struct tier_test_op op;
  for (int i = 0; i < KEYS; i++) {
    ck_assert_int_eq(tier_fixture_read(&world->fixture, key_of(i, key), &op), FLEET_OK);
    ck_assert_str_eq(op.value, key);
    tier_test_op_reset(&op);
  }
}

static uint64_t redirects(struct world *world) {
  uint64_t n = 0;
  for (unsigned i = 0; i < TIER_CLUSTER_SIZE; i++)
    n += tier_fixture_server(&world->fixture, i).redirects;
  return n;
}

START_TEST(each_key_is_asked_at_its_server) {
  struct world w;
  if (!start(&w, _i))
    return;
  tier_fixture_connect(&w.fixture);
  publish_all(&w, FLEET_OK);
  read_all(&w);
  uint32_t slots = 0;
  for (unsigned i = 0; i < TIER_CLUSTER_SIZE; i++) {
    struct tier_server_report report = tier_fixture_server(&w.fixture, i);
    ck_assert_str_eq(report.role, "primary");
    ck_assert_uint_gt(report.reads, 0);
    slots += report.slots;
  }
  ck_assert_uint_eq(slots, KEY_SLOTS);
  ck_assert_uint_eq(redirects(&w), 0);
  stop(&w);
}
END_TEST

/* MOVED, and ASK in the middle of a move, for each kind of op. */
START_TEST(slot_that_moves_is_followed) {
  struct world w;
  struct tier_test_op lease, script;
  char key[32];
  if (!start(&w, _i))
    return;
  tier_fixture_connect(&w.fixture);
  publish_all(&w, FLEET_OK);
  for (int i = 0; i < 4; i++) {
    int owner = tier_cluster_owner(&w.cluster, key_of(i, key));
    tier_cluster_move_slot(&w.cluster, key, (owner + 1) % TIER_CLUSTER_SIZE);
  }
  read_all(&w);
  ck_assert_uint_ge(redirects(&w), 1); /* the map is asked for again after it */
  tier_test_op_init(&lease, FLEET_OP_LEASE, FLEET_WRITES, key_of(5, key));
  tier_cluster_move_slot(&w.cluster, key,
                         (tier_cluster_owner(&w.cluster, key) + 1) % TIER_CLUSTER_SIZE);
  lease.op.more = fc_str_of("fcached:1:{5}:0:l");
  lease.op.token = fc_str_of("token");
  lease.op.time_ms = 60000;
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &lease), FLEET_OK);
  ck_assert(lease.granted);
  ck_assert_str_eq(lease.value, key);
  tier_test_op_reset(&lease);
  tier_test_op_init(&script, FLEET_OP_SCRIPT, FLEET_WRITES, "fcached:1:{5}:0:l");
  tier_cluster_move_slot(&w.cluster, key,
                         (tier_cluster_owner(&w.cluster, key) + 1) % TIER_CLUSTER_SIZE);
  script.op.script = &fleet_script_release;
  script.op.args[0] = fc_str_of("token");
  script.op.n_args = 1;
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &script), FLEET_OK);
  ck_assert_int_eq(script.number, 1);
  stop(&w);
}
END_TEST

/* The slot of an unknown key is being moved: its old server replies ASK. */
START_TEST(ask_is_followed_once) {
  struct world w;
  struct tier_test_op op;
  char slot[8], key[32], id[2][64];
  if (!start(&w, _i))
    return;
  tier_fixture_connect(&w.fixture);
  key_of(7, key);
  int from = tier_cluster_owner(&w.cluster, key), to = (from + 1) % TIER_CLUSTER_SIZE;
  (void)snprintf(slot, sizeof slot, "%u", key_slot(key, strlen(key)));
  for (int i = 0; i < 2; i++) {
    char *text = tier_server_command(&w.cluster.servers[i ? to : from], "CLUSTER", "MYID", NULL);
    (void)snprintf(id[i], sizeof id[i], "%s", text);
    free(text);
  }
  tier_server_do(&w.cluster.servers[to], "CLUSTER", "SETSLOT", slot, "IMPORTING", id[0], NULL);
  tier_server_do(&w.cluster.servers[from], "CLUSTER", "SETSLOT", slot, "MIGRATING", id[1], NULL);
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, key, "x", 1), FLEET_OK);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, key, &op), FLEET_OK);
  ck_assert_str_eq(op.value, "x");
  tier_test_op_reset(&op);
  tier_test_op_init(&op, FLEET_OP_LEASE, FLEET_WRITES, key);
  op.op.more = fc_str_of("fcached:1:{7}:0:l");
  op.op.token = fc_str_of("token");
  op.op.time_ms = 60000;
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert(op.granted);
  ck_assert_str_eq(op.value, "x");
  tier_test_op_reset(&op);
  ck_assert_uint_eq(redirects(&w), 3);
  stop(&w);
}
END_TEST

/* Each is received in part before the next: one server at a time may send a large one. */
START_TEST(large_values_of_all_servers_come_one_by_one) {
  static struct tier_test_op ops[KEYS];
  static char keys[KEYS][32];
  struct world w;
  size_t size = 300000;
  char *value = calloc(1, size);
  if (start(&w, _i)) {
    tier_fixture_connect(&w.fixture);
    for (int i = 0; i < KEYS; i++) {
      memcpy(value, key_of(i, keys[i]), sizeof keys[i]);
      ck_assert_int_eq(tier_fixture_publish(&w.fixture, keys[i], value, size), FLEET_OK);
    }
    for (int i = 0; i < KEYS; i++) {
      tier_test_op_init(&ops[i], FLEET_OP_READ, FLEET_READS, keys[i]);
      ck_assert(tier_fixture_submit(&w.fixture, &ops[i]));
    }
    for (int i = 0; i < KEYS; i++) {
      while (!ops[i].ended)
        tier_fixture_run_ms(&w.fixture, 5);
      ck_assert_int_eq(ops[i].status, FLEET_OK);
      ck_assert_uint_eq(ops[i].size, size);
      ck_assert_str_eq(ops[i].value, keys[i]);
      tier_test_op_reset(&ops[i]);
    }
    stop(&w);
  }
  free(value);
}
END_TEST

static bool is_serving(void *arg) {
  struct world *w = arg;
  char key[32];
  struct tier_test_op op;
  for (int i = 0; i < KEYS; i++) {
    enum fleet_status status = tier_fixture_read(&w->fixture, key_of(i, key), &op);
    tier_test_op_reset(&op);
    if (status != FLEET_OK && status != FLEET_NONE)
      return false;
  }
  return true;
}

/* The keys of the others are served all the time. */
START_TEST(server_that_fails_costs_its_keys_alone) {
  struct world w;
  char key[32];
  if (!start(&w, _i))
    return;
  w.fixture.config.deadline_ns = w.fixture.op_deadline_ns = UINT64_C(300000000);
  tier_fixture_connect(&w.fixture);
  ck_assert(is_serving(&w));
  int owners[KEYS], refused = 0;
  for (int i = 0; i < KEYS; i++)
    owners[i] = tier_cluster_owner(&w.cluster, key_of(i, key));
  tier_server_freeze(&w.cluster.servers[1]);
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < KEYS; i++) {
      struct tier_test_op op;
      enum fleet_status status = tier_fixture_read(&w.fixture, key_of(i, key), &op);
      if (status != FLEET_NONE) {
        ck_assert_int_eq(owners[i], 1);
        refused++;
      }
    }
  ck_assert_int_gt(refused, 0);
  tier_server_thaw(&w.cluster.servers[1]);
  while (!is_serving(&w))
    tier_fixture_run_ms(&w.fixture, 20);
  stop(&w);
}
END_TEST

/* Each of them knows the map. */
START_TEST(second_url_is_used_if_first_server_is_gone) {
  struct world w;
  char urls[600];
  if (!start(&w, _i))
    return;
  (void)snprintf(urls, sizeof urls, "redis://127.0.0.1:1,%s", w.cluster.servers[2].url);
  tier_fixture_deinit(&w.fixture);
  tier_fixture_init(&w.fixture, urls);
  tier_fixture_connect(&w.fixture);
  while (!is_serving(&w))
    tier_fixture_run_ms(&w.fixture, 20);
  publish_all(&w, FLEET_OK);
  stop(&w);
}
END_TEST

START_TEST(cluster_that_restarts_is_used_again) {
  struct world w;
  if (!start(&w, _i))
    return;
  tier_fixture_connect(&w.fixture);
  ck_assert(is_serving(&w));
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    tier_server_kill9(&w.cluster.servers[i]);
  ck_assert(!is_serving(&w));
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    tier_server_restart(&w.cluster.servers[i]);
  tier_cluster_wait(&w.cluster);
  while (!is_serving(&w))
    tier_fixture_run_ms(&w.fixture, 20);
  stop(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_cluster");
  TCase *tc = tcase_create("tier_cluster");
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, each_key_is_asked_at_its_server, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, slot_that_moves_is_followed, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, ask_is_followed_once, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, large_values_of_all_servers_come_one_by_one, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, server_that_fails_costs_its_keys_alone, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, second_url_is_used_if_first_server_is_gone, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, cluster_that_restarts_is_used_again, 0, TIER_ENGINES);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
