/* Gets of many keys, in as few messages as the daemon's limits allow. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/api/handle.h"
#include "client/lib/util/value.h"
#include "proto/errors.h"

/* The keys of one or more requests, and their places in the caller's arrays. */
struct key_list {
  const uint8_t *prompts;
  uint32_t n;
  const uint32_t *places; /* NULL: 0, 1, 2, ... */
  struct fcache_value *values;
  enum lookup_state *states;
};

static uint32_t place_of(const struct key_list *keys, uint32_t i) {
  return keys->places != NULL ? keys->places[i] : i;
}

/* Stores the values and lease states of one part of the reply. Without memory for a value it goes
 * on, so that the caller can give up every lease that was granted. */
static int store_values(struct fcache *cache, struct fc_get_many_reply *part,
                        const struct key_list *keys) {
  const uint8_t *lease = part->leases;
  int rc = 0;
  if (part->values.n == 1 && part->values.at == NULL) { /* received into its destination */
    uint32_t place = place_of(keys, part->first);
    keys->values[place].size = part->values.size;
    keys->states[place] = LOOKUP_DONE;
    return 0;
  }
  for (uint32_t i = part->first; part->values.n > 0; i++) {
    const uint8_t *data;
    uint32_t size, place = place_of(keys, i);
    enum lookup_state *state = &keys->states[place];
    fc_bins_next(&part->values, &data, &size);
    if (data == NULL) {
      enum fc_lease_state granted = lease == NULL ? FC_LEASE_NONE : (enum fc_lease_state) * lease++;
      /* After a repeated request, none may mean that this handle holds the lease already. */
      if (*state != LOOKUP_LEASED || granted != FC_LEASE_NONE)
        *state = handle_miss_state(cache, granted);
    } else if (fcache_value_set(&keys->values[place], data, size) == FCACHE_OK) {
      *state = LOOKUP_DONE;
    } else {
      *state = LOOKUP_MISS;
      rc = connection_set_error(&cache->connection, FC_ENOMEM,
                                "out of memory for a value of %u bytes", size);
    }
  }
  return rc;
}

struct destinations {
  const struct key_list *keys;
  uint32_t next; /* index with which the next part must begin */
};

static void *find_destination(void *arg, const struct fc_reply *reply, uint32_t size) {
  const struct destinations *destinations = arg;
  uint32_t i = reply->get_many.first;
  if (i != destinations->next || i >= destinations->keys->n)
    return NULL;
  struct fcache_value *value = &destinations->keys->values[place_of(destinations->keys, i)];
  return value_reserve(value, size) < 0 ? NULL : value->data;
}

/* Returns whether the part continues the reply: each index once, in order, and at least one per
 * part, so that the reply ends. */
static bool is_next_part(const struct fc_get_many_reply *part, const struct fc_get_many *message,
                         uint32_t next) {
  uint32_t n = part->values.n, left = message->n - next;
  if (part->n_leases > 0 && (message->flags & FC_LEASE) == 0)
    return false;
  return part->first == next && n <= left && (n > 0 || part->last) && (!part->last || n == left);
}

/* Sends one message and receives all parts of its reply. */
static int send_get_many(struct fcache *cache, const struct fc_get_many *get,
                         const struct key_list *keys) {
  struct connection *connection = &cache->connection;
  struct fc_reply reply;
  struct fc_get_many_reply *part = &reply.get_many;
  struct fc_get_many message = *get;
  struct destinations destinations = {.keys = keys};
  int result = 0;
  message.prompts = keys->prompts;
  message.n = keys->n;
  uint32_t id = request_begin(connection, FC_GET_MANY);
  request_set_destination(connection, find_destination, &destinations);
  (void)fc_encode_get_many(&connection->request, id, &message); /* request_call checks `failed` */
  int rc = request_call(connection, id, NULL, 0, &reply);
  while (rc == 0) {
    if (!is_next_part(part, &message, destinations.next))
      return connection_fail(connection, FC_EPROTOCOL);
    destinations.next += part->values.n;
    connection->epoch.clear_generation = part->clear_generation;
    rc = store_values(cache, part, keys);
    result = result == 0 ? rc : result;
    if (part->last)
      return result;
    rc = request_next_reply(connection, id, &reply);
  }
  return rc;
}

