/* The transport alone against real servers, each op and each kind of its reply. A test runs once
 * for each engine. */
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_scripts.h"
#include "tests/support/harness.h"
#include "tests/support/tier_fixture.h"
#include "tests/support/tier_server.h"

struct world {
  struct tier_server server;
  struct tier_fixture fixture;
};

/* Returns false if the engine is missing. */
static bool start(struct world *world, int engine, const struct tier_server_config *more,
                  bool by_tcp) {
  struct tier_server_config config = *more;
  config.program = tier_engine_program(engine);
  config.tcp = config.tcp || by_tcp;
  if (config.program == NULL)
    return false;
  tier_server_start(&world->server, &config);
  tier_fixture_init(&world->fixture, by_tcp ? world->server.url : world->server.unix_url);
  if (config.password != NULL)
    world->fixture.config.password_file = world->server.password_file;
  tier_fixture_connect(&world->fixture);
  return true;
}

static void stop(struct world *world) {
  tier_fixture_deinit(&world->fixture);
  tier_server_stop(&world->server);
}

static const struct tier_server_config plain;

START_TEST(publish_then_read_returns_value) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, &plain, true))
    return;
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_NONE);
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, "k", "a\0b\r\n", 5), FLEET_OK);
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, "k", "other", 5), FLEET_NONE);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_OK);
  ck_assert_uint_eq(op.size, 5);
  ck_assert_int_eq(memcmp(op.value, "a\0b\r\n", 5), 0);
  tier_test_op_reset(&op);
  struct tier_server_report report = tier_fixture_server(&w.fixture, 0);
  ck_assert(report.connected);
  ck_assert_str_eq(report.role, "single");
  ck_assert_uint_eq(report.reads, 2);
  ck_assert_uint_eq(report.hits, 1);
  ck_assert_uint_eq(report.misses, 1);
  ck_assert_uint_eq(report.writes, 2);
  ck_assert_uint_eq(report.latencies[TIER_READS]->count, 2);
  stop(&w);
}
END_TEST

/* Larger than the buffers for writes and for reads of the socket. */
START_TEST(large_value_travels_whole) {
  struct world w;
  struct tier_test_op op;
  size_t size = TIER_FIXTURE_LIMIT;
  char *value = malloc(size);
  if (start(&w, _i, &plain, true)) {
    for (size_t i = 0; i < size; i++)
      value[i] = (char)(i * 2654435761u >> 13);
    ck_assert_int_eq(tier_fixture_publish(&w.fixture, "large", value, size), FLEET_OK);
    for (int i = 0; i < 3; i++) {
      ck_assert_int_eq(tier_fixture_read(&w.fixture, "large", &op), FLEET_OK);
      ck_assert_uint_eq(op.size, size);
      ck_assert_int_eq(memcmp(op.value, value, size), 0);
      tier_test_op_reset(&op);
    }
    stop(&w);
  }
  free(value);
}
END_TEST

START_TEST(read_is_cut_at_limit) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, &plain, false))
    return;
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, "k", "abcdef", 6), FLEET_OK);
  tier_test_op_init(&op, FLEET_OP_READ, FLEET_READS, "k");
  op.op.limit = 3;
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert_str_eq(op.value, "abc");
  tier_test_op_reset(&op);
  stop(&w);
}
END_TEST

START_TEST(lease_is_granted_once_and_comes_with_value) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, &plain, false))
    return;
  tier_test_op_init(&op, FLEET_OP_LEASE, FLEET_WRITES, "{a}v");
  op.op.more = fc_str_of("{a}l");
  op.op.token = fc_str_of("token");
  op.op.time_ms = 60000;
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert(op.granted);
  ck_assert_uint_eq(op.size, 0);
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert(!op.granted);
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, "{a}v", "x", 1), FLEET_OK);
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert_str_eq(op.value, "x");
  ck_assert_int_gt(tier_server_number(&w.server, "PTTL", "{a}l", NULL), 1000);
  tier_test_op_reset(&op);
  stop(&w);
}
END_TEST

START_TEST(script_runs_also_when_server_has_forgotten_it) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, &plain, false))
    return;
  tier_test_op_init(&op, FLEET_OP_SCRIPT, FLEET_WRITES, "lease");
  op.op.script = &fleet_script_release;
  op.op.args[0] = fc_str_of("token");
  op.op.n_args = 1;
  for (int i = 0; i < 3; i++) {
    tier_server_do(&w.server, "SET", "lease", i == 1 ? "another" : "token", NULL);
    ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
    ck_assert_int_eq(op.number, i == 1 ? 0 : 1);
    tier_server_do(&w.server, "SCRIPT", "FLUSH", NULL);
  }
  stop(&w);
}
END_TEST

START_TEST(hash_and_list_are_returned) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, &plain, false))
    return;
  tier_test_op_init(&op, FLEET_OP_VERSION, FLEET_READS, "clears");
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_NONE);
  tier_server_do(&w.server, "HSET", "clears", "id", "abc", NULL);
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert_int_eq(op.number, 0);
  tier_server_do(&w.server, "HSET", "clears", "n", "42", NULL);
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert_str_eq(op.value, "abc");
  ck_assert_int_eq(op.number, 42);
  tier_test_op_reset(&op);
  tier_test_op_init(&op, FLEET_OP_TABLE, FLEET_READS, "clears");
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert_uint_eq(op.n_items, 4);
  ck_assert_ptr_nonnull(strstr(op.items, "id\nabc\n"));
  tier_test_op_reset(&op);
  tier_server_do(&w.server, "RPUSH", "log", "one", "two", "three", NULL);
  tier_test_op_init(&op, FLEET_OP_LIST, FLEET_READS, "log");
  op.op.first = -2;
  op.op.last = -1;
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert_str_eq(op.items, "two\nthree\n");
  tier_test_op_reset(&op);
  tier_test_op_init(&op, FLEET_OP_SET_FIELD, FLEET_WRITES, "manifests");
  op.op.more = fc_str_of("ns");
  op.op.payload = fc_str_of("{}");
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  op.op.kind = FLEET_OP_GET_FIELD;
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_OK);
  ck_assert_str_eq(op.value, "{}");
  op.op.more = fc_str_of("absent");
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_NONE);
  stop(&w);
}
END_TEST

