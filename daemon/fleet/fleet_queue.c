#include "daemon/fleet/fleet_queue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "daemon/fleet/fleet_scripts.h"
#include "proto/errors.h"
#include "proto/image/image_bytes.h"

#define BUCKETS 8192u /* a power of two; 16 MiB of the smallest values are some 3 a bucket */
#define NS_PER_MS 1000000u

enum write_step {
  WRITE_PUBLISH, /* SET NX */
  WRITE_LOOK,    /* the tier has something: what? */
  WRITE_REPLACE,
};

struct fleet_write {
  struct fleet_op op;
  struct fleet_queue *queue;
  struct fleet_write_list *list;
  struct fleet_write *next, *prev; /* of the list */
  struct fleet_write *next_in_bucket;
  enum write_step step;
  bool keep_first;
  bool passed;      /* it was sent once */
  bool was_refused; /* the last attempt, by an error of the tier */
  bool is_obsolete; /* in flight, and its key has a second write */
  struct fc_hash hash;
  uint64_t version, known_version, generation, stamp;
  uint64_t queued_ns, retry_ns;
  void *owner;
  struct fleet_key name;
  char ttl_ms[24];
  uint32_t seen_size;
  uint8_t seen[FLEET_VALUE_HEAD];
  size_t size;    /* of the data */
  uint8_t data[]; /* head and value, as they are sent */
};

static size_t bytes_of(size_t size) {
  return sizeof(struct fleet_write) + size + ALLOCATOR_OVERHEAD_BYTES;
}

size_t fleet_queue_bytes_max(size_t bytes_max) {
  return bytes_max + BUCKETS * sizeof(struct fleet_write *);
}

int fleet_queue_init(struct fleet_queue *queue, struct fleet_io *io, struct fc_str prefix,
                     struct fleet_own *own, struct fleet_counts *counts, size_t bytes_max) {
  *queue = (struct fleet_queue){.bytes_max = bytes_max,
                                .window = FLEET_QUEUE_IN_FLIGHT,
                                .io = io,
                                .prefix = prefix,
                                .own = own,
                                .counts = counts,
                                .buckets = calloc(BUCKETS, sizeof(struct fleet_write *))};
  return queue->buckets == NULL ? FC_ENOMEM : 0;
}

/* ---- lists ---- */

static void append(struct fleet_write_list *list, struct fleet_write *write) {
  write->list = list;
  write->next = NULL;
  write->prev = list->last;
  *(list->last == NULL ? &list->first : &list->last->next) = write;
  list->last = write;
}

static void unlist(struct fleet_write *write) {
  struct fleet_write_list *list = write->list;
  *(write->prev == NULL ? &list->first : &write->prev->next) = write->next;
  *(write->next == NULL ? &list->last : &write->next->prev) = write->prev;
  write->list = NULL;
}

static struct fleet_write **bucket_of(const struct fleet_queue *queue, const struct fc_hash *hash) {
  return &queue->buckets[image_get32(hash->bytes) & (BUCKETS - 1)];
}

/* Finds the write that is not obsolete. */
static struct fleet_write *find(const struct fleet_queue *queue, const struct fc_hash *hash,
                                uint64_t version) {
  struct fleet_write *write = *bucket_of(queue, hash);
  while (write != NULL &&
         !(write->version == version && memcmp(write->hash.bytes, hash->bytes, FC_HASH_SIZE) == 0))
    write = write->next_in_bucket;
  return write;
}

/* ---- a write begins and ends ---- */

static void pass(struct fleet_write *write, uint64_t now_ns) {
  struct fleet_queue *queue = write->queue;
  void *owner = write->owner;
  write->passed = true;
  write->owner = NULL;
  if (owner != NULL && queue->passed != NULL)
    queue->passed(queue->arg, owner, now_ns);
}

/* Frees a write that is in no list. */
static void discard(struct fleet_write *write) {
  struct fleet_queue *queue = write->queue;
  struct fleet_write **at = bucket_of(queue, &write->hash);
  assert(write->list == NULL);
  while (*at != write)
    at = &(*at)->next_in_bucket;
  *at = write->next_in_bucket;
  check_lt(0, queue->n);
  check_le(bytes_of(write->size), queue->bytes);
  queue->n--;
  queue->bytes -= bytes_of(write->size);
  free(write);
}

/* Counts a dropped write under its cause. */
static void count_dropped(struct fleet_queue *queue, uint64_t *count) {
  (*count)++;
  if (queue->totals != NULL)
    queue->totals->dropped++;
}