/* Looks up the keys at the daemon, in as many messages as its frame limit requires. */
static int get_from_daemon(struct fcache *cache, const struct fc_get_many *get,
                           const struct key_list *keys, struct fc_epoch *epoch) {
  unsigned repeats = 0;
  int rc = 0;
  if (!handle_ready(cache))
    return 0;
  struct fc_get_many message = *get;
  if (!connection_has(&cache->connection, CONNECTION_LEASES))
    message.flags &= ~(uint32_t)FC_LEASE;
  message.has_terms = (message.flags & FC_LEASE) != 0;
  message.terms.lease_ms = cache->lease_ms;
  for (uint32_t at = 0; rc == 0 && at < keys->n;) {
    uint32_t most = (cache->connection.max_frame - HANDLE_HEAD_MAX_BYTES) / FC_HASH_SIZE;
    struct key_list some = *keys;
    some.prompts += (size_t)at * FC_HASH_SIZE;
    some.n = keys->n - at < most ? keys->n - at : most;
    if (some.places != NULL) {
      some.places += at;
    } else {
      some.values += at;
      some.states += at;
    }
    rc = send_get_many(cache, &message, &some);
    if (handle_may_repeat(cache, rc, &repeats)) {
      rc = 0;
      continue;
    }
    if (rc == 0) /* the latest: the misses are computed after the last lookup */
      *epoch = cache->connection.epoch;
    at += some.n;
  }
  return rc;
}

/* Looks up the keys in the region. The wall time of a hit is the time since the hit before it.
 * *now_ns is the begin of the lookups, and becomes the time of the last hit. */
static int get_from_region(struct fcache *cache, const struct fc_get_many *get, uint64_t *now_ns,
                           struct fcache_value *values, enum lookup_state *states) {
  struct shm *shm = &cache->connection.shm;
  struct fc_key key = get->key;
  for (uint32_t i = 0; i < get->n && shm->region.base != NULL; i++) {
    if (states[i] != LOOKUP_PENDING)
      continue;
    memcpy(key.prompt.bytes, get->prompts + (size_t)i * FC_HASH_SIZE, FC_HASH_SIZE);
    shm->labels = labels_find(&shm->labels_table, &key, handle_probe(cache));
    struct region_key wanted = labels_key(shm->labels, shm->name_space, &key.prompt, key.top_k);
    int rc = handle_plain_hit_at(cache, shm->labels, &wanted, get->flags, &values[i], now_ns);
    if (rc == HANDLE_UNUSUAL)
      rc = handle_hit(cache, &key, get->flags, &values[i], now_ns);
    if (rc < 0)
      return rc;
    if (rc == FCACHE_OK)
      states[i] = LOOKUP_DONE;
  }
  return 0;
}

static uint32_t count(const enum lookup_state *states, uint32_t n, enum lookup_state which) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < n; i++)
    found += states[i] == which;
  return found;
}

/* Looks up the keys that are still pending at the daemon. */
static int get_pending(struct fcache *cache, const struct fc_get_many *get,
                       struct fcache_value *values, enum lookup_state *states,
                       struct fc_epoch *epoch) {
  struct key_list all = {.prompts = get->prompts, .n = get->n, .values = values, .states = states};
  uint32_t n = count(states, get->n, LOOKUP_PENDING);
  if (n == 0)
    return 0;
  if (n == get->n)
    return get_from_daemon(cache, get, &all, epoch);
  uint8_t *prompts = malloc((size_t)n * FC_HASH_SIZE);
  uint32_t *places = calloc(n, sizeof *places);
  int rc = FC_ENOMEM;
  if (prompts != NULL && places != NULL) {
    struct key_list some = {
        .prompts = prompts, .places = places, .values = values, .states = states};
    for (uint32_t i = 0; i < get->n; i++) {
      if (states[i] != LOOKUP_PENDING)
        continue;
      memcpy(prompts + (size_t)some.n * FC_HASH_SIZE, get->prompts + (size_t)i * FC_HASH_SIZE,
             FC_HASH_SIZE);
      places[some.n++] = i;
    }
    rc = get_from_daemon(cache, get, &some, epoch);
  } else {
    (void)connection_set_error(&cache->connection, rc, "out of memory for a batch of gets");
  }
  free(prompts);
  free(places);
  return rc;
}

enum lookup_state handle_miss_state(struct fcache *cache, enum fc_lease_state lease) {
  cache->counters.leases_granted += lease == FC_LEASE_GRANTED;
  return lease == FC_LEASE_GRANTED ? LOOKUP_LEASED
         : lease == FC_LEASE_TAKEN ? LOOKUP_LEASED_ELSEWHERE
                                   : LOOKUP_MISS;
}