START_TEST(key_of_another_type_is_wrong) {
  struct world w;
  struct tier_test_op op;
  if (!start(&w, _i, &plain, false))
    return;
  tier_server_do(&w.server, "RPUSH", "k", "x", NULL);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_WRONG);
  ck_assert_ptr_nonnull(strstr(op.text, "WRONGTYPE"));
  tier_server_do(&w.server, "HSET", "clears", "n", "-1", NULL);
  tier_test_op_init(&op, FLEET_OP_VERSION, FLEET_READS, "clears");
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &op), FLEET_WRONG);
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "tier server"), 0);
  stop(&w);
}
END_TEST

/* 500 reads are submitted in one turn, and their replies come in order. */
START_TEST(ops_of_a_turn_are_one_pipeline) {
  struct world w;
  static struct tier_test_op ops[500];
  char keys[500][16];
  if (!start(&w, _i, &plain, true))
    return;
  tier_fixture_wait_ready(&w.fixture);
  for (int i = 0; i < 500; i++) {
    (void)snprintf(keys[i], sizeof keys[i], "key%d", i);
    tier_test_op_init(&ops[i], i % 2 ? FLEET_OP_READ : FLEET_OP_PUBLISH,
                      i % 2 ? FLEET_READS : FLEET_WRITES, keys[i - i % 2]);
    ops[i].op.payload = fc_str_of(keys[i]);
    ck_assert(tier_fixture_submit(&w.fixture, &ops[i]));
  }
  struct tier_test_op last;
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "key0", &last), FLEET_OK);
  tier_test_op_reset(&last);
  for (int i = 0; i < 500; i++) {
    ck_assert_uint_eq(ops[i].times, 1);
    ck_assert_int_eq(ops[i].status, FLEET_OK);
    if (i % 2)
      ck_assert_str_eq(ops[i].value, keys[i - 1]);
    tier_test_op_reset(&ops[i]);
  }
  stop(&w);
}
END_TEST

START_TEST(cancelled_op_is_forgotten) {
  struct world w;
  struct tier_test_op a, b;
  if (!start(&w, _i, &plain, true))
    return;
  tier_fixture_wait_ready(&w.fixture);
  tier_server_freeze(&w.server);
  tier_test_op_init(&a, FLEET_OP_READ, FLEET_READS, "a");
  tier_test_op_init(&b, FLEET_OP_READ, FLEET_READS, "b");
  ck_assert(tier_fixture_submit(&w.fixture, &a)); /* is sent */
  tier_fixture_run_ms(&w.fixture, 20);
  ck_assert(tier_fixture_submit(&w.fixture, &b)); /* is not */
  fleet_io_cancel(tier_io_interface(w.fixture.tier), &a.op);
  fleet_io_cancel(tier_io_interface(w.fixture.tier), &b.op);
  tier_server_thaw(&w.server);
  tier_server_do(&w.server, "SET", "c", "x", NULL);
  struct tier_test_op c;
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "c", &c), FLEET_OK);
  ck_assert_str_eq(c.value, "x");
  tier_test_op_reset(&c);
  ck_assert_uint_eq(a.times + b.times, 0);
  stop(&w);
}
END_TEST

START_TEST(user_with_password_and_database_are_used) {
  struct world w;
  char url[400];
  const struct tier_server_config config = {.program = tier_engine_program(_i),
                                            .tcp = true,
                                            .password = "secret words",
                                            .user = "evals",
                                            .rules = "~fcached:* +@all"};
  if (config.program == NULL)
    return;
  tier_server_start(&w.server, &config);
  (void)snprintf(url, sizeof url, "redis://evals@127.0.0.1:%u/3", w.server.port);
  tier_fixture_init(&w.fixture, url);
  w.fixture.config.password_file = w.server.password_file;
  tier_fixture_connect(&w.fixture);
  ck_assert_int_eq(tier_fixture_publish(&w.fixture, "fcached:k", "x", 1), FLEET_OK);
  struct tier_test_op op;
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_REFUSED);
  ck_assert_ptr_nonnull(strstr(op.text, "NOPERM"));
  char *info = tier_server_command(&w.server, "INFO", "keyspace", NULL);
  ck_assert_ptr_nonnull(strstr(info, "db3:keys=1"));
  free(info);
  stop(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_io");
  TCase *tc = tcase_create("tier_io");
  tcase_set_timeout(tc, 60);
  const TTest *const tests[] = {publish_then_read_returns_value,
                                large_value_travels_whole,
                                read_is_cut_at_limit,
                                lease_is_granted_once_and_comes_with_value,
                                script_runs_also_when_server_has_forgotten_it,
                                hash_and_list_are_returned,
                                key_of_another_type_is_wrong,
                                ops_of_a_turn_are_one_pipeline,
                                cancelled_op_is_forgotten,
                                user_with_password_and_database_are_used};
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
    tcase_add_loop_test(tc, tests[i], 0, TIER_ENGINES);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
