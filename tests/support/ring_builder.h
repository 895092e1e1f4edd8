/* ring_builder.h - a client's side of a ring for tests, as proto/shm/ring_layout.h says. It writes
 * malformed records too. */
#ifndef FC_TESTS_RING_BUILDER_H
#define FC_TESTS_RING_BUILDER_H

#include "proto/key.h"
#include "proto/shm/ring_layout.h"

struct ring_builder {
  struct fc_ring_header *header;
  uint8_t *slots;
  uint64_t bytes;
  uint64_t head; /* as the next ring_builder_publish stores it */
};

/* Maps the ring behind `fd`, which may be closed after. Aborts the program if it is malformed. */
void ring_builder_open(struct ring_builder *builder, int fd);
void ring_builder_close(struct ring_builder *builder);

/* Write at the head. The daemon sees nothing before ring_builder_publish. */
void ring_builder_slot(struct ring_builder *builder, const void *slot); /* FC_RING_SLOT bytes */
void ring_builder_context(struct ring_builder *builder, uint8_t index, const char *op,
                          const char *view, const char *probe); /* `probe` may be NULL */
void ring_builder_hit(struct ring_builder *builder, const struct fc_ring_hit *hit);
void ring_builder_publish(struct ring_builder *builder);

/* Returns the slots that the daemon has not released. */
uint64_t ring_builder_used(const struct ring_builder *builder);

/* Returns a hit on `key` under that context, of an entry that client 0 put. Its times are 0. */
struct fc_ring_hit ring_builder_hit_on(uint64_t namespace_id, uint8_t context,
                                       const struct fc_key *key);

#endif
