/* The tier servers that the tests start: each engine alone, with passwords, TLS, and in a cluster.
 * A test runs once for each engine. */
#include "tests/support/tier_certificates.h"
#include "tests/support/tier_cluster.h"
#include "tests/support/tier_server.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(const struct tier_server *server, const char *reply, const char *command,
                   const char *key, const char *value) {
  char *got = tier_server_command(server, command, key, value, NULL);
  ck_assert_str_eq(got, reply);
  free(got);
}

/* Runs a command of openssl against the server's port, and returns whether the handshake passed. */
static bool handshake(const struct tier_server *server, const char *ca) {
  char script[512];
  (void)snprintf(script, sizeof script,
                 "openssl s_client -connect 127.0.0.1:%u -CAfile %s/%s -verify_return_error "
                 "</dev/null",
                 server->port, server->dir, ca);
  return harness_run((const char *const[]){"sh", "-c", script, NULL}, NULL, NULL) == 0;
}

START_TEST(tier_server_commands_are_answered) {
  struct tier_server server;
  const struct tier_server_config config = {.program = tier_engine_program(_i), .tcp = true};
  if (config.program == NULL)
    return;
  tier_server_start(&server, &config);
  ck_assert_uint_ne(server.port, 0);
  ck_assert_int_eq(strncmp(server.url, "redis://127.0.0.1:", 18), 0);
  ck_assert_int_eq(strncmp(server.unix_url, "unix:///", 8), 0);
  expect(&server, "(nil)", "GET", "a", NULL);
  expect(&server, "OK", "SET", "a", "1");
  expect(&server, "1", "GET", "a", NULL);
  ck_assert_int_eq(tier_server_number(&server, "INCR", "a", NULL), 2);
  expect(&server, "2\n(nil)\n", "MGET", "a", "b");
  char *error = tier_server_command(&server, "HGET", "a", "b", NULL);
  ck_assert_ptr_nonnull(strstr(error, "WRONGTYPE"));
  free(error);
  tier_server_stop(&server);
  ck_assert(!harness_exists(server.socket));
}
END_TEST

START_TEST(tier_server_persistent_keeps_data_over_sigkill) {
  struct tier_server server;
  const struct tier_server_config config = {.program = tier_engine_program(_i), .persistent = true};
  if (config.program == NULL)
    return;
  tier_server_start(&server, &config);
  ck_assert_uint_eq(server.port, 0);
  tier_server_do(&server, "SET", "a", "1", NULL);
  tier_server_kill9(&server);
  tier_server_restart(&server);
  expect(&server, "1", "GET", "a", NULL);
  tier_server_stop(&server);
}
END_TEST

START_TEST(tier_server_frozen_answers_again_after_thaw) {
  struct tier_server server;
  const struct tier_server_config config = {.program = tier_engine_program(_i)};
  if (config.program == NULL)
    return;
  tier_server_start(&server, &config);
  tier_server_freeze(&server);
  tier_server_thaw(&server);
  expect(&server, "OK", "SET", "a", "1");
  tier_server_freeze(&server);
  tier_server_stop(&server); /* a stopped server ends too */
}
END_TEST

/* The options are those of the server. */
START_TEST(tier_server_full_refuses_writes) {
  struct tier_server server;
  static const char *const options[] = {"--maxmemory", "1", "--maxmemory-policy", "noeviction",
                                        NULL};
  const struct tier_server_config config = {.program = tier_engine_program(_i), .options = options};
  if (config.program == NULL)
    return;
  tier_server_start(&server, &config);
  char *error = tier_server_command(&server, "SET", "a", "1", NULL);
  ck_assert_ptr_nonnull(strstr(error, "OOM"));
  free(error);
  expect(&server, "(nil)", "GET", "a", NULL);
  tier_server_stop(&server);
}
END_TEST

START_TEST(tier_server_password_and_user_are_set) {
  struct tier_server server;
  struct tier_server_config config = {.program = tier_engine_program(_i), .password = "pw"};
  if (config.program == NULL)
    return;
  tier_server_start(&server, &config);
  expect(&server, "OK", "AUTH", "pw", NULL);
  char *password = harness_read_file(server.password_file, NULL);
  ck_assert_str_eq(password, "pw\n");
  free(password);
  tier_server_stop(&server);

  config.user = "fleet";
  config.rules = "~f:* +get";
  tier_server_start(&server, &config);
  ck_assert_int_eq(strncmp(server.url, "unix://fleet@/", 14), 0);
  expect(&server, "OK", "AUTH", "fleet", "pw");
  tier_server_stop(&server);
}
END_TEST

START_TEST(tier_server_tls_has_a_certificate_of_its_authority) {
  struct tier_server server;
  const struct tier_server_config config = {.program = tier_engine_program(_i), .tls = true};
  if (config.program == NULL || !tier_program_has_tls(config.program))
    return;
  tier_server_start(&server, &config);
  ck_assert_int_eq(strncmp(server.url, "rediss://127.0.0.1:", 19), 0);
  ck_assert(handshake(&server, TIER_CERTIFICATES_CA));
  ck_assert(!handshake(&server, TIER_CERTIFICATES_OTHER_CA));
  tier_server_stop(&server);
}
END_TEST

START_TEST(tier_cluster_moves_a_slot_with_its_keys) {
  struct tier_cluster cluster;
  const struct tier_server_config config = {.program = tier_engine_program(_i)};
  if (config.program == NULL)
    return;
  tier_cluster_start(&cluster, &config);
  int from = tier_cluster_owner(&cluster, "a"), to = (from + 1) % TIER_CLUSTER_SIZE;
  expect(&cluster.servers[from], "OK", "SET", "a", "1");
  char *moved = tier_server_command(&cluster.servers[to], "GET", "a", NULL);
  ck_assert_int_eq(strncmp(moved, "MOVED ", 6), 0);
  free(moved);
  tier_cluster_move_slot(&cluster, "a", to);
  ck_assert_int_eq(tier_cluster_owner(&cluster, "a"), to);
  expect(&cluster.servers[to], "1", "GET", "a", NULL);
  tier_cluster_stop(&cluster);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_server");
  TCase *tc = tcase_create("tier_server");
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, tier_server_commands_are_answered, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, tier_server_persistent_keeps_data_over_sigkill, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, tier_server_frozen_answers_again_after_thaw, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, tier_server_full_refuses_writes, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, tier_server_password_and_user_are_set, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, tier_server_tls_has_a_certificate_of_its_authority, 0, TIER_ENGINES);
  tcase_add_loop_test(tc, tier_cluster_moves_a_slot_with_its_keys, 0, TIER_ENGINES);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
