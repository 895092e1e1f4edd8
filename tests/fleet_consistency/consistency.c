#include "tests/fleet_consistency/consistency.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/child_process.h"
#include "tests/support/tier_server.h"

#define SECOND_NS UINT64_C(1000000000)
#define EVENTS_OF_SECOND 8000u
/* Faults and quiet times take turns: what follows a fault needs a time without one. */
#define STORM_NS (3 * SECOND_NS / 2)
#define QUIET_NS (7 * SECOND_NS / 2)

struct fleet {
  const struct consistency_plan *plan;
  struct tier_server server;
  struct daemon nodes[CONSISTENCY_NODES];
  struct consistency_board *board;
  struct consistency_worker workers[CONSISTENCY_WORKERS];
  pid_t pids[CONSISTENCY_WORKERS];
  uint64_t faults;
};

static void pause_ns(uint64_t ns) {
  struct timespec rest = {.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};
  while (nanosleep(&rest, &rest) != 0)
    continue;
}

static void start_node(struct fleet *fleet, unsigned i) {
  harness_start(&fleet->nodes[i], "--tier", fleet->server.unix_url, "--tier-deadline", "0.5",
                "--tier-lease", "1", NULL);
  atomic_fetch_add(&fleet->board->lives[i], 1);
}

static void start(struct fleet *fleet) {
  const struct consistency_plan *plan = fleet->plan;
  uint64_t capacity = (plan->seconds + 10) * EVENTS_OF_SECOND;
  fleet->board = child_shared(sizeof *fleet->board + capacity * sizeof(struct history_event));
  fleet->board->capacity = capacity;
  tier_server_start(&fleet->server,
                    &(struct tier_server_config){.program = plan->program, .persistent = true});
  for (unsigned i = 0; i < CONSISTENCY_NODES; i++)
    start_node(fleet, i);
  for (uint32_t i = 0; i < CONSISTENCY_WORKERS; i++) {
    fleet->workers[i] = (struct consistency_worker){.board = fleet->board,
                                                    .node = &fleet->nodes[i % CONSISTENCY_NODES],
                                                    .number = i,
                                                    .seed = plan->seed * CONSISTENCY_WORKERS + i};
    fleet->pids[i] = child_start(consistency_work, &fleet->workers[i], NULL);
  }
}

/* ---- faults ---- */

static void kill_node(struct fleet *fleet, unsigned node) {
  atomic_fetch_add(&fleet->board->lives[node], 1);
  harness_kill9(&fleet->nodes[node]);
  start_node(fleet, node);
}

static void inject(struct fleet *fleet, unsigned kind) {
  struct history_event fault = {
      .kind = HISTORY_FAULT, .begin_ns = harness_now_ns(), .node = HISTORY_ANY};
  unsigned node = (unsigned)(fleet->faults / 2 % CONSISTENCY_NODES);
  fleet->faults++;
  switch (kind) {
  case 0:
    tier_server_freeze(&fleet->server);
    pause_ns(SECOND_NS / 4);
    tier_server_thaw(&fleet->server);
    break;
  case 1:
    tier_server_kill9(&fleet->server);
    tier_server_restart(&fleet->server);
    break;
  case 2:
    fault.node = (uint8_t)node;
    kill_node(fleet, node);
    break;
  default:
    tier_server_do(&fleet->server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
    break;
  }
  fault.end_ns = harness_now_ns();
  consistency_note(fleet->board, &fault);
}

static void trouble(struct fleet *fleet) {
  uint64_t began_ns = harness_now_ns(), random = fleet->plan->seed;
  uint64_t end_ns = began_ns + fleet->plan->seconds * SECOND_NS, now_ns;
  while ((now_ns = harness_now_ns()) < end_ns && !atomic_load(&fleet->board->stop)) {
    random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    if ((now_ns - began_ns) % (STORM_NS + QUIET_NS) >= QUIET_NS)
      inject(fleet, (unsigned)(random >> 33) % 4);
    pause_ns(SECOND_NS / 10 + (random >> 40) % (SECOND_NS / 10));
  }
}

/* ---- the end ---- */

static void stop(struct fleet *fleet) {
  atomic_store(&fleet->board->stop, true);
  for (unsigned i = 0; i < CONSISTENCY_WORKERS; i++)
    ck_assert_msg(harness_wait(fleet->pids[i], 60000) == 0, "worker %u failed", i);
  for (unsigned i = 0; i < CONSISTENCY_NODES; i++)
    ck_assert_int_eq(harness_stop(&fleet->nodes[i]), 0);
  tier_server_stop(&fleet->server);
}

static void count(const struct history *history, struct consistency_result *result) {
  result->events = history->n;
  for (size_t i = 0; i < history->n; i++) {
    result->hits += history->events[i].kind == HISTORY_HIT;
    result->puts += history->events[i].kind == HISTORY_PUT;
    result->clears += history->events[i].kind == HISTORY_CLEAR;
  }
}

struct consistency_result consistency_run(const struct consistency_plan *plan) {
  static struct fleet fleet;
  struct consistency_result result = {0};
  fleet = (struct fleet){.plan = plan};
  start(&fleet);
  trouble(&fleet);
  stop(&fleet);
  uint64_t n = atomic_load(&fleet.board->n);
  struct history history = {.events = fleet.board->events,
                            .n = n < fleet.board->capacity ? n : fleet.board->capacity,
                            .bound_ns = plan->bound_ns};
  result.faults_injected = fleet.faults;
  count(&history, &result);
  result.faults = history_check(&history, result.report);
  return result;
}
