/* Gets of one key: from the region, from the daemon, or from who computes it now. */
#include "client/lib/api/handle.h"
#include "client/lib/conn/wait.h"
#include "client/lib/util/value.h"
#include "proto/errors.h"

#define MS_NS 1000000u
/* "Ask again" seldom comes twice in a row; a daemon that says nothing else is not asked for ever.
 */
#define ASKS_MAX 8u

static void *place_value(void *arg, const struct fc_reply *reply, uint32_t size) {
  struct fcache_value *value = arg;
  (void)reply; /* a get has one value */
  return value_reserve(value, size) < 0 ? NULL : value->data;
}

/* Where the value landed in its place it is there already. */
static int take_value(struct link *link, struct fcache_value *value,
                      const struct fc_get_reply *get) {
  if (get->value == value->data)
    value->size = get->value_size;
  else if (fcache_value_set(value, get->value, get->value_size) < 0)
    return link_fault(link, FC_ENOMEM, "no memory for a value of %u bytes", get->value_size);
  return FCACHE_OK;
}

/* A lookup that has come to the daemon. */
struct asking {
  struct fc_get get;
  struct fcache_value *value;
  uint64_t left_ns;      /* that it may wait */
  uint64_t waited_ns;    /* that it did wait */
  bool coalesced;        /* the hit ended a wait for another's computation, as the daemon says */
  struct fc_epoch epoch; /* of the latest answer */
};

/* A get that waits, for as long as may be. */
static int await(struct fcache *cache, struct asking *asking, uint32_t id, struct fc_reply *reply) {
  struct link *link = &cache->link;
  uint64_t start_ns = channel_clock_ns();
  struct wait wait;
  uint32_t which;
  wait_begin(&wait, link, &cache->asker, asking->left_ns);
  int rc = link_send(link);
  if (rc == 0)
    rc = wait_next(&wait, &id, 1, &which, reply);
  uint64_t waited_ns = channel_clock_ns() - start_ns;
  asking->waited_ns += waited_ns;
  asking->left_ns -= waited_ns < asking->left_ns ? waited_ns : asking->left_ns;
  return wait.ended ? HANDLE_ENDED : rc;
}

static int ask(struct fcache *cache, struct asking *asking, bool waits, struct fc_reply *reply) {
  struct link *link = &cache->link;
  struct fc_get message = asking->get;
  message.terms.wait_ms = waits ? (uint32_t)((asking->left_ns + MS_NS - 1) / MS_NS) : 0;
  uint32_t id = link_begin(link, FC_GET);
  link_place(link, place_value, asking->value);
  (void)fc_encode_get(&link->request, id, &message); /* who sends it looks at `failed` */
  int rc = waits ? await(cache, asking, id, reply) : link_exchange(link, id, NULL, 0, reply);
  if (rc < 0)
    return rc;
  link->epoch.clear_generation = reply->get.clear_generation;
  asking->epoch = link->epoch;
  if (reply->get.lease == FC_LEASE_GRANTED && (message.flags & FC_LEASE) == 0)
    return link_lost(link, FC_EPROTOCOL); /* which nobody asked for, and nobody would end */
  return 0;
}

/* Asks without a wait first: only what somebody else computes is waited for, and only that is time
 * waited. Who takes no lease is not told at once whether somebody does. */
