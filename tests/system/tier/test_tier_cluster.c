/* The transport against a cluster of three real servers: routing, slots that move, servers that
 * fail and come back. All tests of an engine have one cluster, which takes seconds to form. Those
 * that stop servers come last. */
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/breaker.h"
#include "daemon/fleet/fleet_scripts.h"
#include "daemon/tier/key_slot.h"
#include "tests/support/harness.h"
#include "tests/support/tier_cluster.h"
#include "tests/support/tier_fixture.h"

#define KEYS 60

static struct tier_cluster cluster;
static struct tier_fixture fixture;

/* ---- the cluster of an engine: in the program's process ---- */

static void start_cluster(enum tier_engine engine) {
  const struct tier_server_config config = {.program = tier_engine_program(engine)};
  memset(&cluster, 0, sizeof cluster);
  if (config.program != NULL)
    tier_cluster_start(&cluster, &config);
}

static void start_redis(void) {
  start_cluster(TIER_ENGINE_REDIS);
}

static void start_valkey(void) {
  start_cluster(TIER_ENGINE_VALKEY);
}

static void stop_cluster(void) {
  tier_cluster_stop(&cluster);
}

/* ---- a test ---- */

/* Returns false if the engine is missing. */
static bool begin(void) {
  if (cluster.url[0] == '\0')
    return false;
  tier_cluster_wait(&cluster);
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    tier_server_do(&cluster.servers[i], "FLUSHALL", NULL);
  tier_fixture_init(&fixture, cluster.url);
  return true;
}

static const char *key_of(int i, char key[32]) {
  (void)snprintf(key, 32, "fcached:1:{%d}:0:v", i);
  return key;
}

static void publish_all(enum fleet_status wanted) {
  char key[32];
  for (int i = 0; i < KEYS; i++) {
    size_t size = strlen(key_of(i, key));
    ck_assert_int_eq(tier_fixture_publish(&fixture, key, key, size), wanted);
  }
}

static void read_all(void) {
  char key[32];
  struct tier_test_op op;
  for (int i = 0; i < KEYS; i++) {
    ck_assert_int_eq(tier_fixture_read(&fixture, key_of(i, key), &op), FLEET_OK);
    ck_assert_str_eq(op.value, key);
    tier_test_op_reset(&op);
  }
}

static uint64_t redirects(void) {
  uint64_t n = 0;
  for (unsigned i = 0; i < TIER_CLUSTER_SIZE; i++)
    n += tier_fixture_server(&fixture, i).redirects;
  return n;
}

START_TEST(each_key_is_asked_at_its_server) {
  if (!begin())
    return;
  tier_fixture_connect(&fixture);
  publish_all(FLEET_OK);
  read_all();
  uint32_t slots = 0;
  for (unsigned i = 0; i < TIER_CLUSTER_SIZE; i++) {
    struct tier_server_report report = tier_fixture_server(&fixture, i);
    ck_assert_str_eq(report.role, "primary");
    ck_assert_uint_gt(report.reads, 0);
    slots += report.slots;
  }
  ck_assert_uint_eq(slots, KEY_SLOTS);
  ck_assert_uint_eq(redirects(), 0);
  tier_fixture_deinit(&fixture);
}
END_TEST

/* MOVED, and ASK in the middle of a move, for each kind of op. */
START_TEST(slot_that_moves_is_followed) {
  struct tier_test_op lease, script;
  char key[32];
  if (!begin())
    return;
  tier_fixture_connect(&fixture);
  publish_all(FLEET_OK);
  for (int i = 0; i < 4; i++) {
    int owner = tier_cluster_owner(&cluster, key_of(i, key));
    tier_cluster_move_slot(&cluster, key, (owner + 1) % TIER_CLUSTER_SIZE);
  }
  read_all();
  ck_assert_uint_ge(redirects(), 1); /* the map is asked for again after it */
  tier_test_op_init(&lease, FLEET_OP_LEASE, FLEET_WRITES, key_of(5, key));
  tier_cluster_move_slot(&cluster, key,
                         (tier_cluster_owner(&cluster, key) + 1) % TIER_CLUSTER_SIZE);
  lease.op.more = fc_str_of("fcached:1:{5}:0:l");
  lease.op.token = fc_str_of("token");
  lease.op.time_ms = 60000;
  ck_assert_int_eq(tier_fixture_do(&fixture, &lease), FLEET_OK);
  ck_assert(lease.granted);
  ck_assert_str_eq(lease.value, key);
  tier_test_op_reset(&lease);
  tier_test_op_init(&script, FLEET_OP_SCRIPT, FLEET_WRITES, "fcached:1:{5}:0:l");
  tier_cluster_move_slot(&cluster, key,
                         (tier_cluster_owner(&cluster, key) + 1) % TIER_CLUSTER_SIZE);
  script.op.script = &fleet_script_release;
  script.op.args[0] = fc_str_of("token");
  script.op.n_args = 1;
  ck_assert_int_eq(tier_fixture_do(&fixture, &script), FLEET_OK);
  ck_assert_int_eq(script.number, 1);
  tier_fixture_deinit(&fixture);
}
END_TEST

