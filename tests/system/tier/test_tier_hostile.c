/* The transport against a scripted server: hostile replies, silence, and storms of redirections.
 * The fleet gets each op back once, and the transport serves again when the server does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/breaker.h"
#include "tests/support/harness.h"
#include "tests/support/scripted_resp.h"
#include "tests/support/tier_fixture.h"

#define DEADLINE_NS UINT64_C(60000000)

struct world {
  struct tier_fixture fixture;
  struct scripted_resp server;
  const char *reply; /* to each op; NULL: none */
  size_t size;
  bool close_after, silent; /* silent: also in the handshake */
  uint32_t ops;
};

static void on_command(struct scripted_conn *conn, const struct resp_reply *command, void *arg) {
  struct world *world = arg;
  if (world->silent || scripted_resp_greet(conn, command))
    return;
  world->ops++;
  if (world->reply != NULL)
    scripted_resp_send(conn, world->reply, world->size);
  if (world->close_after)
    scripted_resp_close(conn);
}

static void set_reply(struct world *world, const char *text) {
  world->reply = text;
  world->size = text != NULL ? strlen(text) : 0;
}

static void start(struct world *world) {
  memset(world, 0, sizeof *world);
  tier_fixture_init(&world->fixture, "redis://127.0.0.1:1");
  scripted_resp_start(&world->server, &world->fixture.loop, on_command, world);
  world->fixture.urls.addresses[0].port = world->server.port;
  set_reply(world, "$1\r\nx\r\n");
}

static void stop(struct world *world) {
  scripted_resp_stop(&world->server);
  tier_fixture_deinit(&world->fixture);
}

static enum fleet_status read_one(struct world *world) {
  struct tier_test_op op;
  enum fleet_status status = tier_fixture_read(&world->fixture, "k", &op);
  tier_test_op_reset(&op);
  ck_assert_uint_le(op.times, 1);
  return status;
}

struct wanted_line {
  struct world *world;
  const char *text;
};

static bool is_logged(void *arg) {
  const struct wanted_line *line = arg;
  return tier_fixture_logged(&line->world->fixture, line->text) > 0;
}

/* The line comes in the next turn, and once. */
static void expect_line(struct world *world, const char *text) {
  struct wanted_line line = {world, text};
  tier_fixture_run_until(&world->fixture, is_logged, &line);
  ck_assert_uint_eq(tier_fixture_logged(&world->fixture, text), 1);
}

/* The server replies well again: probes close the breakers. */
static void expect_recovery(struct world *world) {
  world->silent = world->close_after = false;
  set_reply(world, "$1\r\nx\r\n");
  uint64_t begun_ns = uv_hrtime();
  tier_fixture_wait_ready(&world->fixture);
  ck_assert_uint_lt(uv_hrtime() - begun_ns,
                    UINT64_C(15000000000)); /* a second on an idle machine */
  ck_assert_int_eq(read_one(world), FLEET_OK);
}

/* Each reply closes the connection, and is said in the log once. */
static const struct {
  const char *reply, *log;
} hostile[] = {
    {"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n", "Protocol error"},
    {"$-7\r\n", "length"},
    {"*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n", "unexpected type"},
    {"*2000000000\r\n", "larger than what was asked for"},
    {"$9999999999\r\n$", NULL}, /* never comes: the deadline ends it */
    {"$1\r\nx\r\n$1\r\ny\r\n", "replied to nothing"},
};

START_TEST(hostile_reply_closes_connection) {
  struct world w;
  start(&w);
  tier_fixture_set_deadline(&w.fixture, DEADLINE_NS);
  tier_fixture_connect(&w.fixture);
  tier_fixture_wait_ready(&w.fixture);
  set_reply(&w, hostile[_i].reply);
  enum fleet_status status = read_one(&w);
  ck_assert_int_eq(status, _i == 5 ? FLEET_OK : _i == 4 ? FLEET_TIMEOUT : FLEET_DOWN);
  expect_line(&w, "no reads and writes until it recovers");
  if (hostile[_i].log != NULL)
    expect_line(&w, hostile[_i].log);
  ck_assert_int_eq(read_one(&w), FLEET_DOWN);
  expect_recovery(&w);
  stop(&w);
}
END_TEST

