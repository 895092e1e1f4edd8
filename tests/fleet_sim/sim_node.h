/* sim_node.h - one simulated node: what a daemon does with store, leases and fleet when requests
 * and replies of the tier come. */
#ifndef FC_TESTS_SIM_NODE_H
#define FC_TESTS_SIM_NODE_H

#include "daemon/fleet/fleet.h"
#include "tests/fleet_sim/sim.h"
#include "tests/fleet_sim/sim_link.h"
#include "tests/fleet_sim/sim_worker.h"

struct sim_node {
  struct sim_event timer; /* first */
  struct sim *sim;
  uint32_t number;
  struct store store;
  struct region region;
  struct catalog catalog;
  struct namespace_table namespaces;
  struct namespace *ns;
  struct counters counters;
  struct leases leases;
  struct lease_client others; /* owns the leases of keys that other nodes compute */
  struct fleet_clears clears;
  struct tier_version version; /* of the clears */
  struct fleet_step *step;     /* of its clear; NULL: none */
  bool has_stepped;
  struct fleet fleet;
  struct sim_links links;
  struct sim_worker *workers;
  struct sim_worker *ready_first, *ready_last; /* to be continued in this turn */
  bool knows_clear;
};

struct sim_node *sim_node_new(struct sim *sim, uint32_t number);
/* Starts the workers. */
void sim_node_start(struct sim_node *node);
/* Ends what the fleet does. Messages may be under way. */
void sim_node_stop(struct sim_node *node);
/* No message is under way. */
void sim_node_free(struct sim_node *node);

/* The worker is continued in this turn. */
void sim_node_ready(struct sim_node *node, struct sim_worker *worker);

/* Does what is due after an event, and sends it. Each event ends with it. */
void sim_node_turn(struct sim_node *node);

#endif
