/* Gets of one key: from the region, from the daemon, or from a client that computes it. */
#include <string.h>

#include "client/lib/api/handle.h"
#include "client/lib/util/value.h"
#include "proto/errors.h"

/* Attempts for one get. The daemon seldom ends two waits in a row without a value; a daemon that
 * does so always must not keep the client in a loop. */
#define ATTEMPTS_MAX 8u

/* A lookup over the socket. */
struct lookup_request {
  struct fc_get get;
  struct fcache_value *value;
  uint64_t left_ns;      /* time that it may still wait */
  uint64_t waited_ns;    /* time that it waited */
  bool coalesced;        /* the hit ended a wait for another client's computation */
  struct fc_epoch epoch; /* of the latest reply */
};

static void *find_destination(void *arg, const struct fc_reply *reply, uint32_t size) {
  struct fcache_value *value = arg;
  (void)reply; /* a get has one value */
  return value_reserve(value, size) < 0 ? NULL : value->data;
}

/* Copies the value, unless it was received directly into its destination. */
static int store_value(struct connection *connection, struct fcache_value *value,
                       const struct fc_get_reply *get) {
  if (get->value == value->data)
    value->size = get->value_size;
  else if (fcache_value_set(value, get->value, get->value_size) < 0)
    return connection_set_error(connection, FC_ENOMEM, "out of memory for a value of %u bytes",
                                get->value_size);
  return FCACHE_OK;
}

/* Sends a get whose reply may be deferred, and waits for it. If the daemon is lost, waits for the
 * next one. */
static int call_deferred(struct fcache *cache, struct lookup_request *lookup, uint32_t id,
                         struct fc_reply *reply) {
  struct connection *connection = &cache->connection;
  uint64_t start_ns = clock_now_ns();
  struct wait wait;
  uint32_t which;
  wait_begin(&wait, connection, &cache->waiting, lookup->left_ns);
  int rc = request_send(connection);
  if (rc == 0)
    rc = wait_next(&wait, &id, 1, &which, reply);
  if (rc < 0)
    (void)wait_reopen(&wait, start_ns + lookup->left_ns); /* the caller sees whether it is up */
  uint64_t waited_ns = clock_now_ns() - start_ns;
  lookup->waited_ns += waited_ns;
  lookup->left_ns -= waited_ns < lookup->left_ns ? waited_ns : lookup->left_ns;
  return wait.cancelled ? HANDLE_WAIT_CANCELLED : rc;
}

static int send_get(struct fcache *cache, struct lookup_request *lookup, bool waits,
                    struct fc_reply *reply) {
  struct connection *connection = &cache->connection;
  struct fc_get message = lookup->get;
  message.terms.wait_ms = waits ? (uint32_t)((lookup->left_ns + CLOCK_MS_NS - 1) / CLOCK_MS_NS) : 0;
  uint32_t id = request_begin(connection, FC_GET);
  request_set_destination(connection, find_destination, lookup->value);
  (void)fc_encode_get(&connection->request, id, &message); /* the send checks `failed` */
  int rc = waits ? call_deferred(cache, lookup, id, reply)
                 : request_call(connection, id, NULL, 0, reply);
  if (rc < 0)
    return rc;
  connection->epoch.clear_generation = reply->get.clear_generation;
  lookup->epoch = connection->epoch;
  if (reply->get.lease == FC_LEASE_GRANTED && (message.flags & FC_LEASE) == 0)
    return connection_fail(connection, FC_EPROTOCOL); /* a lease that the client did not request */
  return 0;
}

/* Does as send_get, and sends the get again to the next daemon if the one before is lost. */
static int send_get_to_next(struct fcache *cache, struct lookup_request *lookup, bool waits,
                            struct fc_reply *reply) {
  const struct connection *connection = &cache->connection;
  unsigned repeats = 0;
  for (;;) {
    uint64_t before = connection->connections;
    int rc = send_get(cache, lookup, waits, reply);
    if (rc == 0 || rc == HANDLE_WAIT_CANCELLED)
      return rc;
    /* A wait has waited for the next daemon itself. */
    bool is_next = connection->state == CONNECTION_UP && connection->connections != before;
    bool again = is_next ? repeats++ < HANDLE_REPEATS_MAX : handle_may_repeat(cache, rc, &repeats);
    if (!again)
      return rc;
  }
}

/* Sends a get that does not wait first: a client waits only for a value that another one computes,
 * and counts only that time as waited. Without FC_LEASE the first reply does not say whether
 * another client holds the lease. */
