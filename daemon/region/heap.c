#include "daemon/region/heap.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"
#include "proto/shm/torn_copy.h"
#include "proto/xxh3.h"

/* Smaller values stay in one piece, because the rests of their pieces would be new holes. */
#define PIECES_MIN_SIZE (2u * ARENA_PIECE_MIN)
/* A larger value is not overwritten, because readers of its bucket would wait for too long. It is
 * written to new blocks, and then linked. */
#define OVERWRITE_MAX (64u << 10)

static_assert(ARENA_UNIT == FC_REGION_UNIT && ARENA_PIECES_MAX == FC_REGION_PIECES_MAX,
              "the arena's blocks are the region's");

static_assert(CATALOG_FRONT_BYTES == REGION_FRONT_BYTES, "an entry finds its heap in both");

static void add_region(struct heap *heap, uint64_t boot_id) {
  struct catalog_header *header = heap->catalog->header;
  struct catalog_region described;
  uint32_t i = 0;
  while (i < CATALOG_REGIONS_MAX && header->regions[i].boot_id != 0)
    i++;
  if (i == CATALOG_REGIONS_MAX)
    i = heap_forget_region(heap);
  region_source_describe(&described, heap->region);
  header->regions[i] = described;
  header->current = i;
  heap->current = i;
  catalog_commit_u64(&header->regions[i].boot_id, boot_id);
}

int heap_init(struct heap *heap, struct region *region, struct catalog *catalog) {
  *heap = (struct heap){.region = region, .catalog = catalog};
  *region_writer_front(region->base) = heap;
  *region_writer_front(catalog->base) = heap;
  add_region(heap, region->header->boot_id);
  return heap_init_chunks(heap);
}

/* Entries that left the store and are held keep their bytes, too. */
static void all_to_source(struct heap *heap) {
  for (uint32_t chunk = 0; chunk < heap->entries.n_chunks; chunk++)
    for (uint32_t i = 0; heap->entries.chunks[chunk] != NULL && i < ENTRIES_PER_CHUNK; i++) {
      struct entry *entry = heap_entry(heap, chunk << ENTRY_BITS | i);
      if (entry->holders != 0)
        heap_sources_add(heap, entry);
    }
}

int heap_replace_region(struct heap *heap, struct region *next, uint64_t boot_id) {
  struct region_source *source = &heap->sources[heap->current];
  uint64_t old_boot_id = heap->catalog->header->regions[heap->current].boot_id;
  check_eq(heap->n_sources, 0);
  if (catalog_grow(heap->catalog, next->arena_size / SLOTS_CHUNK_BYTES) != 0 ||
      !region_writer_commit(next, 2 * SLOTS_CHUNK_BYTES)) /* for heap_init_arena */
    return FC_ENOMEM;
  if (!heap_sources_begin(heap) || region_source_take(source, heap->region, old_boot_id) != 0) {
    heap_sources_end(heap);
    return FC_ENOMEM;
  }
  heap->n_sources = 1;
  all_to_source(heap);
  arena_deinit(&heap->arena);
  *heap->region = *next;
  *next = (struct region){.index_fd = -1};
  *region_writer_front(heap->region->base) = heap;
  add_region(heap, boot_id);
  return heap_init_arena(heap);
}

void heap_deinit(struct heap *heap) {
  for (uint32_t i = 0; i < CATALOG_REGIONS_MAX; i++)
    region_source_close(&heap->sources[i]);
  heap_sources_end(heap);
  slots_deinit(&heap->entries);
  arena_deinit(&heap->arena);
  free(heap->namespaces);
  *heap = (struct heap){.region = heap->region, .catalog = heap->catalog};
}

/* ---- namespaces, by number ---- */

bool heap_set_namespace(struct heap *heap, uint32_t number, struct namespace *ns) {
  check_lt(0, number);
  check_lt(number, ENTRY_NAME_SPACES);
  if (number >= heap->n_namespaces) {
    struct namespace **namespaces =
        realloc(heap->namespaces, (number + 1) * sizeof(struct namespace *));
    if (namespaces == NULL)
      return false;
    for (uint32_t i = heap->n_namespaces; i <= number; i++) /* 0 means "no namespace" */
      namespaces[i] = NULL;
    heap->namespaces = namespaces;
    heap->n_namespaces = number + 1;
  }
  check_eq((uintptr_t)heap->namespaces[number], 0);
  heap->namespaces[number] = ns;
  return true;
}

