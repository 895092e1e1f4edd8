/* sim_tier.h - the simulated tier: one server or the servers of a cluster, and the network to them.
 *
 * A server runs one command after the other. The network delays each message, now and then for a
 * long time, loses some, and resets some connections. A connection keeps the order of its messages.
 * A lost message comes with its retransmission, and those behind it wait for it, as with TCP. */
#ifndef FC_TESTS_SIM_TIER_H
#define FC_TESTS_SIM_TIER_H

#include "tests/fleet_sim/sim_clock.h"
#include "tests/fleet_sim/sim_command.h"
#include "tests/fleet_sim/sim_random.h"

/* How long the kernel waits for an acknowledgement at least, before it sends a message again. */
#define SIM_RETRANSMIT_NS UINT64_C(200000000)

struct sim_network {
  uint64_t latency_ns;   /* one way: median */
  double sigma;          /* of its lognormal distribution */
  uint32_t slow, slow_x; /* this part of a million takes that many times longer */
  uint32_t lost, reset;  /* messages of a million */
  uint64_t service_ns;   /* of a command at a server */
};

struct sim_server {
  struct sim_db db;
  bool down;
  uint64_t busy_until_ns, busy_ns; /* busy in all */
  uint64_t commands, messages;
  uint64_t longest_queue_ns; /* that a message waited for its turn */
};

struct sim_tier {
  struct sim_clock *clock;
  struct sim_random *random;
  struct sim_network network;
  struct sim_server *servers;
  uint32_t n;
};

struct sim_link;

/* A message: commands there, and their replies back. */
struct sim_message {
  struct sim_event event;
  struct sim_link *link;
  uint32_t life; /* of the connection */
  bool back, reset;
  uint32_t n;
  struct sim_command *first;
};

void sim_tier_init(struct sim_tier *tier, struct sim_clock *clock, struct sim_random *random,
                   const struct sim_network *network, uint32_t servers);
void sim_tier_deinit(struct sim_tier *tier);

/* Returns the number of the server that has the key, by its hash tag. */
uint32_t sim_tier_server_of(const struct sim_tier *tier, struct fc_str key);

/* Sends a message to its link's server; back comes sim_link_receive. `hops`: 1, or 3 with a
 * handshake. */
void sim_tier_send(struct sim_tier *tier, struct sim_message *message, uint32_t hops);

/* A server stops; a replica takes its place, without the writes of the last db.lag_ns. */
void sim_tier_stop(struct sim_tier *tier, uint32_t server);
void sim_tier_fail_over(struct sim_tier *tier, uint32_t server);

#endif
