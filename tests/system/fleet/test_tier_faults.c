/* The server of a tier fails in each way that it can, as fault_scene.h says. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/fault_scene.h"
#include "tests/support/harness.h"

#define OTHER_PASSWORD "changed"

/* ---- faults ---- */

static void freeze(struct fault_scene *scene) {
  tier_server_freeze(&scene->server);
}

static void thaw(struct fault_scene *scene) {
  tier_server_thaw(&scene->server);
}

static void kill_server(struct fault_scene *scene) {
  tier_server_kill9(&scene->server);
}

static void restart_server(struct fault_scene *scene) {
  tier_server_restart(&scene->server);
}

static void fill_up(struct fault_scene *scene) {
  tier_server_do(&scene->server, "CONFIG", "SET", "maxmemory", "1", NULL);
}

static void make_room(struct fault_scene *scene) {
  tier_server_do(&scene->server, "CONFIG", "SET", "maxmemory", "0", NULL);
}

static void become_replica(struct fault_scene *scene) {
  tier_server_do(&scene->server, "REPLICAOF", "127.0.0.1", "1", NULL); /* nothing listens there */
}

static void become_primary(struct fault_scene *scene) {
  tier_server_do(&scene->server, "REPLICAOF", "NO", "ONE", NULL);
}

static void change_password(struct fault_scene *scene) {
  tier_server_do(&scene->server, "ACL", "SETUSER", FAULT_SCENE_USER, "resetpass",
                 ">" OTHER_PASSWORD, NULL);
  free(tier_server_command(&scene->server, "CLIENT", "KILL", "USER", FAULT_SCENE_USER, NULL));
}

static void restore_password(struct fault_scene *scene) {
  tier_server_do(&scene->server, "ACL", "SETUSER", FAULT_SCENE_USER, "resetpass",
                 ">" FAULT_SCENE_PASSWORD, NULL);
}

static const struct tier_fault faults[] = {
    {.name = "frozen", .begin = freeze, .end = thaw},
    {.name = "killed", .begin = kill_server, .end = restart_server},
    {.name = "full", .begin = fill_up, .end = make_room},
    {.name = "read-only", .begin = become_replica, .end = become_primary},
    {.name = "wrong password", .begin = change_password, .end = restore_password},
};

static void run_faults(enum tier_engine engine, int i) {
  const char *program = tier_engine_program(engine);
  if (program != NULL)
    fault_scene_run(program, &faults[i]);
}

START_TEST(redis_fails_worker_waits_one_deadline) {
  run_faults(TIER_ENGINE_REDIS, _i);
}
END_TEST

START_TEST(valkey_fails_worker_waits_one_deadline) {
  run_faults(TIER_ENGINE_VALKEY, _i);
}
END_TEST

/* ---- shorter than the deadline ---- */

static void restart(struct fault_scene *scene) {
  tier_server_kill9(&scene->server);
  tier_server_restart(&scene->server);
}

static void cut_connections(struct fault_scene *scene) {
  free(tier_server_command(&scene->server, "CLIENT", "KILL", "USER", FAULT_SCENE_USER, NULL));
}

static void (*const blips[])(struct fault_scene *scene) = {restart, cut_connections};

START_TEST(redis_is_away_for_less_than_the_deadline_nothing_computed_twice) {
  const char *program = tier_engine_program(TIER_ENGINE_REDIS);
  if (program != NULL)
    fault_scene_blip(program, blips[_i]);
}
END_TEST

START_TEST(valkey_is_away_for_less_than_the_deadline_nothing_computed_twice) {
  const char *program = tier_engine_program(TIER_ENGINE_VALKEY);
  if (program != NULL)
    fault_scene_blip(program, blips[_i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_faults");
  TCase *tests = tcase_create("tier_faults");
  int n = (int)(sizeof faults / sizeof *faults);
  tcase_add_loop_test(tests, redis_fails_worker_waits_one_deadline, 0, n);
  tcase_add_loop_test(tests, valkey_fails_worker_waits_one_deadline, 0, n);
  n = (int)(sizeof blips / sizeof *blips);
  tcase_add_loop_test(tests, redis_is_away_for_less_than_the_deadline_nothing_computed_twice, 0, n);
  tcase_add_loop_test(tests, valkey_is_away_for_less_than_the_deadline_nothing_computed_twice, 0,
                      n);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
