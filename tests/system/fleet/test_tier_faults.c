/* The tier fails in each way that it can, while a worker of a node works. The calls of the worker
 * wait for one deadline in total, the node uses the tier again soon after the end of the fault, the
 * values that were computed meanwhile reach the tier, and the log has a line for each change. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fleet_calls.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/tier_proxy.h"
#include "tests/support/tier_server.h"

/* So long that a call on a busy machine does not take half of it. */
#define DEADLINE_OPTION "--tier-deadline=1"
#define DEADLINE_NS UINT64_C(1000000000)
#define PATIENT_OPTION "--tier-deadline=30" /* a restart takes less */
#define SLOW_MS 2000u
#define CALLS 20u              /* of a worker during a fault */
#define BACK_TIMEOUT_MS 20000u /* a second on an idle machine */
/* Reads and writes have a breaker each. In a MOVED storm the server of the URL and the one that its
 * replies name have lines of their own, though they are the same. */
#define LINES_MAX 4u

#define STOPPED "until it recovers: " /* in lines of the log */
#define RECOVERED " again, after "

#define NODE_USER "node"
#define NODE_PASSWORD "secret"
#define OTHER_PASSWORD "changed"

/* A tier and two nodes: the one under test is behind the proxy. */
struct scene {
  struct tier_server server;
  struct tier_proxy proxy;
  struct daemon node, other;
  struct fcache *worker, *reader; /* of node and other */
  char url[128];                  /* of the proxy */
  const char *deadline;           /* the option */
  uint32_t next_key;
};

struct fault {
  const char *name;
  void (*begin)(struct scene *scene); /* NULL: the proxy fails, in the mode and with the text */
  void (*end)(struct scene *scene);
  enum tier_proxy_mode mode;
  const char *text; /* with the port of the proxy for %u */
  bool writes_only; /* reads go on */
};

/* ---- workers ---- */

/* Computes new keys. Returns how many calls took more than half of a deadline. */
static uint32_t work(struct scene *scene, struct fcache *worker, uint32_t n) {
  uint32_t slow = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fleet_call call = fleet_call(worker, scene->next_key++);
    ck_assert(call.computed);
    slow += call.took_ns > DEADLINE_NS / 2;
  }
  return slow;
}

/* ---- faults ---- */

static void freeze(struct scene *scene) {
  tier_server_freeze(&scene->server);
}

static void thaw(struct scene *scene) {
  tier_server_thaw(&scene->server);
}

static void kill_server(struct scene *scene) {
  tier_server_kill9(&scene->server);
}

static void restart_server(struct scene *scene) {
  tier_server_restart(&scene->server);
}

static void fill_up(struct scene *scene) {
  tier_server_do(&scene->server, "CONFIG", "SET", "maxmemory", "1", NULL);
}

static void make_room(struct scene *scene) {
  tier_server_do(&scene->server, "CONFIG", "SET", "maxmemory", "0", NULL);
}

static void become_replica(struct scene *scene) {
  tier_server_do(&scene->server, "REPLICAOF", "127.0.0.1", "1", NULL); /* nothing listens there */
}

static void become_primary(struct scene *scene) {
  tier_server_do(&scene->server, "REPLICAOF", "NO", "ONE", NULL);
}

static void change_password(struct scene *scene) {
  tier_server_do(&scene->server, "ACL", "SETUSER", NODE_USER, "resetpass", ">" OTHER_PASSWORD,
                 NULL);
  free(tier_server_command(&scene->server, "CLIENT", "KILL", "USER", NODE_USER, NULL));
}

static void restore_password(struct scene *scene) {
  tier_server_do(&scene->server, "ACL", "SETUSER", NODE_USER, "resetpass", ">" NODE_PASSWORD, NULL);
}

static const struct fault faults[] = {
    {.name = "frozen", .begin = freeze, .end = thaw},
    {.name = "killed", .begin = kill_server, .end = restart_server},
    {.name = "full", .begin = fill_up, .end = make_room, .writes_only = true},
    {.name = "read-only", .begin = become_replica, .end = become_primary, .writes_only = true},
    {.name = "wrong password", .begin = change_password, .end = restore_password},
    {.name = "slow", .mode = TIER_PROXY_SLOW},
    {.name = "resetting", .mode = TIER_PROXY_RESETS},
    {.name = "never replies", .mode = TIER_PROXY_SILENT},
    {.name = "loading",
     .mode = TIER_PROXY_ANSWERS,
     .text = "-LOADING Redis is loading the dataset in memory\r\n"},
    {.name = "cluster down",
     .mode = TIER_PROXY_ANSWERS,
     .text = "-CLUSTERDOWN The cluster is down\r\n"},
    {.name = "MOVED storm", .mode = TIER_PROXY_ANSWERS, .text = "-MOVED 7 127.0.0.1:%u\r\n"},
    {.name = "wrong protocol",
     .mode = TIER_PROXY_ANSWERS,
     .text = "HTTP/1.1 400 Bad Request\r\n\r\n"},
};