int handle_lookup_many(struct fcache *cache, const struct fc_get_many *get,
                       struct fcache_value *values, enum lookup_state *states,
                       struct fc_epoch *epoch) {
  struct shm *shm = &cache->connection.shm;
  uint64_t start_ns = shm_begin_ns(shm), now_ns = start_ns;
  uint32_t before = count(states, get->n, LOOKUP_DONE);
  *epoch = (struct fc_epoch){0};
  int rc = get_from_region(cache, get, &now_ns, values, states);
  uint32_t region_hits = count(states, get->n, LOOKUP_DONE) - before;
  if (rc == 0)
    rc = get_pending(cache, get, values, states, epoch);
  for (uint32_t i = 0; i < get->n; i++) /* a key without a reply is a miss */
    states[i] = states[i] == LOOKUP_PENDING ? LOOKUP_MISS : states[i];
  uint32_t hits = count(states, get->n, LOOKUP_DONE) - before;
  if ((get->flags & FCACHE_UNRECORDED) == 0 && hits > 0) {
    cache->counters.cache_hits += hits;
    handle_add_wall_time(cache,
                         hits > region_hits ? handle_since_ns(cache, start_ns) : now_ns - start_ns);
  }
  return handle_outcome(cache, rc, FCACHE_OK);
}

/* Updates the recent misses, as fcache_get. */
static void update_misses(struct fcache *cache, const struct fc_get_many *get,
                          const enum lookup_state *states, struct fc_epoch epoch) {
  struct recent_miss miss = {.epoch = epoch, .connection = (uint32_t)cache->connection.connections};
  struct fc_key key = get->key;
  for (uint32_t i = 0; i < get->n; i++) {
    memcpy(key.prompt.bytes, get->prompts + (size_t)i * FC_HASH_SIZE, FC_HASH_SIZE);
    miss.leased = states[i] == LOOKUP_LEASED;
    if (states[i] == LOOKUP_DONE)
      recent_misses_remove(&cache->misses, &key);
    else
      recent_misses_add(&cache->misses, &key, &miss);
  }
}

static bool is_leased(const void *arg, size_t i) {
  const enum lookup_state *states = arg;
  return states[i] == LOOKUP_LEASED;
}

/* Looks up the keys for a public call, and updates the recent misses. The caller frees *out, the
 * states, which is NULL without memory. */
static int look_up(struct fcache *cache, struct fc_get_many *get, const struct fcache_hash *prompts,
                   struct fcache_value *values, enum lookup_state **out) {
  struct fc_epoch epoch;
  enum lookup_state *states = calloc(get->n, sizeof *states); /* LOOKUP_PENDING */
  *out = states;
  if (states == NULL)
    return connection_set_error(&cache->connection, FC_ENOMEM,
                                "out of memory for a batch of %u prompts", get->n);
  get->probe = handle_probe(cache);
  int rc = handle_lookup_many(cache, get, values, states, &epoch);
  if (rc == FCACHE_OK)
    update_misses(cache, get, states, epoch);
  else /* leases that were granted before the error */
    handle_give_up_selected(cache, &get->key, prompts, get->n, is_leased, states);
  return rc;
}

int fcache_get_many(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                    const struct fcache_hash *prompts, size_t n, unsigned flags,
                    struct fcache_value *values, bool *hit) {
  struct fc_get_many get = {
      .flags = flags & FCACHE_UNRECORDED, .prompts = (const uint8_t *)prompts, .n = (uint32_t)n};
  enum lookup_state *states;
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &get.key);
  if (rc < 0 || n == 0)
    return rc;
  if (prompts == NULL || values == NULL || hit == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL, "prompts, values or hit is NULL");
  rc = look_up(cache, &get, prompts, values, &states);
  for (size_t i = 0; i < n; i++)
    hit[i] = states != NULL && states[i] == LOOKUP_DONE;
  free(states);
  return rc;
}

int fcache_lease_many(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                      const struct fcache_hash *prompts, size_t n, unsigned flags,
                      struct fcache_value *values, int *results) {
  struct fc_get_many get = {.flags = (flags & FCACHE_UNRECORDED) | FC_LEASE,
                            .prompts = (const uint8_t *)prompts,
                            .n = (uint32_t)n};
  enum lookup_state *states;
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &get.key);
  if (rc < 0 || n == 0)
    return rc;
  if (prompts == NULL || values == NULL || results == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL,
                                "prompts, values or results is NULL");
  rc = look_up(cache, &get, prompts, values, &states);
  for (size_t i = 0; i < n; i++) {
    enum lookup_state state = states == NULL || rc < 0 ? LOOKUP_MISS : states[i];
    results[i] = state == LOOKUP_DONE     ? FCACHE_OK
                 : state == LOOKUP_LEASED ? FCACHE_LEASED
                                          : FCACHE_MISS;
  }
  free(states);
  return rc;
}
