/* One of the three servers of a cluster fails while a worker of a node works. The calls of the
 * worker wait for one deadline in total, the slots of the other servers go on, and the node uses
 * the server again soon after its return. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fleet_calls.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/tier_cluster.h"

/* So long that a call on a busy machine does not take half of it. */
#define DEADLINE_OPTION "--tier-deadline=1"
#define DEADLINE_NS UINT64_C(1000000000)
#define CALLS 40u
/* Calls in a row that reach all three servers, but for one case in thousands. */
#define PASSES 24u
#define BACK_TIMEOUT_MS 30000u
#define TIMEOUT_S 120

/* A cluster and two nodes. */
struct scene {
  struct tier_cluster cluster;
  struct daemon node, other;
  struct fcache *worker, *reader;
  uint32_t next_key;
};

static void freeze(struct tier_server *server) {
  tier_server_freeze(server);
}

static void thaw(struct tier_server *server) {
  tier_server_thaw(server);
}

static const struct fault {
  const char *name;
  void (*begin)(struct tier_server *server);
  void (*end)(struct tier_server *server);
} faults[] = {
    {"frozen", freeze, thaw},
    {"killed", tier_server_kill9, tier_server_restart},
};

static void scene_begin(struct scene *scene, const char *program) {
  const struct tier_server_config config = {.program = program, .persistent = true};
  *scene = (struct scene){0};
  tier_cluster_start(&scene->cluster, &config);
  harness_start(&scene->node, "--tier", scene->cluster.url, DEADLINE_OPTION, "--tier-queue-age=60",
                NULL);
  harness_start(&scene->other, "--tier", scene->cluster.url, DEADLINE_OPTION, "--tier-queue-age=60",
                NULL);
  scene->worker = library_open(scene->node.socket, "faults", "worker", 0);
  scene->reader = library_open(scene->other.socket, "faults", "reader", 0);
}

static void scene_end(struct scene *scene) {
  fcache_close(scene->worker);
  fcache_close(scene->reader);
  ck_assert_int_eq(harness_stop(&scene->node), 0);
  ck_assert_int_eq(harness_stop(&scene->other), 0);
  tier_cluster_stop(&scene->cluster);
}

/* Values of all slots pass in both directions. */
static bool is_back(void *arg) {
  struct scene *scene = arg;
  bool all = true;
  for (uint32_t i = 0; i < PASSES && all; i++)
    all = fleet_call_passes(scene->reader, scene->worker, &scene->next_key) &&
          fleet_call_passes(scene->worker, scene->reader, &scene->next_key);
  return all;
}

static void run_fault(const char *program, const struct fault *fault) {
  static struct scene scene; /* large */
  struct tier_server *server = &scene.cluster.servers[1];
  uint32_t slow = 0;
  scene_begin(&scene, program);
  ck_assert(harness_wait_until(is_back, &scene, BACK_TIMEOUT_MS));
  fault->begin(server);
  for (uint32_t i = 0; i < CALLS; i++)
    slow += fleet_call(scene.worker, scene.next_key++).took_ns > DEADLINE_NS / 2;
  fault->end(server);
  ck_assert_msg(slow <= 1, "%s: %u of %u calls waited for the tier", fault->name, slow, CALLS);

  tier_cluster_wait(&scene.cluster);
  uint64_t start_ns = harness_now_ns();
  ck_assert(harness_wait_until(is_back, &scene, BACK_TIMEOUT_MS));
  printf("%s: back after %.0f ms\n", fault->name, (double)(harness_now_ns() - start_ns) / 1e6);
  scene_end(&scene);
}

static void run_faults(enum tier_engine engine, int i) {
  const char *program = tier_engine_program(engine);
  if (program != NULL)
    run_fault(program, &faults[i]);
}

START_TEST(server_of_redis_cluster_fails_worker_waits_one_deadline) {
  run_faults(TIER_ENGINE_REDIS, _i);
}
END_TEST

START_TEST(server_of_valkey_cluster_fails_worker_waits_one_deadline) {
  run_faults(TIER_ENGINE_VALKEY, _i);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cluster_faults");
  TCase *tests = tcase_create("cluster_faults");
  int n = (int)(sizeof faults / sizeof *faults);
  tcase_set_timeout(tests, TIMEOUT_S);
  tcase_add_loop_test(tests, server_of_redis_cluster_fails_worker_waits_one_deadline, 0, n);
  tcase_add_loop_test(tests, server_of_valkey_cluster_fails_worker_waits_one_deadline, 0, n);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