static void fault_begin(struct scene *scene, const struct fault *fault) {
  char text[TIER_PROXY_TEXT_SIZE] = "";
  const char *port = fault->text == NULL ? NULL : strstr(fault->text, "%u");
  if (fault->begin != NULL) {
    fault->begin(scene);
    return;
  }
  if (port != NULL)
    (void)snprintf(text, sizeof text, "%.*s%u%s", (int)(port - fault->text), fault->text,
                   scene->proxy.port, port + strlen("%u"));
  else if (fault->text != NULL)
    (void)snprintf(text, sizeof text, "%s", fault->text);
  tier_proxy_set(&scene->proxy, fault->mode, text, SLOW_MS);
}

static void fault_end(struct scene *scene, const struct fault *fault) {
  if (fault->end != NULL)
    fault->end(scene);
  else
    tier_proxy_set(&scene->proxy, TIER_PROXY_PASS, NULL, 0);
}

/* ---- the scene ---- */

static void start_node(struct scene *scene, struct daemon *node, const char *url) {
  harness_start(node, "--tier", url, "--tier-password-file", scene->server.password_file,
                scene->deadline, "--tier-queue-age=60", "--max-bytes=64m", NULL);
}

static void scene_begin(struct scene *scene, const char *program, const char *deadline) {
  const struct tier_server_config config = {.program = program,
                                            .persistent = true,
                                            .user = NODE_USER,
                                            .password = NODE_PASSWORD,
                                            .rules = "~* &* +@all"};
  *scene = (struct scene){.deadline = deadline};
  tier_server_start(&scene->server, &config);
  tier_proxy_start(&scene->proxy, scene->server.socket);
  (void)snprintf(scene->url, sizeof scene->url, "redis://" NODE_USER "@127.0.0.1:%u",
                 scene->proxy.port);
  start_node(scene, &scene->node, scene->url);
  start_node(scene, &scene->other, scene->server.unix_url);
  scene->worker = library_open(scene->node.socket, "faults", "worker", 0);
  scene->reader = library_open(scene->other.socket, "faults", "reader", 0);
}

static void scene_end(struct scene *scene) {
  fcache_close(scene->worker);
  fcache_close(scene->reader);
  ck_assert_int_eq(harness_stop(&scene->node), 0);
  ck_assert_int_eq(harness_stop(&scene->other), 0);
  tier_proxy_stop(&scene->proxy);
  tier_server_stop(&scene->server);
}

/* ---- conditions ---- */

/* Values pass in both directions. */
static bool is_back(void *arg) {
  struct scene *scene = arg;
  return fleet_call_passes(scene->reader, scene->worker, &scene->next_key) &&
         fleet_call_passes(scene->worker, scene->reader, &scene->next_key);
}

static bool has_published(void *arg) {
  struct scene *scene = arg;
  return library_stat(scene->worker, "tier_queue_entries") == 0;
}

static bool has_stopped(void *arg) {
  struct scene *scene = arg;
  return library_stat(scene->worker, "tier_open") == 1;
}

/* Checks that the log has one line with the text for each change of the reads, the writes, or both.
 */
static void expect_lines(const struct scene *scene, const char *text, const char *name,
                         uint32_t least, uint32_t most) {
  uint32_t n = 0;
  char *log = harness_log(&scene->node);
  for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
    n++;
  ck_assert_msg(n >= least && n <= most, "%s: the log has %u lines with \"%s\":\n%s", name, n, text,
                log);
  free(log);
}

/* Returns how many of the keys from `first` on the tier does not have. */
static uint32_t count_lost(struct scene *scene, uint32_t first, uint32_t n) {
  uint32_t lost = 0;
  for (uint32_t i = 0; i < n; i++)
    lost += fleet_call(scene->reader, first + i).computed;
  return lost;
}

/* ---- the test ---- */

static void wait_until_back(struct scene *scene, const struct fault *fault) {
  uint64_t start_ns = harness_now_ns();
  if (!harness_wait_until(is_back, scene, BACK_TIMEOUT_MS)) {
    char *log = harness_log(&scene->node);
    ck_abort_msg("%s: the tier is not used again; the log:\n%s", fault->name, log);
  }
  printf("%s: back after %.0f ms\n", fault->name, (double)(harness_now_ns() - start_ns) / 1e6);
}

