/* arena_internal.h - shared by the files of the arena: arena.c (records, lists of holes,
 * allocation), arena_compact.c (moves blocks together), arena_evacuate.c (moves blocks out of the
 * way) and arena_check.c. Tests include it too. */
#ifndef FC_DAEMON_ARENA_INTERNAL_H
#define FC_DAEMON_ARENA_INTERNAL_H

#include <assert.h>

#include "daemon/region/arena.h"

/* Record 0 lies below the first and above the last record, so that each has two neighbours. It
 * counts as a block of size 0 without an owner. */
struct arena_record {
  uint64_t place; /* offset, and ARENA_HOLE */
  uint64_t size;
  union {
    uint64_t owner; /* of a block */
    struct {
      uint32_t next, previous; /* of a hole: neighbours in the list of its class; 0: none */
    };
  };
  uint32_t below, above; /* neighbours by offset */
};
static_assert(sizeof(struct arena_record) == ARENA_RECORD_BYTES, "blocks are charged that much");
static_assert(sizeof(struct arena_record) << ARENA_RECORD_BITS == UINT64_C(1) << SLOTS_BYTES_BITS,
              "a chunk is full of records");

/* The pointer is valid until a block is moved, because its chunk may be that block. */
static inline struct arena_record *arena_at(const struct arena *arena, uint32_t record) {
  return slots_at(&arena->records, ARENA_RECORD_BITS, record);
}

#define ARENA_HOLE 1u
static_assert(ARENA_HOLE < ARENA_UNIT, "the flag fits below an offset");

static inline bool arena_is_hole(const struct arena *arena, uint32_t record) {
  return (arena_at(arena, record)->place & ARENA_HOLE) != 0;
}

/* Iterates over all holes, from the highest class down, in no order within a class. 0: the end. */
uint32_t arena_first_hole(const struct arena *arena);
uint32_t arena_next_hole(const struct arena *arena, uint32_t hole);

/* Adds a hole to the front of the list of its class, or removes it from there. */
void arena_list_hole(struct arena *arena, uint32_t hole);
void arena_unlist_hole(struct arena *arena, uint32_t hole);

/* Makes the whole of a listed hole a block. */
void arena_use_hole(struct arena *arena, uint32_t hole, uint64_t owner);

/* Merges a hole that is in no list with the hole above it, if there is one. */
void arena_absorb_above(struct arena *arena, uint32_t hole);

/* ---- arena_evacuate.c ---- */

/* A range that is cheap to empty: a hole, and small blocks above it. */
struct arena_range {
  uint32_t hole; /* 0: none */
  uint64_t cost;
};

/* Finds a range of `size` bytes that costs less than `max_cost` to empty. */
struct arena_range arena_find_range(const struct arena *arena, uint64_t size, uint64_t max_cost);

/* Makes the range a hole of `size` bytes by moving its blocks into holes elsewhere. Subtracts the
 * cost from *max_cost. Returns false if a block did not fit elsewhere or could not be moved; what
 * was moved stays moved. */
bool arena_evacuate(struct arena *arena, const struct arena_range *range, uint64_t size,
                    uint64_t *max_cost, arena_move_fn *move, void *arg);

#endif
