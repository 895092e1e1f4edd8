/* Gets and puts of many keys. The reply to a get_many is sent in parts of about PART_BYTES. A part
 * is encoded when the one before has been sent. A put_many is executed in slices. */
#include <string.h>

#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"
#include "proto/errors.h"
#include "proto/wall.h"
#include "proto/wire/pieces.h"

#define PART_BYTES (256u << 10)
#define PART_KEYS 256u
/* For each key a stretch of the reply and a value. A value that lies in several pieces adds one for
 * each ARENA_PIECE_MIN bytes and one for its end. */
#define PART_PIECES (2 * PART_KEYS + 1 + 2 * PART_BYTES / ARENA_PIECE_MIN)
#define KEY_OVERHEAD_BYTES 5u
#define PART_HEAD_BYTES 64u       /* of the reply, before the values */
#define PUT_SLICE_BYTES (1 << 20) /* values of a turn; the last may exceed it */
/* A put that must move entries to make room takes many times as long as others. */
#define PUT_SLICE_NS 1000000u

struct part {
  struct fc_key key;
  uint32_t first, n;
  size_t bytes;                   /* of the values */
  struct entry *found[PART_KEYS]; /* NULL: a miss */
  uint8_t leases[PART_KEYS];      /* the fc_lease_state of each miss, in order */
  uint32_t n_leases;              /* 0: no leases were requested */
};

static void prompt_at(struct fc_key *key, const uint8_t *prompts, uint32_t i) {
  memcpy(key->prompt.bytes, prompts + (size_t)i * FC_HASH_SIZE, FC_HASH_SIZE);
}

/* Computes the digests of the next keys from `first` on, and loads their entries into the cache. */
static void prepare_lookups(const struct call *call, const struct fc_get_many *get, uint32_t first,
                            uint64_t digests[STORE_PREFETCH_MAX]) {
  struct fc_key key = get->key;
  uint32_t n = get->n - first < STORE_PREFETCH_MAX ? get->n - first : STORE_PREFETCH_MAX;
  uint64_t names = fc_key_digest_names(call->session->ns->seed, key.op, key.view);
  for (uint32_t i = 0; i < n; i++) {
    prompt_at(&key, get->prompts, first + i);
    digests[i] = fc_key_digest_finish(names, &key.prompt, key.top_k);
  }
  store_prefetch_chains(call->dispatch->store, digests, n);
}

/* Finds the entries of as many keys from `first` on as fit in one part. Changes nothing in the
 * store, because the part may have to wait. */
static void find_part(const struct call *call, const struct fc_get_many *get, uint32_t first,
                      struct part *part) {
  part->key = get->key;
  part->first = first;
  part->n = 0;
  part->bytes = 0;
  uint64_t digests[STORE_PREFETCH_MAX];
  while (part->n < PART_KEYS && first + part->n < get->n) {
    uint32_t i = part->n % STORE_PREFETCH_MAX;
    if (i == 0)
      prepare_lookups(call, get, first + part->n, digests);
    prompt_at(&part->key, get->prompts, first + part->n);
    struct entry *entry =
        store_peek_digest(call->dispatch->store, call->session->ns, digests[i], &part->key);
    size_t more = KEY_OVERHEAD_BYTES + (entry == NULL ? 0 : entry_value_size(entry));
    if (part->n > 0 && part->bytes + more > PART_BYTES)
      break; /* but a part has at least one key */
    part->found[part->n++] = entry;
    part->bytes += more;
  }
}

/* Begins the fills of the part's misses, and finds the part again: a fill may have stored its value
 * or evicted another one. */
static void begin_fills(const struct call *call, const struct fc_get_many *get, struct part *part) {
  struct fleet_asking *asking = &call->session->asking;
  while (asking->keys < part->first + part->n) {
    uint32_t i = asking->keys > part->first ? asking->keys - part->first : 0;
    for (; i < part->n; i++) {
      if (part->found[i] != NULL)
        continue;
      prompt_at(&part->key, get->prompts, part->first + i);
      call_begin_fill(call, &part->key);
    }
    asking->keys = part->first + part->n;
    find_part(call, get, part->first, part);
  }
}

