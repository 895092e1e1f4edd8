#include "tests/fleet_sim/sim_tier.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "tests/fleet_sim/sim_link.h"
#include "tests/fleet_sim/sim_memory.h"

void sim_tier_init(struct sim_tier *tier, struct sim_clock *clock, struct sim_random *random,
                   const struct sim_network *network, uint32_t servers) {
  *tier = (struct sim_tier){.clock = clock, .random = random, .network = *network, .n = servers};
  tier->servers = sim_alloc(servers, sizeof *tier->servers);
}

void sim_tier_deinit(struct sim_tier *tier) {
  for (uint32_t i = 0; i < tier->n; i++)
    sim_db_deinit(&tier->servers[i].db);
  free(tier->servers);
  tier->servers = NULL;
  tier->n = 0;
}

uint32_t sim_tier_server_of(const struct sim_tier *tier, struct fc_str key) {
  const char *open = memchr(key.data, '{', key.size);
  const char *close = open == NULL ? NULL : memchr(open, '}', (size_t)(key.data + key.size - open));
  if (close != NULL)
    key = (struct fc_str){open + 1, (uint32_t)(close - open - 1)};
  return (uint32_t)(XXH3_64bits(key.data, key.size) % tier->n);
}

/* ---- messages ---- */

static uint64_t one_way(struct sim_tier *tier) {
  const struct sim_network *network = &tier->network;
  uint64_t ns = sim_random_lognormal(tier->random, network->latency_ns, network->sigma);
  if (sim_random_chance(tier->random, network->slow))
    ns *= network->slow_x;
  if (sim_random_chance(tier->random, network->lost))
    ns += SIM_RETRANSMIT_NS;
  return ns;
}

/* Sets the time at which the message is there: not before the one that was sent before it. */
static void travel(struct sim_tier *tier, struct sim_message *message, uint64_t from_ns,
                   uint32_t hops, uint64_t *earlier_ns) {
  uint64_t at_ns = from_ns;
  for (uint32_t i = 0; i < hops; i++)
    at_ns += one_way(tier);
  if (at_ns < *earlier_ns)
    at_ns = *earlier_ns;
  *earlier_ns = at_ns;
  sim_clock_set(tier->clock, &message->event, at_ns);
}

/* Runs the commands, and sends the replies when the server has come to the end of them. */
static void serve(struct sim_tier *tier, struct sim_server *server, struct sim_message *message) {
  uint64_t now_ns = tier->clock->now_ns, work_ns = message->n * tier->network.service_ns;
  uint64_t queue_ns = server->busy_until_ns > now_ns ? server->busy_until_ns - now_ns : 0;
  for (struct sim_command *command = message->first; command != NULL; command = command->next)
    sim_command_execute(command, &server->db, now_ns);
  server->commands += message->n;
  server->messages++;
  server->busy_ns += work_ns;
  server->busy_until_ns = now_ns + queue_ns + work_ns;
  if (queue_ns > server->longest_queue_ns)
    server->longest_queue_ns = queue_ns;
}

static void fire(struct sim_event *event) {
  struct sim_message *message = (struct sim_message *)event;
  struct sim_link *link = message->link;
  struct sim_tier *tier = link->links->tier;
  if (message->back) {
    sim_link_receive(link, message);
    return;
  }
  struct sim_server *server = &tier->servers[link->server];
  uint64_t sent_ns = tier->clock->now_ns;
  message->back = true;
  message->reset = server->down || sim_random_chance(tier->random, tier->network.reset);
  if (!message->reset) {
    serve(tier, server, message);
    sent_ns = server->busy_until_ns;
  }
  travel(tier, message, sent_ns, 1, &link->back_ns);
}

void sim_tier_send(struct sim_tier *tier, struct sim_message *message, uint32_t hops) {
  message->event.fire = fire;
  travel(tier, message, tier->clock->now_ns, hops, &message->link->there_ns);
}

/* ---- failovers ---- */

void sim_tier_stop(struct sim_tier *tier, uint32_t server) {
  tier->servers[server].down = true;
}

void sim_tier_fail_over(struct sim_tier *tier, uint32_t server) {
  sim_db_fail_over(&tier->servers[server].db, tier->clock->now_ns);
  tier->servers[server].down = false;
  tier->servers[server].busy_until_ns = 0;
}
