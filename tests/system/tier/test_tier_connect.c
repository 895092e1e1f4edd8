/* How the transport reaches its server: names, sockets, passwords that change, replicas, and a
 * server that is full. A test with an engine runs once for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/breaker.h"
#include "tests/support/harness.h"
#include "tests/support/tier_fixture.h"
#include "tests/support/tier_server.h"

#define CONFIG(...) ((const struct tier_server_config){.program = program, __VA_ARGS__})

struct wanted {
  struct tier_fixture *fixture;
  const char *text;
  enum fleet_status status;
};

static bool is_logged(void *arg) {
  const struct wanted *wanted = arg;
  return tier_fixture_logged(wanted->fixture, wanted->text) > 0;
}

static void expect_line(struct tier_fixture *fixture, const char *text) {
  struct wanted wanted = {.fixture = fixture, .text = text};
  tier_fixture_run_until(fixture, is_logged, &wanted);
}

static enum fleet_status read_one(struct tier_fixture *fixture) {
  struct tier_test_op op;
  enum fleet_status status = tier_fixture_read(fixture, "fcached:k", &op);
  tier_test_op_reset(&op);
  return status;
}

START_TEST(name_is_looked_up) {
  const char *program = tier_any_program();
  struct tier_server server;
  struct tier_fixture fixture;
  char url[64];
  if (program == NULL)
    return;
  tier_server_start(&server, &CONFIG(.tcp = true));
  (void)snprintf(url, sizeof url, "valkey://localhost:%u", server.port);
  tier_fixture_init(&fixture, url);
  tier_fixture_connect(&fixture);
  ck_assert_int_eq(read_one(&fixture), FLEET_NONE);
  ck_assert_uint_eq(tier_fixture_logged(&fixture, "tier server"), 0);
  tier_server_stop(&server);
  tier_fixture_deinit(&fixture);
}
END_TEST

START_TEST(name_without_address_is_said) {
  struct tier_fixture fixture;
  tier_fixture_init(&fixture, "redis://name.invalid");
  tier_fixture_connect(&fixture);
  ck_assert_int_eq(read_one(&fixture), FLEET_DOWN);
  expect_line(&fixture, "tier server name.invalid:6379: no reads and writes until it recovers: "
                        "cannot look up its address");
  tier_fixture_deinit(&fixture);
}
END_TEST

/* The thread of the lookup outlives the transport. */
START_TEST(transport_closes_during_lookup) {
  struct tier_fixture fixture;
  for (int i = 0; i < 20; i++) {
    tier_fixture_init(&fixture, "redis://localhost:1");
    tier_fixture_connect(&fixture);
    if (i % 2)
      tier_fixture_run_ms(&fixture, 1);
    tier_fixture_deinit(&fixture);
  }
}
END_TEST

START_TEST(socket_that_appears_is_used) {
  const char *program = tier_engine_program(_i);
  struct tier_server server;
  struct tier_fixture fixture;
  if (program == NULL)
    return;
  tier_server_start(&server, &CONFIG(.persistent = true));
  tier_server_stop(&server);
  tier_fixture_init(&fixture, server.unix_url);
  tier_fixture_set_deadline(&fixture, TIER_FIXTURE_FAILING_DEADLINE_NS);
  tier_fixture_connect(&fixture);
  ck_assert_int_eq(read_one(&fixture), FLEET_DOWN);
  expect_line(&fixture, "cannot connect: no such file or directory");
  tier_server_restart(&server);
  tier_fixture_wait_ready(&fixture);
  ck_assert_int_eq(read_one(&fixture), FLEET_NONE);
  tier_server_kill9(&server);
  while (read_one(&fixture) != FLEET_DOWN)
    ;
  tier_server_restart(&server);
  while (read_one(&fixture) != FLEET_NONE) /* so soon, requests close the breaker, and not probes */
    tier_fixture_run_ms(&fixture, 10);
  tier_server_stop(&server);
  tier_fixture_deinit(&fixture);
}
END_TEST

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

/* The file is read at each connect. The log never has a password. */
START_TEST(password_that_changes_is_read_again) {
  const char *program = tier_engine_program(_i);
  struct tier_server server;
  struct tier_fixture fixture;
  char file[HARNESS_PATH_SIZE + 16], rules[64];
  if (program == NULL)
    return;
  tier_server_start(&server, &CONFIG(.tcp = true));
  (void)snprintf(file, sizeof file, "%s/password", server.dir);
  tier_server_do(&server, "ACL", "SETUSER", "evals", "on", ">first", "~*", "+@all", NULL);
  (void)snprintf(rules, sizeof rules, "redis://evals@127.0.0.1:%u", server.port);
  write_file(file, "wrong\n");
  tier_fixture_init(&fixture, rules);
  fixture.config.password_file = file;
  tier_fixture_connect(&fixture);
  ck_assert_int_eq(read_one(&fixture), FLEET_DOWN);
  expect_line(&fixture, "it refuses user or password (tier-password-file): WRONGPASS");
  write_file(file, "first\n");
  tier_fixture_wait_ready(&fixture);
  ck_assert_int_eq(read_one(&fixture), FLEET_NONE);
  tier_server_do(&server, "ACL", "SETUSER", "evals", "resetpass", ">second", NULL);
  write_file(file, "second");
  tier_server_do(&server, "CLIENT", "KILL", "USER", "evals", NULL);
  while (read_one(&fixture) != FLEET_NONE) /* the end of the connection is seen first */
    tier_fixture_run_ms(&fixture, 10);
  ck_assert_uint_eq(tier_fixture_logged(&fixture, "second"), 0);
  ck_assert_uint_eq(tier_fixture_logged(&fixture, "first"), 0);
  tier_fixture_deinit(&fixture);
  tier_server_stop(&server);
}
END_TEST

