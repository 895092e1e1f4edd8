#include "tests/support/tier_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_TIMEOUT_MS 60000
#define SLOTS 16384
#define MOVED_MAX "100000" /* keys of one slot */

static void join(struct tier_cluster *cluster) {
  char first[16], last[16], port[16], bus_port[16], epoch[16];
  struct tier_server *server = cluster->servers;
  (void)snprintf(port, sizeof port, "%u", server->port);
  (void)snprintf(bus_port, sizeof bus_port, "%u", server->bus_port);
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++) {
    (void)snprintf(first, sizeof first, "%d", SLOTS * i / TIER_CLUSTER_SIZE);
    (void)snprintf(last, sizeof last, "%d", SLOTS * (i + 1) / TIER_CLUSTER_SIZE - 1);
    (void)snprintf(epoch, sizeof epoch, "%d", i + 1); /* else they change when servers meet */
    tier_server_do(&server[i], "CLUSTER", "SET-CONFIG-EPOCH", epoch, NULL);
    tier_server_do(&server[i], "CLUSTER", "ADDSLOTSRANGE", first, last, NULL);
    if (i > 0)
      tier_server_do(&server[i], "CLUSTER", "MEET", "127.0.0.1", port, bus_port, NULL);
  }
}

/* Sets the latest epoch that the server knows. */
static bool serves(const struct tier_server *server, long *epoch) {
  static const char field[] = "cluster_current_epoch:";
  char *info = tier_server_command(server, "CLUSTER", "INFO", NULL);
  bool ok = strstr(info, "cluster_state:ok") != NULL &&
            strstr(info, "cluster_slots_ok:16384") != NULL &&
            strstr(info, "cluster_known_nodes:3") != NULL;
  const char *found = strstr(info, field);
  *epoch = found != NULL ? strtol(found + strlen(field), NULL, 10) : -1;
  free(info);
  return ok;
}

static bool all_serve(void *arg) {
  const struct tier_cluster *cluster = arg;
  long epoch, all = -1;
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++) {
    if (cluster->servers[i].pid == 0)
      continue;
    if (!serves(&cluster->servers[i], &epoch) || (all >= 0 && epoch != all))
      return false;
    all = epoch;
  }
  return true;
}

void tier_cluster_wait(struct tier_cluster *cluster) {
  if (!harness_wait_until(all_serve, cluster, WAIT_TIMEOUT_MS))
    ck_abort_msg("the cluster does not serve after %d ms, see %s", WAIT_TIMEOUT_MS,
                 cluster->servers[0].log);
}

void tier_cluster_start(struct tier_cluster *cluster, const struct tier_server_config *config) {
  struct tier_server_config one = *config;
  one.cluster = true;
  *cluster = (struct tier_cluster){0};
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    tier_server_start(&cluster->servers[i], &one);
  join(cluster);
  tier_cluster_wait(cluster);
  memcpy(cluster->url, cluster->servers[0].url, sizeof cluster->url);
}

int tier_cluster_owner(const struct tier_cluster *cluster, const char *key) {
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++) {
    char *reply = tier_server_command(&cluster->servers[i], "EXISTS", key, NULL);
    bool owns = strncmp(reply, "MOVED", 5) != 0;
    free(reply);
    if (owns)
      return i;
  }
  ck_abort_msg("no server of the cluster has the slot of %s", key);
}

/* Moves the keys. MIGRATE takes one name here: tests have few keys in a slot. */
static void move_keys(const struct tier_server *from, const struct tier_server *to,
                      const char *slot) {
  char port[16], *rest = NULL;
  (void)snprintf(port, sizeof port, "%u", to->port);
  char *keys = tier_server_command(from, "CLUSTER", "GETKEYSINSLOT", slot, MOVED_MAX, NULL);
  for (char *key = strtok_r(keys, "\n", &rest); key != NULL; key = strtok_r(NULL, "\n", &rest))
    tier_server_do(from, "MIGRATE", "127.0.0.1", port, key, "0", "5000", NULL);
  free(keys);
}

void tier_cluster_move_slot(struct tier_cluster *cluster, const char *key, int to) {
  struct tier_server *servers = cluster->servers;
  int from = tier_cluster_owner(cluster, key);
  if (from == to)
    return;
  char *slot = tier_server_command(&servers[0], "CLUSTER", "KEYSLOT", key, NULL);
  char *from_id = tier_server_command(&servers[from], "CLUSTER", "MYID", NULL);
  char *to_id = tier_server_command(&servers[to], "CLUSTER", "MYID", NULL);
  tier_server_do(&servers[to], "CLUSTER", "SETSLOT", slot, "IMPORTING", from_id, NULL);
  tier_server_do(&servers[from], "CLUSTER", "SETSLOT", slot, "MIGRATING", to_id, NULL);
  move_keys(&servers[from], &servers[to], slot);
  /* The receiver first: else no server has the slot for a moment. */
  tier_server_do(&servers[to], "CLUSTER", "SETSLOT", slot, "NODE", to_id, NULL);
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    if (i != to)
      tier_server_do(&servers[i], "CLUSTER", "SETSLOT", slot, "NODE", to_id, NULL);
  free(slot);
  free(from_id);
  free(to_id);
  /* A receiver that does not know the epoch of an earlier move would lose the slot again. */
  tier_cluster_wait(cluster);
}

void tier_cluster_stop(struct tier_cluster *cluster) {
  for (int i = 0; i < TIER_CLUSTER_SIZE; i++)
    tier_server_stop(&cluster->servers[i]);
}
