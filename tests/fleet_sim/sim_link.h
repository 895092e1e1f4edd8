/* sim_link.h - the transport of a simulated node: fleet_io.h over a connection to each tier server,
 * as daemon/tier/ is over sockets. It uses the same circuit breaker and the same grace. */
#ifndef FC_TESTS_SIM_LINK_H
#define FC_TESTS_SIM_LINK_H

#include "daemon/fleet/breaker.h"
#include "daemon/fleet/grace.h"
#include "tests/fleet_sim/sim_tier.h"

#define SIM_DEADLINE_NS UINT64_C(50000000) /* --tier-deadline */

struct sim_links;

/* The connection to one server. */
struct sim_link {
  struct sim_event timer; /* first: deadlines, probes, and the grace */
  struct sim_links *links;
  uint32_t server;
  bool connected, connecting; /* connecting: again, in the grace */
  uint32_t life;              /* another after each connection that was lost */
  struct breaker breakers[FLEET_OP_CLASSES];
  struct grace grace;
  uint64_t there_ns, back_ns;                     /* when the latest messages are there */
  struct sim_command *unsent_first, *unsent_last; /* of this turn, or of the grace */
  uint32_t unsent;
  struct sim_command *flight_first, *flight_last; /* sent, without a reply: the oldest first */
  struct sim_link *next_unsent;
  bool is_listed; /* in the list of unsent */
};

struct sim_links {
  struct fleet_io io; /* first */
  struct sim_tier *tier;
  struct sim_link *links; /* one for each server */
  uint32_t n;
  struct sim_link *unsent; /* links with commands of this turn */
  /* Replies or failures were delivered. */
  void (*turn)(void *arg);
  void *arg;
  uint64_t timeouts, openings; /* of commands, and of breakers */
};

void sim_links_init(struct sim_links *links, struct sim_tier *tier, uint64_t seed,
                    void (*turn)(void *arg), void *arg);
/* Breaks all connections. No operation is in progress. Messages may be under way. */
void sim_links_stop(struct sim_links *links);
/* No message is under way. */
void sim_links_deinit(struct sim_links *links);

/* Sends the commands of this turn: one message for each server. */
void sim_links_flush(struct sim_links *links);

/* For sim_tier.c: a message is back. */
void sim_link_receive(struct sim_link *link, struct sim_message *message);

void sim_message_free(struct sim_message *message);

#endif
