#include "fleet_herd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/support/child_process.h"

#define READY_TIMEOUT_MS 60000u
#define RACE_TIMEOUT_NS UINT64_C(600000000000)
#define END_TIMEOUT_MS 20000u
#define POLL_NS 1000000
#define PUBLISH_NS 50000000u /* after a computation its value may not yet be in the tier */

/* ---- start and stop ---- */

static void start_daemon(const struct fleet_herd *herd, struct daemon *daemon) {
  const char *const *a = herd->args;
  harness_start(daemon, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11],
                a[12], a[13], a[14], a[15], NULL);
}

static void start_worker(struct fleet_herd *herd, uint32_t number) {
  uint32_t node = number / herd->workers, nth = number % herd->workers;
  herd->plans[number] = (struct herd_worker_plan){
      .board = herd->board,
      .number = number,
      .first = nth * herd->keys / herd->workers,
      .keys = herd->keys,
      .compute_ns = herd->compute_ns,
      .socket = herd->plain_socket != NULL ? herd->plain_socket : herd->daemons[node].socket};
  herd->pids[number] =
      child_start(herd->plain_socket != NULL ? herd_worker_run_plain : herd_worker_run,
                  &herd->plans[number], NULL);
}

void fleet_herd_start(struct fleet_herd *herd) {
  ck_assert_uint_le(herd->nodes, HERD_NODES_MAX);
  ck_assert_uint_le(herd->nodes * herd->workers, HERD_WORKERS_MAX);
  ck_assert_uint_le(herd->keys, HERD_KEYS_MAX);
  herd->board = child_shared(sizeof *herd->board);
  for (uint32_t i = 0; herd->plain_socket == NULL && i < herd->nodes; i++)
    start_daemon(herd, &herd->daemons[i]);
  for (uint32_t i = 0; i < herd->nodes * herd->workers; i++)
    start_worker(herd, i);
}

void fleet_herd_stop(struct fleet_herd *herd) {
  for (uint32_t i = 0; i < herd->nodes * herd->workers; i++)
    if (herd->pids[i] > 0)
      ck_assert_int_eq(harness_wait(herd->pids[i], END_TIMEOUT_MS), 0);
  for (uint32_t i = 0; herd->plain_socket == NULL && i < herd->nodes; i++)
    (void)harness_stop(&herd->daemons[i]); /* the tests of the daemon's life check its status */
  (void)munmap(herd->board, sizeof *herd->board); /* it ends with the test anyway */
  herd->board = NULL;
}

/* ---- kills ---- */

/* Returns the number of workers of a node that compute, or that have computed since a time. */
static uint32_t flights(const struct fleet_herd *herd, uint32_t node, uint64_t since_ns) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < herd->workers; i++) {
    const struct herd_worker_board *worker = &herd->board->workers[node * herd->workers + i];
    n += atomic_load(&worker->computing) != 0 || atomic_load(&worker->computed_ns) > since_ns;
  }
  return n;
}

/* Returns a node that holds a lease, the next one in turn, or herd->nodes if none does. */
static uint32_t find_holder(const struct fleet_herd *herd) {
  for (uint32_t i = 0; i < herd->nodes; i++)
    if (flights(herd, (herd->kills + i) % herd->nodes, UINT64_MAX) > 0)
      return (herd->kills + i) % herd->nodes;
  return herd->nodes;
}

/* Kills the daemon of a node that holds a lease, and starts it again. */
static void kill_when_due(struct fleet_herd *herd) {
  if (herd->kill_ns == 0 || harness_now_ns() < herd->next_kill_ns)
    return;
  uint32_t node = find_holder(herd);
  if (node < herd->nodes) {
    uint64_t since_ns = harness_now_ns() - PUBLISH_NS;
    harness_kill9(&herd->daemons[node]); /* takes its time on a busy machine */
    herd->in_flight += flights(herd, node, since_ns);
    herd->kills++;
    start_daemon(herd, &herd->daemons[node]);
  }
  herd->next_kill_ns = harness_now_ns() + herd->kill_ns;
}

static uint32_t count_distinct(const struct fleet_herd *herd) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < herd->keys; i++)
    n += atomic_load(&herd->board->computed[i]) > 0;
  return n;
}

