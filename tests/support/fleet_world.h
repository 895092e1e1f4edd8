/* fleet_world.h - several nodes with their stores, leases and workers, over one fake tier and one
 * clock. The workers do what the request handlers do for a session. */
#ifndef FC_TESTS_FLEET_WORLD_H
#define FC_TESTS_FLEET_WORLD_H

#include "daemon/fleet/fleet.h"
#include "tests/support/fake_tier.h"

#define WORLD_NODES_MAX 4u
#define WORLD_WORKERS 3u /* of each node */
#define WORLD_MS UINT64_C(1000000)
#define WORLD_LATENCY_NS (1 * WORLD_MS)
#define WORLD_DEADLINE_NS (50 * WORLD_MS)
#define WORLD_LEASE_NS (3000 * WORLD_MS)
#define WORLD_MAX_VALUE 100000u

enum worker_state {
  WORKER_IDLE,          /* its last get hit, or its last put was made */
  WORKER_PARKED,        /* on a fill */
  WORKER_WAITS,         /* for a local lease */
  WORKER_COMPUTES,      /* with the local lease */
  WORKER_COMPUTES_ALONE /* without */
};

struct world_worker {
  struct world_node *node;
  struct fleet_waiter waiter;
  struct lease_client leases;
  enum worker_state state;
  bool is_resumed;
  uint32_t key;
  uint64_t generation; /* of the store, when its computation began */
  uint64_t since_ns;   /* of the state */
  uint32_t hits;
  char value[64]; /* of the last hit */
};

struct world_node {
  struct world *world;
  struct region region;
  struct store store;
  struct namespace_table namespaces;
  struct namespace *ns;
  struct leases leases;
  struct counters counters;
  struct lease_client client;
  struct fleet_clears clears;
  struct fake_io io;
  struct fleet fleet;
  struct world_worker workers[WORLD_WORKERS];
};

struct world {
  struct fake_tier tier;
  uint64_t now_ns;
  uint32_t n;
  struct world_node nodes[WORLD_NODES_MAX];
  /* Called after each step. NULL: none. */
  void (*check)(struct world *world);
};

/* The one of a test. */
extern struct world the_world;

/* Makes `n` nodes of the_world. `tune` (may be NULL) changes the config of a node before it starts.
 */
void world_start(uint32_t n, void (*tune)(uint32_t node, struct fleet_config *config));

/* Stops the fleets, waits until they are idle, and checks that nothing is left. */
void world_stop(void);

/* Fixtures: world_start of two nodes, and world_stop. A test that needs another config calls
 * world_restart: it has two nodes too. */
void world_set_up(void);
void world_restart(void (*tune)(uint32_t node, struct fleet_config *config));

/* Ends all faults and the jitter of the nodes' ways to the tier. */
void world_end_faults(struct world *world);

/* Lets the clock run until `until_ns`, or for a time. */
void world_run_until(struct world *world, uint64_t until_ns);
void world_run(struct world *world, uint64_t for_ns);
/* Does what is due now, without the clock. */
void world_settle(struct world *world);

/* The key with a number, its name in the tier, and its present clear version on the node. */
struct fc_key world_key(uint32_t number);
struct fleet_key world_name(const struct world_node *node, uint32_t number,
                            enum fleet_key_kind kind);

/* The worker, which is idle, gets a key, and computes if it must. */
void worker_get(struct world_worker *worker, uint32_t number);
/* The same for a key that no node has or computes, until the worker computes it with the fleet
 * lease. */
void worker_compute(struct world_worker *worker, uint32_t number);

/* The worker's computation has this value. Returns the outcome of store_put. */
int worker_put(struct world_worker *worker, const char *value);
/* The same for any key, at any time, with or without keep_first. */
int worker_put_key(struct world_worker *worker, uint32_t number, const char *value,
                   bool keep_first);

/* The worker's process ends: its leases go to the next. It is idle then. */
void worker_die(struct world_worker *worker);

/* Writes a value into the tier as another node does it. */
void world_publish(struct world *world, uint32_t number, uint64_t version, const char *text,
                   uint64_t stamp);
/* Returns the text of the value that the tier has, or NULL. Static memory. */
const char *world_published(struct world *world, uint32_t number, uint64_t version);
/* Returns whether the tier has a fleet lease of the key. */
bool world_leased(struct world *world, uint32_t number, uint64_t version);

/* The node's clear table knows all clears up to this version: one of everything, as that of every
 * key. */
void world_know(struct world_node *node, uint64_t version);

/* From now on the tier's clear version is above the node's, until the refresh ends. */
void world_hear_later_version(struct world_node *node);
void world_refreshed(struct world_node *node, bool ok);

/* Removes the entry of a key from the node's store, as an eviction does. */
void world_evict(struct world_node *node, uint32_t number);
/* Clears the node's store and leases, as a clear does. */
void world_clear(struct world_node *node);

#endif