/* Redis repeats the arguments of a command that it does not know. */
START_TEST(error_that_repeats_password_is_not_logged) {
  static const char *const replies[] = {
      "-ERR unknown command 'AUTH', with args beginning with: 'opensesame'\r\n", "-opensesame\r\n",
      "-LOADING opensesame\r\n"};
  char file[HARNESS_PATH_SIZE + 16], dir[HARNESS_PATH_SIZE];
  struct world w;
  harness_make_dir(dir);
  (void)snprintf(file, sizeof file, "%s/password", dir);
  FILE *password = fopen(file, "w");
  ck_assert_ptr_nonnull(password);
  ck_assert_int_ge(fputs("opensesame\n", password), 0);
  ck_assert_int_eq(fclose(password), 0);
  start(&w);
  set_reply(&w, replies[_i]);
  w.fixture.config.password_file = file;
  tier_fixture_connect(&w.fixture);
  ck_assert_int_eq(read_one(&w), FLEET_DOWN);
  expect_line(&w, "no reads and writes until it recovers: it ");
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "opensesame"), 0);
  stop(&w);
}
END_TEST

/* A reply of another type than the op's is wrong. The connection stays. */
START_TEST(reply_of_wrong_type_is_wrong) {
  static const char *const replies[] = {":1\r\n", "*0\r\n", "+OK\r\n", "*1\r\n$1\r\nx\r\n"};
  struct world w;
  start(&w);
  tier_fixture_connect(&w.fixture);
  for (size_t i = 0; i < 4; i++) {
    set_reply(&w, replies[i]);
    ck_assert_int_eq(read_one(&w), FLEET_WRONG);
  }
  ck_assert_uint_eq(w.server.connections, 1);
  stop(&w);
}
END_TEST

START_TEST(value_over_limit_is_refused_before_it_has_come) {
  struct world w;
  size_t size = TIER_FIXTURE_LIMIT + 100000;
  char *bytes = malloc(size);
  memset(bytes, 'x', size);
  memcpy(bytes, "$900000000\r\n", 12);
  start(&w);
  tier_fixture_connect(&w.fixture);
  tier_fixture_wait_ready(&w.fixture);
  w.reply = bytes;
  w.size = size;
  ck_assert_int_eq(read_one(&w), FLEET_DOWN);
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "larger than what was asked for"), 1);
  stop(&w);
  free(bytes);
}
END_TEST

/* In the handshake, in a command, and in the middle of a reply. */
START_TEST(silent_server_costs_one_deadline) {
  struct world w;
  start(&w);
  tier_fixture_set_deadline(&w.fixture, DEADLINE_NS);
  w.silent = _i == 0;
  uint64_t begun_ns = uv_hrtime();
  tier_fixture_connect(&w.fixture);
  if (_i > 0) {
    tier_fixture_wait_ready(&w.fixture);
    begun_ns = uv_hrtime();
  }
  set_reply(&w, _i == 2 ? "$100\r\nabc" : NULL);
  ck_assert_int_eq(read_one(&w), FLEET_TIMEOUT);
  uint64_t took_ns = uv_hrtime() - begun_ns;
  ck_assert_uint_lt(took_ns, 20 * DEADLINE_NS); /* the machine may be busy */
  ck_assert_uint_ge(took_ns, DEADLINE_NS / 2);
  for (int i = 0; i < 100; i++)
    ck_assert_int_eq(read_one(&w), FLEET_DOWN);
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "no reads and writes until it recovers"), 1);
  expect_recovery(&w);
  expect_line(&w, "reads again, after ");
  expect_line(&w, "writes again, after ");
  stop(&w);
}
END_TEST

/* Bytes come, but never the end. */
START_TEST(trickling_reply_ends_after_four_deadlines) {
  struct world w;
  struct tier_test_op op;
  start(&w);
  tier_fixture_set_deadline(&w.fixture, 4 * DEADLINE_NS);
  tier_fixture_connect(&w.fixture);
  tier_fixture_wait_ready(&w.fixture);
  set_reply(&w, "$100000\r\na");
  tier_test_op_init(&op, FLEET_OP_READ, FLEET_READS, "k");
  ck_assert(tier_fixture_submit(&w.fixture, &op));
  uint64_t begun_ns = uv_hrtime();
  for (uint32_t ops = w.ops; !op.ended;) {
    tier_fixture_run_ms(&w.fixture, 30);
    if (w.ops > ops && w.server.first != NULL)
      scripted_resp_send_text(w.server.first, "a");
  }
  ck_assert_int_eq(op.status, FLEET_TIMEOUT);
  ck_assert(op.op.answering);
  ck_assert_uint_ge(uv_hrtime() - begun_ns, 12 * DEADLINE_NS);
  stop(&w);
}
END_TEST

START_TEST(server_that_closes_fails_ops_in_flight) {
  struct world w;
  start(&w);
  tier_fixture_connect(&w.fixture);
  tier_fixture_wait_ready(&w.fixture);
  set_reply(&w, "$100\r\nabc");
  w.close_after = true;
  ck_assert_int_eq(read_one(&w), FLEET_DOWN);
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "the server closed the connection"), 1);
  expect_recovery(&w);
  stop(&w);
}
END_TEST

