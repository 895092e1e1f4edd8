#include "daemon/watch/event_ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

/* Before each event. An event lies in one piece: if the rest of the ring is too short, a header
 * without readers fills it. */
struct header {
  uint32_t readers;
  uint32_t size; /* of the event */
};
static_assert((EVENT_RING_BYTES & (EVENT_RING_BYTES - 1)) == 0, "positions wrap by a mask");

static size_t place_of(uint64_t position) {
  return (size_t)position & (EVENT_RING_BYTES - 1);
}

/* Rounded up, so that a header always fits before the end of the ring. */
static uint64_t length_of(size_t size) {
  return (sizeof(struct header) + size + sizeof(struct header) - 1) / sizeof(struct header) *
         sizeof(struct header);
}

static struct header header_at(const struct event_ring *ring, uint64_t position) {
  struct header header;
  memcpy(&header, ring->bytes + place_of(position), sizeof header);
  return header;
}

int event_ring_open(struct event_ring *ring) {
  ring->bytes = malloc(EVENT_RING_BYTES);
  ring->tail = ring->head;
  return ring->bytes == NULL ? FC_ENOMEM : 0;
}

void event_ring_close(struct event_ring *ring) {
  free(ring->bytes);
  ring->bytes = NULL;
  ring->tail = ring->head;
}

/* Overwrites the oldest events until `length` bytes are free. */
static void make_room(struct event_ring *ring, uint64_t length) {
  while (ring->head + length - ring->tail > EVENT_RING_BYTES)
    ring->tail += length_of(header_at(ring, ring->tail).size);
  check_le(ring->tail, ring->head);
}

static void add(struct event_ring *ring, struct header header, const void *data) {
  uint64_t length = length_of(header.size);
  make_room(ring, length);
  uint8_t *place = ring->bytes + place_of(ring->head);
  check_le(place_of(ring->head) + length, EVENT_RING_BYTES);
  memcpy(place, &header, sizeof header);
  if (data != NULL)
    memcpy(place + sizeof header, data, header.size);
  ring->head += length;
}

void event_ring_append(struct event_ring *ring, uint32_t readers, const void *data, size_t size) {
  check_le(size, EVENT_RING_BYTES / 8);
  size_t left = EVENT_RING_BYTES - place_of(ring->head);
  if (left < length_of(size))
    add(ring, (struct header){.size = (uint32_t)(left - sizeof(struct header))}, NULL);
  add(ring, (struct header){readers, (uint32_t)size}, data);
}

bool event_ring_next(const struct event_ring *ring, uint32_t readers, uint64_t *cursor,
                     const uint8_t **data, size_t *size, uint64_t *after) {
  check_le(ring->tail, *cursor);
  check_le(*cursor, ring->head);
  while (*cursor < ring->head) {
    struct header header = header_at(ring, *cursor);
    uint64_t end = *cursor + length_of(header.size);
    if ((header.readers & readers) != 0) {
      *data = ring->bytes + place_of(*cursor) + sizeof header;
      *size = header.size;
      *after = end;
      return true;
    }
    *cursor = end;
  }
  return false;
}
