/* slots.h - numbered slots of one size in chunks of memory, which the caller provides.
 *
 * A slot keeps its number until it is given back. Slots that belong together are dense: slots_take
 * prefers chunks that are in use, and slots_next_move names pairs of slots by which the caller
 * empties sparse chunks. So a table that was large once does not keep its memory.
 *
 * Number 0 is no slot, so that it can stand for none. One thread; the table of chunks is the only
 * memory that is allocated here: 8 bytes for each chunk of SLOTS_CHUNK_BYTES. */
#ifndef FC_DAEMON_SLOTS_H
#define FC_DAEMON_SLOTS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_BYTES_BITS 13u /* a chunk's slots take 8 KiB */
#define SLOTS_PER_CHUNK_MAX 256u
#define SLOTS_ALIGN 64u
#define SLOTS_NO_CHUNK UINT32_MAX

/* Followed by the slots. */
struct slots_chunk {
  /* the caller's: where the chunk lies */
  uint64_t offset;
  uint32_t block;
  /* Not 0: the slots of this chunk stay where they are, and the chunk, too. The caller counts. */
  uint32_t n_pins;
  /* read by all */
  uint32_t number; /* of the chunk */
  /* the slots' own */
  uint32_t n_used;
  uint32_t next, previous; /* in the list of its kind */
  uint64_t used[SLOTS_PER_CHUNK_MAX / 64];
};
static_assert(sizeof(struct slots_chunk) == SLOTS_ALIGN, "slots are aligned as their chunk is");

#define SLOTS_CHUNK_BYTES (sizeof(struct slots_chunk) + (UINT64_C(1) << SLOTS_BYTES_BITS))

struct slots {
  struct slots_chunk **chunks; /* by number; NULL: none */
  uint32_t n_chunks;           /* numbers that are or were in use */
  uint32_t max_chunks;
  uint32_t gap;             /* no number below it is unused */
  uint32_t bits;            /* 2^bits slots in a chunk */
  uint32_t partial;         /* chunks with used and unused slots, in a list */
  uint32_t empty;           /* chunks without used slots, in a list */
  uint32_t source;          /* chunk that is being emptied: in no list */
  uint64_t n_used, n_slots; /* of all chunks */
};

/* Up to `max_chunks` chunks of 2^bits slots (64 to SLOTS_PER_CHUNK_MAX) each. 0 or FC_ENOMEM. */
int slots_init(struct slots *slots, uint32_t bits, uint64_t max_chunks);
void slots_deinit(struct slots *slots); /* idempotent; the chunks' memory is the caller's */

/* Adds SLOTS_CHUNK_BYTES at `memory`, aligned to SLOTS_ALIGN; zeroes all of it. NULL: there is no
 * number left. */
struct slots_chunk *slots_add(struct slots *slots, void *memory);

/* Tells the chunk's new place, where its bytes are already. */
void slots_moved(struct slots *slots, struct slots_chunk *chunk);

/* Takes out one chunk without used slots, whose memory is then the caller's, where half a chunk
 * of unused slots is left without it. NULL: none. */
struct slots_chunk *slots_remove_empty(struct slots *slots);

/* Returns a slot, with whatever it held last (zeros at first); 0: add a chunk. */
uint32_t slots_take(struct slots *slots);
void slots_give(struct slots *slots, uint32_t slot);

/* Where the slots are sparse (more than an eighth of them and one and a half chunks are unused):
 * takes the slot *to, to which the caller moves what is in *from, and gives *from back. A chunk is
 * emptied that is not pinned. False: there is nothing to move. */
bool slots_next_move(struct slots *slots, uint32_t *from, uint32_t *to);

static inline uint64_t slots_unused(const struct slots *slots) {
  return slots->n_slots - slots->n_used;
}

/* `bits` is that of slots_init, a constant where speed counts. */
static inline void *slots_in(struct slots_chunk *chunk, uint32_t bits, uint32_t slot) {
  uint64_t index = slot & ((UINT32_C(1) << bits) - 1);
  return (uint8_t *)(chunk + 1) + (index << (SLOTS_BYTES_BITS - bits));
}
static inline void *slots_at(const struct slots *slots, uint32_t bits, uint32_t slot) {
  return slots_in(slots->chunks[slot >> bits], bits, slot);
}
static inline struct slots_chunk *slots_chunk_of(const struct slots *slots, uint32_t bits,
                                                 uint32_t slot) {
  return slots->chunks[slot >> bits];
}

/* For any number: NULL where no chunk has it; else the slot, used or not. */
static inline void *slots_find(const struct slots *slots, uint32_t bits, uint32_t slot) {
  if (slot >> bits >= slots->n_chunks || slots->chunks[slot >> bits] == NULL)
    return NULL;
  return slots_at(slots, bits, slot);
}

#endif
