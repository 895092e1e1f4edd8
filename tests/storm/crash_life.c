#include "crash_life.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/store/adopt.h"
#include "storm_keys.h"
#include "tests/support/child_process.h"

#define LOG_SHOWN 300u /* bytes, of a daemon that failed */
#define PARK_TIMEOUT_MS 60000u
#define RUN_NS UINT64_C(25000000)      /* of a round, at most */
#define START_NS UINT64_C(20000000000) /* of a daemon, at most */
#define MESSAGES 300u /* of a daemon that stores a region and gives up several, about */
#define CLEAR_NS UINT64_C(2000000)      /* from the begin of a clear to a kill, at most */
#define ADOPT_NS UINT64_C(12000000)     /* from a start to a kill, at most */
#define SNAPSHOT_NS UINT64_C(500000000) /* of a round in which a snapshot ends, at most */
#define FULL_EVERY 8u                   /* rounds, with a check of all values */
#define POLL_NS 20000u                  /* between looks: a kill comes soon after the condition */

static uint64_t below(struct crash_life *life, uint64_t n) {
  return storm_random(&life->random) % n;
}

/* A random time before a kill, which is no wait for a condition, or the pause between two looks. */
static void let_run(uint64_t ns) {
  struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
  (void)nanosleep(&pause, NULL); /* a signal only makes it shorter */
}

/* ---- daemons ---- */

static void make_args(struct crash_life *life) {
  size_t n = 0;
  while (life->kind->args[n] != NULL) {
    life->args[n] = life->kind->args[n];
    n++;
  }
  if (life->kind->files) {
    char dir[HARNESS_PATH_SIZE];
    harness_make_dir(dir);
    (void)snprintf(life->state, sizeof life->state, "--state=%s", dir);
    life->args[n] = life->state;
  }
}

static void launch(struct crash_life *life) {
  atomic_fetch_add(&life->board->starts, 1);
  service_manager_launch(&life->manager, life->args);
}

static bool wait_ready(struct crash_life *life) {
  int status;
  if (service_manager_wait_ready(&life->manager, &status)) {
    atomic_fetch_add(&life->board->daemons, 1);
    return true;
  }
  char *log = harness_log(&life->manager.daemon);
  size_t size = strlen(log);
  crash_report(life->board, CRASH_OTHER, "a daemon ended with status %d instead of serving: %s",
               status, log + (size > LOG_SHOWN ? size - LOG_SHOWN : 0));
  free(log);
  life->failed = true;
  return false;
}

static void kill_daemon(struct crash_life *life) {
  service_manager_kill9(&life->manager);
  life->result->kills++;
}

/* As if the machine had been switched off: the next daemon starts from the file. */
static void lose_memory(struct crash_life *life) {
  service_manager_remove(&life->manager, NULL);
  atomic_store(&life->board->restored, crash_tick(life->board));
  atomic_store(&life->board->rebasing, true);
}

/* Now and then the next daemon dies while it adopts the memory, or soon after. Seldom many do in a
 * row, which leaves the regions of all of them: fewer than the starts without success after which a
 * daemon gives the memory up (daemon/os/crash_count.h). */
static uint32_t number_of_early_deaths(struct crash_life *life) {
  if (below(life, 40) == 0)
    return 3 + (uint32_t)below(life, 6);
  return below(life, 6) == 0 ? 1 + (uint32_t)below(life, 2) : 0;
}

/* Waits until the daemon has sent so many messages, or serves. */
static void wait_messages(struct crash_life *life, unsigned n) {
  struct service_manager *manager = &life->manager;
  uint64_t start_ns = harness_now_ns();
  for (bool reached = false; !reached && harness_now_ns() - start_ns < START_NS; let_run(POLL_NS)) {
    (void)pthread_mutex_lock(&manager->lock); /* cannot fail */
    reached = manager->n_messages >= n || manager->ready;
    (void)pthread_mutex_unlock(&manager->lock);
  }
}

/* Each daemon of a row but the last one gets as far as to serve. So the next one has its region to
 * adopt, and the last one has so many that it migrates all of them before it serves. It gives the
 * segments up one by one, with a message for each, and dies at one of them. */
static void die_in_a_row(struct crash_life *life) {
  for (uint32_t n = ADOPT_REGIONS_MAX; n > 0; n--) {
    launch(life);
    wait_messages(life, n > 1 ? UINT_MAX : (unsigned)below(life, MESSAGES));
    let_run(n > 1 ? 0 : below(life, CLEAR_NS));
    kill_daemon(life);
    life->result->adopting++;
  }
}

static bool start_next(struct crash_life *life) {
  if (life->kind->dies_early)
    die_in_a_row(life);
  for (uint32_t n = number_of_early_deaths(life); n > 0; n--) {
    launch(life);
    let_run(below(life, ADOPT_NS));
    kill_daemon(life);
    life->result->adopting++;
    if (life->kind->forgets)
      lose_memory(life);
  }
  launch(life);
  return wait_ready(life);
}

/* ---- workers ---- */

static bool all_are_parked(void *board) {
  return atomic_load(&((struct crash_board *)board)->parked) == CRASH_PROCESSES;
}

