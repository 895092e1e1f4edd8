/* The calls for many keys: as few messages as the daemon's limits allow. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/api/handle.h"
#include "client/lib/util/value.h"
#include "proto/errors.h"
#include "proto/wall.h"
#include "proto/wire/pieces.h"

#define PUTS_MAX 500u /* keys a message: two pieces each, and the kernel takes 1,024 */
#define VALUE_HEAD_BYTES 5u

/* ---- gets ---- */

/* The keys that the daemon is asked for, and where in the caller's arrays each belongs. */
struct wanted {
  const uint8_t *prompts;
  uint32_t n;
  const uint32_t *places; /* NULL: as they stand */
  struct fcache_value *values;
  enum lookup_state *states;
};

static uint32_t place_of(const struct wanted *wanted, uint32_t i) {
  return wanted->places != NULL ? wanted->places[i] : i;
}

/* All of a part, also what there is no memory for: what is granted is ours to end. */
static int take_values(struct fcache *cache, struct fc_get_many_reply *part,
                       const struct wanted *wanted) {
  const uint8_t *lease = part->leases;
  int rc = 0;
  if (part->values.n == 1 && part->values.at == NULL) { /* it landed in its place */
    uint32_t place = place_of(wanted, part->first);
    wanted->values[place].size = part->values.size;
    wanted->states[place] = LOOKUP_DONE;
    return 0;
  }
  for (uint32_t i = part->first; part->values.n > 0; i++) {
    const uint8_t *data;
    uint32_t size, place = place_of(wanted, i);
    enum lookup_state *state = &wanted->states[place];
    fc_bins_next(&part->values, &data, &size);
    if (data == NULL) {
      *state = lease == NULL ? LOOKUP_FREE : handle_missing(cache, (enum fc_lease_state) * lease++);
    } else if (fcache_value_set(&wanted->values[place], data, size) == FCACHE_OK) {
      *state = LOOKUP_DONE;
    } else {
      *state = LOOKUP_FREE;
      rc = link_fault(&cache->link, FC_ENOMEM, "no memory for a value of %u bytes", size);
    }
  }
  return rc;
}

struct places {
  const struct wanted *wanted;
  uint32_t next; /* index that the next part must begin with */
};

static void *place_one(void *arg, const struct fc_reply *reply, uint32_t size) {
  const struct places *places = arg;
  uint32_t i = reply->get_many.first;
  if (i != places->next || i >= places->wanted->n)
    return NULL;
  struct fcache_value *value = &places->wanted->values[place_of(places->wanted, i)];
  return value_reserve(value, size) < 0 ? NULL : value->data;
}

/* Every index once, in order, and progress with each part: else we might wait for ever. */
static bool is_next(const struct fc_get_many_reply *part, const struct fc_get_many *asked,
                    uint32_t next) {
  uint32_t n = part->values.n, left = asked->n - next;
  if (part->n_leases > 0 && (asked->flags & FC_LEASE) == 0)
    return false;
  return part->first == next && n <= left && (n > 0 || part->last) && (!part->last || n == left);
}

/* One message, and all parts of its reply. */
static int get_some(struct fcache *cache, const struct fc_get_many *get,
                    const struct wanted *wanted) {
  struct link *link = &cache->link;
  struct fc_reply reply;
  struct fc_get_many_reply *part = &reply.get_many;
  struct fc_get_many message = *get;
  struct places places = {.wanted = wanted};
  int fault = 0;
  message.prompts = wanted->prompts;
  message.n = wanted->n;
  uint32_t id = link_begin(link, FC_GET_MANY);
  link_place(link, place_one, &places);
  (void)fc_encode_get_many(&link->request, id, &message); /* the exchange looks at `failed` */
  int rc = link_exchange(link, id, NULL, 0, &reply);
  while (rc == 0) {
    if (!is_next(part, &message, places.next))
      return link_lost(link, FC_EPROTOCOL);
    places.next += part->values.n;
    link->epoch.clear_generation = part->clear_generation;
    rc = take_values(cache, part, wanted);
    fault = fault == 0 ? rc : fault;
    if (part->last)
      return fault;
    rc = link_next_reply(link, id, &reply);
  }
  return rc;
}

