#include "daemon/base/slots.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

enum { CHUNKS_EXAMINED = 8 }; /* candidates for slots_next_move to empty */

static uint32_t per_chunk(const struct slots *slots) {
  return slots_capacity(slots->bits);
}

static void check_counts(const struct slots *slots) {
  check_le(slots->n_used, slots->n_slots);
  check_le(slots->gap, slots->n_chunks);
  check_le(slots->n_chunks, slots->max_chunks);
}

static uint32_t limit_chunks(uint32_t bits, uint64_t max_chunks) {
  uint64_t numbers = (UINT64_C(1) << 32) >> bits;
  return (uint32_t)(max_chunks < numbers ? max_chunks : numbers - 1);
}

int slots_init(struct slots *slots, uint32_t bits, uint64_t max_chunks) {
  check_le(6, bits);
  check_le(1u << bits, SLOTS_PER_CHUNK_MAX);
  max_chunks = limit_chunks(bits, max_chunks);
  *slots = (struct slots){.bits = bits,
                          .max_chunks = (uint32_t)max_chunks,
                          .partial = SLOTS_NO_CHUNK,
                          .empty = SLOTS_NO_CHUNK,
                          .source = SLOTS_NO_CHUNK};
  /* The kernel provides the table's pages when they are first written. */
  slots->chunks = calloc(max_chunks, sizeof(struct slots_chunk *));
  return slots->chunks == NULL ? FC_ENOMEM : 0;
}

int slots_grow(struct slots *slots, uint64_t max_chunks) {
  uint32_t max = limit_chunks(slots->bits, max_chunks);
  if (max <= slots->max_chunks)
    return 0;
  struct slots_chunk **chunks = calloc(max, sizeof(struct slots_chunk *));
  if (chunks == NULL)
    return FC_ENOMEM;
  memcpy(chunks, slots->chunks, slots->n_chunks * sizeof(struct slots_chunk *));
  free(slots->chunks);
  slots->chunks = chunks;
  slots->max_chunks = max;
  return 0;
}

void slots_deinit(struct slots *slots) {
  free(slots->chunks);
  *slots = (struct slots){0};
}

/* ---- lists of chunks ---- */

static void list_add(struct slots *slots, uint32_t *first, struct slots_chunk *chunk) {
  chunk->previous = SLOTS_NO_CHUNK;
  chunk->next = *first;
  if (*first != SLOTS_NO_CHUNK)
    slots->chunks[*first]->previous = chunk->number;
  *first = chunk->number;
}

static void list_remove(struct slots *slots, uint32_t *first, const struct slots_chunk *chunk) {
  if (chunk->next != SLOTS_NO_CHUNK) {
    check_eq(slots->chunks[chunk->next]->previous, chunk->number);
    slots->chunks[chunk->next]->previous = chunk->previous;
  }
  if (chunk->previous != SLOTS_NO_CHUNK) {
    check_eq(slots->chunks[chunk->previous]->next, chunk->number);
    slots->chunks[chunk->previous]->next = chunk->next;
  } else {
    check_eq(*first, chunk->number);
    *first = chunk->next;
  }
}

/* ---- chunks ---- */

uint32_t slots_next_number(struct slots *slots) {
  while (slots->gap < slots->n_chunks && slots->chunks[slots->gap] != NULL)
    slots->gap++;
  return slots->gap == slots->max_chunks ? SLOTS_NO_CHUNK : slots->gap;
}

struct slots_chunk *slots_add(struct slots *slots, void *memory) {
  struct slots_chunk *chunk = slots_header(memory);
  check_eq((uintptr_t)memory % SLOTS_ALIGN, 0);
  if (slots_next_number(slots) == SLOTS_NO_CHUNK)
    return NULL;
  memset(memory, 0, SLOTS_CHUNK_BYTES);
  chunk->number = slots->gap;
  slots->chunks[chunk->number] = chunk;
  if (chunk->number == slots->n_chunks)
    slots->n_chunks++;
  slots->n_slots += per_chunk(slots);
  if (chunk->number == 0) { /* slot 0 is never freed, so this chunk never is */
    chunk->n_pins = 1;
    slots_adopt_used(slots, 0);
  }
  list_add(slots, chunk->number == 0 ? &slots->partial : &slots->empty, chunk);
  check_counts(slots);
  return chunk;
}