uint32_t heap_add_namespace(struct heap *heap, struct namespace *ns) {
  uint32_t number = 1;
  while (number < heap->n_namespaces && heap->namespaces[number] != NULL)
    number++;
  if (number == ENTRY_NAME_SPACES)
    return 0;
  return heap_set_namespace(heap, number, ns) ? number : 0;
}

void heap_remove_namespace(struct heap *heap, uint32_t number) {
  check_lt(0, number);
  check_lt(number, heap->n_namespaces);
  assert(heap->namespaces[number] != NULL);
  heap->namespaces[number] = NULL;
}

/* ---- references ---- */

static struct slots_chunk *chunk_of(const struct entry *entry) {
  const struct entry *first = entry - entry->number % (1u << ENTRY_BITS);
  return slots_header((void *)(uintptr_t)first);
}

static struct heap *heap_of(const struct entry *entry) {
  const struct slots_chunk *chunk = chunk_of(entry);
  check_eq(chunk->number, entry->number >> ENTRY_BITS);
  return *region_writer_front((const uint8_t *)chunk - chunk->offset);
}

struct entry *heap_entry_new(struct heap *heap) {
  if (slots_unused(&heap->entries) == 0 && !heap_add_entries(heap, HEAP_COMPACT))
    return NULL;
  uint32_t number = slots_alloc(&heap->entries);
  struct entry *entry = heap_entry(heap, number);
  check_lt(0, number);
  check_eq(entry->holders, 0);
  *entry = (struct entry){.number = number, .holders = 1, .source = heap->current & 0xfu};
  entry_hold(entry);
  return entry;
}

static void free_block(struct heap *heap, arena_block block, bool wipe) {
  uint64_t offset = heap->region->arena_offset + arena_offset(&heap->arena, block);
  if (wipe)
    fc_torn_zero(heap->region->base + offset, arena_block_size(&heap->arena, block));
  arena_free(&heap->arena, block);
}

/* Frees the pieces first, because their table is in the first block. */
static void free_entry(struct heap *heap, struct entry *entry) {
  check_eq(entry->name_space, 0);
  if (heap_is_in_source(heap, entry)) {
    heap_sources_remove(heap, entry);
  } else if (entry->block != 0) {
    struct fc_region_entry *placed = heap_placed(heap, entry);
    uint32_t n = heap_n_pieces(placed);
    for (uint32_t i = 0; i < n; i++)
      free_block(heap, heap_piece_block(&heap_table(placed)[i]), entry->wipe);
    free_block(heap, entry->block, entry->wipe);
  }
  uint32_t number = entry->number;
  *entry = (struct entry){0}; /* clients can read it, and its digest */
  slots_free(&heap->entries, number);
}

void heap_entry_release(struct heap *heap, struct entry *entry) {
  check_lt(0, entry->holders);
  if (--entry->holders == 0)
    free_entry(heap, entry);
}

void entry_hold(struct entry *entry) {
  struct slots_chunk *chunk = chunk_of(entry);
  check_lt(0, entry->holders);
  chunk->n_pins++;
  check_lt(0, chunk->n_pins);
  check_lt(entry->holders, ENTRY_HOLDERS_MAX);
  entry->holders++;
}

void entry_set_name_space(struct entry *entry, uint32_t number) {
  struct entry next = *entry;
  check_lt(number, ENTRY_NAME_SPACES);
  next.name_space = number & (ENTRY_NAME_SPACES - 1);
  catalog_commit_u32(&entry->state, next.state);
  if (number == 0)
    catalog_barrier();
}

void entry_release(struct entry *entry) {
  struct heap *heap = heap_of(entry);
  struct slots_chunk *chunk = chunk_of(entry);
  check_lt(0, chunk->n_pins);
  chunk->n_pins--;
  heap->source_releases += heap_is_in_source(heap, entry);
  if (entry->holders == 1 && entry->charge != 0) { /* the store released it before */
    uint64_t charge = heap_charge_of(entry);
    check_le(charge, heap->unlisted_bytes);
    heap->unlisted_bytes -= charge;
  }
  heap_entry_release(heap, entry);
}