/* All of them, in as many messages as the daemon's limit makes it. */
static int ask_daemon(struct fcache *cache, const struct fc_get_many *get,
                      const struct wanted *wanted, struct fc_epoch *epoch) {
  int rc = 0;
  if (!handle_ready(cache))
    return 0;
  struct fc_get_many message = *get;
  if (!link_has_leases(&cache->link))
    message.flags &= ~(uint32_t)FC_LEASE;
  message.has_terms = (message.flags & FC_LEASE) != 0;
  message.terms.lease_ms = cache->lease_ms;
  for (uint32_t at = 0; rc == 0 && at < wanted->n;) {
    uint32_t most = (cache->link.max_frame - HANDLE_HEAD_MAX_BYTES) / FC_HASH_SIZE;
    struct wanted some = *wanted;
    some.prompts += (size_t)at * FC_HASH_SIZE;
    some.n = wanted->n - at < most ? wanted->n - at : most;
    if (some.places != NULL) {
      some.places += at;
    } else {
      some.values += at;
      some.states += at;
    }
    rc = get_some(cache, &message, &some);
    if (rc == 0) /* the latest: what missed begins to be computed after the last lookup */
      *epoch = cache->link.epoch;
    at += some.n;
  }
  return rc;
}

/* What the region has. Each hit's wall time is its own share: what passed since the one before.
 * *now_ns is when the lookups began, and becomes when the last hit was served. */
