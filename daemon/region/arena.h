/* arena.h - the books of an arena: which of its bytes are free, and whose the others
 * are. Books alone: the arena never touches the bytes that it gives out. It keeps a record of each
 * block and each hole, in chunks of memory that its user provides (slots.h), and takes nothing
 * while it has no record left: its user adds a chunk before. The chunks may be blocks themselves.
 *
 * Offsets and sizes are bytes, multiples of ARENA_UNIT. A block is named by a number
 * that stays until it is freed, also where the block is moved. One thread. */
#ifndef FC_DAEMON_ARENA_H
#define FC_DAEMON_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/slots.h"

#define ARENA_UNIT 16u
#define ARENA_PIECES_MAX 16u
#define ARENA_PIECE_MIN (16u << 10)
#define ARENA_RECORD_BYTES 32u /* of a block, and of a hole */
#define ARENA_RECORD_BITS 8u   /* 256 records in a chunk */
#define ARENA_MOVE_COST 256u   /* of a block in a gather, beside its size: see there */

typedef uint32_t arena_block; /* 0: none */

/* Holes are kept in lists by size: 32 classes for each doubling, exact ones below 32 units. */
#define ARENA_LEVELS 43u
#define ARENA_LEVEL_CLASSES 32u

struct arena {
  /* read by all */
  uint64_t size;
  uint64_t used_bytes;         /* of all blocks */
  uint64_t moved_bytes, moves; /* by arena_gather, ever */
  /* the arena's own */
  struct slots records;
  uint64_t levels;                                   /* bit l: a bit of classes[l] is set */
  uint32_t classes[ARENA_LEVELS];                    /* bit c: holes[l][c] is not empty */
  uint32_t holes[ARENA_LEVELS][ARENA_LEVEL_CLASSES]; /* first of each list; 0: none */
};

/* All of `size` bytes (a multiple of ARENA_UNIT, up to 2^50) free; with up to `max_chunks` chunks
 * of records, of which the first is at `memory` (as for slots_add). 0 or FC_ENOMEM. */
int arena_init(struct arena *arena, uint64_t size, uint64_t max_chunks, void *memory);
void arena_deinit(struct arena *arena);

/* Takes one block of at least `size` bytes (> 0), rounded up to ARENA_UNIT, where it fits well: a
 * good fit, low addresses first where nothing else decides, so that the end of the arena stays
 * untouched until it is needed. `owner` is the caller's; a block whose owner is 0 is not moved.
 * 0 where no hole of that size is found (one that is larger by less than a 32nd may be overlooked),
 * or no record is left. */
arena_block arena_take(struct arena *arena, uint64_t size, uint64_t owner);

/* The same, without an owner, at the upper end of the hole, but not beyond `end` where that need
 * not be: so blocks that are taken like this lie together, and not between the others. */
arena_block arena_take_high(struct arena *arena, uint64_t size, uint64_t end);

/* As arena_take, but in up to ARENA_PIECES_MAX blocks of at least ARENA_PIECE_MIN each (but for the
 * last), from the largest holes; their sizes together are at least `size`, and all but the last are
 * multiples of ARENA_UNIT that are used whole. Returns how many blocks[] it filled; 0 where it
 * cannot be done, with nothing taken. */
size_t arena_take_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                         arena_block blocks[ARENA_PIECES_MAX]);

/* The block's bytes may be given to others from now on. Needs no record. */
void arena_give(struct arena *arena, arena_block block);

/* Blocks that can be taken before a chunk must be added to `records`. */
static inline uint64_t arena_spare_records(const struct arena *arena) {
  return slots_unused(&arena->records);
}

/* Moves one record to another slot, where the records are sparse. False: there is none to move.
 * Where it was a block's, *from is its number until now and *to its number from now on; a hole's
 * number is the arena's own, and *to is 0. */
bool arena_tidy(struct arena *arena, arena_block *from, arena_block *to);

uint64_t arena_offset(const struct arena *arena, arena_block block);
uint64_t arena_block_size(const struct arena *arena, arena_block block);
uint64_t arena_owner(const struct arena *arena, arena_block block);
void arena_set_owner(struct arena *arena, arena_block block, uint64_t owner);

/* Called before a block is moved from its offset to `to`, which is lower (the two places may
 * overlap), or a place that was free (they do not): it moves the bytes, and whatever points to
 * them; where they are a chunk of records, it tells `records` so (slots_moved). False: this block
 * cannot be moved. The books still say the old offset; it must not call the arena but to read. */
typedef bool arena_move_fn(void *arg, arena_block block, uint64_t to);

/* Makes a hole of at least `size` bytes by moving blocks together, where the free bytes are enough,
 * without moving more than `max_moved` bytes, where each block counts as ARENA_MOVE_COST more than
 * its size: moving a small one takes as long as copying so much. True: arena_take(size) will find
 * it. False: it could not; what was moved meanwhile stays moved, and is right. */
bool arena_gather(struct arena *arena, uint64_t size, uint64_t max_moved, arena_move_fn *move,
                  void *arg);

/* As arena_take_pieces, but makes the holes: pieces of about the same size, in the places where
 * that moves least. The blocks that it takes are not moved meanwhile; what was moved stays moved,
 * also where it returns 0. */
size_t arena_gather_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                           arena_block blocks[ARENA_PIECES_MAX], uint64_t max_moved,
                           arena_move_fn *move, void *arg);

/* Of the largest hole. For statistics: it looks at all holes of the highest class. */
uint64_t arena_largest(const struct arena *arena);

static inline uint64_t arena_free_bytes(const struct arena *arena) {
  return arena->size - arena->used_bytes;
}

#endif
