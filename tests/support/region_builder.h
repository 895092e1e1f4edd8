/* region_builder.h - builds regions and rings by hand, for the tests and fuzzers of their readers
 * and writers. Does not use Check: an error aborts the program. One thread, with no reader at the
 * same time. */
#ifndef FC_TESTS_REGION_BUILD_H
#define FC_TESTS_REGION_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"
#include "proto/shm/region_layout.h"
#include "proto/shm/ring_layout.h"

#define BUILD_OWNER 4711u /* id of a living daemon */
#define BUILD_SEGMENT_BYTES (1u << 20)

struct region_build {
  uint8_t *base;
  size_t size;
  struct fc_region_header *header; /* at `base` */
  uint64_t next;                   /* offset of the unused part of the arena */
};

/* Makes an empty, live region of `size` bytes (a multiple of 4096) at `base` (aligned to 64). */
void region_build_init(struct region_build *build, void *base, size_t size, uint64_t boot_id,
                       uint32_t n_buckets);

/* Adds an entry in front of its chain, with its value in `n_pieces` pieces, or in its own block if
 * 0. Returns its offset. */
uint64_t region_build_add(struct region_build *build, uint64_t name_space, const struct fc_key *key,
                          const void *value, uint32_t size, uint32_t n_pieces);

struct fc_region_bucket *region_build_bucket(const struct region_build *build, uint64_t name_space,
                                             const struct fc_key *key);
struct fc_region_entry *region_build_entry(const struct region_build *build, uint64_t offset);
struct fc_region_piece *region_build_pieces(const struct region_build *build, uint64_t offset);

/* Makes the region in memfds with those seals (F_SEAL_*), mapped side by side at build->base:
 * segments of BUILD_SEGMENT_BYTES. Returns the number of descriptors, of which the index is the
 * first. The caller closes them. */
unsigned region_build_fds(struct region_build *build, size_t size, uint64_t boot_id,
                          uint32_t n_buckets, int seals, int fds[FC_REGION_FDS_MAX]);
void region_build_unmap(struct region_build *build); /* of region_build_fds */

/* Make an empty ring in memory of fc_ring_bytes(n_slots), or in a memfd that is mapped at *ring. */
void ring_build_init(struct fc_ring_header *ring, uint32_t n_slots);
int ring_build_fd(struct fc_ring_header **ring, uint32_t n_slots, int seals);

/* Returns slot i, where the daemon reads it. */
const void *ring_build_slot(const struct fc_ring_header *ring, uint64_t i);

#endif
