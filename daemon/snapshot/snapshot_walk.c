/* The walk over the entries, by the numbers of their slots. */
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/snapshot/snapshot_internal.h"
#include "proto/image/image_record.h"

#define COPY_MAX 4096u     /* a larger value is held and written from where it lies */
#define CLOCK_EVERY 16u    /* entries between two looks at the clock */
#define PREFETCH_AHEAD 12u /* entries; a place in the region is one cache miss or more */

static void add_piece(struct run_batch *batch, void *data, size_t size) {
  struct iovec *last = batch->n_pieces == 0 ? NULL : &batch->pieces[batch->n_pieces - 1];
  batch->bytes += size;
  if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == data) {
    last->iov_len += size;
    return;
  }
  check_lt(batch->n_pieces, BATCH_PIECES);
  batch->pieces[batch->n_pieces++] = (struct iovec){data, size};
}

static void add_copy(struct run_batch *batch, const void *data, size_t size) {
  uint8_t *to = batch->buffer + batch->used;
  check_le(batch->used + size, BATCH_BUFFER_BYTES);
  if (size > 0)
    memcpy(to, data, size);
  batch->used += size;
  add_piece(batch, to, size);
}

static void add_value(struct run_batch *batch, struct entry *entry, uint32_t size) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  size_t n = entry_value(entry, pieces);
  if (size > COPY_MAX) {
    entry_hold(entry);
    batch->held[batch->n_held++] = entry;
  }
  for (size_t i = 0; i < n; i++)
    if (size > COPY_MAX)
      add_piece(batch, pieces[i].iov_base, pieces[i].iov_len);
    else
      add_copy(batch, pieces[i].iov_base, pieces[i].iov_len);
}

static void add_entry(struct snapshot_run *run, struct run_batch *batch, struct entry *entry) {
  static const uint8_t zeros[IMAGE_UNIT];
  const struct fc_region_entry *placed = entry_placed(entry);
  uint8_t head[IMAGE_HEAD_MAX];
  struct image_record record = {.name_space = region_writer_load(&placed->name_space),
                                .key = entry_key(entry),
                                .value_size = entry_value_size(entry),
                                .value_checksum =
                                    fc_region_checksum_of(region_writer_load(&placed->shape)),
                                .origin = entry_origin(entry),
                                .compute_ns = entry_compute_ns(entry),
                                .stamp = entry->use_stamp,
                                .last_use_ns = entry->last_use_ns,
                                .hits = entry->hits};
  size_t bytes = image_record_encode(&record, run->salt, head);
  add_copy(batch, head, bytes);
  add_value(batch, entry, record.value_size);
  bytes += record.value_size;
  add_copy(batch, zeros, (IMAGE_UNIT - bytes % IMAGE_UNIT) % IMAGE_UNIT);
  run->records++;
}

static bool has_room(const struct run_batch *batch) {
  return batch->used + IMAGE_HEAD_MAX + COPY_MAX + IMAGE_UNIT <= BATCH_BUFFER_BYTES &&
         batch->n_pieces + FC_REGION_PIECES_MAX + 2 <= BATCH_PIECES &&
         batch->n_held < BATCH_ENTRIES && batch->bytes < BATCH_BYTES_MAX;
}

static void prefetch(const struct heap *heap, uint32_t number) {
  const struct entry *entry = heap_find_entry(heap, number);
  if (entry != NULL && entry->name_space != 0)
    __builtin_prefetch(heap_placed(heap, entry));
}

bool snapshot_walk(struct snapshot_run *run, struct run_batch *batch, uint64_t until_ns) {
  const struct store *store = run->snapshot->config.cache.store;
  const struct heap *heap = &store->heap;
  uint32_t end = heap->entries.n_chunks << ENTRY_BITS;
  for (unsigned i = 0; run->next < end && has_room(batch); i++) {
    if (i % CLOCK_EVERY == CLOCK_EVERY - 1 && snapshot_clock_ns() >= until_ns)
      return false;
    struct entry *entry = heap_find_entry(heap, run->next++);
    prefetch(heap, run->next + PREFETCH_AHEAD);
    /* What is pending delete stays out: the clears that were active at the start of the walk, and
     * the dropped namespaces, have no record in the journal later. */
    if (entry != NULL && entry->name_space != 0 && !store_is_pending_delete(store, entry))
      add_entry(run, batch, entry);
  }
  run->walked = run->next >= end;
  return run->walked || !has_room(batch);
}

void snapshot_batch_reset(struct run_batch *batch) {
  for (uint32_t i = 0; i < batch->n_held; i++)
    entry_release(batch->held[i]);
  batch->n_held = batch->n_pieces = 0;
  batch->used = 0;
  batch->bytes = 0;
}
