#include "tests/fleet_sim/sim_node.h"

void sim_node_clear(struct sim_node *node) {
  (void)node;
}