/* Returns the number of the part's first key whose fill was not waited for. A fill that the session
 * is parked on is such a one only while its key is a miss of the part. */
static uint32_t first_to_wait_for(const struct call *call, const struct part *part) {
  struct session *session = call->session;
  uint32_t waited = session->asking.waited;
  if (session->waiter.fill != NULL) { /* dispatched for another reason */
    waited--;
    if (waited - part->first >= part->n || part->found[waited - part->first] != NULL)
      dispatch_leave_fill(call->dispatch, session);
  }
  return waited > part->first ? waited - part->first : 0;
}

/* Returns true if the session is parked, because the fill of a key of the part is pending. */
static bool waits_for_fills(const struct call *call, const struct fc_get_many *get,
                            struct part *part) {
  bool waits = false;
  if (!call_may_ask_fleet(call, get->flags))
    return false;
  begin_fills(call, get, part);
  for (uint32_t i = first_to_wait_for(call, part); i < part->n && !waits; i++) {
    if (part->found[i] != NULL)
      continue;
    prompt_at(&part->key, get->prompts, part->first + i);
    waits = call_waits_for_fill(call, &part->key);
    call->session->asking.waited = part->first + i + 1;
  }
  return waits;
}

/* Acquires leases for the part's misses, or notes which are leased elsewhere. */
static void acquire_leases(const struct call *call, const struct fc_get_many *many,
                           struct part *part) {
  struct fc_get get = {.flags = many->flags, .terms.lease_ms = many->terms.lease_ms};
  part->n_leases = 0;
  if (call->session->version < 3 || (many->flags & FC_LEASE) == 0)
    return;
  for (uint32_t i = 0; i < part->n; i++) {
    if (part->found[i] != NULL)
      continue;
    prompt_at(&part->key, many->prompts, part->first + i);
    part->leases[part->n_leases++] = (uint8_t)call_acquire_lease(call, &part->key, &get);
  }
}

/* Reports the misses of a part, whose leases were requested before. */
static void report_misses(const struct call *call, const struct fc_get_many *get,
                          struct part *part) {
  if ((get->flags & FC_UNRECORDED) != 0 || !watch_wants(&call->dispatch->watch, FC_EVENT_MISS))
    return;
  uint32_t misses = 0;
  for (uint32_t i = 0; i < part->n; i++) {
    if (part->found[i] != NULL)
      continue;
    prompt_at(&part->key, get->prompts, part->first + i);
    events_miss(call, &part->key, part->n_leases > 0 ? part->leases[misses] : FC_MISS_PLAIN);
    misses++;
  }
}

/* Adds the pieces of the entry's value. */
static void add_value(const struct fc_buf *reply, struct entry *entry, struct fc_pieces *pieces,
                      struct entry **owners) {
  struct iovec value[FC_REGION_PIECES_MAX];
  size_t n = entry_value(entry, value);
  for (size_t i = 0; i < n; i++) {
    size_t before = pieces->n;
    fc_pieces_add(pieces, reply, value[i].iov_base, value[i].iov_len);
    if (pieces->n > before)
      owners[pieces->n - 1] = entry;
  }
}

/* owners[i] becomes the entry in which piece i lies, or stays NULL. */
static void encode_part(const struct call *call, const struct fc_get_many *get,
                        const struct part *part, struct fc_pieces *pieces, struct entry **owners) {
  struct dispatch *dispatch = call->dispatch;
  struct fc_buf *reply = &dispatch->reply;
  struct fc_get_many_reply head = {.clear_generation = dispatch->store->saved->generation,
                                   .first = part->first,
                                   .last = part->first + part->n == get->n,
                                   .values.n = part->n,
                                   .n_leases = part->n_leases};
  (void)fc_encode_get_many_reply_head(reply, call->id, &head); /* the caller checks `failed` */
  for (uint32_t i = 0; i < part->n; i++) {
    struct entry *entry = part->found[i];
    if (entry == NULL) {
      (void)fc_encode_nil(reply);
      continue;
    }
    if ((get->flags & FC_PEEK) == 0)
      store_use(dispatch->store, entry, call->start_ns);
    (void)fc_encode_bin_head(reply, entry_value_size(entry));
    add_value(reply, entry, pieces, owners);
  }
  if (part->n_leases > 0)
    (void)fc_encode_leases(reply, part->leases, part->n_leases);
}

