/* ring_writer.h - writes the ring: shared memory in which a client records the hits that it served
 * itself, for its daemon to read. proto/shm/ring_layout.h has the layout.
 *
 * The client reads only the daemon's `tail` and `state`, checks the tail, and never writes the
 * daemon's words. One thread. A forked child must not write to its parent's ring. */
#ifndef FC_CLIENT_RING_WRITER_H
#define FC_CLIENT_RING_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "client/lib/shm/labels.h"
#include "proto/shm/ring_layout.h"

/* Zero to start. */
struct ring_writer {
  struct fc_ring_header *header; /* NULL: no ring */
  uint8_t *slots;
  size_t size; /* of the mapping, bytes */
  uint32_t n_slots;
  uint64_t head;                      /* next position to write */
  uint64_t tail;                      /* the daemon's, when it was last loaded */
  uint64_t written[FC_RING_CONTEXTS]; /* serial of the labels that the ring has at each index */
};

/* Uses a ring in memory that the caller has mapped and keeps. `base` is a multiple of 64. Returns
 * false if the memory has no valid ring without records. */
bool ring_writer_attach(struct ring_writer *ring, void *base, size_t size);

/* Maps a ring. The caller keeps the descriptor and may close it. Returns false, with nothing
 * mapped, if the file is no valid ring without records, may shrink (its seals), or cannot be
 * mapped. A forked child does not inherit the mapping. */
bool ring_writer_map_fd(struct ring_writer *ring, int fd);

/* Unmaps the ring of ring_writer_map_fd. Idempotent. */
void ring_writer_unmap(struct ring_writer *ring);

/* Returns the daemon's flags for this ring: FC_RING_ASLEEP, FC_RING_REVOKED, FC_RING_ENDED. Nearly
 * always 0. One load. */
static inline uint32_t ring_writer_state(const struct ring_writer *ring) {
  /* Relaxed: the daemon tolerates that the client sees a flag late. The word is in the cache line
   * of the tail, which the client loads anyway. */
  return atomic_load_explicit(&ring->header->state, memory_order_relaxed);
}

/* Returns the slot for the next hit, if the daemon has the names of `labels` and the ring has room
 * as far as the latest tail tells. NULL: ring_writer_add_hit may have more success. The slot is not
 * published before ring_writer_publish. */
static inline struct fc_ring_hit *ring_writer_next(const struct ring_writer *ring,
                                                   const struct labels *labels) {
  if (ring->written[labels->index] != labels->serial || ring->head - ring->tail >= ring->n_slots)
    return NULL;
  return (struct fc_ring_hit *)(void *)(ring->slots +
                                        (size_t)(ring->head & (ring->n_slots - 1)) * FC_RING_SLOT);
}

/* Publishes the slot of ring_writer_next, which the caller has filled. */
static inline void ring_writer_publish(struct ring_writer *ring) {
  /* Release: a daemon that loads this head with acquire order sees the slot complete. */
  atomic_store_explicit(&ring->header->head, ++ring->head, memory_order_release);
}

/* Appends a hit, and before it the names of `labels` if the daemon does not have them. Sets the
 * record's kind and context. Returns false, with nothing written, if the ring is full. */
bool ring_writer_add_hit(struct ring_writer *ring, const struct labels *labels,
                         const struct fc_ring_hit *hit);

/* Returns the number of hits that the daemon has not read yet, without FC_RING_UNRECORDED ones. A
 * daemon that has stopped reading loses them. */
uint64_t ring_writer_unread_hits(const struct ring_writer *ring);

/* Publishes the number of hits that were not recorded, in this ring or an earlier one. */
void ring_writer_set_unrecorded(struct ring_writer *ring, uint64_t n);

#endif