/* The slot of an unknown key is being moved: its old server replies ASK. */
START_TEST(ask_is_followed_once) {
  struct tier_test_op op;
  char slot[8], key[32], id[2][64];
  if (!begin())
    return;
  tier_fixture_connect(&fixture);
  key_of(7, key);
  int from = tier_cluster_owner(&cluster, key), to = (from + 1) % TIER_CLUSTER_SIZE;
  (void)snprintf(slot, sizeof slot, "%u", key_slot(key, strlen(key)));
  for (int i = 0; i < 2; i++) {
    char *text = tier_server_command(&cluster.servers[i ? to : from], "CLUSTER", "MYID", NULL);
    (void)snprintf(id[i], sizeof id[i], "%s", text);
    free(text);
  }
  tier_server_do(&cluster.servers[to], "CLUSTER", "SETSLOT", slot, "IMPORTING", id[0], NULL);
  tier_server_do(&cluster.servers[from], "CLUSTER", "SETSLOT", slot, "MIGRATING", id[1], NULL);
  ck_assert_int_eq(tier_fixture_publish(&fixture, key, "x", 1), FLEET_OK);
  ck_assert_int_eq(tier_fixture_read(&fixture, key, &op), FLEET_OK);
  ck_assert_str_eq(op.value, "x");
  tier_test_op_reset(&op);
  tier_test_op_init(&op, FLEET_OP_LEASE, FLEET_WRITES, key);
  op.op.more = fc_str_of("fcached:1:{7}:0:l");
  op.op.token = fc_str_of("token");
  op.op.time_ms = 60000;
  ck_assert_int_eq(tier_fixture_do(&fixture, &op), FLEET_OK);
  ck_assert(op.granted);
  ck_assert_str_eq(op.value, "x");
  tier_test_op_reset(&op);
  ck_assert_uint_eq(redirects(), 3);
  for (int i = 0; i < 2; i++)
    tier_server_do(&cluster.servers[i ? to : from], "CLUSTER", "SETSLOT", slot, "STABLE", NULL);
  tier_fixture_deinit(&fixture);
}
END_TEST

/* Each is received in part before the next: one server at a time may send a large one. */
START_TEST(large_values_of_all_servers_come_one_by_one) {
  static struct tier_test_op ops[KEYS];
  static char keys[KEYS][32];
  size_t size = 300000;
  char *value = calloc(1, size);
  if (begin()) {
    tier_fixture_connect(&fixture);
    for (int i = 0; i < KEYS; i++) {
      memcpy(value, key_of(i, keys[i]), sizeof keys[i]);
      ck_assert_int_eq(tier_fixture_publish(&fixture, keys[i], value, size), FLEET_OK);
    }
    for (int i = 0; i < KEYS; i++) {
      tier_test_op_init(&ops[i], FLEET_OP_READ, FLEET_READS, keys[i]);
      ck_assert(tier_fixture_submit(&fixture, &ops[i]));
    }
    for (int i = 0; i < KEYS; i++) {
      while (!ops[i].ended)
        tier_fixture_run_ms(&fixture, 5);
      ck_assert_int_eq(ops[i].status, FLEET_OK);
      ck_assert_uint_eq(ops[i].size, size);
      ck_assert_str_eq(ops[i].value, keys[i]);
      tier_test_op_reset(&ops[i]);
    }
    tier_fixture_deinit(&fixture);
  }
  free(value);
}
END_TEST

