/* region_builder.h - regions and rings made by hand, as a daemon hands them out: for the
 * tests and the fuzzer of their readers and writers. Without Check: what cannot be made
 * ends the program. One thread, and no reader meanwhile. */
#ifndef FC_TESTS_REGION_BUILD_H
#define FC_TESTS_REGION_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"
#include "proto/shm/region_layout.h"
#include "proto/shm/ring_layout.h"

#define BUILD_OWNER 4711u /* the id of a daemon that lives */

struct region_build {
  uint8_t *base;
  size_t size;
  struct fc_region_header *header; /* at `base` */
  uint64_t next;                   /* offset of what is free of the arena */
};

/* Makes an empty, live region of `size` bytes (a multiple of 4096) at `base` (of 64). */
void region_build_init(struct region_build *build, void *base, size_t size, uint64_t boot_id,
                       uint32_t n_buckets);

/* Adds an entry in front of its chain, its value in `n_pieces` pieces (0: in its own block).
 * Returns its offset. */
uint64_t region_build_add(struct region_build *build, uint64_t name_space, const struct fc_key *key,
                          const void *value, uint32_t size, uint32_t n_pieces);

struct fc_region_bucket *region_build_bucket(const struct region_build *build, uint64_t name_space,
                                             const struct fc_key *key);
struct fc_region_entry *region_build_entry(const struct region_build *build, uint64_t offset);
struct fc_region_piece *region_build_pieces(const struct region_build *build, uint64_t offset);

/* The same in a memfd with those seals (F_SEAL_*), which is returned, mapped at build->base. */
int region_build_fd(struct region_build *build, size_t size, uint64_t boot_id, uint32_t n_buckets,
                    int seals);
void region_build_unmap(struct region_build *build); /* of region_build_fd */

/* A fresh ring: in memory of fc_ring_bytes(n_slots), or in a memfd, mapped at *ring. */
void ring_build_init(struct fc_ring_header *ring, uint32_t n_slots);
int ring_build_fd(struct fc_ring_header **ring, uint32_t n_slots, int seals);

/* Slot i of it, as the daemon finds it. */
const void *ring_build_slot(const struct fc_ring_header *ring, uint64_t i);

#endif
