/* clients_groups.h - the clients of fcachectl clients, grouped by user: a line for each user, and a
 * table of its clients, with the lease that each holds or waits for. */
#ifndef FC_CTL_CLIENTS_GROUPS_H
#define FC_CTL_CLIENTS_GROUPS_H

#include "client/ctl/commands/listing.h"

struct clients_group;

/* Zeroed but for `listing` to start. The listing's limit is on all rows, shared among the users. */
struct clients_groups {
  struct listing *listing;
  struct clients_group *groups;
  size_t n;
};

/* Adds a client. `arg` is the struct clients_groups. A callback of admin_clients. With --json it
 * prints the client at once. */
void clients_groups_add(void *arg, const struct fc_client_entry *client);

/* Prints the groups, the user with the most connections first, and frees them. */
void clients_groups_print(struct clients_groups *groups);

#endif