/* Servers close idle connections: the next op connects again, and nothing is logged. */
START_TEST(idle_connection_that_ends_is_made_again) {
  struct world w;
  start(&w);
  tier_fixture_connect(&w.fixture);
  ck_assert_int_eq(read_one(&w), FLEET_OK);
  scripted_resp_close(w.server.first);
  while (tier_fixture_server(&w.fixture, 0).connected)
    tier_fixture_run_ms(&w.fixture, 5);
  ck_assert_int_eq(read_one(&w), FLEET_OK);
  ck_assert_uint_eq(w.server.connections, 2);
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "tier server"), 0);
  ck_assert_uint_eq(tier_fixture_server(&w.fixture, 0).reconnects, 1);
  stop(&w);
}
END_TEST

/* Three errors in a row open the breaker of their class. The connection stays. */
START_TEST(errors_of_server_open_breaker) {
  static const char *const errors[] = {"-LOADING the dataset\r\n", "-OOM no memory\r\n",
                                       "-READONLY a replica\r\n", "-CLUSTERDOWN the cluster\r\n",
                                       "-MISCONF no disk\r\n"};
  struct world w;
  start(&w);
  tier_fixture_connect(&w.fixture);
  tier_fixture_wait_ready(&w.fixture);
  set_reply(&w, errors[_i]);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(read_one(&w), FLEET_REFUSED);
  ck_assert_int_eq(read_one(&w), FLEET_DOWN);
  ck_assert_int_eq(tier_fixture_server(&w.fixture, 0).breakers[TIER_WRITES].state, BREAKER_CLOSED);
  expect_line(&w, "no reads until it recovers");
  expect_recovery(&w);
  ck_assert_uint_eq(w.server.connections, 1);
  stop(&w);
}
END_TEST

START_TEST(error_of_one_command_opens_nothing) {
  struct world w;
  start(&w);
  tier_fixture_connect(&w.fixture);
  set_reply(&w, "-ERR unknown command\r\n");
  for (int i = 0; i < 20; i++)
    ck_assert_int_eq(read_one(&w), FLEET_REFUSED);
  ck_assert_uint_eq(tier_fixture_logged(&w.fixture, "tier server"), 0);
  stop(&w);
}
END_TEST

/* The server always names itself. An op is sent TIER_TRIES_MAX times. */
START_TEST(storm_of_redirections_is_bounded) {
  char reply[64];
  struct world w;
  start(&w);
  tier_fixture_connect(&w.fixture);
  (void)snprintf(reply, sizeof reply, "-%s 1 127.0.0.1:%u\r\n", _i ? "ASK" : "MOVED",
                 w.server.port);
  set_reply(&w, reply);
  for (int i = 0; i < 10; i++)
    ck_assert_int_eq(read_one(&w), FLEET_REFUSED);
  ck_assert_uint_le(w.ops, 10 * 10);
  ck_assert_uint_le(w.server.connections, 3);
  stop(&w);
}
END_TEST

/* Each reply names another server. */
START_TEST(redirections_to_many_servers_are_bounded) {
  char reply[64];
  struct world w;
  start(&w);
  tier_fixture_set_deadline(&w.fixture, DEADLINE_NS);
  tier_fixture_connect(&w.fixture);
  for (unsigned i = 0; i < 3 * TIER_SERVERS_MAX; i++) {
    (void)snprintf(reply, sizeof reply, "-ASK 1 127.0.%u.2:1\r\n", i);
    set_reply(&w, reply);
    (void)read_one(&w);
  }
  unsigned n = 0;
  for (struct tier_server_report report = {0};
       tier_io_next_server(w.fixture.tier, report.serial, &report);)
    n++;
  ck_assert_uint_le(n, TIER_SERVERS_MAX + 1);
  stop(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_hostile");
  TCase *tc = tcase_create("tier_hostile");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, hostile_reply_closes_connection, 0, 6);
  tcase_add_loop_test(tc, error_that_repeats_password_is_not_logged, 0, 3);
  tcase_add_test(tc, reply_of_wrong_type_is_wrong);
  tcase_add_test(tc, value_over_limit_is_refused_before_it_has_come);
  tcase_add_loop_test(tc, silent_server_costs_one_deadline, 0, 3);
  tcase_add_test(tc, trickling_reply_ends_after_four_deadlines);
  tcase_add_test(tc, server_that_closes_fails_ops_in_flight);
  tcase_add_test(tc, idle_connection_that_ends_is_made_again);
  tcase_add_loop_test(tc, errors_of_server_open_breaker, 0, 5);
  tcase_add_test(tc, error_of_one_command_opens_nothing);
  tcase_add_loop_test(tc, storm_of_redirections_is_bounded, 0, 2);
  tcase_add_test(tc, redirections_to_many_servers_are_bounded);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
