/* sim.h - a simulated fleet: nodes with the real fleet, leases and store, and one tier, under one
 * clock.
 *
 * Each node has workers. Each worker gets the same list of keys, one after the other, and computes
 * what it must, as a worker of the library does. The same parameters give the same run. */
#ifndef FC_TESTS_SIM_H
#define FC_TESTS_SIM_H

#include "proto/histogram.h"
#include "tests/fleet_sim/sim_tier.h"

#define SIM_MS UINT64_C(1000000)
#define SIM_SECOND (1000 * SIM_MS)
#define SIM_START_NS (2 * SIM_SECOND) /* the nodes begin before, and the workers after it */
#define SIM_VERSIONS 2u               /* of keys: before and after a clear */

struct sim_params {
  uint64_t seed;
  uint32_t nodes, workers; /* workers of a node */
  uint32_t keys, servers;
  struct sim_network network;
  bool together;        /* all workers get the keys in one order, from the start on */
  uint64_t start_ns;    /* workers start within this time */
  uint64_t think_ns;    /* of a worker between two keys: mean */
  uint64_t compute_ns;  /* of a key: median */
  double compute_sigma; /* of its lognormal distribution */
  uint64_t
      fail_at_ns; /* the server with the clears stops, this long after SIM_START_NS. 0: never */
  uint64_t fail_over_ns; /* until its replica takes its place, */
  uint64_t lag_ns;       /* which lacks the writes of this time */
  uint64_t clear_at_ns;  /* node 0 clears the namespace, likewise */
  uint64_t limit_ns;     /* the workers must have done by then */
};

struct sim_node;

/* A key, under one clear version. */
struct sim_task {
  uint32_t computed; /* how often */
  uint64_t done_ns;  /* when a computation had ended first */
};

struct sim_results {
  uint64_t lookups, hits,
      waits;                  /* of the workers; hits of the node's own store; parked or leased */
  uint64_t computed, tasks;   /* computations; keys that were computed, under each version */
  uint64_t wrong, stale;      /* values of another key, or from before a clear that the node knew */
  struct fc_histogram waited; /* misses: beyond the computation */
  struct fc_histogram learned; /* nodes: from the clear's acknowledgement until they applied it */
  uint32_t learned_early;      /* nodes that applied it before that */
  uint64_t took_ns;            /* from SIM_START_NS until the last worker had done */
  uint32_t unfinished;         /* workers at limit_ns */
  uint64_t commands, messages; /* at the tier, in that time */
  double busiest;              /* the part of the time that the busiest server worked */
  uint64_t longest_queue_ns;   /* of a message at a server */
  uint64_t timeouts, openings, dropped; /* of commands, breakers and writes */
  uint64_t events;
};

struct sim {
  struct sim_params params;
  struct sim_clock clock;
  struct sim_random random;
  struct sim_tier tier;
  struct sim_node **nodes;
  struct sim_task *tasks; /* of key and version: sim_task */
  uint32_t *order;        /* of the keys, if they come together */
  uint32_t busy;          /* workers that have not done */
  uint64_t cleared_ns;    /* when the clear was acknowledged; 0: it was not */
  struct sim_results results;
};

/* Returns the parameters of a usual run. */
struct sim_params sim_params_usual(uint32_t nodes);

/* Runs a simulation to its end. */
void sim_run(const struct sim_params *params, struct sim_results *results);

static inline struct sim_task *sim_task(struct sim *sim, uint32_t key, uint64_t version) {
  return &sim->tasks[(version < SIM_VERSIONS ? version : SIM_VERSIONS - 1) * sim->params.keys +
                     key];
}

#endif
