/* Workers of two nodes that wait for each other, through their threads: no node sees the circle.
 * Each wait in it ends after a grace, and its thread computes. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/child_process.h"
#include "tests/support/fleet_nodes.h"
#include "tests/support/library.h"

#define VALUE "computed"

/* A worker: its computation of one key needs the other key, which another thread of it gets. */
struct worker {
  unsigned node;
  const char *own, *other; /* prompts */
};
static struct worker workers[FLEET_NODES] = {{0, "one", "two"}, {1, "two", "one"}};

static int cached(unsigned node, const char *prompt, fcache_compute_fn *compute, void *arg) {
  struct fcache *cache =
      library_open_in_child(fleet_nodes[node].socket, FLEET_SPACE, "worker", LIBRARY_PATIENT_MS);
  struct fcache_key key = library_key("op", "view", prompt, 0);
  struct fcache_value value = {0};
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(fcache_cached(cache, &key, compute, arg, &value) == 0);
  CHILD_EXPECT(value.size == sizeof VALUE && memcmp(value.data, VALUE, sizeof VALUE) == 0);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static int compute_at_once(void *arg, struct fcache_value *value) {
  (void)arg;
  return fcache_value_set(value, VALUE, sizeof VALUE);
}

static void *get_other(void *arg) {
  const struct worker *worker = arg;
  static int failed = 1;
  return cached(worker->node, worker->other, compute_at_once, NULL) == 0 ? NULL : &failed;
}

/* Both own keys are being computed before a thread asks for the other one. */
static int compute_with_other(void *arg, struct fcache_value *value) {
  pthread_t thread;
  void *result;
  CHILD_EXPECT(fleet_board_compute());
  CHILD_EXPECT(pthread_create(&thread, NULL, get_other, arg) == 0);
  CHILD_EXPECT(pthread_join(thread, &result) == 0);
  CHILD_EXPECT(result == NULL);
  return fcache_value_set(value, VALUE, sizeof VALUE);
}

static int run(void *arg) {
  const struct worker *worker = arg;
  return cached(worker->node, worker->own, compute_with_other, arg);
}

START_TEST(circle_through_two_nodes_ends_after_grace) {
  pid_t pids[FLEET_NODES];
  for (unsigned i = 0; i < FLEET_NODES; i++)
    pids[i] = child_start(run, &workers[i], NULL);
  fleet_board_wait(FLEET_NODES);
  atomic_store(&fleet_board->open, true);
  for (unsigned i = 0; i < FLEET_NODES; i++) /* their waits could last for minutes */
    ck_assert_int_eq(harness_wait(pids[i], FLEET_TIMEOUT_MS), 0);
  uint64_t remote = 0;
  for (unsigned i = 0; i < FLEET_NODES; i++)
    remote += library_stat(fleet_watches[i], "tier_remote_hits");
  ck_assert_uint_le(remote, 1); /* the wait that did not end first may have got its value */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_circles");
  TCase *tcase = tcase_create("fleet_circles");
  tcase_set_timeout(tcase, 120);
  if (tier_any_program() != NULL) {
    tcase_add_checked_fixture(tcase, fleet_nodes_start, fleet_nodes_stop);
    tcase_add_test(tcase, circle_through_two_nodes_ends_after_grace);
  }
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