static bool wait_parked(struct crash_life *life) {
  if (harness_wait_until(all_are_parked, life->board, PARK_TIMEOUT_MS))
    return true;
  crash_report(life->board, CRASH_OTHER, "%u of %u workers do not end their calls",
               CRASH_PROCESSES - atomic_load(&life->board->parked), CRASH_PROCESSES);
  life->failed = true;
  return false;
}

bool crash_life_begin(struct crash_life *life, const struct crash_kind *kind,
                      struct crash_board *board, struct crash_result *result, uint64_t seed) {
  *life = (struct crash_life){.kind = kind, .board = board, .result = result, .random = seed};
  crash_board_forget(board);
  board->evicts = kind->evicts;
  crash_phase_set(board, CRASH_PARK);
  service_manager_init(&life->manager);
  make_args(life);
  launch(life);
  if (!wait_ready(life))
    return false;
  for (uint32_t i = 0; i < CRASH_PROCESSES; i++) {
    life->plans[i] = (struct crash_worker_plan){.board = board,
                                                .kind = kind,
                                                .socket = life->manager.daemon.socket,
                                                .number = i,
                                                .seed = storm_random(&life->random)};
    life->pids[i] = child_start(crash_worker_run, &life->plans[i], NULL);
  }
  return crash_check_open(&life->check, board, life->manager.daemon.socket, life->random) &&
         wait_parked(life);
}

void crash_life_end(struct crash_life *life) {
  crash_phase_set(life->board, CRASH_STOP);
  for (uint32_t i = 0; life->failed && i < CRASH_PROCESSES; i++)
    if (life->pids[i] > 0)
      (void)kill(life->pids[i], SIGKILL); /* a child of this process */
  for (uint32_t i = 0; i < CRASH_PROCESSES; i++)
    if (life->pids[i] > 0 && harness_wait(life->pids[i], PARK_TIMEOUT_MS) != 0 && !life->failed)
      crash_report(life->board, CRASH_OTHER, "worker %u failed", i);
  life->result->torn += life->check.torn;
  crash_check_close(&life->check);
  service_manager_deinit(&life->manager);
}

/* ---- rounds ---- */

/* Waits until the number rises, or the time is over. */
static void wait_rise(const _Atomic uint64_t *number, uint64_t ns) {
  uint64_t before = atomic_load(number), start_ns = harness_now_ns();
  while (atomic_load(number) == before && harness_now_ns() - start_ns < ns)
    let_run(POLL_NS);
}

/* Lets the workers run for a random time. Now and then a snapshot ends. In a life with many clears,
 * one begins just before the kill. */
static void run_workers(struct crash_life *life, bool ordered) {
  struct crash_board *board = life->board;
  crash_phase_set(board, ordered ? CRASH_ORDER : CRASH_RUN);
  if (life->kind->files && !ordered && below(life, 4) == 0)
    wait_rise(&board->snapshots, SNAPSHOT_NS);
  let_run(below(life, RUN_NS));
  if (!life->kind->clears || ordered)
    return;
  wait_rise(&board->clears_begun, RUN_NS);
  let_run(below(life, 1 + below(life, CLEAR_NS))); /* mostly soon */
}

bool crash_life_round(struct crash_life *life) {
  struct crash_board *board = life->board;
  bool ordered = !life->kind->forgets && below(life, 5) == 0;
  if (ordered) {
    crash_check_order(&life->check, &life->order);
    atomic_store(&board->steps, 0);
    atomic_store(&board->steps_done, 0);
    atomic_store(&board->last_step_done, false);
  }
  run_workers(life, ordered);
  if (!life->spares)
    kill_daemon(life);
  life->result->rounds++;
  life->result->ordered += ordered;
  crash_phase_set(board, CRASH_PARK);
  bool lost = life->kind->forgets || (life->kind->files && !ordered && below(life, 4) == 0);
  if (lost && !life->spares) {
    lose_memory(life);
    life->result->restores++;
  }
  if ((!life->spares && !start_next(life)) || !wait_parked(life))
    return false;
  struct crash_check_plan plan = {.full = ++life->rounds % FULL_EVERY == 0 || life->kind->clears,
                                  .restored = lost && !life->spares,
                                  .order = ordered ? &life->order : NULL};
  crash_check_run(&life->check, &plan);
  atomic_store(&board->rebasing, false);
  return true;
}

bool crash_life_work(struct crash_life *life, uint64_t ns) {
  crash_phase_set(life->board, CRASH_RUN);
  let_run(ns);
  crash_phase_set(life->board, CRASH_PARK);
  return wait_parked(life);
}

/* The service manager keeps one catalog and the files of one region. */
static bool is_settled(void *arg) {
  struct crash_life *life = arg;
  return service_manager_regions(&life->manager) <= 1;
}

bool crash_life_settle(struct crash_life *life) {
  if (harness_wait_until(is_settled, life, PARK_TIMEOUT_MS))
    return true;
  crash_report(life->board, CRASH_OTHER, "the service manager keeps the files of %u regions",
               service_manager_regions(&life->manager));
  return false;
}
