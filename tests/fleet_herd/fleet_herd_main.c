/* fleet_herd_main - 16 nodes of 8 workers want 2,000 keys: on fcached with one tier server, on the
 * same server the plain way, and on fcached while daemons are killed and the server is restarted.
 * Prints a table. Fails if a key was computed twice without a kill.
 *   FLEET_ENGINE=valkey   the engine of the server (redis)
 *   FLEET_DEADLINE=0.05   --tier-deadline of the daemons. By default it is long: 145 processes on
 * few processors miss short ones, and then compute without the tier */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet_herd.h"
#include "herd_server.h"

#define PATIENCE_S 900
#define NODES 16u
#define WORKERS 8u
#define KEYS 2000u
#define COMPUTE_NS 5000000u
#define LONG_COMPUTE_NS 50000000u
#define KILL_NS UINT64_C(1000000000)

static struct tier_server server;
static struct fleet_herd herd; /* large */
static char deadline_option[64];

static void start_server(void) {
  const char *engine = getenv("FLEET_ENGINE"), *deadline_s = getenv("FLEET_DEADLINE");
  const struct tier_server_config config = {
      .program = tier_engine_program(
          engine != NULL && strcmp(engine, "valkey") == 0 ? TIER_ENGINE_VALKEY : TIER_ENGINE_REDIS),
      .persistent = true};
  if (config.program == NULL)
    ck_abort_msg("there is no tier server");
  tier_server_start(&server, &config);
  herd =
      (struct fleet_herd){.nodes = NODES,
                          .workers = WORKERS,
                          .keys = KEYS,
                          .compute_ns = COMPUTE_NS,
                          .args = {"--max-bytes=64m", "--tier", server.unix_url, deadline_option}};
  (void)snprintf(deadline_option, sizeof deadline_option, "--tier-deadline=%s",
                 deadline_s != NULL ? deadline_s : "5");
}

static void race(const char *name) {
  fleet_herd_start(&herd);
  herd_server_count_from_now(&server);
  fleet_herd_race(&herd);
  fleet_herd_print(&herd, name);
  (void)herd_server_print_requests(&server);
  fleet_herd_stop(&herd);
  tier_server_stop(&server);
  ck_assert_uint_eq(herd.wrong, 0);
  ck_assert_uint_eq(herd.distinct, KEYS);
}

START_TEST(fleet_computes_each_key_once) {
  start_server();
  race("fcached");
  ck_assert_uint_eq(herd.computations, KEYS);
}
END_TEST

START_TEST(same_server_plainly_computes_more) {
  start_server();
  herd.plain_socket = server.socket;
  race("the server, plainly");
  ck_assert_uint_gt(herd.computations, KEYS);
}
END_TEST

START_TEST(daemons_killed_computes_only_keys_in_flight_again) {
  start_server();
  herd.kill_ns = KILL_NS;
  race("fcached, kills");
  ck_assert_uint_le(herd.computations, KEYS + herd.in_flight);
}
END_TEST

/* Longer computations, so that the herd lasts for many kills. */
START_TEST(daemons_killed_often_computes_only_keys_in_flight_again) {
  start_server();
  herd.kill_ns = KILL_NS;
  herd.compute_ns = LONG_COMPUTE_NS;
  race("fcached, 50 ms, kills");
  ck_assert_uint_le(herd.computations, KEYS + herd.in_flight);
}
END_TEST

START_TEST(daemons_killed_and_server_restarted_computes_only_keys_in_flight_again) {
  struct herd_restart restart = {.herd = &herd, .server = &server};
  start_server();
  herd.kill_ns = KILL_NS;
  herd.restart = herd_server_restart;
  herd.restart_arg = &restart;
  race("fcached, kills, restart");
  printf("  all nodes used the server again %.2f s after its stop\n", restart.away_s);
  ck_assert_uint_le(herd.computations, KEYS + herd.in_flight);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_herd");
  TCase *tests = tcase_create("fleet_herd");
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  tcase_set_timeout(tests, PATIENCE_S);
  fleet_herd_print_heads();
  tcase_add_test(tests, fleet_computes_each_key_once);
  tcase_add_test(tests, same_server_plainly_computes_more);
  tcase_add_test(tests, daemons_killed_computes_only_keys_in_flight_again);
  tcase_add_test(tests, daemons_killed_often_computes_only_keys_in_flight_again);
  tcase_add_test(tests, daemons_killed_and_server_restarted_computes_only_keys_in_flight_again);
  suite_add_tcase(suite, tests);
  int status = harness_main(suite);
  printf("%d passed, %d failed\n", status == 0, status != 0);
  return status;
}