/* A node that starts during the fault serves: a batch, whose keys wait together, and then calls. */
static void expect_new_node_serves(struct scene *scene, const struct fault *fault) {
  struct daemon node = {0};
  start_node(scene, &node, scene->url);
  struct fcache *worker = library_open(node.socket, "faults", "new", 0);
  uint64_t took_ns = fleet_call_batch(worker, scene->next_key, FLEET_CALLS_BATCH);
  scene->next_key += FLEET_CALLS_BATCH;
  uint32_t slow = took_ns > DEADLINE_NS / 2;
  slow += work(scene, worker, CALLS);
  ck_assert_uint_lt(took_ns, 2 * DEADLINE_NS);
  ck_assert_msg(slow <= 1, "%s: %u of %u calls waited on a new node", fault->name, slow, CALLS + 1);
  fcache_close(worker);
  ck_assert_int_eq(harness_stop(&node), 0);
}

/* Computes keys during the fault, and returns their number. */
static uint32_t work_meanwhile(struct scene *scene, const struct fault *fault) {
  uint32_t first = scene->next_key;
  uint32_t slow = work(scene, scene->worker, CALLS);
  ck_assert(harness_wait_until(has_stopped, scene, BACK_TIMEOUT_MS));
  slow += work(scene, scene->worker, CALLS);
  ck_assert_msg(slow <= 1, "%s: %u of %u calls waited", fault->name, slow, 2 * CALLS);
  return scene->next_key - first;
}

static void run_fault(const char *program, const struct fault *fault) {
  static struct scene scene; /* large */
  scene_begin(&scene, program, DEADLINE_OPTION);
  ck_assert(harness_wait_until(is_back, &scene, BACK_TIMEOUT_MS));
  expect_lines(&scene, STOPPED, fault->name, 0, 0);

  uint32_t first = scene.next_key;
  fault_begin(&scene, fault);
  uint32_t n = work_meanwhile(&scene, fault);
  expect_new_node_serves(&scene, fault);
  expect_lines(&scene, STOPPED, fault->name, 1, LINES_MAX);
  expect_lines(&scene, RECOVERED, fault->name, 0, 0);
  fault_end(&scene, fault);

  wait_until_back(&scene, fault);
  ck_assert(harness_wait_until(has_published, &scene, BACK_TIMEOUT_MS));
  expect_lines(&scene, RECOVERED, fault->name, 1, LINES_MAX);
  uint64_t dropped = library_stat(scene.worker, "tier_writes_dropped");
  uint32_t lost = count_lost(&scene, first, n);
  ck_assert_msg(lost <= dropped, "%s: the tier lacks %u values, and %llu are counted as dropped",
                fault->name, lost, (unsigned long long)dropped);
  scene_end(&scene);
}

static void run_faults(enum tier_engine engine, int i) {
  const char *program = tier_engine_program(engine);
  if (program != NULL)
    run_fault(program, &faults[i]);
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

static void restart(struct scene *scene) {
  tier_server_kill9(&scene->server);
  tier_server_restart(&scene->server);
}

static void cut_connections(struct scene *scene) {
  free(tier_server_command(&scene->server, "CLIENT", "KILL", "USER", NODE_USER, NULL));
}

static void (*const blips[])(struct scene *scene) = {restart, cut_connections};

/* Nothing is computed twice, no call goes on without the tier, and nothing is logged. */
static void run_blip(const char *program, void (*blip)(struct scene *scene)) {
  static struct scene scene; /* large */
  scene_begin(&scene, program, PATIENT_OPTION);
  ck_assert(harness_wait_until(is_back, &scene, BACK_TIMEOUT_MS));
  for (int i = 0; i < 3; i++) {
    uint32_t first = scene.next_key;
    (void)work(&scene, scene.worker, CALLS);
    ck_assert(harness_wait_until(has_published, &scene, BACK_TIMEOUT_MS));
    blip(&scene);
    ck_assert_uint_eq(count_lost(&scene, first, CALLS), 0);
    ck_assert(is_back(&scene));
  }
  expect_lines(&scene, STOPPED, "blip", 0, 0);
  ck_assert_uint_eq(library_stat(scene.worker, "tier_fills_failed"), 0);
  scene_end(&scene);
}

START_TEST(redis_is_away_for_less_than_the_deadline_nothing_computed_twice) {
  const char *program = tier_engine_program(TIER_ENGINE_REDIS);
  if (program != NULL)
    run_blip(program, blips[_i]);
}
END_TEST

START_TEST(valkey_is_away_for_less_than_the_deadline_nothing_computed_twice) {
  const char *program = tier_engine_program(TIER_ENGINE_VALKEY);
  if (program != NULL)
    run_blip(program, blips[_i]);
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