static uint64_t *word_of(const struct slots *slots, struct slots_chunk *chunk, uint32_t slot) {
  return &chunk->used[(slot & ((UINT32_C(1) << slots->bits) - 1)) / 64];
}

struct slots_chunk *slots_adopt(struct slots *slots, uint32_t number, void *memory) {
  struct slots_chunk *chunk = slots_header(memory);
  check_eq((uintptr_t)memory % SLOTS_ALIGN, 0);
  check_lt(number, slots->max_chunks);
  assert(slots->chunks[number] == NULL);
  *chunk = (struct slots_chunk){.number = number};
  slots->chunks[number] = chunk;
  if (slots->n_chunks <= number)
    slots->n_chunks = number + 1;
  slots->n_slots += per_chunk(slots);
  if (number == 0) {
    chunk->n_pins = 1;
    slots_adopt_used(slots, 0);
  }
  return chunk;
}

void slots_adopt_used(struct slots *slots, uint32_t slot) {
  struct slots_chunk *chunk = slots_chunk_of(slots, slots->bits, slot);
  check_lt(slot & ((UINT32_C(1) << slots->bits) - 1), per_chunk(slots));
  assert((*word_of(slots, chunk, slot) >> slot % 64 & 1) == 0);
  *word_of(slots, chunk, slot) |= UINT64_C(1) << slot % 64;
  chunk->n_used++;
  slots->n_used++;
}

/* The lists begin with the lowest chunks, so that the slots become dense. */
void slots_adopted(struct slots *slots) {
  for (uint32_t number = slots->n_chunks; number-- > 0;) {
    struct slots_chunk *chunk = slots->chunks[number];
    if (chunk != NULL && chunk->n_used < per_chunk(slots))
      list_add(slots, chunk->n_used == 0 ? &slots->empty : &slots->partial, chunk);
  }
  check_counts(slots);
}

void slots_chunk_moved(struct slots *slots, struct slots_chunk *chunk) {
  check_eq((uintptr_t)chunk % SLOTS_ALIGN, 0);
  check_lt(chunk->number, slots->n_chunks);
  assert(slots->chunks[chunk->number] != NULL);
  slots->chunks[chunk->number] = chunk;
}

struct slots_chunk *slots_remove_empty(struct slots *slots) {
  if (slots->empty == SLOTS_NO_CHUNK || slots_unused(slots) < per_chunk(slots) / 2 * 3)
    return NULL;
  struct slots_chunk *chunk = slots->chunks[slots->empty];
  check_eq(chunk->n_used, 0);
  check_eq(chunk->n_pins, 0);
  list_remove(slots, &slots->empty, chunk);
  slots->chunks[chunk->number] = NULL;
  slots->n_slots -= per_chunk(slots);
  if (chunk->number < slots->gap)
    slots->gap = chunk->number;
  while (slots->n_chunks > 0 && slots->chunks[slots->n_chunks - 1] == NULL)
    slots->n_chunks--;
  check_counts(slots);
  return chunk;
}

/* ---- slots ---- */

/* Returns the first used, or the first unused, slot of a chunk that has one. */
static uint32_t find_in(const struct slots *slots, const struct slots_chunk *chunk, bool used) {
  uint32_t word = 0;
  uint64_t wanted;
  while ((wanted = used ? chunk->used[word] : ~chunk->used[word]) == 0)
    word++;
  uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(wanted);
  check_lt(index, per_chunk(slots));
  return (chunk->number << slots->bits) + index;
}

static void give_up_source(struct slots *slots) {
  struct slots_chunk *source = slots->chunks[slots->source];
  slots->source = SLOTS_NO_CHUNK;
  list_add(slots, &slots->partial, source);
}

