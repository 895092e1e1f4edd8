#include "tests/support/fault_scene.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fleet_calls.h"
#include "tests/support/library.h"

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

/* ---- workers ---- */

/* Computes new keys. Returns how many calls took more than half of a deadline. */
static uint32_t work(struct fault_scene *scene, struct fcache *worker, uint32_t n) {
  uint32_t slow = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct fleet_call call = fleet_call(worker, scene->next_key++);
    ck_assert(call.computed);
    slow += call.took_ns > DEADLINE_NS / 2;
  }
  return slow;
}

/* ---- the fault ---- */

static void fault_begin(struct fault_scene *scene, const struct tier_fault *fault) {
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

static void fault_end(struct fault_scene *scene, const struct tier_fault *fault) {
  if (fault->end != NULL)
    fault->end(scene);
  else
    tier_proxy_set(&scene->proxy, TIER_PROXY_PASS, NULL, 0);
}

/* ---- the scene ---- */

static void start_node(struct fault_scene *scene, struct daemon *node, const char *url) {
  harness_start(node, "--tier", url, "--tier-password-file", scene->server.password_file,
                scene->deadline, "--tier-queue-age=60", "--max-bytes=64m", NULL);
}

static void scene_begin(struct fault_scene *scene, const char *program, const char *deadline) {
  const struct tier_server_config config = {.program = program,
                                            .persistent = true,
                                            .user = FAULT_SCENE_USER,
                                            .password = FAULT_SCENE_PASSWORD,
                                            .rules = "~* &* +@all"};
  *scene = (struct fault_scene){.deadline = deadline};
  tier_server_start(&scene->server, &config);
  tier_proxy_start(&scene->proxy, scene->server.socket);
  (void)snprintf(scene->url, sizeof scene->url, "redis://" FAULT_SCENE_USER "@127.0.0.1:%u",
                 scene->proxy.port);
  start_node(scene, &scene->node, scene->url);
  start_node(scene, &scene->other, scene->server.unix_url);
  scene->worker = library_open(scene->node.socket, "faults", "worker", 0);
  scene->reader = library_open(scene->other.socket, "faults", "reader", 0);
}

static void scene_end(struct fault_scene *scene) {
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
  struct fault_scene *scene = arg;
  return fleet_call_passes(scene->reader, scene->worker, &scene->next_key) &&
         fleet_call_passes(scene->worker, scene->reader, &scene->next_key);
}

static bool has_published(void *arg) {
  struct fault_scene *scene = arg;
  return library_stat(scene->worker, "tier_queue_entries") == 0;
}

static bool has_stopped(void *arg) {
  struct fault_scene *scene = arg;
  return library_stat(scene->worker, "tier_open") == 1;
}

/* Checks that the log has one line with the text for each change of the reads, the writes, or both.
 */
static void expect_lines(const struct fault_scene *scene, const char *text, const char *name,
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
static uint32_t count_lost(struct fault_scene *scene, uint32_t first, uint32_t n) {
  uint32_t lost = 0;
  for (uint32_t i = 0; i < n; i++)
    lost += fleet_call(scene->reader, first + i).computed;
  return lost;
}

/* ---- the life of a fault ---- */

static void wait_until_back(struct fault_scene *scene, const struct tier_fault *fault) {
  uint64_t start_ns = harness_now_ns();
  if (!harness_wait_until(is_back, scene, BACK_TIMEOUT_MS)) {
    char *log = harness_log(&scene->node);
    ck_abort_msg("%s: the tier is not used again; the log:\n%s", fault->name, log);
  }
  printf("%s: back after %.0f ms\n", fault->name, (double)(harness_now_ns() - start_ns) / 1e6);
}

/* A node that starts during the fault serves: a batch, whose keys wait together, and then calls. */
static void expect_new_node_serves(struct fault_scene *scene, const struct tier_fault *fault) {
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
static uint32_t work_meanwhile(struct fault_scene *scene, const struct tier_fault *fault) {
  uint32_t first = scene->next_key;
  uint32_t slow = work(scene, scene->worker, CALLS);
  ck_assert(harness_wait_until(has_stopped, scene, BACK_TIMEOUT_MS));
  slow += work(scene, scene->worker, CALLS);
  ck_assert_msg(slow <= 1, "%s: %u of %u calls waited", fault->name, slow, 2 * CALLS);
  return scene->next_key - first;
}

void fault_scene_run(const char *program, const struct tier_fault *fault) {
  static struct fault_scene scene; /* large */
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

void fault_scene_blip(const char *program, void (*blip)(struct fault_scene *scene)) {
  static struct fault_scene scene; /* large */
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