void entry_unlist(struct entry *entry) {
  struct heap *heap = heap_of(entry);
  check_eq(entry->name_space, 0);
  if (entry->holders > 1)
    heap->unlisted_bytes += heap_charge_of(entry);
  heap_entry_release(heap, entry);
}

void entry_wipe(struct entry *entry) {
  entry->wipe = 1;
}

/* ---- charges ---- */

static uint64_t head_bytes(const struct fc_key *key) {
  return sizeof(struct fc_region_entry) + fc_region_names_bytes(key->op.size, key->view.size);
}

uint64_t heap_charge(const struct fc_key *key, uint64_t value_size) {
  uint64_t bytes = head_bytes(key) + value_size;
  return (bytes + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT + HEAP_ENTRY_BYTES + ARENA_RECORD_BYTES;
}

static uint64_t block_charge(const struct heap *heap, arena_block block) {
  return arena_block_size(&heap->arena, block) + ARENA_RECORD_BYTES;
}

/* ---- reading ---- */

struct entry *heap_entry_at(const struct heap *heap, const struct fc_region_entry *placed) {
  uint32_t number = (uint32_t)(region_writer_load(&placed->origin) >> 32);
  struct entry *entry = heap_entry(heap, number);
  check_eq(entry->number, number);
  return entry;
}

struct namespace *entry_namespace(const struct entry *entry) {
  return entry->name_space == 0 ? NULL : heap_namespace(heap_of(entry), entry->name_space);
}

struct fc_region_entry *entry_placed(const struct entry *entry) {
  return heap_placed(heap_of(entry), entry);
}

static struct fc_key key_of(const struct fc_region_entry *placed) {
  uint64_t shape = region_writer_load(&placed->shape);
  uint64_t prompt[2] = {region_writer_load(&placed->prompt[0]),
                        region_writer_load(&placed->prompt[1])};
  const char *names = (const char *)(placed + 1);
  struct fc_key key = {
      .op = {names, fc_region_op_size(shape)},
      .view = {names + fc_region_op_size(shape), fc_region_view_size(shape)},
      .top_k = (uint32_t)region_writer_load(&placed->numbers),
  };
  memcpy(key.prompt.bytes, prompt, FC_HASH_SIZE);
  return key;
}

struct fc_key entry_key(const struct entry *entry) {
  return key_of(entry_placed(entry));
}

static uint32_t value_size_of(const struct fc_region_entry *placed) {
  return (uint32_t)(region_writer_load(&placed->numbers) >> 32);
}

uint32_t entry_value_size(const struct entry *entry) {
  return value_size_of(entry_placed(entry));
}

uint64_t entry_compute_ns(const struct entry *entry) {
  return region_writer_load(&entry_placed(entry)->compute_ns);
}

uint32_t entry_origin(const struct entry *entry) {
  return (uint32_t)region_writer_load(&entry_placed(entry)->origin);
}

/* `base` is that of the region. */
static size_t value_of(uint8_t *base, const struct fc_region_entry *placed,
                       struct iovec pieces[FC_REGION_PIECES_MAX]) {
  struct fc_region_piece *table = heap_table(placed);
  uint32_t n = heap_n_pieces(placed);
  check_le(n, FC_REGION_PIECES_MAX);
  if (n == 0) { /* the value lies where the table of others does */
    pieces[0] = (struct iovec){table, value_size_of(placed)};
    return 1;
  }
  for (uint32_t i = 0; i < n; i++)
    pieces[i] = (struct iovec){base + region_writer_load(&table[i].offset),
                               (uint32_t)region_writer_load(&table[i].extent)};
  return n;
}

size_t entry_value(const struct entry *entry, struct iovec pieces[FC_REGION_PIECES_MAX]) {
  const struct heap *heap = heap_of(entry);
  uint8_t *base =
      heap_is_in_source(heap, entry) ? heap->sources[entry->source].base : heap->region->base;
  return value_of(base, heap_placed(heap, entry), pieces);
}

bool entry_is(const struct fc_region_entry *placed, uint64_t name_space, const struct fc_key *key) {
  uint64_t prompt[2];
  memcpy(prompt, key->prompt.bytes, FC_HASH_SIZE);
  if (region_writer_load(&placed->prompt[0]) != prompt[0] ||
      region_writer_load(&placed->prompt[1]) != prompt[1] ||
      region_writer_load(&placed->name_space) != name_space)
    return false;
  struct fc_key there = key_of(placed);
  return there.top_k == key->top_k && fc_str_equal(there.op, key->op) &&
         fc_str_equal(there.view, key->view);
}

bool entry_matches(const struct entry *entry, struct fc_str view, struct fc_str op) {
  struct fc_key key = entry_key(entry);
  return (op.data == NULL || fc_str_equal(key.op, op)) &&
         (view.data == NULL || fc_str_equal(key.view, view));
}

/* ---- allocating ---- */

struct blocks {
  arena_block first;
  arena_block pieces[ARENA_PIECES_MAX];
  uint32_t n_pieces;
};

static void free_blocks(struct heap *heap, struct blocks *blocks) {
  for (uint32_t i = 0; i < blocks->n_pieces; i++)
    arena_free(&heap->arena, blocks->pieces[i]);
  if (blocks->first != 0)
    arena_free(&heap->arena, blocks->first);
  *blocks = (struct blocks){0};
}

static uint64_t owner_of(const struct entry *entry) {
  return heap_owner(HEAP_OWNER_ENTRY, entry->number);
}

static bool alloc_one(struct heap *heap, struct entry *entry, uint64_t bytes,
                      struct blocks *blocks) {
  blocks->first = arena_alloc(&heap->arena, bytes, owner_of(entry));
  if (blocks->first != 0 && heap_commit(heap, blocks->first))
    return true;
  free_blocks(heap, blocks);
  return false;
}

/* Allocates the first block of an entry whose pieces are allocated. */
static bool alloc_first(struct heap *heap, struct entry *entry, const struct heap_value *value,
                        enum heap_effort effort, struct blocks *blocks) {
  uint64_t bytes = head_bytes(value->key) + blocks->n_pieces * sizeof(struct fc_region_piece);
  blocks->first = arena_alloc(&heap->arena, bytes, owner_of(entry));
  if (blocks->first == 0 && effort == HEAP_COMPACT &&
      arena_compact(&heap->arena, bytes, HEAP_COMPACT_MAX, heap_move_block, heap))
    blocks->first = arena_alloc(&heap->arena, bytes, owner_of(entry));
  bool good = blocks->first != 0 && heap_commit(heap, blocks->first);
  for (uint32_t i = 0; i < blocks->n_pieces; i++)
    good = good && heap_commit(heap, blocks->pieces[i]);
  return good;
}

static bool alloc_pieces(struct heap *heap, struct entry *entry, const struct heap_value *value,
                         enum heap_effort effort, struct blocks *blocks) {
  size_t n = arena_alloc_pieces(&heap->arena, value->size, owner_of(entry), blocks->pieces);
  if (n == 0 && effort == HEAP_COMPACT)
    n = arena_compact_pieces(&heap->arena, value->size, owner_of(entry), blocks->pieces,
                             HEAP_COMPACT_MAX, heap_move_block, heap);
  blocks->n_pieces = (uint32_t)n;
  if (n > 0 && alloc_first(heap, entry, value, effort, blocks))
    return true;
  free_blocks(heap, blocks);
  return false;
}

static bool alloc(struct heap *heap, struct entry *entry, const struct heap_value *value,
                  enum heap_effort effort, struct blocks *blocks) {
  uint64_t bytes = head_bytes(value->key) + value->size;
  *blocks = (struct blocks){0};
  if (alloc_one(heap, entry, bytes, blocks))
    return true;
  if (value->size >= PIECES_MIN_SIZE)
    return alloc_pieces(heap, entry, value, effort, blocks);
  return effort == HEAP_COMPACT &&
         arena_compact(&heap->arena, bytes, HEAP_COMPACT_MAX, heap_move_block, heap) &&
         alloc_one(heap, entry, bytes, blocks);
}

/* ---- writing ---- */

static void write_names(struct fc_region_entry *placed, const struct fc_key *key) {
  uint8_t names[2 * FC_NAME_MAX];
  check_le(key->op.size, FC_NAME_MAX);
  check_le(key->view.size, FC_NAME_MAX);
  memcpy(names, key->op.data, key->op.size);
  memcpy(names + key->op.size, key->view.data, key->view.size);
  fc_torn_write(placed + 1, names, (size_t)key->op.size + key->view.size);
}

/* Writes the fields that differ between two values of the same key and size. */
static void write_value_fields(struct fc_region_entry *placed, uint32_t number,
                               const struct heap_value *value, uint32_t n_pieces) {
  uint32_t checksum = (uint32_t)fc_xxh3_64(value->data, value->size, value->digest);
  region_writer_store(&placed->shape, fc_region_shape(value->key->op.size, value->key->view.size,
                                                      n_pieces, checksum));
  region_writer_store(&placed->compute_ns, value->compute_ns);
  region_writer_store(&placed->origin, (uint64_t)number << 32 | value->origin);
}

static void write_key(struct fc_region_entry *placed, const struct heap_value *value) {
  const struct fc_key *key = value->key;
  uint64_t prompt[2];
  memcpy(prompt, key->prompt.bytes, FC_HASH_SIZE);
  region_writer_store(&placed->name_space, value->name_space);
  region_writer_store(&placed->prompt[0], prompt[0]);
  region_writer_store(&placed->prompt[1], prompt[1]);
  region_writer_store(&placed->numbers, (uint64_t)value->size << 32 | key->top_k);
  write_names(placed, key);
}

static void write_table(const struct heap *heap, const struct fc_region_entry *placed,
                        uint64_t size, const struct blocks *blocks) {
  struct fc_region_piece *table = heap_table(placed);
  for (uint32_t i = 0; i < blocks->n_pieces; i++) {
    arena_block block = blocks->pieces[i];
    uint64_t bytes = arena_block_size(&heap->arena, block);
    bytes = bytes < size ? bytes : size;
    region_writer_store(&table[i].offset,
                        heap->region->arena_offset + arena_offset(&heap->arena, block));
    region_writer_store(&table[i].extent, (uint64_t)block << 32 | bytes);
    size -= bytes;
  }
  if (blocks->n_pieces > 0)
    check_eq(size, 0);
}

static void write_bytes(const struct heap *heap, const struct fc_region_entry *placed,
                        const uint8_t *data) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  size_t n = value_of(heap->region->base, placed, pieces);
  for (size_t i = 0; i < n; i++) {
    if (pieces[i].iov_len == 0) /* an empty value */
      continue;
    fc_torn_write(pieces[i].iov_base, data, pieces[i].iov_len);
    data += pieces[i].iov_len;
  }
}

