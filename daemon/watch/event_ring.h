/* event_ring.h - a ring of encoded events that several readers share, each with a cursor. A new
 * event overwrites the oldest ones, whether they are read or not. Each event has a set of readers.
 *
 * Positions are bytes since the start, and only grow. A reader whose cursor is below `tail` has
 * lost the events in between: event_ring_next must not be called with it.
 *
 * One thread. */
#ifndef FC_DAEMON_EVENT_RING_H
#define FC_DAEMON_EVENT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_RING_BYTES (1u << 20)

struct event_ring {
  uint8_t *bytes;      /* owned, EVENT_RING_BYTES; NULL: not opened */
  uint64_t head, tail; /* of the next event, and of the oldest one */
};

/* Allocates the bytes of a zeroed ring. Returns 0 or FC_ENOMEM. */
int event_ring_open(struct event_ring *ring);

/* Frees the bytes. The positions stay, so that cursors never go back. Idempotent. */
void event_ring_close(struct event_ring *ring);

/* Appends an event of `size` bytes, at most EVENT_RING_BYTES / 8, for the readers in `readers`, a
 * set of bits. Moves `tail` over the events that it overwrites. */
void event_ring_append(struct event_ring *ring, uint32_t readers, const void *data, size_t size);

/* Moves the cursor to the next event of a reader in `readers`, and returns true with the event,
 * which is valid until the next append. Its cursor behind the event becomes *after. Returns false
 * if there is none, with the cursor at `head`. */
bool event_ring_next(const struct event_ring *ring, uint32_t readers, uint64_t *cursor,
                     const uint8_t **data, size_t *size, uint64_t *after);

#endif