START_TEST(password_file_that_is_none_is_said) {
  static const char *const files[] = {"/nonexistent", "/dev/zero", "/", "/dev/null"};
  const char *program = tier_any_program();
  struct tier_server server;
  if (program == NULL)
    return;
  tier_server_start(&server, &CONFIG(.tcp = true));
  for (size_t i = 0; i < 4; i++) {
    struct tier_fixture fixture;
    tier_fixture_init(&fixture, server.url);
    fixture.config.password_file = files[i];
    tier_fixture_connect(&fixture);
    ck_assert_int_eq(read_one(&fixture), FLEET_DOWN);
    expect_line(&fixture, "tier-password-file: cannot read /");
    tier_fixture_deinit(&fixture);
  }
  tier_server_stop(&server);
}
END_TEST

static bool publishes(void *arg) {
  struct wanted *wanted = arg;
  return tier_fixture_publish(wanted->fixture, "fcached:new", "x", 1) == wanted->status;
}

static void expect_publish(struct tier_fixture *fixture, enum fleet_status status) {
  struct wanted wanted = {.fixture = fixture, .status = status};
  tier_fixture_run_until(fixture, publishes, &wanted);
}

/* The first URL is that of a replica. Then the primary dies, and the replica takes its place. */
START_TEST(primary_of_replicated_server_is_found) {
  const char *program = tier_engine_program(_i);
  struct tier_server servers[2];
  struct tier_fixture fixture;
  char urls[600], port[8];
  if (program == NULL)
    return;
  tier_server_start(&servers[0], &CONFIG(.tcp = true));
  tier_server_start(&servers[1], &CONFIG(.tcp = true));
  (void)snprintf(port, sizeof port, "%u", servers[0].port);
  tier_server_do(&servers[1], "REPLICAOF", "127.0.0.1", port, NULL);
  (void)snprintf(urls, sizeof urls, "%s,%s", servers[1].url, servers[0].url);
  tier_fixture_init(&fixture, urls);
  tier_fixture_set_deadline(&fixture, TIER_FIXTURE_FAILING_DEADLINE_NS);
  tier_fixture_connect(&fixture);
  ck_assert_int_eq(tier_fixture_publish(&fixture, "fcached:k", "x", 1), FLEET_OK);
  ck_assert_uint_eq(tier_fixture_logged(&fixture, "tier server"), 0);
  ck_assert_int_eq(tier_server_number(&servers[0], "EXISTS", "fcached:k", NULL), 1);
  tier_server_stop(&servers[0]);
  tier_server_do(&servers[1], "REPLICAOF", "NO", "ONE", NULL);
  expect_publish(&fixture, FLEET_OK);
  ck_assert_int_eq(tier_server_number(&servers[1], "EXISTS", "fcached:new", NULL), 1);
  tier_fixture_deinit(&fixture);
  tier_server_stop(&servers[1]);
}
END_TEST

/* A full server refuses writes and serves reads. A lease that it refuses still brings the value. */
START_TEST(full_server_serves_reads) {
  const char *program = tier_engine_program(_i);
  struct tier_server server;
  struct tier_fixture fixture;
  struct tier_test_op lease;
  if (program == NULL)
    return;
  tier_server_start(&server, &CONFIG(.tcp = true));
  tier_fixture_init(&fixture, server.url);
  tier_fixture_connect(&fixture);
  ck_assert_int_eq(tier_fixture_publish(&fixture, "fcached:k", "x", 1), FLEET_OK);
  tier_server_do(&server, "CONFIG", "SET", "maxmemory", "1", NULL);
  tier_test_op_init(&lease, FLEET_OP_LEASE, FLEET_WRITES, "fcached:k");
  lease.op.more = fc_str_of("fcached:l");
  lease.op.token = fc_str_of("token");
  lease.op.time_ms = 1000;
  ck_assert_int_eq(tier_fixture_do(&fixture, &lease), FLEET_OK);
  ck_assert(!lease.granted);
  ck_assert_str_eq(lease.value, "x");
  lease.op.key = fc_str_of("fcached:absent");
  ck_assert_int_eq(tier_fixture_do(&fixture, &lease), FLEET_REFUSED);
  ck_assert_int_eq(tier_fixture_publish(&fixture, "fcached:new", "x", 1), FLEET_REFUSED);
  ck_assert_int_eq(tier_fixture_publish(&fixture, "fcached:new", "x", 1), FLEET_DOWN);
  expect_line(&fixture, "no writes until it recovers: OOM");
  for (int i = 0; i < 10; i++)
    ck_assert_int_eq(read_one(&fixture), FLEET_OK);
  tier_server_do(&server, "CONFIG", "SET", "maxmemory", "0", NULL);
  expect_publish(&fixture, FLEET_OK);
  expect_line(&fixture, "writes again, after");
  ck_assert_uint_eq(tier_fixture_server(&fixture, 0).reconnects, 0);
  tier_test_op_reset(&lease);
  tier_fixture_deinit(&fixture);
  tier_server_stop(&server);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_connect");
  TCase *tc = tcase_create("tier_connect");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, name_is_looked_up);
  tcase_add_test(tc, name_without_address_is_said);
  tcase_add_test(tc, transport_closes_during_lookup);
  tcase_add_loop_test(tc, socket_that_appears_is_used, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, password_that_changes_is_read_again, 0, TIER_ENGINES);
  tcase_add_test(tc, password_file_that_is_none_is_said);
  tcase_add_loop_test(tc, primary_of_replicated_server_is_found, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, full_server_serves_reads, 0, TIER_ENGINES);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
