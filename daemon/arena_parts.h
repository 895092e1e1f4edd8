/* arena_parts.h - what the files of the arena share: arena.c keeps the records and
 * the lists of holes, arena_gather.c moves blocks together. Nobody else's business,
 * but for the test, which looks for what must never be (two holes side by side). */
#ifndef FC_DAEMON_ARENA_PARTS_H
#define FC_DAEMON_ARENA_PARTS_H

#include <assert.h>

#include "daemon/arena.h"

/* Record 0 stands below the first and above the last, so that each has two neighbours; it counts as
 * a block. */
struct arena_record {
  uint64_t place; /* offset, and ARENA_HOLE */
  uint64_t size;
  union {
    void *owner; /* of a block */
    struct {
      uint32_t next, previous; /* holes of the same class; 0: none */
    };
  };
  uint32_t below, above; /* neighbours by offset */
};
static_assert(sizeof(struct arena_record) == ARENA_BLOCK_BYTES, "what a block is said to cost");

#define ARENA_HOLE 1u
static_assert(ARENA_HOLE < ARENA_UNIT, "fits below an offset");

static inline bool arena_is_hole(const struct arena *arena, uint32_t record) {
  return (arena->records[record].place & ARENA_HOLE) != 0;
}

/* All holes, from the highest class down and in no order within a class. 0: no more. */
uint32_t arena_first_hole(const struct arena *arena);
uint32_t arena_next_hole(const struct arena *arena, uint32_t hole);

/* Puts a hole in front of the list of its class; takes it out. */
void arena_list_hole(struct arena *arena, uint32_t hole);
void arena_unlist_hole(struct arena *arena, uint32_t hole);

/* Adds what is above to the hole, if that is a hole too. `hole` is in no list. */
void arena_absorb_above(struct arena *arena, uint32_t hole);

#endif