static int get_from_region(struct fcache *cache, const struct fc_get_many *get, uint64_t *now_ns,
                           struct fcache_value *values, enum lookup_state *states) {
  struct fc_key key = get->key;
  for (uint32_t i = 0; i < get->n && cache->link.plane.region.base != NULL; i++) {
    if (states[i] != LOOKUP_ASK)
      continue;
    memcpy(key.prompt.bytes, get->prompts + (size_t)i * FC_HASH_SIZE, FC_HASH_SIZE);
    int rc = handle_hit(cache, &key, get->flags, &values[i], now_ns);
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

/* Asks the daemon for what is still to be asked for. */
static int get_rest(struct fcache *cache, const struct fc_get_many *get,
                    struct fcache_value *values, enum lookup_state *states,
                    struct fc_epoch *epoch) {
  struct wanted all = {.prompts = get->prompts, .n = get->n, .values = values, .states = states};
  uint32_t n = count(states, get->n, LOOKUP_ASK);
  if (n == 0)
    return 0;
  if (n == get->n)
    return ask_daemon(cache, get, &all, epoch);
  uint8_t *prompts = malloc((size_t)n * FC_HASH_SIZE);
  uint32_t *places = calloc(n, sizeof *places);
  int rc = FC_ENOMEM;
  if (prompts != NULL && places != NULL) {
    struct wanted some = {.prompts = prompts, .places = places, .values = values, .states = states};
    for (uint32_t i = 0; i < get->n; i++) {
      if (states[i] != LOOKUP_ASK)
        continue;
      memcpy(prompts + (size_t)some.n * FC_HASH_SIZE, get->prompts + (size_t)i * FC_HASH_SIZE,
             FC_HASH_SIZE);
      places[some.n++] = i;
    }
    rc = ask_daemon(cache, get, &some, epoch);
  } else {
    (void)link_fault(&cache->link, rc, "no memory for a batch of gets");
  }
  free(prompts);
  free(places);
  return rc;
}

enum lookup_state handle_missing(struct fcache *cache, enum fc_lease_state lease) {
  cache->counters.leases_granted += lease == FC_LEASE_GRANTED;
  return lease == FC_LEASE_GRANTED ? LOOKUP_LEASED
         : lease == FC_LEASE_TAKEN ? LOOKUP_TAKEN
                                   : LOOKUP_FREE;
}

int handle_lookup_many(struct fcache *cache, const struct fc_get_many *get,
                       struct fcache_value *values, enum lookup_state *states,
                       struct fc_epoch *epoch) {
  uint64_t start_ns = channel_clock_ns(), now_ns = start_ns;
  uint32_t before = count(states, get->n, LOOKUP_DONE);
  *epoch = (struct fc_epoch){0};
  int rc = get_from_region(cache, get, &now_ns, values, states);
  uint32_t of_region = count(states, get->n, LOOKUP_DONE) - before;
  if (rc == 0)
    rc = get_rest(cache, get, values, states, epoch);
  for (uint32_t i = 0; i < get->n; i++) /* what did not come is a miss */
    states[i] = states[i] == LOOKUP_ASK ? LOOKUP_FREE : states[i];
  uint32_t hits = count(states, get->n, LOOKUP_DONE) - before;
  if ((get->flags & FCACHE_UNRECORDED) == 0 && hits > 0) {
    cache->counters.cache_hits += hits;
    handle_charge(cache, (hits > of_region ? channel_clock_ns() : now_ns) - start_ns);
  }
  return handle_outcome(cache, rc, FCACHE_OK);
}

/* ---- puts ---- */

struct some_puts {
  uint8_t prompts[PUTS_MAX * FC_HASH_SIZE];
  const struct fcache_bytes *values[PUTS_MAX];
  uint32_t n;
  struct iovec list[2 * PUTS_MAX + 1];
};

/* What is sent of a value: one over the limit is only told. */
static size_t sent_size(const struct fcache *cache, const struct fcache_bytes *value) {
  return value->size > cache->link.max_value ? 0 : value->size;
}

/* Fills one message from key `at` on; returns where the next begins. */
static uint32_t gather(const struct fcache *cache, const struct fc_put_many *put,
                       const struct fcache_bytes *values, uint32_t at, struct some_puts *some) {
  size_t bytes = HANDLE_HEAD_MAX_BYTES;
  some->n = 0;
  for (; at < put->n && some->n < PUTS_MAX; at++) {
    size_t more = FC_HASH_SIZE + VALUE_HEAD_BYTES + sent_size(cache, &values[at]);
    if (some->n > 0 && bytes + more > cache->link.max_frame)
      break;
    bytes += more;
    memcpy(some->prompts + (size_t)some->n * FC_HASH_SIZE, put->prompts + (size_t)at * FC_HASH_SIZE,
           FC_HASH_SIZE);
    some->values[some->n++] = &values[at];
  }
  return at;
}

/* `*put` becomes what follows this message: its compute time is divided over the messages without a
 * rest. */
static int put_some(struct fcache *cache, struct fc_put_many *put, struct some_puts *some,
                    struct fc_put_many_reply *sum) {
  struct link *link = &cache->link;
  struct fc_put_many message = *put;
  struct fc_pieces pieces;
  struct fc_reply reply;
  message.prompts = some->prompts;
  message.n = message.values.n = some->n;
  message.compute_ns = fc_part_of(put->compute_ns, some->n, put->n);
  put->compute_ns -= message.compute_ns;
  put->n -= some->n;
  put->batch = 0; /* the batch is counted once */
  uint32_t id = link_begin(link, FC_PUT_MANY);
  fc_pieces_init(&pieces, some->list);
  (void)fc_encode_put_many_head(&link->request, id, &message); /* the exchange looks at `failed` */
  for (uint32_t i = 0; i < some->n; i++) {
    size_t size = sent_size(cache, some->values[i]);
    if (size < some->values[i]->size)
      (void)fc_encode_nil(&link->request);
    else
      (void)fc_encode_bin_head(&link->request, (uint32_t)size);
    fc_pieces_add(&pieces, &link->request, some->values[i]->data, size);
  }
  if (!link->request.failed) {
    fc_frame_finish(&link->request, 0, pieces.outside_bytes);
    fc_pieces_finish(&pieces, &link->request);
  }
  int rc = link_exchange_pieces(link, id, pieces.list, pieces.n, &reply);
  if (rc == 0) {
    sum->stored += reply.put_many.stored;
    sum->too_big += reply.put_many.too_big;
  }
  return rc;
}

static size_t largest_of(const struct fcache_bytes *values, uint32_t n) {
  size_t largest = 0;
  for (uint32_t i = 0; i < n; i++)
    largest = values[i].size > largest ? values[i].size : largest;
  return largest;
}

int handle_put_many(struct fcache *cache, const struct fc_put_many *put,
                    const struct fcache_bytes *values) {
  struct fc_put_many_reply sum = {0};
  if (put->n == 0)
    return FCACHE_OK;
  if (!handle_ready(cache))
    return FCACHE_NOT_STORED;
  struct some_puts *some = malloc(sizeof *some);
  if (some == NULL)
    return link_fault(&cache->link, FC_ENOMEM, "no memory for a batch of puts");
  struct fc_put_many next = *put;
  int rc = 0;
  for (uint32_t at = 0; rc == 0 && at < put->n;) {
    at = gather(cache, put, values, at, some);
    rc = put_some(cache, &next, some, &sum);
  }
  free(some);
  if (rc < 0)
    return handle_outcome(cache, rc, FCACHE_NOT_STORED);
  if (sum.too_big > 0) {
    cache->counters.too_big += sum.too_big;
    return link_too_big(&cache->link, largest_of(values, put->n));
  }
  return sum.stored < put->n ? FCACHE_NOT_STORED : FCACHE_OK;
}

/* ---- the public calls ---- */

int handle_batch_key(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                     size_t n, struct fc_key *key) {
  struct fcache_key public_key = {.op = op, .view = view, .top_k = top_k};
  int rc = handle_key(cache, &public_key, key);
  if (rc == 0 && n > UINT32_MAX / FC_HASH_SIZE)
    rc = link_fault(&cache->link, FC_EINVAL, "%zu prompts are too many for one call: split it", n);
  return rc;
}

/* As in fcache_get. */
static void note_misses(struct fcache *cache, const struct fc_get_many *get,
                        const enum lookup_state *states, struct fc_epoch epoch) {
  struct recent_miss miss = {.epoch = epoch};
  struct fc_key key = get->key;
  for (uint32_t i = 0; i < get->n; i++) {
    memcpy(key.prompt.bytes, get->prompts + (size_t)i * FC_HASH_SIZE, FC_HASH_SIZE);
    miss.leased = states[i] == LOOKUP_LEASED;
    if (states[i] == LOOKUP_DONE)
      recent_forget(&cache->misses, &key);
    else
      recent_note(&cache->misses, &key, &miss);
  }
}

static bool is_leased(const void *arg, size_t i) {
  const enum lookup_state *states = arg;
  return states[i] == LOOKUP_LEASED;
}

/* What the public gets of many do: the lookups, and what is remembered of them. *out is the states,
 * to be freed. */
static int look_up(struct fcache *cache, struct fc_get_many *get, const struct fcache_hash *prompts,
                   struct fcache_value *values, enum lookup_state **out) {
  struct fc_epoch epoch;
  enum lookup_state *states = calloc(get->n, sizeof *states); /* LOOKUP_ASK */
  *out = states;
  if (states == NULL)
    return link_fault(&cache->link, FC_ENOMEM, "no memory for a batch of %u prompts", get->n);
  get->probe = handle_probe(cache);
  int rc = handle_lookup_many(cache, get, values, states, &epoch);
  if (rc == FCACHE_OK)
    note_misses(cache, get, states, epoch);
  else /* what was granted all the same */
    handle_give_up_those(cache, &get->key, prompts, get->n, is_leased, states);
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
    return link_fault(&cache->link, FC_EINVAL, "prompts, values or hit is NULL");
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
    return link_fault(&cache->link, FC_EINVAL, "prompts, values or results is NULL");
  rc = look_up(cache, &get, prompts, values, &states);
  for (size_t i = 0; i < n; i++) {
    enum lookup_state state = states == NULL || rc < 0 ? LOOKUP_FREE : states[i];
    results[i] = state == LOOKUP_DONE     ? FCACHE_OK
                 : state == LOOKUP_LEASED ? FCACHE_LEASED
                                          : FCACHE_MISS;
  }
  free(states);
  return rc;
}

int fcache_put_many(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                    const struct fcache_hash *prompts, const struct fcache_bytes *values, size_t n,
                    uint64_t compute_ns, unsigned flags) {
  struct fc_put_many put = {.flags = flags & (FCACHE_UNRECORDED | FCACHE_KEEP_FIRST),
                            .compute_ns = compute_ns};
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &put.key);
  if (rc < 0)
    return rc;
  if (n > 0 && (prompts == NULL || values == NULL))
    return link_fault(&cache->link, FC_EINVAL, "prompts or values is NULL");
  for (size_t i = 0; i < n; i++)
    if (values[i].data == NULL && values[i].size > 0)
      return link_fault(&cache->link, FC_EINVAL,
                        "value %zu of %zu bytes needs its address; it is NULL", i, values[i].size);
  put.probe = handle_probe(cache);
  put.prompts = (const uint8_t *)prompts;
  put.n = (uint32_t)n;
  if ((flags & FCACHE_UNRECORDED) == 0) {
    cache->counters.cache_misses += n;
    cache->counters.forward_passes += n;
    handle_charge(cache, compute_ns);
  }
  struct recent_miss miss;
  rc = FCACHE_NOT_STORED;
  if (handle_missed(cache, &put.key, prompts, n, &miss)) {
    put.epoch = miss.epoch;
    put.flags |= miss.leased ? FC_KEEP_FIRST : 0;
    rc = handle_put_many(cache, &put, values);
  }
  return handle_put_done(cache, &put.key, prompts, n, rc);
}