/* Notes where the entry lies, and its charge. */
static void set_blocks(const struct heap *heap, struct entry *entry, const struct blocks *blocks) {
  uint64_t charge = HEAP_ENTRY_BYTES + block_charge(heap, blocks->first);
  for (uint32_t i = 0; i < blocks->n_pieces; i++)
    charge += block_charge(heap, blocks->pieces[i]);
  check_eq(charge % ENTRY_CHARGE_UNIT, 0);
  check_lt(charge / ENTRY_CHARGE_UNIT, 1u << 27);
  entry->charge = (uint32_t)(charge / ENTRY_CHARGE_UNIT) & ((1u << 27) - 1);
  entry->block = blocks->first;
  entry_set_place(entry, heap->region->arena_offset + arena_offset(&heap->arena, blocks->first));
}

bool heap_write(struct heap *heap, struct entry *entry, const struct heap_value *value,
                enum heap_effort effort) {
  struct blocks blocks;
  check_eq(entry->block, 0);
  check_eq(entry->name_space, 0);
  check_lt(1, entry->holders); /* so that it does not move */
  if (arena_spare_records(&heap->arena) < HEAP_RECORDS_RESERVED && !heap_add_records(heap, effort))
    return false;
  if (!alloc(heap, entry, value, effort, &blocks))
    return false;
  set_blocks(heap, entry, &blocks);
  entry->digest = value->digest;
  struct fc_region_entry *placed = heap_placed(heap, entry);
  write_key(placed, value);
  write_value_fields(placed, entry->number, value, blocks.n_pieces);
  write_table(heap, placed, value->size, &blocks);
  write_bytes(heap, placed, value->data);
  return true;
}

