#include "daemon/fleet/fleet_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "daemon/fleet/fleet_queue_internal.h"
#include "proto/errors.h"
#include "proto/image/image_bytes.h"

#define BUCKETS 8192u /* a power of two; 16 MiB of the smallest values are some 3 a bucket */

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

void fleet_write_append(struct fleet_write_list *list, struct fleet_write *write) {
  write->list = list;
  write->next = NULL;
  write->prev = list->last;
  *(list->last == NULL ? &list->first : &list->last->next) = write;
  list->last = write;
}

void fleet_write_unlist(struct fleet_write *write) {
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
  while (write != NULL && (write->is_obsolete || write->version != version ||
                           memcmp(write->hash.bytes, hash->bytes, FC_HASH_SIZE) != 0))
    write = write->next_in_bucket;
  return write;
}

/* ---- a write begins and ends ---- */

void fleet_write_pass(struct fleet_write *write, uint64_t now_ns) {
  struct fleet_queue *queue = write->queue;
  void *owner = write->owner;
  write->passed = true;
  write->owner = NULL;
  if (owner != NULL && queue->passed != NULL)
    queue->passed(queue->arg, owner, now_ns);
}

void fleet_write_discard(struct fleet_write *write) {
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

void fleet_write_drop(struct fleet_write *write, uint64_t *count, uint64_t now_ns) {
  count_dropped(write->queue, count);
  fleet_own_mark(write->queue->own, &write->hash, write->version);
  fleet_write_pass(write, now_ns);
  fleet_write_discard(write);
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
  fleet_write_unlist(old);
}

bool fleet_queue_add(struct fleet_queue *queue, const struct fleet_write_request *request,
                     uint64_t now_ns) {
  struct fleet_write_request wanted = *request;
  struct fleet_write *old = find(queue, request->hash, request->value.version);
  if (old != NULL && old->list == &queue->flying) {
    old->is_obsolete = true;
  } else if (old != NULL) {
    supersede(old, &wanted);
    fleet_write_pass(old, now_ns);
    fleet_write_discard(old);
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
  fleet_write_append(&queue->waiting, write);
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
    fleet_write_unlist(write);
    count_dropped(queue, &queue->counts->dropped_stop);
    fleet_write_discard(write);
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