static int ask_daemon(struct fcache *cache, struct asking *asking) {
  struct link *link = &cache->link;
  struct fc_reply reply;
  bool wants = (asking->get.flags & FC_LEASE) != 0;
  if (!handle_ready(cache))
    return FCACHE_MISS;
  if (!link_has_leases(link)) {
    asking->get.flags &= ~(uint32_t)FC_LEASE;
    asking->left_ns = 0;
  } else if (wants || asking->left_ns > 0) {
    asking->get.has_terms = true;
    asking->get.terms.lease_ms = wants ? cache->lease_ms : 0;
  }
  for (unsigned asks = 0; asks < ASKS_MAX; asks++) {
    int rc = ask(cache, asking, asks > 0, &reply);
    if (rc == HANDLE_ENDED)
      return rc;
    if (rc < 0)
      return handle_outcome(cache, rc, FCACHE_MISS);
    asking->coalesced = reply.get.waited;
    if (reply.get.value != NULL)
      return take_value(link, asking->value, &reply.get);
    if (reply.get.lease == FC_LEASE_GRANTED) {
      cache->counters.leases_granted++;
      return FCACHE_LEASED;
    }
    bool is_computed = reply.get.lease == FC_LEASE_TAKEN || (asks == 0 && !wants);
    if (!is_computed || asking->left_ns == 0)
      break;
  }
  return FCACHE_MISS;
}

static void count_hit(struct fcache *cache, unsigned flags, uint64_t wall_ns) {
  if ((flags & FCACHE_UNRECORDED) != 0)
    return;
  cache->counters.cache_hits++;
  handle_charge(cache, wall_ns);
}

/* What the region did not have, looked up since `start_ns`. */
static int look_further(struct fcache *cache, struct asking *asking, uint64_t start_ns) {
  int rc = ask_daemon(cache, asking);
  cache->counters.lease_wait_ns += asking->waited_ns;
  if (rc != FCACHE_OK)
    return rc;
  count_hit(cache, asking->get.flags, channel_clock_ns() - start_ns);
  if (asking->coalesced && (asking->get.flags & FC_UNRECORDED) == 0)
    cache->counters.coalesced_hits++;
  return FCACHE_OK;
}

int handle_lookup(struct fcache *cache, const struct fc_key *key, unsigned flags, uint32_t wait_ms,
                  struct fcache_value *value, struct fc_epoch *epoch) {
  uint64_t start_ns = channel_clock_ns(), now_ns = start_ns;
  *epoch = (struct fc_epoch){0};
  int rc = handle_hit(cache, key, flags, value, &now_ns);
  if (rc == FCACHE_OK)
    count_hit(cache, flags, now_ns - start_ns);
  if (rc != FCACHE_MISS || (flags & FCACHE_LOCAL) != 0)
    return rc;
  struct asking asking = {.get = {.flags = flags & (FCACHE_UNRECORDED | FCACHE_LEASE),
                                  .key = *key,
                                  .probe = handle_probe(cache)},
                          .value = value,
                          .left_ns = (uint64_t)wait_ms * MS_NS};
  rc = look_further(cache, &asking, start_ns);
  *epoch = asking.epoch;
  return rc;
}

static int get(struct fcache *cache, const struct fcache_key *key, unsigned flags, uint32_t wait_ms,
               struct fcache_value *value) {
  struct fc_key wire;
  handle_enter(cache);
  int rc = handle_key(cache, key, &wire);
  if (rc < 0)
    return rc;
  if (value == NULL)
    return link_fault(&cache->link, FC_EINVAL, "a get needs a value to fill; it is NULL");
  struct recent_miss miss = {0};
  rc = handle_lookup(cache, &wire, flags, wait_ms, value, &miss.epoch);
  miss.leased = rc == FCACHE_LEASED;
  if (rc == FCACHE_MISS && (flags & FCACHE_LOCAL) != 0)
    return rc; /* which is none: nobody was asked */
  if (rc == FCACHE_MISS || rc == FCACHE_LEASED)
    recent_note(&cache->misses, &wire, &miss);
  else if (rc == FCACHE_OK) /* what is computed from now on is of now */
    recent_forget(&cache->misses, &wire);
  return rc == HANDLE_ENDED ? cache->asker.verdict : rc;
}

int fcache_get(struct fcache *cache, const struct fcache_key *key, unsigned flags,
               struct fcache_value *value) {
  return get(cache, key, flags, 0, value);
}

int fcache_get_wait(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                    uint32_t wait_ms, struct fcache_value *value) {
  return get(cache, key, flags, wait_ms, value);
}
