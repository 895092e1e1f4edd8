/* tier_cluster.h - a cluster of three tier servers of the test's own, which have all slots. */
#ifndef FC_TESTS_TIER_CLUSTER_H
#define FC_TESTS_TIER_CLUSTER_H

#include "tests/support/tier_server.h"

#define TIER_CLUSTER_SIZE 3

struct tier_cluster {
  struct tier_server servers[TIER_CLUSTER_SIZE];
  char url[256]; /* for --tier: the first server, which names the others */
};

/* Starts the servers, and waits until each one serves the cluster. config->cluster is set. */
void tier_cluster_start(struct tier_cluster *cluster, const struct tier_server_config *config);

/* Waits until each running server says cluster_state:ok, as after a restart, and all know the same
 * epoch. */
void tier_cluster_wait(struct tier_cluster *cluster);

/* Moves the slot of the key to a server, by CLUSTER SETSLOT and MIGRATE. Its keys move too. */
void tier_cluster_move_slot(struct tier_cluster *cluster, const char *key, int to);

/* Returns the place of the server that has the key's slot. */
int tier_cluster_owner(const struct tier_cluster *cluster, const char *key);

void tier_cluster_stop(struct tier_cluster *cluster);

#endif