/* Returns one of `n` equal shares of *left_ns, and subtracts it. The last share is the rest. */
static uint64_t next_share(uint64_t *left_ns, uint64_t n) {
  uint64_t share_ns = n > 1 ? *left_ns / n : *left_ns;
  *left_ns -= share_ns;
  return share_ns;
}

/* Records the part's hits. Its time until `end_ns` is divided evenly over them. */
static void record_part(const struct call *call, const struct fc_get_many *get, struct part *part,
                        uint64_t end_ns) {
  uint64_t n_hits = 0;
  for (uint32_t i = 0; i < part->n; i++)
    n_hits += part->found[i] != NULL;
  if (n_hits == 0)
    return;
  uint64_t left_ns = call_wall_ns(call, end_ns);
  struct call_record record = {.key = &part->key, .probe = get->probe, .end_ns = end_ns};
  struct usage_counts usage = {.hits = n_hits};
  for (uint32_t i = 0; i < part->n; i++) {
    if (part->found[i] == NULL)
      continue;
    prompt_at(&part->key, get->prompts, part->first + i);
    record.wall_ns = next_share(&left_ns, n_hits--);
    call_record_hit(call, &record, part->found[i]);
    fc_sum_add(&usage.saved_ns, entry_compute_ns(part->found[i]));
  }
  call_count_usage(call, &part->key, get->probe, &usage);
}

/* Returns the memory that the part takes in the sink while it is unsent: heads and pieces. */
static size_t sink_bytes(const struct part *part) {
  size_t pieces = (size_t)2 * part->n + part->bytes / ARENA_PIECE_MIN;
  return PART_HEAD_BYTES + (size_t)part->n * (KEY_OVERHEAD_BYTES + 1) +
         pieces * REPLY_SINK_PIECE_BYTES;
}

enum dispatch_result handle_get_many(const struct call *call, const struct fc_get_many *get) {
  struct session *session = call->session;
  struct part part;
  find_part(call, get, session->many.next, &part);
  if (waits_for_fills(call, get, &part))
    return DISPATCH_RETRY;
  if (!call->sink->can_send(call->sink, sink_bytes(&part)))
    return DISPATCH_RETRY;
  struct iovec list[PART_PIECES];
  struct entry *owners[PART_PIECES] = {NULL};
  struct fc_pieces pieces;
  fc_pieces_init(&pieces, list);
  struct fc_buf *reply = &call->dispatch->reply;
  acquire_leases(call, get, &part);
  report_misses(call, get, &part);
  encode_part(call, get, &part, &pieces, owners);
  if (reply->failed)
    return DISPATCH_CLOSE; /* no memory even for an error text */
  fc_frame_finish(reply, 0, pieces.outside_bytes);
  fc_pieces_finish(&pieces, reply);
  call_send(call, pieces.list, owners, pieces.n);
  if ((get->flags & FC_UNRECORDED) == 0)
    record_part(call, get, &part, call->dispatch->sent.ns);
  call_end_time(call);
  session->many.next = part.first + part.n;
  if (session->many.next < get->n)
    return DISPATCH_RETRY; /* the next part, when this one has been sent */
  session->many.next = 0;
  return DISPATCH_DONE;
}

/* Counts the prompts of a batch whose values came, up to the size that the client stated. */
static void record_batch(const struct call *call, const struct fc_put_many *many) {
  struct batch_progress *batch = &call->session->batch;
  struct counters *sets[CALL_SETS];
  if (many->batch > 0)
    *batch = (struct batch_progress){.left = many->batch};
  uint32_t n = many->n < batch->left ? many->n : batch->left;
  if (n == 0)
    return;
  batch->left -= n;
  batch->size += n;
  call_sets(call, sets);
  counters_batch(sets, CALL_SETS, n, batch->size, many->batch > 0);
}

