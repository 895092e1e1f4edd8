#include "daemon/base/slots.h"

#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"

enum { CHUNKS_LOOKED_AT = 8 }; /* for one to empty */

int slots_init(struct slots *slots, uint32_t bits, uint64_t max_chunks) {
  uint64_t numbers = (UINT64_C(1) << 32) >> bits;
  max_chunks = max_chunks < numbers ? max_chunks : numbers - 1;
  *slots = (struct slots){.bits = bits,
                          .max_chunks = (uint32_t)max_chunks,
                          .partial = SLOTS_NO_CHUNK,
                          .empty = SLOTS_NO_CHUNK,
                          .source = SLOTS_NO_CHUNK};
  assert(bits >= 6 && (1u << bits) <= SLOTS_PER_CHUNK_MAX);
  /* The kernel gives the table its pages when they are first written to. */
  slots->chunks = calloc(max_chunks, sizeof(struct slots_chunk *));
  return slots->chunks == NULL ? FC_ENOMEM : 0;
}

void slots_deinit(struct slots *slots) {
  free(slots->chunks);
  *slots = (struct slots){0};
}

static uint32_t per_chunk(const struct slots *slots) {
  return UINT32_C(1) << slots->bits;
}

/* ---- lists of chunks ---- */

static void list(struct slots *slots, uint32_t *first, struct slots_chunk *chunk) {
  chunk->previous = SLOTS_NO_CHUNK;
  chunk->next = *first;
  if (*first != SLOTS_NO_CHUNK)
    slots->chunks[*first]->previous = chunk->number;
  *first = chunk->number;
}

static void unlist(struct slots *slots, uint32_t *first, const struct slots_chunk *chunk) {
  if (chunk->next != SLOTS_NO_CHUNK)
    slots->chunks[chunk->next]->previous = chunk->previous;
  if (chunk->previous != SLOTS_NO_CHUNK)
    slots->chunks[chunk->previous]->next = chunk->next;
  else
    *first = chunk->next;
}

/* ---- chunks ---- */

struct slots_chunk *slots_add(struct slots *slots, void *memory) {
  struct slots_chunk *chunk = memory;
  while (slots->gap < slots->n_chunks && slots->chunks[slots->gap] != NULL)
    slots->gap++;
  if (slots->gap == slots->max_chunks)
    return NULL;
  memset(memory, 0, SLOTS_CHUNK_BYTES);
  chunk->number = slots->gap;
  slots->chunks[chunk->number] = chunk;
  if (chunk->number == slots->n_chunks)
    slots->n_chunks++;
  slots->n_slots += per_chunk(slots);
  list(slots, &slots->empty, chunk);
  if (chunk->number == 0) { /* for ever: it has the number that is no slot */
    chunk->n_pins = 1;
    (void)slots_take(slots);
  }
  return chunk;
}

void slots_moved(struct slots *slots, struct slots_chunk *chunk) {
  slots->chunks[chunk->number] = chunk;
}

struct slots_chunk *slots_remove_empty(struct slots *slots) {
  if (slots->empty == SLOTS_NO_CHUNK || slots_unused(slots) < per_chunk(slots) / 2 * 3)
    return NULL;
  struct slots_chunk *chunk = slots->chunks[slots->empty];
  unlist(slots, &slots->empty, chunk);
  slots->chunks[chunk->number] = NULL;
  slots->n_slots -= per_chunk(slots);
  if (chunk->number < slots->gap)
    slots->gap = chunk->number;
  while (slots->n_chunks > 0 && slots->chunks[slots->n_chunks - 1] == NULL)
    slots->n_chunks--;
  return chunk;
}

/* ---- slots ---- */

/* The first slot of the chunk that is used, or not: there is one. */
static uint32_t find_in(const struct slots *slots, const struct slots_chunk *chunk, bool used) {
  uint32_t word = 0;
  uint64_t looked_for;
  while ((looked_for = used ? chunk->used[word] : ~chunk->used[word]) == 0)
    word++;
  return (chunk->number << slots->bits) + word * 64 + (uint32_t)__builtin_ctzll(looked_for);
}

static uint64_t *word_of(const struct slots *slots, struct slots_chunk *chunk, uint32_t slot) {
  return &chunk->used[(slot & (per_chunk(slots) - 1)) / 64];
}

static void give_up_source(struct slots *slots) {
  struct slots_chunk *source = slots->chunks[slots->source];
  slots->source = SLOTS_NO_CHUNK;
  list(slots, &slots->partial, source);
}

uint32_t slots_take(struct slots *slots) {
  if (slots->partial == SLOTS_NO_CHUNK && slots->empty == SLOTS_NO_CHUNK &&
      slots->source != SLOTS_NO_CHUNK)
    give_up_source(slots);
  bool was_empty = slots->partial == SLOTS_NO_CHUNK;
  uint32_t *first = was_empty ? &slots->empty : &slots->partial;
  if (*first == SLOTS_NO_CHUNK)
    return 0;
  struct slots_chunk *chunk = slots->chunks[*first];
  uint32_t slot = find_in(slots, chunk, false);
  *word_of(slots, chunk, slot) |= UINT64_C(1) << slot % 64;
  chunk->n_used++;
  slots->n_used++;
  if (was_empty || chunk->n_used == per_chunk(slots))
    unlist(slots, first, chunk);
  if (was_empty)
    list(slots, &slots->partial, chunk);
  return slot;
}

void slots_give(struct slots *slots, uint32_t slot) {
  struct slots_chunk *chunk = slots_chunk_of(slots, slots->bits, slot);
  bool was_full = chunk->n_used == per_chunk(slots), is_source = chunk->number == slots->source;
  assert(slot != 0 && (*word_of(slots, chunk, slot) >> slot % 64 & 1) != 0);
  *word_of(slots, chunk, slot) &= ~(UINT64_C(1) << slot % 64);
  chunk->n_used--;
  slots->n_used--;
  if (chunk->n_used == 0) {
    if (is_source)
      slots->source = SLOTS_NO_CHUNK;
    else
      unlist(slots, &slots->partial, chunk);
    list(slots, &slots->empty, chunk);
  } else if (was_full && !is_source) {
    list(slots, &slots->partial, chunk);
  }
}

/* ---- keeping them dense ---- */

static bool are_sparse(const struct slots *slots) {
  return slots_unused(slots) > slots->n_used / 8 + per_chunk(slots) / 2 * 3;
}

/* Of a few chunks the one that is soonest empty. */
static void choose_source(struct slots *slots) {
  struct slots_chunk *found = NULL;
  uint32_t number = slots->partial;
  for (int i = 0; number != SLOTS_NO_CHUNK && i < CHUNKS_LOOKED_AT; i++) {
    struct slots_chunk *chunk = slots->chunks[number];
    if (chunk->n_pins == 0 && (found == NULL || chunk->n_used < found->n_used))
      found = chunk;
    number = chunk->next;
  }
  if (found == NULL)
    return;
  unlist(slots, &slots->partial, found);
  slots->source = found->number;
}

bool slots_next_move(struct slots *slots, uint32_t *from, uint32_t *to) {
  if (!are_sparse(slots))
    return false;
  if (slots->source == SLOTS_NO_CHUNK)
    choose_source(slots);
  if (slots->source == SLOTS_NO_CHUNK)
    return false;
  struct slots_chunk *source = slots->chunks[slots->source];
  if (source->n_pins > 0 || slots->partial == SLOTS_NO_CHUNK) { /* another, another time */
    give_up_source(slots);
    return false;
  }
  *from = find_in(slots, source, true);
  *to = slots_take(slots);
  return true;
}
