/* arena.h - block allocator for the region. It holds only metadata and never touches the bytes that
 * it manages.
 *
 * Each block and each hole has a record. The records lie in chunks of memory that the caller adds
 * (slots.h), and the chunks may be blocks of the same arena. An allocation fails while no record is
 * unused, so the caller adds a chunk in time.
 *
 * Offsets and sizes are in bytes and are multiples of ARENA_UNIT. A block is named by a number that
 * stays the same when the block moves. One thread. */
#ifndef FC_DAEMON_ARENA_H
#define FC_DAEMON_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/slots.h"

#define ARENA_UNIT 16u
#define ARENA_PIECES_MAX 16u
#define ARENA_PIECE_MIN (16u << 10)
#define ARENA_RECORD_BYTES 32u /* of each block and each hole */
#define ARENA_RECORD_BITS 8u   /* 256 records in a chunk */
#define ARENA_MOVE_COST 256u   /* cost of moving a block, in addition to its size */

typedef uint32_t arena_block; /* 0: none */

/* Holes are listed by size: 32 classes for each doubling, and one class a size below 32 units. */
#define ARENA_LEVELS 43u
#define ARENA_LEVEL_CLASSES 32u

struct arena {
  /* read by all */
  uint64_t size;
  uint64_t used_bytes;         /* of all blocks */
  uint64_t moved_bytes, moves; /* total, by compaction */
  /* private to the arena's files */
  struct slots records;
  uint64_t levels;                                   /* bit l: a bit of classes[l] is set */
  uint32_t classes[ARENA_LEVELS];                    /* bit c: holes[l][c] is not empty */
  uint32_t holes[ARENA_LEVELS][ARENA_LEVEL_CLASSES]; /* first of each list; 0: none */
};

/* Makes an arena of `size` free bytes (a multiple of ARENA_UNIT, up to 2^50), with up to
 * `max_chunks` chunks of records, the first of them at `memory` (as for slots_add). Returns 0 or
 * FC_ENOMEM. */
int arena_init(struct arena *arena, uint64_t size, uint64_t max_chunks, void *memory);
void arena_deinit(struct arena *arena);

/* Changes the size of the arena, whose upper end is a hole as large as what is cut off. Returns
 * false, with nothing changed, if the end is in use, or if no record is unused for a hole. */
bool arena_resize(struct arena *arena, uint64_t size);

/* Allocates a block of at least `size` bytes (> 0), rounded up to ARENA_UNIT, from a hole of a
 * similar size. Among the first few holes of a list it prefers the lowest, so that the end of the
 * arena stays untouched until it is needed. `owner` is the caller's; a block whose owner is 0 is
 * not moved. Returns 0 if it finds no hole (one that is larger by less than a 32nd may be missed),
 * or if no record is unused. */
arena_block arena_alloc(struct arena *arena, uint64_t size, uint64_t owner);

/* Allocates a block without an owner at the upper end of a hole, and below `end` if the hole
 * reaches beyond it. So blocks that are allocated by this call lie together. Returns 0 as
 * arena_alloc does. */
arena_block arena_alloc_high(struct arena *arena, uint64_t size, uint64_t end);

/* Allocates up to ARENA_PIECES_MAX blocks from the largest holes, which together have at least
 * `size` bytes. Each has at least ARENA_PIECE_MIN bytes, except the last. Returns the number of
 * blocks, or 0 with nothing allocated. */
size_t arena_alloc_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                          arena_block blocks[ARENA_PIECES_MAX]);

/* Frees a block. Needs no record. */
void arena_free(struct arena *arena, arena_block block);

/* Returns how many blocks can be allocated before a chunk must be added to `records`. */
static inline uint64_t arena_spare_records(const struct arena *arena) {
  return slots_unused(&arena->records);
}

/* Moves one record to another slot if the records are sparse. Returns false if there is none to
 * move. If the record was a block's, the block's number changes from *from to *to. If it was a
 * hole's, *to is 0. */
bool arena_compact_records(struct arena *arena, arena_block *from, arena_block *to);

uint64_t arena_offset(const struct arena *arena, arena_block block);
uint64_t arena_block_size(const struct arena *arena, arena_block block);
uint64_t arena_owner(const struct arena *arena, arena_block block);
void arena_set_owner(struct arena *arena, arena_block block, uint64_t owner);

/* Moves the bytes of a block, and updates everything that points to them. The arena calls it before
 * it changes the block's offset to `to`. That is either lower than the old offset, and the two
 * ranges may overlap, or in a hole elsewhere. If the block is a chunk of records, the function
 * calls slots_chunk_moved. Returns false if the block cannot be moved. It must not change the
 * arena. */
typedef bool arena_move_fn(void *arg, arena_block block, uint64_t to);

/* Makes a hole of at least `size` bytes by moving blocks, at a cost of at most `max_moved`: the
 * bytes of each block and ARENA_MOVE_COST, because a small block takes as long to move as that many
 * bytes. Returns true if arena_alloc(size) will succeed. What was moved stays moved in both cases.
 */
bool arena_compact(struct arena *arena, uint64_t size, uint64_t max_moved, arena_move_fn *move,
                   void *arg);

/* Allocates up to ARENA_PIECES_MAX blocks as arena_alloc_pieces does, but makes the holes for them:
 * pieces of about the same size, where that moves the least. Blocks that this call allocates are
 * not moved by it. Returns the number of blocks, or 0 with nothing allocated. */
size_t arena_compact_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                            arena_block blocks[ARENA_PIECES_MAX], uint64_t max_moved,
                            arena_move_fn *move, void *arg);

/* Returns the size of the largest hole. For statistics: it looks at all holes of the highest class.
 */
uint64_t arena_largest(const struct arena *arena);

/* Aborts unless the records cover the arena, no two holes are neighbours, each hole is listed once
 * in its class, and used_bytes is right. For tests: it walks all records. */
void arena_check(const struct arena *arena);

static inline uint64_t arena_free_bytes(const struct arena *arena) {
  return arena->size - arena->used_bytes;
}

#endif