/* Copies bytes in pieces to other pieces. All but the last are multiples of FC_REGION_UNIT. */
static void copy_pieces(struct iovec *to, const struct iovec *from, size_t n_from) {
  uint64_t filled = 0;
  for (size_t i = 0; i < n_from; i++) {
    const uint8_t *data = from[i].iov_base;
    for (uint64_t left = from[i].iov_len; left > 0;) {
      uint64_t room = to->iov_len - filled, bytes = left < room ? left : room;
      fc_torn_write((uint8_t *)to->iov_base + filled, data, bytes);
      data += bytes;
      left -= bytes;
      filled += bytes;
      if (filled == to->iov_len) {
        to++;
        filled = 0;
      }
    }
  }
}

/* Writes the entry at new blocks: all of `from` but the offsets of the pieces. */
static void copy_entry(const struct heap *heap, struct fc_region_entry *to,
                       const struct entry *entry, const struct blocks *blocks) {
  const struct fc_region_entry *from = heap_placed(heap, entry);
  struct iovec source[FC_REGION_PIECES_MAX], pieces[FC_REGION_PIECES_MAX];
  struct fc_key key = key_of(from);
  struct heap_value value = {.key = &key,
                             .name_space = region_writer_load(&from->name_space),
                             .size = value_size_of(from)};
  uint64_t shape = region_writer_load(&from->shape);
  write_key(to, &value);
  region_writer_store(&to->shape, fc_region_shape(key.op.size, key.view.size, blocks->n_pieces,
                                                  fc_region_checksum_of(shape)));
  region_writer_store(&to->compute_ns, region_writer_load(&from->compute_ns));
  region_writer_store(&to->origin,
                      (uint64_t)entry->number << 32 | (uint32_t)region_writer_load(&from->origin));
  write_table(heap, to, value.size, blocks);
  (void)value_of(heap->region->base, to, pieces);
  copy_pieces(pieces, source, value_of(heap->sources[entry->source].base, from, source));
}

