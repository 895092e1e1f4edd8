/* A connection to the tier is lost: what waits until the server is back, what is sent again, and
 * for how long. A test with an engine runs once for each. */
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/breaker.h"
#include "tests/support/harness.h"
#include "tests/support/scripted_resp.h"
#include "tests/support/tier_fixture.h"
#include "tests/support/tier_server.h"

#define SHORT_NS UINT64_C(300000000)
#define OPS 3u

/* ---- ops ---- */

static bool has_ended(void *arg) {
  const struct tier_test_op *op = arg;
  return op->ended;
}

static bool is_sent(void *arg) {
  const struct tier_test_op *op = arg;
  return op->op.sent;
}

static void init_lease(struct tier_test_op *op) {
  tier_test_op_init(op, FLEET_OP_LEASE, FLEET_WRITES, "{a}v");
  op->op.more = fc_str_of("{a}l");
  op->op.token = fc_str_of("token");
  op->op.time_ms = 60000;
}

static void init_publish(struct tier_test_op *op, const char *key) {
  tier_test_op_init(op, FLEET_OP_PUBLISH, FLEET_WRITES, key);
  op->op.payload = fc_str_of("x");
}

static void submit(struct tier_fixture *fixture, struct tier_test_op *op) {
  ck_assert(tier_fixture_submit(fixture, op));
}

/* Waits for the end of the op, and frees its copies. */
static void expect_end(struct tier_fixture *fixture, struct tier_test_op *op,
                       enum fleet_status status) {
  tier_fixture_run_until(fixture, has_ended, op);
  ck_assert_uint_eq(op->times, 1);
  ck_assert_int_eq(op->status, status);
  tier_test_op_reset(op);
}

static void expect_quiet(struct tier_fixture *fixture) {
  struct tier_server_report report = tier_fixture_server(fixture, 0);
  ck_assert_int_eq(report.breakers[TIER_READS].state, BREAKER_CLOSED);
  ck_assert_int_eq(report.breakers[TIER_WRITES].state, BREAKER_CLOSED);
  ck_assert_uint_eq(tier_fixture_logged(fixture, "tier server"), 0);
}

/* ---- real servers ---- */

static bool start(struct tier_server *server, struct tier_fixture *fixture, int engine) {
  const struct tier_server_config config = {.program = tier_engine_program(engine),
                                            .persistent = true};
  if (config.program == NULL)
    return false;
  tier_server_start(server, &config);
  tier_fixture_init(fixture, server->unix_url);
  return true;
}

/* A value of the server shows that it serves. */
static void serve(struct tier_fixture *fixture) {
  tier_fixture_connect(fixture);
  ck_assert_int_eq(tier_fixture_publish(fixture, "k", "x", 1), FLEET_OK);
}

START_TEST(server_that_restarts_within_the_deadline_fails_no_read) {
  struct tier_server server;
  struct tier_fixture fixture;
  struct tier_test_op read, lease, publish, later;
  if (!start(&server, &fixture, _i))
    return;
  serve(&fixture);
  tier_server_freeze(&server);
  tier_test_op_init(&read, FLEET_OP_READ, FLEET_READS, "k");
  init_lease(&lease);
  init_publish(&publish, "sent");
  init_publish(&later, "later");
  submit(&fixture, &read);
  submit(&fixture, &lease);
  submit(&fixture, &publish);
  tier_fixture_run_until(&fixture, is_sent, &publish);
  tier_server_kill9(&server);
  expect_end(&fixture, &publish, FLEET_DOWN); /* it may have been executed */
  submit(&fixture, &later);
  tier_fixture_run_ms(&fixture, 200); /* several attempts to connect */
  ck_assert(!read.ended && !lease.ended && !later.ended);
  ck_assert(!read.op.sent);
  expect_quiet(&fixture);
  tier_server_restart(&server);
  tier_fixture_run_until(&fixture, has_ended, &lease);
  ck_assert(lease.granted);
  expect_end(&fixture, &lease, FLEET_OK);
  expect_end(&fixture, &read, FLEET_OK);
  expect_end(&fixture, &later, FLEET_OK);
  expect_quiet(&fixture);
  ck_assert_uint_eq(tier_fixture_server(&fixture, 0).reconnects, 1);
  tier_fixture_deinit(&fixture);
  tier_server_stop(&server);
}
END_TEST