/* Records one put. The time that was charged for the message is divided evenly over its values. */
static void record_put(const struct call *call, const struct fc_put_many *many,
                       const struct fc_key *key, struct many_progress *progress,
                       struct usage_counts *usage) {
  struct call_record record = {.key = key,
                               .probe = many->probe,
                               .end_ns = call_clock_ns(),
                               .wall_ns = next_share(&progress->wall_ns, many->n - progress->next)};
  call_record_put(call, &record);
  usage->misses++;
  fc_sum_add(&usage->computed_ns, record.wall_ns);
}

/* Charges the client for the whole message, before its first value. */
static void charge_puts(const struct call *call, const struct fc_put_many *many,
                        struct many_progress *progress) {
  progress->wall_ns = client_time_charge(&call->session->time, call->start_ns, many->compute_ns);
  record_batch(call, many);
}

static void count_outcome(struct many_progress *progress, int outcome) {
  struct fc_put_many_reply *counts = &progress->counts;
  counts->stored += outcome == FC_STORED;
  counts->kept += outcome == FC_KEPT;
  counts->stale += outcome == FC_STALE;
  counts->too_big += outcome == FC_ETOOBIG;
  if (outcome < 0 && outcome != FC_ETOOBIG)
    progress->failed = outcome;
}

static bool slice_is_over(uint64_t start_ns, uint32_t puts) {
  return puts % 8 == 0 && puts > 0 && call_clock_ns() - start_ns > PUT_SLICE_NS;
}

/* Puts values from progress->next on, as many as one turn may take. */
static void put_slice(const struct call *call, const struct fc_put_many *many,
                      struct many_progress *progress) {
  struct fc_put put = {.flags = many->flags,
                       .key = many->key,
                       .epoch = many->epoch,
                       .compute_ns = many->compute_ns / many->n};
  struct fc_bins values = {.at = many->values.at + progress->values_bytes,
                           .size = many->values.size - progress->values_bytes,
                           .n = many->n - progress->next};
  const uint8_t *start = values.at;
  bool is_recorded = (many->flags & FC_UNRECORDED) == 0;
  struct usage_counts usage = {0};
  if (is_recorded && progress->next == 0)
    charge_puts(call, many, progress);
  for (uint32_t i = 0; i < STORE_SLICE && values.n > 0 && values.at - start < PUT_SLICE_BYTES &&
                       !slice_is_over(call->start_ns, i);
       i++) {
    struct fc_bins rest = values;
    prompt_at(&put.key, many->prompts, progress->next);
    fc_bins_next(&rest, &put.value, &put.value_size);
    put.withheld = put.value == NULL;
    if (!call_put_has_room(call, &put))
      break;
    values = rest;
    int outcome = call_put(call, &put);
    count_outcome(progress, outcome);
    if (outcome == FC_STORED)
      usage.put_bytes += put.value_size;
    if (is_recorded)
      record_put(call, many, &put.key, progress, &usage);
    progress->next++;
  }
  if (usage.misses > 0)
    call_count_usage(call, &many->key, many->probe, &usage);
  progress->values_bytes = (size_t)(values.at - many->values.at);
}

enum dispatch_result handle_put_many(const struct call *call, const struct fc_put_many *many) {
  struct many_progress *progress = &call->session->many;
  put_slice(call, many, progress);
  if (progress->next < many->n)
    return DISPATCH_RETRY; /* the next slice in another turn */
  struct many_progress done = *progress;
  *progress = (struct many_progress){0};
  if (done.failed != 0)
    return call_error_code(call, done.failed);
  (void)fc_encode_put_many_reply(&call->dispatch->reply, call->id, &done.counts);
  return call_reply(call); /* checks `failed` */
}
