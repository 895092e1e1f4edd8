#include "daemon/heap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "proto/errors.h"
#include "proto/shared.h"

#define CHUNK 1024u /* entries that are allocated together */
/* A value from here on may lie in several pieces: a smaller one would make holes of its own. */
#define SCATTER_MIN (2u * ARENA_PIECE_MIN)
/* Bytes that are moved to make one hole, at most: a millisecond or two. */
#define GATHER_MAX (4u << 20)

/* A larger value is not overwritten while readers wait: it is placed anew, and then swapped in. */
#define REWRITE_MAX (64u << 10)

static_assert(ARENA_UNIT == FC_REGION_UNIT && ARENA_PIECES_MAX == FC_REGION_PIECES_MAX,
              "the arena's blocks are the region's");

/* ---- entries, by number ---- */

struct heap_chunk {
  struct heap *heap;
  struct entry entries[CHUNK];
};

int heap_init(struct heap *heap, struct region *region) {
  *heap = (struct heap){.region = region};
  return arena_init(&heap->arena, region->arena_size);
}

void heap_deinit(struct heap *heap) {
  for (uint32_t i = 0; i < heap->n_chunks; i++)
    free(heap->chunks[i]);
  free(heap->chunks);
  arena_deinit(&heap->arena);
  *heap = (struct heap){.region = heap->region};
}

static void put_unused(struct heap *heap, struct entry *entry) {
  entry->in_all.newer = heap->unused == NULL ? NULL : &heap->unused->in_all;
  heap->unused = entry;
}

static bool add_chunk(struct heap *heap) {
  if (heap->n_chunks == UINT32_MAX / CHUNK) /* numbers have 32 bits */
    return false;
  if (heap->n_chunks == heap->chunks_capacity) {
    uint32_t capacity = heap->chunks_capacity == 0 ? 64 : heap->chunks_capacity * 2;
    struct heap_chunk **chunks = realloc(heap->chunks, capacity * sizeof(struct heap_chunk *));
    if (chunks == NULL)
      return false;
    heap->chunks = chunks;
    heap->chunks_capacity = capacity;
  }
  struct heap_chunk *chunk = malloc(sizeof *chunk);
  if (chunk == NULL)
    return false;
  chunk->heap = heap;
  for (uint32_t i = CHUNK; i-- > 0;) {
    chunk->entries[i] = (struct entry){.number = heap->n_chunks * CHUNK + i};
    put_unused(heap, &chunk->entries[i]);
  }
  heap->chunks[heap->n_chunks++] = chunk;
  return true;
}

struct entry *heap_entry_new(struct heap *heap) {
  if (heap->unused == NULL && !add_chunk(heap))
    return NULL;
  struct entry *entry = heap->unused;
  heap->unused = entry_of_all(entry->in_all.newer);
  *entry = (struct entry){.number = entry->number, .holders = 1};
  return entry;
}

struct heap *heap_of(const struct entry *entry) {
  const struct entry *first = entry - entry->number % CHUNK;
  const char *chunk = (const char *)first - offsetof(struct heap_chunk, entries);
  return ((const struct heap_chunk *)(const void *)chunk)->heap;
}

/* We alone write the region: our own loads need no order, and what we store counts by the window
 * in which it is linked. */
static uint64_t load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}
static void store(_Atomic uint64_t *word, uint64_t value) {
  atomic_store_explicit(word, value, memory_order_relaxed);
}

struct entry *heap_entry_by(const struct heap *heap, uint32_t number) {
  if (number / CHUNK >= heap->n_chunks)
    return NULL;
  return &heap->chunks[number / CHUNK]->entries[number % CHUNK];
}

struct entry *heap_entry_at(const struct heap *heap, const struct fc_region_entry *placed) {
  return heap_entry_by(heap, (uint32_t)(load(&placed->origin) >> 32));
}

/* ---- what lies behind an entry's head ---- */

static struct fc_region_piece *table_of(const struct fc_region_entry *placed) {
  uint64_t shape = load(&placed->shape);
  const uint8_t *names = (const uint8_t *)(placed + 1);
  return (struct fc_region_piece *)(uintptr_t)(names +
                                               fc_region_names_bytes(fc_region_op_size(shape),
                                                                     fc_region_view_size(shape)));
}

static uint32_t n_pieces_of(const struct fc_region_entry *placed) {
  return fc_region_n_pieces(load(&placed->shape));
}

static arena_block block_of(const struct fc_region_piece *piece) {
  return (arena_block)(load(&piece->extent) >> 32);
}

/* An entry's first block without its value or its pieces. */
static uint64_t head_bytes(const struct fc_key *key) {
  return sizeof(struct fc_region_entry) + fc_region_names_bytes(key->op.size, key->view.size);
}