static void restart_when_due(struct fleet_herd *herd, bool *restarted) {
  if (herd->restart == NULL || *restarted || count_distinct(herd) < herd->keys / 4)
    return;
  *restarted = true;
  atomic_store(&herd->board->away, true);
  herd->restart(herd->restart_arg);
  atomic_store(&herd->board->away, false);
}

/* ---- the race ---- */

static bool all_are_ready(void *arg) {
  const struct fleet_herd *herd = arg;
  return atomic_load(&herd->board->ready) == herd->nodes * herd->workers;
}

static int compare_us(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Returns the time, of `n` sorted ones, below which `percent` of them are. */
static double percentile_ms(const uint32_t *sorted_us, uint32_t n, uint32_t percent) {
  size_t at = (size_t)(n - 1) * percent / 100;
  return n == 0 ? 0 : sorted_us[at] / 1e3;
}

static void measure_waits(struct fleet_herd *herd) {
  static uint32_t all[HERD_WORKERS_MAX * HERD_KEYS_MAX]; /* large */
  uint32_t n = 0;
  for (uint32_t i = 0; i < herd->nodes * herd->workers; i++) {
    const struct herd_worker_board *worker = &herd->board->workers[i];
    memcpy(&all[n], worker->wait_us, worker->n_waits * sizeof *all);
    n += worker->n_waits;
  }
  qsort(all, n, sizeof *all, compare_us);
  herd->n_waits = n;
  herd->wait_p50_ms = percentile_ms(all, n, 50);
  herd->wait_p99_ms = percentile_ms(all, n, 99);
  herd->wait_max_ms = percentile_ms(all, n, 100);
}

static void sum_up(struct fleet_herd *herd) {
  uint64_t began_ns = UINT64_MAX, ended_ns = 0;
  for (uint32_t i = 0; i < herd->nodes * herd->workers; i++) {
    const struct herd_worker_board *worker = &herd->board->workers[i];
    herd->computations += worker->computations;
    herd->without_tier += worker->without_tier;
    herd->wrong += worker->wrong;
    if (began_ns > worker->began_ns)
      began_ns = worker->began_ns;
    if (ended_ns < worker->ended_ns)
      ended_ns = worker->ended_ns;
  }
  herd->distinct = count_distinct(herd);
  herd->wall_s = (double)(ended_ns - began_ns) / 1e9;
  measure_waits(herd);
}

void fleet_herd_race(struct fleet_herd *herd) {
  const struct timespec pause = {.tv_nsec = POLL_NS};
  uint64_t start_ns;
  bool restarted = false;
  if (!harness_wait_until(all_are_ready, herd, READY_TIMEOUT_MS))
    ck_abort_msg("%u of %u workers are ready", atomic_load(&herd->board->ready),
                 herd->nodes * herd->workers);
  atomic_store(&herd->board->go, true);
  start_ns = harness_now_ns();
  herd->next_kill_ns = start_ns + herd->kill_ns;
  while (atomic_load(&herd->board->ended) < herd->nodes * herd->workers) {
    if (harness_now_ns() - start_ns > RACE_TIMEOUT_NS)
      ck_abort_msg("%u of %u workers are through", atomic_load(&herd->board->ended),
                   herd->nodes * herd->workers);
    restart_when_due(herd, &restarted);
    kill_when_due(herd);
    (void)nanosleep(&pause, NULL); /* an early return is harmless */
  }
  sum_up(herd);
}

/* ---- the table ---- */

void fleet_herd_print_heads(void) {
  printf("%-22s %12s %8s %6s %9s %12s %8s %9s %9s %9s %9s\n", "herd", "computations", "distinct",
         "kills", "in flight", "without tier", "wall s", "waits", "p50 ms", "p99 ms", "max ms");
}

void fleet_herd_print(const struct fleet_herd *herd, const char *name) {
  printf("%-22s %12u %8u %6u %9u %12u %8.2f %9u %9.2f %9.2f %9.2f\n", name, herd->computations,
         herd->distinct, herd->kills, herd->in_flight, herd->without_tier, herd->wall_s,
         herd->n_waits, herd->wait_p50_ms, herd->wait_p99_ms, herd->wait_max_ms);
}
