/* ring_builder.h - a client's side of a ring, as proto/shm/ring_layout.h says, for tests: also for
 * records that no client would write. */
#ifndef FC_TESTS_RING_WRITER_H
#define FC_TESTS_RING_WRITER_H

#include "proto/key.h"
#include "proto/shm/ring_layout.h"

struct ring_writer {
  struct fc_ring_header *header;
  uint8_t *slots;
  uint64_t bytes;
  uint64_t head; /* as it will be published */
};

/* Maps the ring that `fd` is (it may be closed after). */
void ring_writer_open(struct ring_writer *writer, int fd);
void ring_writer_close(struct ring_writer *writer);

/* These write at the head; nothing is seen before it is published. */
void ring_writer_slot(struct ring_writer *writer, const void *slot); /* FC_RING_SLOT bytes */
void ring_writer_context(struct ring_writer *writer, uint8_t index, const char *op,
                         const char *view, const char *probe); /* `probe` may be NULL */
void ring_writer_hit(struct ring_writer *writer, const struct fc_ring_hit *hit);
void ring_writer_publish(struct ring_writer *writer);

/* Slots that the daemon has not given back. */
uint64_t ring_writer_used(const struct ring_writer *writer);

/* A hit on `key`, under that context, of an entry that client 0 put; its times are 0. */
struct fc_ring_hit ring_writer_hit_on(uint64_t namespace_id, uint8_t context,
                                      const struct fc_key *key);

#endif
