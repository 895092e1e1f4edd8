/* slots.h - numbered slots of one size, in chunks of memory that the caller provides.
 *
 * A slot keeps its number until it is freed. The slots stay dense: slots_alloc prefers chunks that
 * are in use, and slots_next_move names pairs of slots by which the caller empties sparse chunks.
 * So a table that was large once gives its memory back.
 *
 * Number 0 is never allocated and means "no slot". Only the table of chunks is allocated here, with
 * 8 bytes for each chunk of SLOTS_CHUNK_BYTES. One thread. */
#ifndef FC_DAEMON_SLOTS_H
#define FC_DAEMON_SLOTS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_BYTES_BITS 13u /* a chunk has 8 KiB */
#define SLOTS_CHUNK_BYTES (UINT64_C(1) << SLOTS_BYTES_BITS)
#define SLOTS_PER_CHUNK_MAX 256u
#define SLOTS_ALIGN 64u
#define SLOTS_NO_CHUNK UINT32_MAX

/* The header of a chunk. It takes the place of the last slots, which are never allocated. */
struct slots_chunk {
  /* written by the caller: the header's location, and the number of reasons not to move the chunk
   */
  uint64_t offset;
  uint32_t block;
  uint32_t n_pins; /* while it is not 0, neither the chunk nor its slots move */
  /* read by all */
  uint32_t number; /* of the chunk */
  /* private to slots.c */
  uint32_t n_used;
  uint32_t next, previous; /* in the list of partial or of empty chunks */
  uint64_t used[SLOTS_PER_CHUNK_MAX / 64];
};
static_assert(sizeof(struct slots_chunk) == SLOTS_ALIGN, "slots are aligned as their chunk is");

/* Returns how many slots of a chunk can be allocated. */
static inline uint32_t slots_capacity(uint32_t bits) {
  uint64_t slot_bytes = SLOTS_CHUNK_BYTES >> bits;
  return (UINT32_C(1) << bits) -
         (uint32_t)((sizeof(struct slots_chunk) + slot_bytes - 1) / slot_bytes);
}

/* Return the header of the chunk at `memory`, and the memory of a chunk. */
static inline struct slots_chunk *slots_header(void *memory) {
  return (struct slots_chunk *)(void *)((uint8_t *)memory + SLOTS_CHUNK_BYTES) - 1;
}
static inline void *slots_memory(struct slots_chunk *chunk) {
  return (uint8_t *)(chunk + 1) - SLOTS_CHUNK_BYTES;
}

struct slots {
  struct slots_chunk **chunks; /* by number; NULL: unused number */
  uint32_t n_chunks;           /* no number from here on is in use */
  uint32_t max_chunks;
  uint32_t gap;             /* all numbers below it are in use */
  uint32_t bits;            /* a chunk has 2^bits slots */
  uint32_t partial;         /* first of the chunks with used and unused slots */
  uint32_t empty;           /* first of the chunks without used slots */
  uint32_t source;          /* the chunk that slots_next_move empties; it is in no list */
  uint64_t n_used, n_slots; /* of all chunks */
};

/* Makes an empty table for up to `max_chunks` chunks, whose numbers have `bits` low bits for the
 * slots (64 to SLOTS_PER_CHUNK_MAX of them). Returns 0 or FC_ENOMEM. */
int slots_init(struct slots *slots, uint32_t bits, uint64_t max_chunks);
/* Frees the table; idempotent. The chunks' memory remains the caller's. */
void slots_deinit(struct slots *slots);

/* Raises the largest number of chunks. Returns 0 or FC_ENOMEM. */
int slots_grow(struct slots *slots, uint64_t max_chunks);

/* Returns the number of the next chunk that slots_add adds, or SLOTS_NO_CHUNK. */
uint32_t slots_next_number(struct slots *slots);

/* Adds a chunk of SLOTS_CHUNK_BYTES at `memory`, which is aligned to SLOTS_ALIGN, and zeroes it.
 * Returns NULL if all chunk numbers are in use. */
struct slots_chunk *slots_add(struct slots *slots, void *memory);

/* Rebuild a table from the chunks of an earlier one. First add each chunk, whose number nothing
 * else has: its header is written anew, and its slots keep their bytes. Then mark each slot that is
 * in use. Then slots_adopted makes the table usable. */
struct slots_chunk *slots_adopt(struct slots *slots, uint32_t number, void *memory);
void slots_adopt_used(struct slots *slots, uint32_t slot);
void slots_adopted(struct slots *slots);

/* Updates the table after the caller moved the bytes of a chunk to `chunk`. */
void slots_chunk_moved(struct slots *slots, struct slots_chunk *chunk);

/* Removes one empty chunk if at least half a chunk of unused slots remains without it. The caller
 * then owns its memory. Returns NULL if there is none. */
struct slots_chunk *slots_remove_empty(struct slots *slots);

/* Allocates a slot. Its content is what it held last, or zeros. Returns 0 if the caller must add a
 * chunk first. */
uint32_t slots_alloc(struct slots *slots);
void slots_free(struct slots *slots, uint32_t slot);

/* Names the next move by which sparse slots become dense. Slots are sparse if more than an eighth
 * of them plus one and a half chunks are unused. Allocates the slot *to; the caller copies *from to
 * it and frees *from. Chunks with pins are left alone. Returns false if there is nothing to move.
 */
bool slots_next_move(struct slots *slots, uint32_t *from, uint32_t *to);

/* Aborts unless counts, bitmaps and lists agree. For tests: it walks all chunks. */
void slots_check(const struct slots *slots);

static inline uint64_t slots_unused(const struct slots *slots) {
  return slots->n_slots - slots->n_used;
}

/* `bits` is that of slots_init, and a constant in the caller where speed counts. */
static inline void *slots_in(struct slots_chunk *chunk, uint32_t bits, uint32_t slot) {
  uint64_t index = slot & ((UINT32_C(1) << bits) - 1);
  return (uint8_t *)(chunk + 1) - SLOTS_CHUNK_BYTES + (index << (SLOTS_BYTES_BITS - bits));
}
static inline void *slots_at(const struct slots *slots, uint32_t bits, uint32_t slot) {
  return slots_in(slots->chunks[slot >> bits], bits, slot);
}
static inline struct slots_chunk *slots_chunk_of(const struct slots *slots, uint32_t bits,
                                                 uint32_t slot) {
  return slots->chunks[slot >> bits];
}

/* Accepts any number. Returns the slot, used or not, or NULL if no chunk has it. */
static inline void *slots_find(const struct slots *slots, uint32_t bits, uint32_t slot) {
  if (slot >> bits >= slots->n_chunks || slots->chunks[slot >> bits] == NULL)
    return NULL;
  return slots_at(slots, bits, slot);
}

#endif
