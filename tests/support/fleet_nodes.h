/* fleet_nodes.h - two daemons that share a real tier, and what their workers in other processes do.
 * A function that cannot do its work fails the test. */
#ifndef FC_TESTS_FLEET_NODES_H
#define FC_TESTS_FLEET_NODES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "fcache.h"
#include "tests/support/harness.h"
#include "tests/support/tier_server.h"

#define FLEET_SPACE "fleet"
#define FLEET_NODES 2u
#define FLEET_TIMEOUT_MS 30000u

/* In memory that the workers share. */
struct fleet_board {
  _Atomic uint32_t computes; /* begun */
  _Atomic bool open;         /* the gate at which computations are held */
};

extern struct tier_server fleet_server;
extern struct daemon fleet_nodes[FLEET_NODES];
extern struct fcache *fleet_watches[FLEET_NODES]; /* for stats */
extern struct fleet_board *fleet_board;

/* A fixture. The deadline of the tier is 20 s, which no busy machine misses, and a fleet lease that
 * is not renewed ends after a second. */
void fleet_nodes_start(void);
/* The same for a test that waits for the deadline: it is 3 s. */
void fleet_nodes_start_failing(void);
void fleet_nodes_stop(void);

/* Starts a node that was stopped or killed, and closes and opens its watch. */
void fleet_node_start(unsigned node);

/* In a worker: counts a computation, and holds it until the board is open. Returns false after
 * FLEET_TIMEOUT_MS. */
bool fleet_board_compute(void);

/* Waits until `n` computations have begun. */
void fleet_board_wait(uint32_t n);

#endif
