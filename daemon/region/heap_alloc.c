/* Where the bytes of entries lie: taking blocks, writing into them, moving them. */
#include <assert.h>
#include <string.h>

#include <xxhash.h>

#include "daemon/region/heap_internal.h"
#include "proto/shm/torn_copy.h"

/* A value from here on may lie in several pieces: a smaller one would make holes of its own. */
#define SCATTER_MIN (2u * ARENA_PIECE_MIN)
/* A larger value is not overwritten while readers wait: it is placed anew, and then swapped in. */
#define REWRITE_MAX (64u << 10)

static_assert(ARENA_UNIT == FC_REGION_UNIT && ARENA_PIECES_MAX == FC_REGION_PIECES_MAX,
              "the arena's blocks are the region's");

/* ---- moving ---- */

void heap_move_bytes(uint8_t *to, uint8_t *from, uint64_t bytes) {
  if (to == from) /* the place of a chunk is aligned within its block */
    return;
  uint64_t vacated = to < from && (uint64_t)(from - to) < bytes ? (uint64_t)(from - to) : bytes;
  fc_torn_move_down(to, from, bytes);
  fc_torn_zero(from + bytes - vacated, vacated);
}

/* The entry is where its block is, so that the books need no change. */
static void move_head(struct region *region, struct fc_region_entry *from, uint64_t digest,
                      uint64_t bytes, uint64_t to) {
  struct fc_region_entry *placed = region_at(region, to);
  heap_move_bytes((uint8_t *)placed, (uint8_t *)from, bytes);
  region_relink(region, digest, from, placed);
}

static void move_piece(struct region *region, const struct fc_region_entry *placed,
                       arena_block block, uint64_t bytes, uint64_t to) {
  struct fc_region_piece *piece = heap_table(placed);
  while (heap_piece_block(piece) != block)
    piece++;
  heap_move_bytes(region->base + to, region->base + heap_load(&piece->offset), bytes);
  heap_store(&piece->offset, to);
}

