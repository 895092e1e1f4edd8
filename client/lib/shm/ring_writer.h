/* ring_writer.h - writes to a ring: the memory in which a client tells its daemon of the hits
 * that it served itself. The layout is proto/shm/ring_layout.h.
 *
 * Nothing is read from the ring but the daemon's `tail`, and that is checked. The words
 * of the daemon's side are never written. One thread; a forked child must not write
 * to its parent's ring. */
#ifndef FC_CLIENT_RING_H
#define FC_CLIENT_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "client/lib/shm/labels.h"
#include "proto/shm/ring_layout.h"

/* Zero to start. */
struct ring {
  struct fc_ring_header *header; /* NULL: none */
  uint8_t *slots;
  size_t size; /* of the mapping */
  uint32_t n_slots;
  uint64_t head, tail;                /* ours, and the daemon's as we saw it last */
  uint64_t written[FC_RING_CONTEXTS]; /* serials of the contexts that the daemon knows */
};

/* Makes `ring` one of memory that is mapped already, and stays the caller's; `base` is a multiple
 * of 64. False where that is no fresh ring that makes sense. */
bool ring_attach(struct ring *ring, void *base, size_t size);

/* Maps a descriptor, which stays the caller's and is not needed any more. False, with nothing
 * mapped, where it is no fresh ring, where it could be cut under us (its seals), or where there is
 * no room for it. As with region_map_fd, a forked child does not have the mapping. */
bool ring_map_fd(struct ring *ring, int fd);
void ring_unmap(struct ring *ring); /* of ring_map_fd; idempotent */

/* What the daemon shows of the ring: FC_RING_ASLEEP, FC_RING_REVOKED, or 0, which it is nearly
 * always. A load. */
static inline uint32_t ring_state(const struct ring *ring) {
  /* Relaxed: the daemon bears with one that is seen late. The line is the tail's, which is loaded
   * as the ring goes on. */
  return atomic_load_explicit(&ring->header->state, memory_order_relaxed);
}

/* Records a hit; what it says of its kind and context is filled in here, and the names of a context
 * that the daemon does not know go first. False, with nothing written, where the ring is full. */
bool ring_hit(struct ring *ring, const struct context *context, const struct fc_ring_hit *hit);

/* Hits in the ring that the daemon has not taken yet, but for the FC_RING_UNRECORDED ones: once it
 * takes nothing any more, these are lost to it. */
uint64_t ring_untaken(const struct ring *ring);

/* Says how many hits could not be recorded, here or before. */
void ring_set_unrecorded(struct ring *ring, uint64_t n);

#endif
