/* print_clients.h - the daemon's clients: see print_rows.h. For people they are grouped by user: a
 * line for each user with what all its clients hold, below it a row for each client, and below that
 * what the client computes, or what it waits for and whose that is. The user with the most
 * connections comes first. */
#ifndef FC_CTL_CLIENTS_PRINT_H
#define FC_CTL_CLIENTS_PRINT_H

#include "client/ctl/print/print_rows.h"

struct clients_group;

/* Zero to start, but for the first two; clients_print_end at the end. */
struct clients_view {
  struct rows *rows;
  uint64_t limit; /* for people: rows in all, shared out among the users; 0: all */
  struct clients_group *groups;
  size_t n_groups;
};

/* Takes one client; `arg` is the view. As admin_clients wants it. For programs it is printed at
 * once. */
void clients_print_client(void *arg, const struct fc_client_entry *client);

/* Prints what is for people, and frees. */
void clients_print_end(struct clients_view *view);

#endif