bool heap_migrate(struct heap *heap, struct entry *entry, enum heap_effort effort) {
  const struct fc_region_entry *from = heap_placed(heap, entry);
  struct fc_key key = key_of(from);
  struct heap_value value = {.key = &key, .size = value_size_of(from)};
  struct blocks blocks;
  check_lt(1, entry->holders); /* so that its new blocks do not move */
  assert(heap_is_in_source(heap, entry));
  if (arena_spare_records(&heap->arena) < HEAP_RECORDS_RESERVED && !heap_add_records(heap, effort))
    return false;
  if (!alloc(heap, entry, &value, effort, &blocks))
    return false;
  struct entry next = *entry;
  next.source = heap->current & 0xfu;
  set_blocks(heap, &next, &blocks);
  const struct entry before = *entry;
  if (FC_CATALOG_MUTANT == 23)
    catalog_commit_u64(&entry->where, next.where);
  copy_entry(heap, region_writer_at(heap->region, entry_place(&next)), &before, &blocks);
  if (FC_CATALOG_MUTANT == 23)
    catalog_commit_u64(&entry->where, before.where);
  heap_sources_remove(heap, entry);
  entry->place_high = next.place_high;
  entry->block = next.block;
  catalog_commit_u64(&entry->where, next.where);
  return true;
}

bool heap_overwrite(struct entry *entry, const struct heap_value *value) {
  const struct heap *heap = heap_of(entry);
  struct fc_region_entry *placed = heap_placed(heap, entry);
  if (heap_is_in_source(heap, entry) || entry->holders > 1 ||
      value_size_of(placed) != value->size || value->size > OVERWRITE_MAX)
    return false;
  check_eq(entry->digest, value->digest);
  bool opened = FC_REGION_MUTANT != 15 && region_writer_open(heap->region, value->digest);
  write_value_fields(placed, entry->number, value, heap_n_pieces(placed));
  write_bytes(heap, placed, value->data);
  if (opened)
    region_writer_close(heap->region, value->digest);
  return true;
}
