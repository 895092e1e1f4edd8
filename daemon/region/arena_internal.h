/* arena_internal.h - what the files of the arena share: arena.c keeps the records and
 * the lists of holes, arena_compact.c moves blocks together, arena_evacuate.c moves them out of
 * the way. Nobody else's business, but for the test, which looks for what must never be (two holes
 * side by side). */
#ifndef FC_DAEMON_ARENA_PARTS_H
#define FC_DAEMON_ARENA_PARTS_H

#include <assert.h>

#include "daemon/region/arena.h"

/* Record 0 stands below the first and above the last, so that each has two neighbours; it counts as
 * a block. */
struct arena_record {
  uint64_t place; /* offset, and ARENA_HOLE */
  uint64_t size;
  union {
    uint64_t owner; /* of a block */
    struct {
      uint32_t next, previous; /* holes of the same class; 0: none */
    };
  };
  uint32_t below, above; /* neighbours by offset */
};
static_assert(sizeof(struct arena_record) == ARENA_RECORD_BYTES, "what a block is said to cost");
static_assert(sizeof(struct arena_record) << ARENA_RECORD_BITS == UINT64_C(1) << SLOTS_BYTES_BITS,
              "a chunk is full of records");

/* A pointer to a record is good until a block is moved: its chunk may be that block. */
static inline struct arena_record *arena_at(const struct arena *arena, uint32_t record) {
  return slots_at(&arena->records, ARENA_RECORD_BITS, record);
}

#define ARENA_HOLE 1u
static_assert(ARENA_HOLE < ARENA_UNIT, "fits below an offset");

static inline bool arena_is_hole(const struct arena *arena, uint32_t record) {
  return (arena_at(arena, record)->place & ARENA_HOLE) != 0;
}

/* All holes, from the highest class down and in no order within a class. 0: no more. */
uint32_t arena_first_hole(const struct arena *arena);
uint32_t arena_next_hole(const struct arena *arena, uint32_t hole);

/* Puts a hole in front of the list of its class; takes it out. */
void arena_list_hole(struct arena *arena, uint32_t hole);
void arena_unlist_hole(struct arena *arena, uint32_t hole);

/* Makes a block of the whole of a hole, as arena_take does. */
void arena_use_hole(struct arena *arena, uint32_t hole, uint64_t owner);

/* ---- arena_evacuate.c ---- */

/* A place that is cheap to empty: a hole, and small blocks above it that are to go elsewhere. */
struct arena_place {
  uint32_t hole; /* 0: none */
  uint64_t cost;
};
struct arena_place arena_find_place(const struct arena *arena, uint64_t size, uint64_t may_cost);

/* Makes it a hole of `size` bytes, by moving its blocks into holes elsewhere. False: some did not
 * fit or could not be moved; what was moved stays moved. *may_cost falls by what it took. */
bool arena_evacuate(struct arena *arena, const struct arena_place *place, uint64_t size,
                    uint64_t *may_cost, arena_move_fn *move, void *arg);

/* Adds what is above to the hole, if that is a hole too. `hole` is in no list. */
void arena_absorb_above(struct arena *arena, uint32_t hole);

#endif
