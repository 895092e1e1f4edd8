#include "daemon/tier/tier_router.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/tier/cluster_ranges.h"
#include "daemon/tier/tier_link.h"
#include "proto/errors.h"

/* Between two questions for the map: many redirections cost one. A failover takes seconds. */
#define REFRESH_NS UINT64_C(100000000)
#define REFRESH_FAILED_NS UINT64_C(300000000)

/* ---- servers ---- */

static struct tier_link *seed_of(const struct tier_io *tier) {
  return tier->links;
}

static bool has_address(const struct tier_link *link, const char *host, uint16_t port) {
  return strcmp(link->own.host, host) == 0 && link->own.port == port;
}

/* Returns the place in the table of the server with this address, which is added if it is new, or
 * -1 if there is no room. */
static int find_or_add(struct tier_io *tier, const struct tier_link *from, const char *host,
                       uint16_t port) {
  struct tier_address address = {.port = port};
  int place = -1;
  if (host[0] == '\0')
    host = from->addresses[from->address].host;
  if (host[0] == '\0') /* by a Unix socket: the server is on this machine */
    host = "127.0.0.1";
  for (int i = 0; i < (int)TIER_SERVERS_MAX; i++) {
    if (tier->table[i] != NULL && has_address(tier->table[i], host, port)) {
      tier->table[i]->gone = false;
      return i;
    }
    if (tier->table[i] == NULL && place < 0)
      place = i;
  }
  (void)snprintf(address.host, sizeof address.host, "%s", host);
  struct tier_link *link = place >= 0 ? tier_link_new(tier, NULL, 0, &address) : NULL;
  if (link == NULL)
    return -1;
  link->role = "primary";
  link->connect_wanted = true;
  link->next = seed_of(tier)->next;
  seed_of(tier)->next = link;
  tier->table[place] = link;
  return place;
}

static void set_slot(struct tier_io *tier, uint16_t slot, int place) {
  if (tier->slots[slot] != 0)
    tier->table[tier->slots[slot] - 1]->n_slots--;
  tier->slots[slot] = (uint8_t)(place + 1);
  tier->table[place]->n_slots++;
}

bool tier_io_owns_slot(const struct tier_io *tier, const struct tier_link *link, uint16_t slot) {
  return !tier->is_cluster || link->n_slots == 0 ||
         (tier->slots[slot] != 0 && tier->table[tier->slots[slot] - 1] == link);
}

struct tier_link *tier_router_find(struct tier_io *tier, struct fleet_op *op) {
  if (!tier->is_cluster)
    return seed_of(tier);
  op->slot = key_slot(op->key.data, op->key.size);
  if (tier->slots[op->slot] == 0) /* no server has the slot: the seed's reply says so */
    return seed_of(tier);
  return tier->table[tier->slots[op->slot] - 1];
}

/* ---- the map ---- */

static bool is_well_formed(const struct resp_reply *reply) {
  struct cluster_ranges ranges;
  struct cluster_range range;
  int next = cluster_ranges_init(&ranges, reply);
  if (next < 0)
    return false;
  while ((next = cluster_ranges_next(&ranges, &range)) > 0)
    ;
  return next == 0;
}

static void take_ranges(struct tier_io *tier, const struct tier_link *from,
                        const struct resp_reply *reply) {
  struct cluster_ranges ranges;
  struct cluster_range range;
  memset(tier->slots, 0, sizeof tier->slots);
  for (struct tier_link *link = seed_of(tier)->next; link != NULL; link = link->next) {
    link->n_slots = 0;
    link->gone = true;
  }
  check_eq(cluster_ranges_init(&ranges, reply), 0);
  while (cluster_ranges_next(&ranges, &range) > 0) {
    int place = find_or_add(tier, from, range.host, range.port);
    if (place < 0) {
      log_once(tier->config.log, &tier->full_logged, LOG_LEVEL_WARNING,
               "the tier has more than %u servers, or memory is out: keys of the others are not "
               "shared",
               TIER_SERVERS_MAX);
      continue;
    }
    for (uint32_t slot = range.first; slot <= range.last; slot++)
      set_slot(tier, (uint16_t)slot, place);
  }
}

/* Moves the ops that wait for a server to the servers that have their slots now. */
static void reroute(struct tier_io *tier, struct tier_link *link, uint64_t now_ns) {
  for (uint32_t n = link->n_queued; n > 0 && link->first != NULL; n--) {
    struct fleet_op *op = link->first;
    uint32_t flags = op->step;
    tier_link_unlink(link, op);
    breaker_abandoned(&link->breakers[op->class], op->permit);
    if (tier_link_submit(tier_router_find(tier, op), op, flags))
      continue;
    const struct fleet_reply reply = {.status = FLEET_DOWN, .text = "its server does not answer"};
    tier_link_finish(link, op, &reply, now_ns);
  }
}