uint32_t slots_alloc(struct slots *slots) {
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
  check_le(chunk->n_used, per_chunk(slots));
  check_le(slots->n_used, slots->n_slots);
  if (was_empty || chunk->n_used == per_chunk(slots))
    list_remove(slots, first, chunk);
  if (was_empty)
    list_add(slots, &slots->partial, chunk);
  return slot;
}

void slots_free(struct slots *slots, uint32_t slot) {
  struct slots_chunk *chunk = slots_chunk_of(slots, slots->bits, slot);
  bool was_full = chunk->n_used == per_chunk(slots), is_source = chunk->number == slots->source;
  check_lt(0, slot);
  check_eq(chunk->number, slot >> slots->bits);
  assert((*word_of(slots, chunk, slot) >> slot % 64 & 1) != 0); /* it is in use */
  *word_of(slots, chunk, slot) &= ~(UINT64_C(1) << slot % 64);
  chunk->n_used--;
  slots->n_used--;
  if (chunk->n_used == 0) {
    if (is_source)
      slots->source = SLOTS_NO_CHUNK;
    else
      list_remove(slots, &slots->partial, chunk);
    list_add(slots, &slots->empty, chunk);
  } else if (was_full && !is_source) {
    list_add(slots, &slots->partial, chunk);
  }
}

/* ---- density ---- */

static bool are_sparse(const struct slots *slots) {
  return slots_unused(slots) > slots->n_used / 8 + per_chunk(slots) / 2 * 3;
}

/* Chooses the chunk with the fewest used slots among the first partial ones. */
static void choose_source(struct slots *slots) {
  struct slots_chunk *found = NULL;
  uint32_t number = slots->partial;
  for (int i = 0; number != SLOTS_NO_CHUNK && i < CHUNKS_EXAMINED; i++) {
    struct slots_chunk *chunk = slots->chunks[number];
    if (chunk->n_pins == 0 && (found == NULL || chunk->n_used < found->n_used))
      found = chunk;
    number = chunk->next;
  }
  if (found == NULL)
    return;
  list_remove(slots, &slots->partial, found);
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
  if (source->n_pins > 0 || slots->partial == SLOTS_NO_CHUNK) { /* a later call tries another */
    give_up_source(slots);
    return false;
  }
  *from = find_in(slots, source, true);
  *to = slots_alloc(slots);
  check_lt(0, *to);
  assert(*from >> slots->bits != *to >> slots->bits);
  return true;
}

/* ---- the whole structure ---- */

static uint64_t list_length(const struct slots *slots, uint32_t first, bool empty) {
  uint64_t n = 0;
  uint32_t previous = SLOTS_NO_CHUNK;
  for (uint32_t number = first; number != SLOTS_NO_CHUNK; n++) {
    const struct slots_chunk *chunk = slots->chunks[number];
    check_eq(chunk->previous, previous);
    check_eq(chunk->n_used == 0, empty);
    check_lt(chunk->n_used, per_chunk(slots));
    check_le(n, slots->n_chunks);
    previous = number;
    number = chunk->next;
  }
  return n;
}

void slots_check(const struct slots *slots) {
  uint64_t n_used = 0, n_chunks = 0, n_listed = slots->source != SLOTS_NO_CHUNK;
  check_counts(slots);
  for (uint32_t number = 0; number < slots->n_chunks; number++) {
    const struct slots_chunk *chunk = slots->chunks[number];
    assert(chunk != NULL || number >= slots->gap);
    if (chunk == NULL)
      continue;
    uint32_t bits = 0;
    for (size_t word = 0; word < SLOTS_PER_CHUNK_MAX / 64; word++)
      bits += (uint32_t)__builtin_popcountll(chunk->used[word]);
    check_eq(chunk->number, number);
    check_eq(chunk->n_used, bits);
    n_used += bits;
    n_chunks++;
    n_listed += bits == per_chunk(slots) && number != slots->source;
  }
  check_eq(n_used, slots->n_used);
  check_eq(n_chunks * per_chunk(slots), slots->n_slots);
  n_listed += list_length(slots, slots->partial, false) + list_length(slots, slots->empty, true);
  check_eq(n_listed, n_chunks);
}
