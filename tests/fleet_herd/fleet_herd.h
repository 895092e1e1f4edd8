/* fleet_herd.h - workers of many nodes that want the same keys at the same time.
 *
 * Each node is a daemon with its workers, each in its own process. All nodes share one tier. The
 * worker i of a node begins at i/WORKERS of the list and goes on in a circle, so each key is missed
 * on all nodes at about the same time. In a plain herd the same workers use the server itself: get,
 * and on a miss compute and set.
 *
 * A herd runs under Check. A function that cannot do its work fails the test. */
#ifndef FC_TESTS_FLEET_HERD_H
#define FC_TESTS_FLEET_HERD_H

#include "herd_board.h"
#include "herd_worker.h"
#include "tests/support/harness.h"

#define HERD_NODES_MAX 16u
#define HERD_ARGS_MAX 16u

struct fleet_herd {
  /* Set before the start. */
  uint32_t nodes, workers; /* workers of each node */
  uint32_t keys;
  uint64_t compute_ns;
  const char *args[HERD_ARGS_MAX]; /* of the daemons; ends with NULL */
  const char *plain_socket;        /* of the server of a plain herd; NULL: the daemons' herd */
  uint64_t kill_ns;                /* from kill to kill; 0: none is killed */
  /* Restarts the server, once a quarter of the keys are computed, and returns when all nodes use it
   * again. NULL: it runs on. */
  void (*restart)(void *arg);
  void *restart_arg;

  struct daemon daemons[HERD_NODES_MAX];
  struct herd_board *board;
  struct herd_worker_plan plans[HERD_WORKERS_MAX];
  pid_t pids[HERD_WORKERS_MAX];
  uint64_t next_kill_ns;

  /* Results. */
  uint32_t computations, distinct; /* computations, and keys that were computed */
  uint32_t kills;
  uint32_t in_flight;    /* keys that a killed node was computing or publishing, of all kills */
  uint32_t without_tier; /* computations that began while the server was away */
  uint32_t wrong;        /* wrong values and failed calls */
  double wall_s;         /* from the common start to the end of the last worker */
  uint32_t n_waits;
  double wait_p50_ms, wait_p99_ms, wait_max_ms;
};

/* Starts the daemons and the workers, which wait for the common start. */
void fleet_herd_start(struct fleet_herd *herd);

/* Runs the workers until all are through, and fills the results. The daemons run on. */
void fleet_herd_race(struct fleet_herd *herd);

/* Stops everything that fleet_herd_start started. */
void fleet_herd_stop(struct fleet_herd *herd);

/* Prints the results as one line of a table, below the line of the heads. */
void fleet_herd_print_heads(void);
void fleet_herd_print(const struct fleet_herd *herd, const char *name);

#endif