static int get_from_daemon(struct fcache *cache, struct lookup_request *lookup) {
  struct connection *connection = &cache->connection;
  struct fc_reply reply;
  bool wants_lease = (lookup->get.flags & FC_LEASE) != 0;
  if (!handle_ready(cache))
    return FCACHE_MISS;
  if (!connection_has(connection, CONNECTION_LEASES)) {
    lookup->get.flags &= ~(uint32_t)FC_LEASE;
    lookup->left_ns = 0;
  } else if (wants_lease || lookup->left_ns > 0) {
    lookup->get.has_terms = true;
    lookup->get.terms.lease_ms = wants_lease ? cache->lease_ms : 0;
  }
  for (unsigned attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
    int rc = send_get_to_next(cache, lookup, attempts > 0, &reply);
    if (rc == HANDLE_WAIT_CANCELLED)
      return rc;
    if (rc < 0)
      return handle_outcome(cache, rc, FCACHE_MISS);
    lookup->coalesced = reply.get.waited;
    if (reply.get.value != NULL)
      return store_value(connection, lookup->value, &reply.get);
    if (reply.get.lease == FC_LEASE_GRANTED) {
      cache->counters.leases_granted++;
      return FCACHE_LEASED;
    }
    bool may_be_leased = reply.get.lease == FC_LEASE_TAKEN || (attempts == 0 && !wants_lease);
    if (!may_be_leased || lookup->left_ns == 0)
      break;
  }
  return FCACHE_MISS;
}

static void count_hit(struct fcache *cache, unsigned flags, uint64_t wall_ns) {
  if ((flags & FCACHE_UNRECORDED) != 0)
    return;
  cache->counters.cache_hits++;
  handle_add_wall_time(cache, wall_ns);
}

/* Looks up over the socket, and counts. The lookup began at `start_ns` (clock_now_ns). */
static int get_over_socket(struct fcache *cache, struct lookup_request *lookup, uint64_t start_ns) {
  int rc = get_from_daemon(cache, lookup);
  cache->counters.lease_wait_ns += lookup->waited_ns;
  if (rc != FCACHE_OK)
    return rc;
  count_hit(cache, lookup->get.flags, clock_now_ns() - start_ns);
  if (lookup->coalesced && (lookup->get.flags & FC_UNRECORDED) == 0)
    cache->counters.coalesced_hits++;
  return FCACHE_OK;
}

int handle_lookup(struct fcache *cache, const struct fc_key *key, unsigned flags, uint32_t wait_ms,
                  struct fcache_value *value, struct fc_epoch *epoch) {
  struct shm *shm = &cache->connection.shm;
  uint64_t start_ns = shm_begin_ns(shm), now_ns = start_ns;
  *epoch = (struct fc_epoch){0};
  int rc = handle_hit(cache, key, flags, value, &now_ns);
  if (rc == FCACHE_OK)
    count_hit(cache, flags, now_ns - start_ns);
  if (rc != FCACHE_MISS || (flags & FCACHE_LOCAL) != 0)
    return rc;
  struct lookup_request lookup = {.get = {.flags = flags & (FCACHE_UNRECORDED | FCACHE_LEASE),
                                          .key = *key,
                                          .probe = handle_probe(cache)},
                                  .value = value,
                                  .left_ns = (uint64_t)wait_ms * CLOCK_MS_NS};
  rc = get_over_socket(cache, &lookup, clock_now_ns() - handle_since_ns(cache, start_ns));
  *epoch = lookup.epoch;
  return rc;
}

/* After a hit: a later computation begins after this lookup. */
static void forget_miss(struct fcache *cache, const struct fcache_key *key) {
  struct fc_hash prompt;
  memcpy(prompt.bytes, key->prompt.bytes, sizeof prompt.bytes);
  if (!recent_misses_may_have(&cache->misses, &prompt))
    return;
  struct fc_key wire = {.op = fc_str_of(key->op),
                        .view = fc_str_of(key->view),
                        .top_k = key->top_k,
                        .prompt = prompt};
  recent_misses_remove(&cache->misses, &wire);
}

static int get(struct fcache *cache, const struct fcache_key *key, unsigned flags, uint32_t wait_ms,
               struct fcache_value *value) {
  struct fc_key wire;
  int rc = handle_plain_hit(cache, key, flags, value);
  if (rc == FCACHE_OK)
    forget_miss(cache, key);
  if (rc == FCACHE_OK || (rc == FCACHE_MISS && (flags & FCACHE_LOCAL) != 0))
    return rc;
  handle_enter(cache);
  rc = handle_key(cache, key, &wire);
  if (rc < 0)
    return rc;
  if (value == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL,
                                "value is NULL: a get needs a value to fill");
  struct recent_miss miss = {0};
  rc = handle_lookup(cache, &wire, flags, wait_ms, value, &miss.epoch);
  miss.leased = rc == FCACHE_LEASED;
  miss.connection = (uint32_t)cache->connection.connections;
  if (rc == FCACHE_MISS && (flags & FCACHE_LOCAL) != 0)
    return rc; /* the daemon was not asked, so there is no miss to remember */
  if (rc == FCACHE_MISS || rc == FCACHE_LEASED)
    recent_misses_add(&cache->misses, &wire, &miss);
  else if (rc == FCACHE_OK) /* a later computation begins after this lookup */
    recent_misses_remove(&cache->misses, &wire);
  return rc == HANDLE_WAIT_CANCELLED ? cache->waiting.cancel_code : rc;
}

int fcache_get(struct fcache *cache, const struct fcache_key *key, unsigned flags,
               struct fcache_value *value) {
  return get(cache, key, flags, 0, value);
}

int fcache_get_wait(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                    uint32_t wait_ms, struct fcache_value *value) {
  return get(cache, key, flags, wait_ms, value);
}
