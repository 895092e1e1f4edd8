/* sim_clear.h - the clears of a simulated node. */
#ifndef FC_TESTS_SIM_CLEAR_H
#define FC_TESTS_SIM_CLEAR_H

#include <stdint.h>

#include "proto/key.h"

struct sim_node;

/* The node has a store, leases and links. */
void sim_clears_init(struct sim_node *node, struct fc_str prefix, uint64_t deadline_ns);

/* Clears the namespace in the fleet. */
void sim_node_clear(struct sim_node *node);

/* Ends a clear that the tier has acknowledged, and measures when the node knows it. */
void sim_clears_turn(struct sim_node *node);

#endif