/* The tier does not get the value: from now on it may have an older one than this node. */
static void drop(struct fleet_write *write, uint64_t *count, uint64_t now_ns) {
  count_dropped(write->queue, count);
  fleet_own_mark(write->queue->own, &write->hash, write->version);
  pass(write, now_ns);
  discard(write);
}

static struct fleet_write *make(struct fleet_queue *queue,
                                const struct fleet_write_request *request, uint64_t now_ns) {
  const struct fleet_value *value = &request->value;
  size_t size = FLEET_VALUE_HEAD + value->size, bytes = bytes_of(size);
  if (bytes > queue->bytes_max || queue->bytes > queue->bytes_max - bytes)
    return NULL;
  struct fleet_write *write = malloc(sizeof *write + size);
  if (write == NULL)
    return NULL;
  *write = (struct fleet_write){.queue = queue,
                                .keep_first = request->keep_first,
                                .hash = *request->hash,
                                .version = value->version,
                                .known_version = request->known_version,
                                .generation = request->generation,
                                .stamp = value->stamp,
                                .queued_ns = now_ns,
                                .owner = request->owner,
                                .size = size};
  check_le(request->seen_size, FLEET_VALUE_HEAD);
  if (request->seen != NULL && request->seen_size > 0) {
    write->seen_size = request->seen_size;
    memcpy(write->seen, request->seen, request->seen_size);
  }
  bool replaces = !request->keep_first || write->seen_size > 0;
  write->step = replaces ? WRITE_REPLACE : WRITE_PUBLISH;
  fleet_key_set(&write->name, queue->prefix, &write->hash, write->version, FLEET_KEY_VALUE);
  fleet_value_encode_head(value, &write->hash, write->data);
  if (value->size > 0)
    memcpy(write->data + FLEET_VALUE_HEAD, value->data, value->size);
  return write;
}

/* A write that waits is replaced by a second one of its key. Its right to replace passes on. */
static void supersede(struct fleet_write *old, struct fleet_write_request *request) {
  request->keep_first = request->keep_first && old->keep_first;
  if (request->owner == NULL) {
    request->owner = old->owner;
    old->owner = NULL;
  }
  old->queue->counts->superseded++;
  unlist(old);
}

bool fleet_queue_add(struct fleet_queue *queue, const struct fleet_write_request *request,
                     uint64_t now_ns) {
  struct fleet_write_request wanted = *request;
  struct fleet_write *old = find(queue, request->hash, request->value.version);
  if (old != NULL && old->list == &queue->flying) {
    old->is_obsolete = true;
  } else if (old != NULL) {
    supersede(old, &wanted);
    pass(old, now_ns);
    discard(old);
  }
  struct fleet_write *write = make(queue, &wanted, now_ns);
  if (write == NULL) {
    count_dropped(queue, &queue->counts->dropped_full);
    fleet_own_mark(queue->own, wanted.hash, wanted.value.version);
    if (wanted.owner != NULL && wanted.owner != request->owner && queue->passed != NULL)
      queue->passed(queue->arg, wanted.owner, now_ns);
    return false;
  }
  struct fleet_write **bucket = bucket_of(queue, &write->hash);
  write->next_in_bucket = *bucket;
  *bucket = write;
  append(&queue->waiting, write);
  queue->n++;
  queue->bytes += bytes_of(write->size);
  queue->counts->queued++;
  return true;
}

bool fleet_queue_find(const struct fleet_queue *queue, const struct fc_hash *hash, uint64_t version,
                      struct fleet_value *value, uint64_t *generation) {
  const struct fleet_write *write = queue->n == 0 ? NULL : find(queue, hash, version);
  if (write == NULL)
    return false;
  *generation = write->generation;
  enum fleet_value_state state =
      fleet_value_decode(write->data, write->size, hash, version, UINT64_MAX, value);
  check_eq(state, FLEET_VALUE_GOOD);
  return true;
}

/* ---- attempts ---- */

static void retry(struct fleet_write *write, uint64_t now_ns) {
  write->retry_ns = now_ns + FLEET_QUEUE_RETRY_NS;
  append(&write->queue->retrying, write);
}

static void succeeded(struct fleet_write *write) {
  struct fleet_queue *queue = write->queue;
  queue->counts->published++;
  if (queue->totals != NULL)
    queue->totals->writes++;
  discard(write);
}

/* `mark`: the tier has, or may have, an older value than this node. */
static void refused(struct fleet_write *write, bool mark) {
  struct fleet_queue *queue = write->queue;
  queue->counts->refused++;
  if (queue->totals != NULL)
    queue->totals->kept++;
  if (mark)
    fleet_own_mark(queue->own, &write->hash, write->version);
  discard(write);
}