/* All that waits costs one deadline. Then the breakers are open, and a new node has no grace. */
START_TEST(server_that_stays_away_costs_one_deadline) {
  struct tier_server server;
  struct tier_fixture fixture, other;
  struct tier_test_op ops[OPS];
  if (!start(&server, &fixture, _i))
    return;
  fixture.config.deadline_ns = SHORT_NS;
  serve(&fixture);
  tier_server_kill9(&server);
  uint64_t lost_ns = uv_hrtime();
  for (unsigned i = 0; i < OPS; i++) {
    tier_test_op_init(&ops[i], FLEET_OP_READ, FLEET_READS, "k");
    submit(&fixture, &ops[i]);
  }
  for (unsigned i = 0; i < OPS; i++)
    expect_end(&fixture, &ops[i], FLEET_DOWN);
  ck_assert_uint_ge(uv_hrtime() - lost_ns, SHORT_NS);
  ck_assert_uint_lt(uv_hrtime() - lost_ns, fixture.op_deadline_ns);
  ck_assert(!tier_fixture_submit(&fixture, &ops[0]));
  ck_assert_uint_eq(tier_fixture_logged(&fixture, "no reads and writes until it recovers"), 1);
  tier_fixture_deinit(&fixture);

  tier_fixture_init(&other, server.unix_url);
  tier_fixture_connect(&other);
  lost_ns = uv_hrtime();
  ck_assert_int_eq(tier_fixture_read(&other, "k", &ops[0]), FLEET_DOWN);
  tier_test_op_reset(&ops[0]);
  ck_assert_uint_lt(uv_hrtime() - lost_ns, other.config.deadline_ns / 2);
  tier_fixture_deinit(&other);
  tier_server_stop(&server);
}
END_TEST

START_TEST(op_waits_in_the_grace_until_its_own_deadline) {
  struct tier_server server;
  struct tier_fixture fixture;
  struct tier_test_op op;
  if (!start(&server, &fixture, _i))
    return;
  serve(&fixture);
  tier_server_kill9(&server);
  fixture.op_deadline_ns = SHORT_NS;
  tier_test_op_init(&op, FLEET_OP_READ, FLEET_READS, "k");
  submit(&fixture, &op);
  expect_end(&fixture, &op, FLEET_TIMEOUT);
  expect_quiet(&fixture);
  submit(&fixture, &op);
  fleet_io_cancel(tier_io_interface(fixture.tier), &op.op);
  tier_fixture_deinit(&fixture);
  tier_server_stop(&server);
}
END_TEST

/* ---- a scripted server ---- */

struct world {
  struct tier_fixture fixture;
  struct scripted_resp server;
  uint32_t cuts;     /* connections that end at the next op */
  uint32_t loading;  /* errors to the next ops */
  const char *token; /* of the lease */
  uint32_t sets;
};

static bool is_text(const struct resp_reply *command, size_t i, const char *text) {
  return command->n > i && command->items[i].size == strlen(text) &&
         memcmp(command->items[i].text, text, strlen(text)) == 0;
}

static void reply(struct scripted_conn *conn, const struct resp_reply *command,
                  struct world *world) {
  char text[64];
  if (scripted_resp_is(command, "SET"))
    scripted_resp_send_text(conn, ++world->sets == 1 ? "+OK\r\n" : "$-1\r\n");
  else if (is_text(command, 2, "{a}l")) {
    (void)snprintf(text, sizeof text, "$%zu\r\n%s\r\n", strlen(world->token), world->token);
    scripted_resp_send_text(conn, text);
  } else
    scripted_resp_send_text(conn, is_text(command, 2, "{a}v") ? "$0\r\n\r\n" : "$1\r\nx\r\n");
}

static void on_command(struct scripted_conn *conn, const struct resp_reply *command, void *arg) {
  struct world *world = arg;
  if (scripted_resp_greet(conn, command))
    return;
  if (world->cuts > 0) {
    world->cuts--;
    world->sets += scripted_resp_is(command, "SET");
    scripted_resp_close(conn);
  } else if (world->loading > 0) {
    world->loading--;
    scripted_resp_send_text(conn, "-LOADING the dataset\r\n");
  } else {
    reply(conn, command, world);
  }
}

