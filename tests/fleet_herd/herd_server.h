/* herd_server.h - the tier server of a herd: how many requests it gets, and its restart. A function
 * that cannot do its work fails the test. */
#ifndef FC_TESTS_HERD_SERVER_H
#define FC_TESTS_HERD_SERVER_H

#include "fleet_herd.h"
#include "tests/support/tier_server.h"

/* Sets the server's counts of requests to 0. */
void herd_server_count_from_now(const struct tier_server *server);

/* Returns the number of requests since then. Prints the number of each command. */
uint64_t herd_server_print_requests(const struct tier_server *server);

/* A server that is restarted during a race: fleet_herd.restart and its argument. */
struct herd_restart {
  struct fleet_herd *herd;
  struct tier_server *server; /* persistent */
  double away_s;              /* set by the restart: until all nodes used the server again */
};

/* Stops the server, starts it with its data, and waits until each node gets a value through it that
 * another node computed. `arg` is a struct herd_restart. */
void herd_server_restart(void *arg);

#endif
