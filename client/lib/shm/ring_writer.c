#include "client/lib/shm/ring_writer.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "client/lib/shm/map_shared.h"

#define CONTEXT_SLOTS_MAX ((FC_RING_CONTEXT_BYTES_MAX + FC_RING_SLOT - 1) / FC_RING_SLOT)

/* ---- the mapping ---- */

bool ring_writer_attach(struct ring_writer *ring, void *base, size_t size) {
  struct fc_ring_header *header = base;
  *ring = (struct ring_writer){0};
  if (size < sizeof *header || (uintptr_t)base % _Alignof(struct fc_ring_header) != 0)
    return false;
  uint32_t n_slots = header->n_slots;
  if (header->magic != FC_RING_MAGIC || n_slots < FC_RING_SLOTS_MIN ||
      n_slots > FC_RING_SLOTS_MAX || (n_slots & (n_slots - 1)) != 0 ||
      fc_ring_bytes(n_slots) > size)
    return false;
  /* Relaxed: the ring came through a message, and only the client writes `head`. */
  uint64_t head = atomic_load_explicit(&header->head, memory_order_relaxed);
  if (atomic_load_explicit(&header->tail, memory_order_relaxed) != head)
    return false;
  *ring = (struct ring_writer){.header = header,
                               .slots = (uint8_t *)base + sizeof *header,
                               .size = size,
                               .n_slots = n_slots,
                               .head = head,
                               .tail = head};
  return true;
}

bool ring_writer_map_fd(struct ring_writer *ring, int fd) {
  size_t size;
  *ring = (struct ring_writer){0};
  void *base =
      map_shared_fd(fd, PROT_READ | PROT_WRITE, 2 * fc_ring_bytes(FC_RING_SLOTS_MAX), &size);
  if (base == NULL)
    return false;
  if (ring_writer_attach(ring, base, size))
    return true;
  (void)munmap(base, size); /* mapped above */
  return false;
}

void ring_writer_unmap(struct ring_writer *ring) {
  if (ring->header != NULL)
    (void)munmap(ring->header, ring->size); /* ring_writer_map_fd mapped it */
  *ring = (struct ring_writer){0};
}

/* ---- records ---- */

static uint8_t *slot_at(const struct ring_writer *ring, uint64_t at) {
  return ring->slots + (size_t)(at & (ring->n_slots - 1)) * FC_RING_SLOT;
}

static bool has_room(struct ring_writer *ring, uint32_t slots) {
  if (ring->head + slots - ring->tail <= ring->n_slots)
    return true;
  /* Acquire: the daemon has read the slots below its tail before the client overwrites them. */
  uint64_t tail = atomic_load_explicit(&ring->header->tail, memory_order_acquire);
  /* A tail that moved back, or past the head, is invalid: the ring counts as full. */
  if (tail - ring->tail > ring->head - ring->tail)
    return false;
  ring->tail = tail;
  return ring->head + slots - tail <= ring->n_slots;
}

/* Writes the names through a copy, since the record may wrap around the end of the ring. */
static void write_labels(struct ring_writer *ring, const struct labels *labels, uint32_t slots) {
  uint8_t record[CONTEXT_SLOTS_MAX * FC_RING_SLOT] = {0};
  struct fc_ring_context head = {
      .kind = FC_RING_CONTEXT,
      .index = labels->index,
      .op_size = labels->op_size,
      .view_size = labels->view_size,
      .probe_size = labels->probe_size,
  };
  assert(slots <= CONTEXT_SLOTS_MAX);
  memcpy(record, &head, sizeof head);
  uint32_t key_size = (uint32_t)labels->op_size + labels->view_size;
  memcpy(record + sizeof head, labels->names, key_size);
  memcpy(record + sizeof head + key_size, labels->probe, labels->probe_size);
  for (uint32_t i = 0; i < slots; i++)
    memcpy(slot_at(ring, ring->head + i), record + (size_t)i * FC_RING_SLOT, FC_RING_SLOT);
}

bool ring_writer_add_hit(struct ring_writer *ring, const struct labels *labels,
                         const struct fc_ring_hit *hit) {
  assert(labels->serial != 0 && labels->index < FC_RING_CONTEXTS);
  bool is_known = ring->written[labels->index] == labels->serial;
  uint32_t before = is_known ? 0 : fc_ring_context_slots(labels_names_size(labels));
  if (!has_room(ring, before + 1))
    return false;
  if (!is_known) {
    write_labels(ring, labels, before);
    ring->written[labels->index] = labels->serial;
  }
  struct fc_ring_hit record = *hit;
  record.kind = FC_RING_HIT;
  record.context = labels->index;
  memcpy(slot_at(ring, ring->head + before), &record, sizeof record);
  ring->head += before + 1;
  assert(ring->head - ring->tail <= ring->n_slots);
  /* Release: a daemon that loads this head with acquire order sees the slots below it complete.
   * Both records appear at once. */
  atomic_store_explicit(&ring->header->head, ring->head, memory_order_release);
  return true;
}

uint64_t ring_writer_unread_hits(const struct ring_writer *ring) {
  uint64_t hits = 0;
  /* Acquire, as in has_room: the daemon has counted the records below its tail. */
  uint64_t at = atomic_load_explicit(&ring->header->tail, memory_order_acquire);
  if (ring->head - at > ring->n_slots) /* invalid */
    at = ring->tail;
  if (ring->header->magic == 0) /* the daemon read everything, and handed out another ring */
    return 0;
  while (at != ring->head) {
    struct fc_ring_hit hit;
    struct fc_ring_context context;
    memcpy(&hit, slot_at(ring, at), sizeof hit);
    memcpy(&context, &hit, sizeof context);
    bool is_hit = hit.kind == FC_RING_HIT;
    hits += is_hit && (hit.flags & FC_RING_UNRECORDED) == 0;
    uint32_t names = (uint32_t)context.op_size + context.view_size + context.probe_size;
    uint32_t slots = is_hit ? 1 : fc_ring_context_slots(names);
    if (slots > ring->head - at) /* the tail was inside a record */
      break;
    at += slots;
  }
  return hits;
}

void ring_writer_set_unrecorded(struct ring_writer *ring, uint64_t n) {
  /* Relaxed: no other word depends on this number. */
  atomic_store_explicit(&ring->header->unrecorded, n, memory_order_relaxed);
}