static void attempt(struct fleet_write *write, uint64_t now_ns);

static void replace_seen(struct fleet_write *write, const struct fleet_reply *reply,
                         uint64_t now_ns) {
  write->seen_size = (uint32_t)reply->size;
  if (reply->size > 0)
    memcpy(write->seen, reply->value, reply->size);
  write->step = WRITE_REPLACE;
  attempt(write, now_ns);
}

static bool has_head(const struct fleet_reply *reply) {
  return reply->size == FLEET_VALUE_HEAD &&
         memcmp(reply->value, FLEET_VALUE_MAGIC, strlen(FLEET_VALUE_MAGIC)) == 0;
}

/* The tier had something where this write was to be stored, and this is its head. */
static void looked(struct fleet_write *write, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_value found;
  if (reply->status == FLEET_NONE) { /* it is gone by now */
    write->step = write->keep_first ? WRITE_PUBLISH : WRITE_REPLACE;
    attempt(write, now_ns);
  } else if (!has_head(reply)) {
    if (reply->size <= FLEET_VALUE_HEAD)
      replace_seen(write, reply, now_ns);
    else
      refused(write, true);
  } else if (memcmp(reply->value, write->data, FLEET_VALUE_HEAD) == 0) {
    succeeded(write); /* by an attempt whose reply was lost */
  } else if (fleet_value_decode(reply->value, reply->size, &write->hash, write->version, 0,
                                &found) == FLEET_VALUE_TOMBSTONE) {
    if (found.deleted <= write->known_version)
      replace_seen(write, reply, now_ns);
    else
      refused(write, false); /* the put may have been computed before the delete */
  } else {
    refused(write, write->keep_first);
  }
}

static bool is_stored(const struct fleet_write *write, const struct fleet_reply *reply) {
  return reply->status == FLEET_OK &&
         (write->step == WRITE_PUBLISH ||
          (write->step == WRITE_REPLACE && reply->number == FLEET_REPLACED));
}

static void look(struct fleet_write *write, uint64_t now_ns) {
  write->step = WRITE_LOOK;
  attempt(write, now_ns);
}

static void done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_write *write = (struct fleet_write *)op;
  struct fleet_queue *queue = write->queue;
  unlist(write);
  queue->n_flying--;
  queue->flying_bytes -= write->size;
  bool ended = reply->status == FLEET_OK || reply->status == FLEET_NONE;
  if (!ended && reply->status != FLEET_WRONG)
    queue->window = 1;
  else if (queue->window < FLEET_QUEUE_IN_FLIGHT)
    queue->window++;
  if (write->is_obsolete && !is_stored(write, reply)) {
    queue->counts->superseded++; /* the second write decides what the tier has */
    discard(write);
  } else if (write->step == WRITE_LOOK && (ended || reply->status == FLEET_WRONG)) {
    looked(write, reply, now_ns);
  } else if (!ended) {
    write->was_refused = reply->status == FLEET_REFUSED;
    retry(write, now_ns);
  } else if (is_stored(write, reply)) {
    succeeded(write);
  } else if (write->keep_first || reply->number == FLEET_TOMBSTONE_FOUND) {
    look(write, now_ns);
  } else {
    refused(write, false); /* the tier has a later value */
  }
  fleet_queue_tick(queue, now_ns);
}

static void set_replace(struct fleet_write *write) {
  struct fleet_op *op = &write->op;
  int size = snprintf(write->ttl_ms, sizeof write->ttl_ms, "%llu", (unsigned long long)op->time_ms);
  op->script = &fleet_script_replace;
  op->args[0] = op->payload;
  op->args[1] = (struct fc_str){write->ttl_ms, (uint32_t)size};
  op->args[2] = (struct fc_str){(const char *)write->seen, write->seen_size};
  op->args[3] = fc_str_of(write->keep_first ? "0" : "1");
  op->n_args = 4;
}

static void set_op(struct fleet_write *write, uint64_t now_ns) {
  static const enum fleet_op_kind kinds[] = {[WRITE_PUBLISH] = FLEET_OP_PUBLISH,
                                             [WRITE_LOOK] = FLEET_OP_READ,
                                             [WRITE_REPLACE] = FLEET_OP_SCRIPT};
  const struct fleet_queue *queue = write->queue;
  uint64_t more_ns = (queue->flying_bytes + write->size) / FLEET_QUEUE_BYTES_PER_MS * NS_PER_MS;
  write->op = (struct fleet_op){.kind = kinds[write->step],
                                .class = write->step == WRITE_LOOK ? FLEET_READS : FLEET_WRITES,
                                .key = fleet_key_str(&write->name),
                                .payload = {(const char *)write->data, (uint32_t)write->size},
                                .time_ms = queue->ttl_ns / NS_PER_MS,
                                .limit = FLEET_VALUE_HEAD,
                                .deadline_ns = now_ns + queue->deadline_ns + more_ns,
                                .done = done};
  if (write->step == WRITE_REPLACE)
    set_replace(write);
}