/* The server of the URLs is no cluster, or no longer. */
static void leave_cluster(struct tier_io *tier, uint64_t now_ns) {
  tier->is_cluster = false;
  seed_of(tier)->role = seed_of(tier)->is_replica ? "replica" : "single";
  memset(tier->slots, 0, sizeof tier->slots);
  for (struct tier_link *link = seed_of(tier)->next; link != NULL; link = link->next) {
    link->n_slots = 0;
    link->gone = true;
    reroute(tier, link, now_ns);
  }
}

void tier_io_take_slots(struct tier_io *tier, struct tier_link *link,
                        const struct resp_reply *reply, uint64_t now_ns) {
  if (reply == NULL) {
    if (tier_link_is_seed(link))
      leave_cluster(tier, now_ns);
    return;
  }
  if (!is_well_formed(reply)) {
    tier_link_break(link, BREAKER_LOST, "its reply to CLUSTER SLOTS is malformed");
    return;
  }
  tier->is_cluster = true;
  seed_of(tier)->role = "";
  take_ranges(tier, link, reply);
  reroute(tier, seed_of(tier), now_ns);
  for (struct tier_link *other = seed_of(tier)->next; other != NULL; other = other->next)
    if (other->gone)
      reroute(tier, other, now_ns);
  tier_io_schedule(tier);
}

/* ---- redirections ---- */

void tier_io_redirect(struct tier_io *tier, struct tier_link *from, struct fleet_op *op,
                      const struct redirect *redirect, bool ask, uint64_t now_ns) {
  const char *why = "the tier names more servers than there is room for";
  int place = find_or_add(tier, from, redirect->host, redirect->port);
  if (place >= 0 && !ask) {
    tier->is_cluster = true;
    op->slot = key_slot(op->key.data, op->key.size); /* which is that of the reply, or it lies */
    set_slot(tier, op->slot, place);
    tier->refresh_wanted = true;
  }
  if (place >= 0) {
    why = "its server does not answer";
    if (tier_link_submit(tier->table[place], op, ask ? TIER_OP_ASKING : 0))
      return;
  }
  const struct fleet_reply reply = {.status = FLEET_DOWN, .text = why};
  tier_link_finish(from, op, &reply, now_ns);
}

/* ---- turns ---- */

/* Any server with slots that is connected knows the map. */
static struct tier_link *find_source_of_map(const struct tier_io *tier) {
  for (struct tier_link *link = seed_of(tier)->next; link != NULL; link = link->next)
    if (link->state == LINK_READY && link->n_slots > 0 &&
        link->breakers[FLEET_READS].state == BREAKER_CLOSED)
      return link;
  return seed_of(tier);
}

/* While a server does not answer, another one may have got its slots. Also in its grace. */
static bool has_failed_server(const struct tier_io *tier) {
  for (const struct tier_link *link = seed_of(tier)->next; link != NULL; link = link->next)
    if (link->n_slots > 0 &&
        (link->grace.until_ns != 0 || link->breakers[FLEET_READS].state == BREAKER_OPEN ||
         link->breakers[FLEET_WRITES].state == BREAKER_OPEN))
      return true;
  return false;
}

static void free_gone(struct tier_io *tier) {
  struct tier_link **at = &seed_of(tier)->next;
  while (*at != NULL) {
    struct tier_link *link = *at;
    if (!link->gone || link->calls.n > 0 || link->n_queued > 0) {
      at = &link->next;
      continue;
    }
    for (size_t i = 0; i < TIER_SERVERS_MAX; i++)
      if (tier->table[i] == link)
        tier->table[i] = NULL;
    struct tier_link *next = link->next;
    tier_link_free(link);
    *at = next;
  }
}

/* Closes the seed's connection when the map is known. */
static void rest_seed(struct tier_io *tier) {
  struct tier_link *seed = seed_of(tier);
  if (seed->next != NULL && seed->state == LINK_READY && seed->calls.n + seed->n_queued == 0 &&
      !seed->slots_wanted && !seed->broken && seed->breakers[FLEET_READS].state == BREAKER_CLOSED &&
      seed->breakers[FLEET_WRITES].state == BREAKER_CLOSED)
    tier_link_rest(seed);
}

void tier_router_turn(struct tier_io *tier, uint64_t now_ns) {
  free_gone(tier);
  if (!tier->is_cluster)
    return;
  rest_seed(tier);
  bool failed = has_failed_server(tier);
  uint64_t due_ns = tier->refreshed_ns + (tier->refresh_wanted ? REFRESH_NS : REFRESH_FAILED_NS);
  if (!tier->refresh_wanted && !failed)
    return;
  if (now_ns < due_ns) {
    tier_io_wake_at(tier, due_ns);
    return;
  }
  tier->refresh_wanted = false;
  tier->refreshed_ns = now_ns;
  find_source_of_map(tier)->slots_wanted = true;
  tier_io_schedule(tier);
  if (failed)
    tier_io_wake_at(tier, now_ns + REFRESH_FAILED_NS);
}
