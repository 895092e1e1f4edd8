#include "client/lib/shm/ring_writer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SLOTS_OF_CONTEXT_MAX ((FC_RING_CONTEXT_BYTES_MAX + FC_RING_SLOT - 1) / FC_RING_SLOT)

/* ---- the mapping ---- */

bool ring_attach(struct ring *ring, void *base, size_t size) {
  struct fc_ring_header *header = base;
  *ring = (struct ring){0};
  if (size < sizeof *header || (uintptr_t)base % _Alignof(struct fc_ring_header) != 0)
    return false;
  uint32_t n_slots = header->n_slots;
  if (header->magic != FC_RING_MAGIC || n_slots < FC_RING_SLOTS_MIN ||
      n_slots > FC_RING_SLOTS_MAX || (n_slots & (n_slots - 1)) != 0 ||
      fc_ring_bytes(n_slots) > size)
    return false;
  /* Relaxed: it came to us through a message, and nobody else writes `head`. */
  uint64_t head = atomic_load_explicit(&header->head, memory_order_relaxed);
  if (atomic_load_explicit(&header->tail, memory_order_relaxed) != head)
    return false;
  *ring = (struct ring){.header = header,
                        .slots = (uint8_t *)base + sizeof *header,
                        .size = size,
                        .n_slots = n_slots,
                        .head = head,
                        .tail = head};
  return true;
}

bool ring_map_fd(struct ring *ring, int fd) {
  const int needed = F_SEAL_SHRINK | F_SEAL_GROW; /* memory that is cut under us would be SIGBUS */
  int seals = fcntl(fd, F_GET_SEALS);
  struct stat status;
  *ring = (struct ring){0};
  if (seals < 0 || (seals & needed) != needed || fstat(fd, &status) < 0 || status.st_size <= 0 ||
      (uint64_t)status.st_size > 2 * fc_ring_bytes(FC_RING_SLOTS_MAX))
    return false;
  size_t size = (size_t)status.st_size;
  void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
    return false;
  (void)madvise(base, size, MADV_DONTDUMP); /* where it cannot: a larger core file */
  (void)madvise(base, size,
                MADV_DONTFORK); /* where it cannot: a child keeps the memory allocated */
  if (ring_attach(ring, base, size))
    return true;
  (void)munmap(base, size); /* it was mapped above */
  return false;
}

void ring_unmap(struct ring *ring) {
  if (ring->header != NULL)
    (void)munmap(ring->header, ring->size); /* it was mapped by ring_map_fd */
  *ring = (struct ring){0};
}

/* ---- records ---- */

static uint8_t *slot_at(const struct ring *ring, uint64_t at) {
  return ring->slots + (size_t)(at & (ring->n_slots - 1)) * FC_RING_SLOT;
}

static bool has_room(struct ring *ring, uint32_t slots) {
  if (ring->head + slots - ring->tail <= ring->n_slots)
    return true;
  /* Acquire: the daemon is done with the slots below its tail; we write to them after this. */
  uint64_t tail = atomic_load_explicit(&ring->header->tail, memory_order_acquire);
  /* One that is behind the one before it, or ahead of us, makes no sense: nothing is free. */
  if (tail - ring->tail > ring->head - ring->tail)
    return false;
  ring->tail = tail;
  return ring->head + slots - tail <= ring->n_slots;
}

/* The names go through a copy, since they may lie on both sides of the ring's end. */
static void write_context(struct ring *ring, const struct context *context, uint32_t slots) {
  uint8_t record[SLOTS_OF_CONTEXT_MAX * FC_RING_SLOT] = {0};
  struct fc_ring_context head = {
      .kind = FC_RING_CONTEXT,
      .index = context->index,
      .op_size = context->op_size,
      .view_size = context->view_size,
      .probe_size = context->probe_size,
  };
  memcpy(record, &head, sizeof head);
  memcpy(record + sizeof head, context->names, context_names_size(context));
  for (uint32_t i = 0; i < slots; i++)
    memcpy(slot_at(ring, ring->head + i), record + (size_t)i * FC_RING_SLOT, FC_RING_SLOT);
}

bool ring_hit(struct ring *ring, const struct context *context, const struct fc_ring_hit *hit) {
  bool is_known = ring->written[context->index] == context->serial;
  uint32_t before = is_known ? 0 : fc_ring_context_slots(context_names_size(context));
  if (!has_room(ring, before + 1))
    return false;
  if (!is_known) {
    write_context(ring, context, before);
    ring->written[context->index] = context->serial;
  }
  struct fc_ring_hit record = *hit;
  record.kind = FC_RING_HIT;
  record.context = context->index;
  memcpy(slot_at(ring, ring->head + before), &record, sizeof record);
  ring->head += before + 1;
  /* Release: who loads this head with acquire order sees the slots below it as they were filled.
   * Both records appear at once. */
  atomic_store_explicit(&ring->header->head, ring->head, memory_order_release);
  return true;
}

uint64_t ring_untaken(const struct ring *ring) {
  uint64_t hits = 0;
  /* Acquire, as in has_room: what the daemon counted before it moved its tail is not ours. */
  uint64_t at = atomic_load_explicit(&ring->header->tail, memory_order_acquire);
  if (ring->head - at > ring->n_slots)
    at = ring->tail;
  if (ring->header->magic == 0) /* the daemon has taken all, and handed out another ring */
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
    if (slots > ring->head - at) /* the tail stood in the middle of a record */
      break;
    at += slots;
  }
  return hits;
}

void ring_set_unrecorded(struct ring *ring, uint64_t n) {
  /* Relaxed: a figure that stands for itself. */
  atomic_store_explicit(&ring->header->unrecorded, n, memory_order_relaxed);
}