/* Sends a write that is in no list, or puts it into a list for later. */
static void attempt(struct fleet_write *write, uint64_t now_ns) {
  struct fleet_queue *queue = write->queue;
  set_op(write, now_ns);
  if (!fleet_io_submit(queue->io, &write->op, now_ns)) {
    retry(write, now_ns);
    return;
  }
  append(&queue->flying, write);
  queue->n_flying++;
  queue->flying_bytes += write->size;
  if (!write->passed)
    pass(write, now_ns);
}

static bool has_window(const struct fleet_queue *queue) {
  return queue->n_flying < queue->window && queue->flying_bytes < FLEET_QUEUE_IN_FLIGHT_BYTES;
}

static struct fleet_write *next_due(const struct fleet_queue *queue, uint64_t now_ns) {
  struct fleet_write *again = queue->retrying.first;
  return again != NULL && again->retry_ns <= now_ns ? again : queue->waiting.first;
}

void fleet_queue_tick(struct fleet_queue *queue, uint64_t now_ns) {
  for (uint32_t i = 0; i < FLEET_QUEUE_STEP && has_window(queue); i++) {
    struct fleet_write *write = next_due(queue, now_ns);
    if (write == NULL)
      return;
    unlist(write);
    if (now_ns - write->queued_ns >= queue->age_ns)
      drop(write,
           write->was_refused ? &queue->counts->dropped_refused : &queue->counts->dropped_age,
           now_ns);
    else
      attempt(write, now_ns);
  }
}

uint64_t fleet_queue_next_ns(const struct fleet_queue *queue) {
  if (!has_window(queue))
    return UINT64_MAX; /* a reply calls fleet_queue_tick */
  if (queue->waiting.first != NULL)
    return 0;
  return queue->retrying.first == NULL ? UINT64_MAX : queue->retrying.first->retry_ns;
}

uint64_t fleet_queue_oldest_ns(const struct fleet_queue *queue, uint64_t now_ns) {
  const struct fleet_write_list *lists[] = {&queue->waiting, &queue->retrying, &queue->flying};
  uint64_t oldest_ns = now_ns;
  for (size_t i = 0; i < 3; i++)
    for (const struct fleet_write *write = lists[i]->first; write != NULL; write = write->next)
      oldest_ns = write->queued_ns < oldest_ns ? write->queued_ns : oldest_ns;
  return now_ns - oldest_ns;
}

static void drop_all(struct fleet_queue *queue, struct fleet_write_list *list) {
  for (struct fleet_write *write = list->first, *next; write != NULL; write = next) {
    next = write->next;
    if (list == &queue->flying)
      fleet_io_cancel(queue->io, &write->op);
    unlist(write);
    count_dropped(queue, &queue->counts->dropped_stop);
    discard(write);
  }
}

void fleet_queue_deinit(struct fleet_queue *queue) {
  drop_all(queue, &queue->waiting);
  drop_all(queue, &queue->retrying);
  drop_all(queue, &queue->flying);
  check_eq(queue->n, 0);
  check_eq(queue->bytes, 0);
  free(queue->buckets);
  *queue = (struct fleet_queue){0};
}

void fleet_queue_check(const struct fleet_queue *queue) {
  const struct fleet_write_list *lists[] = {&queue->waiting, &queue->retrying, &queue->flying};
  uint32_t n = 0, flying = 0;
  size_t bytes = 0, flying_bytes = 0;
  for (size_t i = 0; i < 3; i++)
    for (const struct fleet_write *write = lists[i]->first; write != NULL; write = write->next) {
      assert(write->list == lists[i] && write->queue == queue);
      assert(write->is_obsolete || find(queue, &write->hash, write->version) == write);
      assert(!write->is_obsolete || i == 2);
      assert(write->next == NULL || i != 1 || write->retry_ns <= write->next->retry_ns);
      n++;
      bytes += bytes_of(write->size);
      flying += i == 2;
      flying_bytes += i == 2 ? write->size : 0;
    }
  check_eq(queue->n, n);
  check_eq(queue->bytes, bytes);
  check_eq(queue->n_flying, flying);
  check_eq(queue->flying_bytes, flying_bytes);
  check_le(queue->bytes, queue->bytes_max);
}