/* Not while somebody sends it from where it is, nor before it is linked. */
bool heap_move_block(void *arg, arena_block block, uint64_t arena_to) {
  struct heap *heap = arg;
  struct region *region = heap->region;
  uint64_t owner = arena_owner(&heap->arena, block);
  if (!region_promise(region, arena_to + arena_block_size(&heap->arena, block)))
    return false;
  if (heap_owner_kind(owner) != HEAP_OF_ENTRY)
    return heap_move_chunk(heap, owner, arena_to);
  const struct entry *entry = heap_entry(heap, (uint32_t)owner);
  if (entry->holders > 1 || entry->name_space == 0)
    return false;
  uint64_t bytes = arena_block_size(&heap->arena, block);
  uint64_t to = region->arena_offset + arena_to;
  uint64_t digest = entry->digest;
  struct fc_region_entry *placed = heap_placed(heap, entry);
  bool opened = FC_REGION_MUTANT != 13 && region_open(region, digest);
  if (block == entry->block)
    move_head(region, placed, digest, bytes, to);
  else
    move_piece(region, placed, block, bytes, to);
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

static void give(struct heap *heap, struct blocks *blocks) {
  for (uint32_t i = 0; i < blocks->n_pieces; i++)
    arena_give(&heap->arena, blocks->pieces[i]);
  if (blocks->first != 0)
    arena_give(&heap->arena, blocks->first);
  *blocks = (struct blocks){0};
}

static uint64_t owner_of(const struct entry *entry) {
  return heap_owner(HEAP_OF_ENTRY, entry->number);
}

static bool take_one(struct heap *heap, struct entry *entry, uint64_t bytes,
                     struct blocks *blocks) {
  blocks->first = arena_take(&heap->arena, bytes, owner_of(entry));
  if (blocks->first != 0 && heap_promise(heap, blocks->first))
    return true;
  give(heap, blocks);
  return false;
}

/* The first block of an entry whose pieces are taken. */
static bool take_head(struct heap *heap, struct entry *entry, const struct heap_value *value,
                      enum heap_effort effort, struct blocks *blocks) {
  uint64_t bytes = heap_head_bytes(value->key) + blocks->n_pieces * sizeof(struct fc_region_piece);
  blocks->first = arena_take(&heap->arena, bytes, owner_of(entry));
  if (blocks->first == 0 && effort == HEAP_GATHER &&
      arena_gather(&heap->arena, bytes, HEAP_GATHER_MAX, heap_move_block, heap))
    blocks->first = arena_take(&heap->arena, bytes, owner_of(entry));
  bool good = blocks->first != 0 && heap_promise(heap, blocks->first);
  for (uint32_t i = 0; i < blocks->n_pieces; i++)
    good = good && heap_promise(heap, blocks->pieces[i]);
  return good;
}

static bool take_several(struct heap *heap, struct entry *entry, const struct heap_value *value,
                         enum heap_effort effort, struct blocks *blocks) {
  size_t n = arena_take_pieces(&heap->arena, value->size, owner_of(entry), blocks->pieces);
  if (n == 0 && effort == HEAP_GATHER)
    n = arena_gather_pieces(&heap->arena, value->size, owner_of(entry), blocks->pieces,
                            HEAP_GATHER_MAX, heap_move_block, heap);
  blocks->n_pieces = (uint32_t)n;
  if (n > 0 && take_head(heap, entry, value, effort, blocks))
    return true;
  give(heap, blocks);
  return false;
}

static bool take(struct heap *heap, struct entry *entry, const struct heap_value *value,
                 enum heap_effort effort, struct blocks *blocks) {
  uint64_t bytes = heap_head_bytes(value->key) + value->size;
  *blocks = (struct blocks){0};
  if (take_one(heap, entry, bytes, blocks))
    return true;
  if (value->size >= SCATTER_MIN)
    return take_several(heap, entry, value, effort, blocks);
  return effort == HEAP_GATHER &&
         arena_gather(&heap->arena, bytes, HEAP_GATHER_MAX, heap_move_block, heap) &&
         take_one(heap, entry, bytes, blocks);
}

static void write_names(struct fc_region_entry *placed, const struct fc_key *key) {
  uint8_t names[2 * FC_NAME_MAX];
  memcpy(names, key->op.data, key->op.size);
  memcpy(names + key->op.size, key->view.data, key->view.size);
  fc_torn_write(placed + 1, names, (size_t)key->op.size + key->view.size);
}

/* What another value of the same size changes, but for the bytes. */
static void write_particulars(struct fc_region_entry *placed, uint32_t number,
                              const struct heap_value *value, uint32_t n_pieces) {
  /* An empty value may be a NULL pointer. */
  uint32_t checksum = (uint32_t)XXH3_64bits_withSeed(value->size > 0 ? value->data : "",
                                                     value->size, value->digest);
  heap_store(&placed->shape,
             fc_region_shape(value->key->op.size, value->key->view.size, n_pieces, checksum));
  heap_store(&placed->compute_ns, value->compute_ns);
  heap_store(&placed->origin, (uint64_t)number << 32 | value->origin);
}

static void write_key(struct fc_region_entry *placed, const struct heap_value *value) {
  const struct fc_key *key = value->key;
  uint64_t prompt[2];
  memcpy(prompt, key->prompt.bytes, FC_HASH_SIZE);
  heap_store(&placed->name_space, value->name_space);
  heap_store(&placed->prompt[0], prompt[0]);
  heap_store(&placed->prompt[1], prompt[1]);
  heap_store(&placed->numbers, (uint64_t)value->size << 32 | key->top_k);
  write_names(placed, key);
}

static void write_table(const struct heap *heap, const struct fc_region_entry *placed,
                        uint64_t size, const struct blocks *blocks) {
  struct fc_region_piece *table = heap_table(placed);
  for (uint32_t i = 0; i < blocks->n_pieces; i++) {
    arena_block block = blocks->pieces[i];
    uint64_t bytes = arena_block_size(&heap->arena, block);
    bytes = bytes < size ? bytes : size;
    heap_store(&table[i].offset, heap->region->arena_offset + arena_offset(&heap->arena, block));
    heap_store(&table[i].extent, (uint64_t)block << 32 | bytes);
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
    fc_torn_write(pieces[i].iov_base, data, pieces[i].iov_len);
    data += pieces[i].iov_len;
  }
}

bool heap_place(struct heap *heap, struct entry *entry, const struct heap_value *value,
                enum heap_effort effort) {
  struct blocks blocks;
  if (!heap_books_for_blocks(heap, effort) || !take(heap, entry, value, effort, &blocks))
    return false;
  entry->block = blocks.first;
  entry->digest = value->digest;
  struct fc_region_entry *placed = heap_placed(heap, entry);
  write_key(placed, value);
  write_particulars(placed, entry->number, value, blocks.n_pieces);
  write_table(heap, placed, value->size, &blocks);
  write_bytes(entry, value->data);
  return true;
}

bool heap_rewrite(struct entry *entry, const struct heap_value *value) {
  if (entry->holders > 1 || entry_value_size(entry) != value->size || value->size > REWRITE_MAX)
    return false;
  struct fc_region_entry *placed = entry_placed(entry);
  struct region *region = heap_of(entry)->region;
  bool opened = FC_REGION_MUTANT != 15 && region_open(region, value->digest);
  write_particulars(placed, entry->number, value, heap_n_pieces(placed));
  write_bytes(entry, value->data);
  if (opened)
    region_close(region, value->digest);
  return true;
}