static void world_start(struct world *world) {
  struct tier_test_op op;
  memset(world, 0, sizeof *world);
  world->token = "token";
  tier_fixture_init(&world->fixture, "redis://127.0.0.1:1");
  scripted_resp_start(&world->server, &world->fixture.loop, on_command, world);
  world->fixture.urls.addresses[0].port = world->server.port;
  tier_fixture_connect(&world->fixture);
  ck_assert_int_eq(tier_fixture_read(&world->fixture, "k", &op), FLEET_OK);
  tier_test_op_reset(&op);
}

static void world_stop(struct world *world) {
  scripted_resp_stop(&world->server);
  tier_fixture_deinit(&world->fixture);
}

START_TEST(connection_cut_once_repeats_reads) {
  struct world w;
  struct tier_test_op ops[OPS];
  world_start(&w);
  w.cuts = 1;
  for (unsigned i = 0; i < OPS; i++) {
    tier_test_op_init(&ops[i], FLEET_OP_READ, FLEET_READS, "k");
    submit(&w.fixture, &ops[i]);
  }
  for (unsigned i = 0; i < OPS; i++)
    expect_end(&w.fixture, &ops[i], FLEET_OK);
  expect_quiet(&w.fixture);
  ck_assert_uint_eq(w.server.connections, 2);
  w.cuts = 1;
  init_publish(&ops[0], "k");
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &ops[0]), FLEET_DOWN);
  tier_test_op_reset(&ops[0]);
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &ops[0]), FLEET_OK);
  tier_test_op_reset(&ops[0]);
  expect_quiet(&w.fixture);
  world_stop(&w);
}
END_TEST

/* The server has executed SET when the connection ends. The token says whose the lease is. */
START_TEST(lease_granted_before_the_cut_is_granted_again) {
  static const char *const tokens[] = {"token", "token2", "another", ""};
  struct world w;
  struct tier_test_op lease;
  world_start(&w);
  w.token = tokens[_i];
  w.cuts = 1;
  init_lease(&lease);
  ck_assert_int_eq(tier_fixture_do(&w.fixture, &lease), FLEET_OK);
  ck_assert_uint_eq(w.sets, 2);
  ck_assert_int_eq(lease.granted, _i == 0);
  tier_test_op_reset(&lease);
  world_stop(&w);
}
END_TEST

START_TEST(server_that_loads_is_not_back_yet) {
  struct world w;
  struct tier_test_op op;
  world_start(&w);
  w.cuts = 1;
  w.loading = 3;
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_OK);
  tier_test_op_reset(&op);
  expect_quiet(&w.fixture);
  ck_assert_uint_eq(w.server.connections, 5);
  world_stop(&w);
}
END_TEST

/* It greets, and ends each connection at the first op. */
START_TEST(server_that_cuts_each_connection_costs_one_deadline) {
  struct world w;
  struct tier_test_op op;
  world_start(&w);
  w.cuts = UINT32_MAX;
  tier_io_set_deadline(w.fixture.tier, SHORT_NS);
  w.fixture.config.deadline_ns = SHORT_NS;
  uint64_t begun_ns = uv_hrtime();
  ck_assert_int_eq(tier_fixture_read(&w.fixture, "k", &op), FLEET_DOWN);
  tier_test_op_reset(&op);
  ck_assert_uint_ge(uv_hrtime() - begun_ns, SHORT_NS);
  ck_assert(!tier_fixture_submit(&w.fixture, &op));
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "no reads and writes until it recovers"), 1);
  world_stop(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_grace");
  TCase *tc = tcase_create("tier_grace");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, server_that_restarts_within_the_deadline_fails_no_read, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, server_that_stays_away_costs_one_deadline, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, op_waits_in_the_grace_until_its_own_deadline, 0, TIER_ENGINES);
  tcase_add_test(tc, connection_cut_once_repeats_reads);
  tcase_add_loop_test(tc, lease_granted_before_the_cut_is_granted_again, 0, 4);
  tcase_add_test(tc, server_that_loads_is_not_back_yet);
  tcase_add_test(tc, server_that_cuts_each_connection_costs_one_deadline);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