uint64_t heap_charge(const struct fc_key *key, uint64_t value_size) {
  uint64_t bytes = head_bytes(key) + value_size;
  return (bytes + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT + HEAP_ENTRY_BYTES + ARENA_BLOCK_BYTES;
}

static uint64_t block_charge(const struct heap *heap, arena_block block) {
  return arena_block_size(&heap->arena, block) + ARENA_BLOCK_BYTES;
}

uint64_t heap_charge_of(const struct entry *entry) {
  const struct heap *heap = heap_of(entry);
  uint64_t charge = HEAP_ENTRY_BYTES + block_charge(heap, entry->block);
  uint32_t n = n_pieces_of(entry->placed);
  for (uint32_t i = 0; i < n; i++)
    charge += block_charge(heap, block_of(&table_of(entry->placed)[i]));
  return charge;
}

void heap_entry_free(struct entry *entry) {
  struct heap *heap = heap_of(entry);
  if (entry->placed != NULL) {
    uint32_t n = n_pieces_of(entry->placed);
    for (uint32_t i = 0; i < n; i++)
      arena_give(&heap->arena, block_of(&table_of(entry->placed)[i]));
    arena_give(&heap->arena, entry->block);
  }
  put_unused(heap, entry);
}

/* ---- moving ---- */

static void move_head(struct region *region, struct entry *entry, uint64_t digest, uint64_t bytes,
                      uint64_t to) {
  struct fc_region_entry *from = entry->placed;
  entry->placed = region_at(region, to);
  fc_shared_move_down(entry->placed, from, bytes);
  region_relink(region, digest, from, entry->placed);
}

static void move_piece(struct region *region, const struct entry *entry, arena_block block,
                       uint64_t bytes, uint64_t to) {
  struct fc_region_piece *piece = table_of(entry->placed);
  while (block_of(piece) != block)
    piece++;
  fc_shared_move_down(region->base + to, region->base + load(&piece->offset), bytes);
  store(&piece->offset, to);
}

/* Not while somebody sends it from where it is, nor before it is linked. */
static bool move_block(void *arg, arena_block block, uint64_t arena_to) {
  struct heap *heap = arg;
  struct region *region = heap->region;
  struct entry *entry = arena_owner(&heap->arena, block);
  if (entry->holders > 1 || entry->ns == NULL)
    return false;
  uint64_t bytes = arena_block_size(&heap->arena, block);
  uint64_t to = region->arena_offset + arena_to;
  uint64_t digest = entry->digest;
  bool opened = FC_REGION_MUTANT != 13 && region_open(region, digest);
  if (block == entry->block)
    move_head(region, entry, digest, bytes, to);
  else
    move_piece(region, entry, block, bytes, to);
  if (opened)
    region_close(region, digest);
  return true;
}

/* ---- placing ---- */

struct blocks {
  arena_block first;
  arena_block pieces[ARENA_PIECES_MAX];
  uint32_t n_pieces;
};

static bool promise(const struct heap *heap, arena_block block) {
  return region_promise(heap->region,
                        arena_offset(&heap->arena, block) + arena_block_size(&heap->arena, block));
}

static void give(struct heap *heap, struct blocks *blocks) {
  for (uint32_t i = 0; i < blocks->n_pieces; i++)
    arena_give(&heap->arena, blocks->pieces[i]);
  if (blocks->first != 0)
    arena_give(&heap->arena, blocks->first);
  *blocks = (struct blocks){0};
}

static bool take_one(struct heap *heap, struct entry *entry, uint64_t bytes,
                     struct blocks *blocks) {
  blocks->first = arena_take(&heap->arena, bytes, entry);
  if (blocks->first != 0 && promise(heap, blocks->first))
    return true;
  give(heap, blocks);
  return false;
}

/* The first block of an entry whose pieces are taken. */
static bool take_head(struct heap *heap, struct entry *entry, const struct heap_value *value,
                      enum heap_effort effort, struct blocks *blocks) {
  uint64_t bytes = head_bytes(value->key) + blocks->n_pieces * sizeof(struct fc_region_piece);
  blocks->first = arena_take(&heap->arena, bytes, entry);
  if (blocks->first == 0 && effort == HEAP_GATHER &&
      arena_gather(&heap->arena, bytes, GATHER_MAX, move_block, heap))
    blocks->first = arena_take(&heap->arena, bytes, entry);
  bool good = blocks->first != 0 && promise(heap, blocks->first);
  for (uint32_t i = 0; i < blocks->n_pieces; i++)
    good = good && promise(heap, blocks->pieces[i]);
  return good;
}

static bool take_several(struct heap *heap, struct entry *entry, const struct heap_value *value,
                         enum heap_effort effort, struct blocks *blocks) {
  size_t n = arena_take_pieces(&heap->arena, value->size, entry, blocks->pieces);
  if (n == 0 && effort == HEAP_GATHER)
    n = arena_gather_pieces(&heap->arena, value->size, entry, blocks->pieces, GATHER_MAX,
                            move_block, heap);
  blocks->n_pieces = (uint32_t)n;
  if (n > 0 && take_head(heap, entry, value, effort, blocks))
    return true;
  give(heap, blocks);
  return false;
}

static bool take(struct heap *heap, struct entry *entry, const struct heap_value *value,
                 enum heap_effort effort, struct blocks *blocks) {
  uint64_t bytes = head_bytes(value->key) + value->size;
  *blocks = (struct blocks){0};
  if (take_one(heap, entry, bytes, blocks))
    return true;
  if (value->size >= SCATTER_MIN)
    return take_several(heap, entry, value, effort, blocks);
  return effort == HEAP_GATHER && arena_gather(&heap->arena, bytes, GATHER_MAX, move_block, heap) &&
         take_one(heap, entry, bytes, blocks);
}

static void write_names(struct fc_region_entry *placed, const struct fc_key *key) {
  uint8_t names[2 * FC_NAME_MAX];
  memcpy(names, key->op.data, key->op.size);
  memcpy(names + key->op.size, key->view.data, key->view.size);
  fc_shared_write(placed + 1, names, (size_t)key->op.size + key->view.size);
}

/* What another value of the same size changes, but for the bytes. */
static void write_particulars(const struct entry *entry, const struct heap_value *value,
                              uint32_t n_pieces) {
  struct fc_region_entry *placed = entry->placed;
  /* An empty value may be a NULL pointer. */
  uint32_t checksum = (uint32_t)XXH3_64bits_withSeed(value->size > 0 ? value->data : "",
                                                     value->size, value->digest);
  store(&placed->shape,
        fc_region_shape(value->key->op.size, value->key->view.size, n_pieces, checksum));
  store(&placed->compute_ns, value->compute_ns);
  store(&placed->origin, (uint64_t)entry->number << 32 | value->origin);
}

static void write_key(struct fc_region_entry *placed, const struct heap_value *value) {
  const struct fc_key *key = value->key;
  uint64_t prompt[2];
  memcpy(prompt, key->prompt.bytes, FC_HASH_SIZE);
  store(&placed->name_space, value->name_space);
  store(&placed->prompt[0], prompt[0]);
  store(&placed->prompt[1], prompt[1]);
  store(&placed->numbers, (uint64_t)value->size << 32 | key->top_k);
  write_names(placed, key);
}

static void write_table(const struct heap *heap, const struct entry *entry, uint64_t size,
                        const struct blocks *blocks) {
  struct fc_region_piece *table = table_of(entry->placed);
  for (uint32_t i = 0; i < blocks->n_pieces; i++) {
    arena_block block = blocks->pieces[i];
    uint64_t bytes = arena_block_size(&heap->arena, block);
    bytes = bytes < size ? bytes : size;
    store(&table[i].offset, heap->region->arena_offset + arena_offset(&heap->arena, block));
    store(&table[i].extent, (uint64_t)block << 32 | bytes);
    size -= bytes;
  }
  assert(blocks->n_pieces == 0 || size == 0);
}

static void write_bytes(const struct entry *entry, const uint8_t *data) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  size_t n = entry_value(entry, pieces);
  for (size_t i = 0; i < n; i++) {
    if (pieces[i].iov_len == 0) /* an empty value */
      continue;
    fc_shared_write(pieces[i].iov_base, data, pieces[i].iov_len);
    data += pieces[i].iov_len;
  }
}

bool heap_place(struct heap *heap, struct entry *entry, const struct heap_value *value,
                enum heap_effort effort) {
  struct blocks blocks;
  if (!take(heap, entry, value, effort, &blocks))
    return false;
  uint64_t offset = heap->region->arena_offset + arena_offset(&heap->arena, blocks.first);
  entry->block = blocks.first;
  entry->digest = value->digest;
  entry->placed = region_at(heap->region, offset);
  write_key(entry->placed, value);
  write_particulars(entry, value, blocks.n_pieces);
  write_table(heap, entry, value->size, &blocks);
  write_bytes(entry, value->data);
  return true;
}

bool heap_rewrite(struct entry *entry, const struct heap_value *value) {
  if (entry->holders > 1 || entry_value_size(entry) != value->size || value->size > REWRITE_MAX)
    return false;
  struct region *region = heap_of(entry)->region;
  bool opened = FC_REGION_MUTANT != 15 && region_open(region, value->digest);
  write_particulars(entry, value, n_pieces_of(entry->placed));
  write_bytes(entry, value->data);
  if (opened)
    region_close(region, value->digest);
  return true;
}