static bool is_serving(void) {
  char key[32];
  struct tier_test_op op;
  for (int i = 0; i < KEYS; i++) {
    enum fleet_status status = tier_fixture_read(&fixture, key_of(i, key), &op);
    tier_test_op_reset(&op);
    if (status != FLEET_OK && status != FLEET_NONE)
      return false;
  }
  return true;
}

/* The keys of the others are served all the time. */
START_TEST(server_that_fails_costs_its_keys_alone) {
  char key[32];
  if (!begin())
    return;
  tier_fixture_set_deadline(&fixture, TIER_FIXTURE_FAILING_DEADLINE_NS);
  tier_fixture_connect(&fixture);
  ck_assert(is_serving());
  int owners[KEYS], refused = 0;
  for (int i = 0; i < KEYS; i++)
    owners[i] = tier_cluster_owner(&cluster, key_of(i, key));
  tier_server_freeze(&cluster.servers[1]);
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < KEYS; i++) {
      struct tier_test_op op;
      enum fleet_status status = tier_fixture_read(&fixture, key_of(i, key), &op);
      if (status != FLEET_NONE) {
        ck_assert_int_eq(owners[i], 1);
        refused++;
      }
    }
  ck_assert_int_gt(refused, 0);
  tier_server_thaw(&cluster.servers[1]);
  while (!is_serving())
    tier_fixture_run_ms(&fixture, 20);
  tier_fixture_deinit(&fixture);
}
END_TEST

/* Each of them knows the map. */
START_TEST(second_url_is_used_if_first_server_is_gone) {
  char urls[600];
  if (!begin())
    return;
  (void)snprintf(urls, sizeof urls, "redis://127.0.0.1:1,%s", cluster.servers[2].url);
  tier_fixture_deinit(&fixture);
  tier_fixture_init(&fixture, urls);
  tier_fixture_connect(&fixture);
  while (!is_serving())
    tier_fixture_run_ms(&fixture, 20);
  publish_all(FLEET_OK);
  tier_fixture_deinit(&fixture);
}
END_TEST

START_TEST(cluster_that_restarts_is_used_again) {
  start_cluster(
      (enum tier_engine)_i); /* of its own: only the process that started a server ends it */
  if (!begin())
    return;
  tier_fixture_set_deadline(&fixture, TIER_FIXTURE_FAILING_DEADLINE_NS);
  tier_fixture_connect(&fixture);
  ck_assert(is_serving());
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    tier_server_kill9(&cluster.servers[i]);
  ck_assert(!is_serving());
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    tier_server_restart(&cluster.servers[i]);
  tier_cluster_wait(&cluster);
  while (!is_serving())
    tier_fixture_run_ms(&fixture, 20);
  tier_fixture_deinit(&fixture);
  stop_cluster();
}
END_TEST

static void add_tests(Suite *suite, const char *name, void (*start)(void),
                      enum tier_engine engine) {
  TCase *tc = tcase_create(name);
  tcase_set_timeout(tc, 120);
  tcase_add_unchecked_fixture(tc, start, stop_cluster);
  tcase_add_test(tc, each_key_is_asked_at_its_server);
  tcase_add_test(tc, large_values_of_all_servers_come_one_by_one);
  tcase_add_test(tc, second_url_is_used_if_first_server_is_gone);
  tcase_add_test(tc, slot_that_moves_is_followed);
  tcase_add_test(tc, ask_is_followed_once);
  tcase_add_test(tc, server_that_fails_costs_its_keys_alone);
  suite_add_tcase(suite, tc);
  TCase *own = tcase_create("restart");
  tcase_set_timeout(own, 120);
  tcase_add_loop_test(own, cluster_that_restarts_is_used_again, engine, (int)engine + 1);
  suite_add_tcase(suite, own);
}

int main(void) {
  Suite *suite = suite_create("tier_cluster");
  add_tests(suite, "redis", start_redis, TIER_ENGINE_REDIS);
  add_tests(suite, "valkey", start_valkey, TIER_ENGINE_VALKEY);
  return harness_main(suite);
}
