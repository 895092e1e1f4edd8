/* heap.h - the memory of entries: allocates their metadata and the blocks of their keys and values,
 * moves them to make holes, and frees them. The store decides which entries there are (store.h).
 *
 * Keys and values lie in the region. The metadata is in chunks of slots (slots.h), of entries and
 * of the arena's records. Chunks of entries lie in the catalog, where the next daemon adopts them.
 * Catalog and arena share one budget, and the memory of the arena is never given back. So when all
 * of it has memory, a further chunk of entries is a block of the arena, as a chunk of records is,
 * and the catalog's directory says where. No chain leads a reader to a chunk, and a late reader
 * discards what it read there. Chunks in the arena move as values do, except while one of their
 * entries is held. Empty chunks give their memory back.
 *
 * Entries of an earlier region (a source) keep their bytes there, which are only read, until they
 * are migrated (region_source.h, store/adopt.h). Only two tables of 8 bytes a chunk are private
 * memory. One thread. */
#ifndef FC_DAEMON_HEAP_H
#define FC_DAEMON_HEAP_H

#include "daemon/region/arena.h"
#include "daemon/region/catalog.h"
#include "daemon/region/entry.h"
#include "daemon/region/region_source.h"
#include "daemon/region/region_writer.h"

/* The charge of an entry in addition to its blocks: its slot, and the record of a hole, because
 * there may be as many holes as blocks. */
#define HEAP_ENTRY_BYTES ((uint64_t)sizeof(struct entry) + ARENA_RECORD_BYTES)

struct heap {
  struct region *region; /* borrowed, as is the catalog */
  struct catalog *catalog;
  struct arena arena;
  struct slots entries;
  uint32_t current;                                  /* index of `region` in the catalog's header */
  uint32_t n_sources;                                /* in use, of: */
  struct region_source sources[CATALOG_REGIONS_MAX]; /* at their index in the header */
  uint64_t allowance_bytes;                          /* beyond the budget while there are sources */
  uint64_t source_releases;                          /* of held entries in sources, total */
  uint64_t unlisted_bytes; /* charge of entries that left the store and are held (entry_unlist) */
  /* private to the heap's files */
  uint32_t *source_heads; /* index of the entries in sources (heap_adopt.c); NULL: none */
  uint32_t source_mask;
  uint64_t chunk_bytes;          /* of chunks in the catalog */
  struct namespace **namespaces; /* by number; borrowed; NULL: unused number */
  uint32_t n_namespaces;
};

/* Adds the region to the catalog's header. If that is full, it forgets the region with the fewest
 * entries first. Both outlive the heap. If the catalog has chunks of an earlier daemon,
 * heap_adopt_chunks must follow. Returns 0 or FC_ENOMEM. */
int heap_init(struct heap *heap, struct region *region, struct catalog *catalog);
/* Frees private memory. Entries remain in the catalog. */
void heap_deinit(struct heap *heap);

/* Returns the charge of an entry with that key and value size in one piece: its block and its
 * metadata. It depends on nothing else, so the same calls evict the same entries. A value in
 * several pieces is charged for the record of each. */
uint64_t heap_charge(const struct fc_key *key, uint64_t value_size);

/* Returns the charge of a written entry. */
static inline uint64_t heap_charge_of(const struct entry *entry) {
  return (uint64_t)entry->charge * ENTRY_CHARGE_UNIT;
}

struct heap_value {
  const struct fc_key *key;
  uint64_t name_space; /* id of the namespace */
  uint64_t digest;     /* of the key in that namespace */
  const void *data;
  uint32_t size;
  uint64_t compute_ns;
  uint32_t origin; /* number of the process that puts */
};

enum heap_effort {
  HEAP_EXISTING_HOLES, /* use only holes that exist */
  HEAP_COMPACT,        /* move other blocks if that makes a hole */
};

/* Allocates an entry: zero except `number` and `holders`, which is 2, the caller's and the store's
 * references. Returns NULL if there is no room for a chunk. */
struct entry *heap_entry_new(struct heap *heap);

/* Releases a reference without the accounting of entry_release and entry_unlist. */
void heap_entry_release(struct heap *heap, struct entry *entry);

/* Allocates blocks for a new entry and writes key and value. Returns false if there is no room;
 * then the entry is unchanged, but others may have moved. */
bool heap_write(struct heap *heap, struct entry *entry, const struct heap_value *value,
                enum heap_effort effort);

/* Overwrites the value of a linked entry in a window. Returns false, with nothing changed, if the
 * size differs, the value is large, or the entry is held. */
bool heap_overwrite(struct entry *entry, const struct heap_value *value);

static inline struct entry *heap_entry(const struct heap *heap, uint32_t number) {
  return slots_at(&heap->entries, ENTRY_BITS, number);
}

/* Accepts any number. Returns NULL if no chunk has it. An unused entry has no namespace. */
static inline struct entry *heap_find_entry(const struct heap *heap, uint32_t number) {
  return slots_find(&heap->entries, ENTRY_BITS, number);
}

/* Returns the entry whose bytes are at that place. */
struct entry *heap_entry_at(const struct heap *heap, const struct fc_region_entry *placed);

static inline bool heap_is_in_source(const struct heap *heap, const struct entry *entry) {
  return entry->source != heap->current;
}

/* Returns where a written entry lies now. In a source the bytes are checked first: if they make no
 * entry, it returns one without names and value, of no namespace. */
static inline struct fc_region_entry *heap_placed(const struct heap *heap,
                                                  const struct entry *entry) {
  if (__builtin_expect(heap_is_in_source(heap, entry), 0))
    return region_source_entry(&heap->sources[entry->source], entry_place(entry));
  return region_writer_at(heap->region, entry_place(entry));
}

/* Numbers a namespace, by which entries name it. The pointer is opaque here. Returns 0 if there is
 * no memory. */
uint32_t heap_add_namespace(struct heap *heap, struct namespace *ns);
/* Does so with a number that is not in use, above 0 and below ENTRY_NAME_SPACES. Returns false if
 * there is no memory. */
bool heap_set_namespace(struct heap *heap, uint32_t number, struct namespace *ns);
/* Frees the number of a namespace without entries. */
void heap_remove_namespace(struct heap *heap, uint32_t number);

static inline struct namespace *heap_namespace(const struct heap *heap, uint32_t number) {
  return heap->namespaces[number];
}
/* Accepts any number. Returns NULL if no namespace has it. */
static inline struct namespace *heap_find_namespace(const struct heap *heap, uint32_t number) {
  return number < heap->n_namespaces ? heap->namespaces[number] : NULL;
}

/* ---- compaction of the metadata, after an entry was removed (heap_chunks.c) ---- */

/* Completes the move of an entry whose metadata the caller copied from slot `from` to slot `to`:
 * updates what names it by its number, and frees the old slot. The LRU lists are the caller's. */
void heap_entry_moved(struct heap *heap, uint32_t from, uint32_t to);

/* Moves a few of the arena's records together, and frees empty chunks. */
void heap_compact_metadata(struct heap *heap);

/* ---- the memory of an earlier daemon (heap_adopt.c) ---- */

/* Takes over the chunks of the catalog, after the sources were opened: brings those that lie in a
 * source into the catalog. Counts their slots as unused; slots_adopt_used and slots_adopted follow.
 * Returns the number of chunks that could not be read. */
uint64_t heap_adopt_chunks(struct heap *heap);

/* Forgets the region of the catalog's header that has the fewest entries. Returns its index. */
uint32_t heap_forget_region(struct heap *heap);

/* Copies an entry from its source into the region, where the caller then links it. The caller holds
 * it. A kill leaves it either there or here. Returns false if there is no room. */
bool heap_migrate(struct heap *heap, struct entry *entry, enum heap_effort effort);

/* Moves all chunks of entries from the arena to the catalog. Returns 0, FC_ENOMEM, or FC_EREFUSED
 * if the chunk *blocking has a held entry. After an error, some have moved. */
int heap_chunks_to_catalog(struct heap *heap, uint32_t *blocking);
/* Accepts any number. Returns true if the chunk lies in the arena and has a held entry. */
bool heap_chunk_blocks(const struct heap *heap, uint32_t number);

/* Makes `next` the region, whose contents it takes, and the region so far a source, under the
 * catalog's id `boot_id` for the new one. All entries are then in the source. Before, nothing is in
 * a source and all chunks are in the catalog. Both regions are shared. Returns 0, or FC_ENOMEM with
 * the region unchanged. */
int heap_replace_region(struct heap *heap, struct region *next, uint64_t boot_id);

/* Updates the budget after sources or chunks changed. */
void heap_update_budget(struct heap *heap);

/* The index of the entries in sources: lists of slots by digest, because the chains in a source
 * lead through segments that are given up. An entry's `block` is the next one in its list.
 *
 * Make and free the index; add an entry, which also counts in its source; remove it from both. The
 * index takes at most 2 bytes an entry. */
bool heap_sources_begin(struct heap *heap);
void heap_sources_end(struct heap *heap);
void heap_sources_add(struct heap *heap, struct entry *entry);
void heap_sources_remove(struct heap *heap, struct entry *entry);

/* Iterate over the entries in sources that may have the digest. NULL: the end. */
struct entry *heap_sources_first(const struct heap *heap, uint64_t digest);
struct entry *heap_sources_next(const struct heap *heap, const struct entry *entry);

/* ---- shared by the files of the heap ---- */

/* The owner of a block names what uses it. */
enum heap_owner {
  HEAP_OWNER_ENTRY = 1, /* with the number of the entry */
  HEAP_OWNER_ENTRIES,   /* with the number of a chunk of entries */
  HEAP_OWNER_RECORDS,   /* with the number of a chunk of the arena's records */
};
static inline uint64_t heap_owner(enum heap_owner kind, uint32_t number) {
  return (uint64_t)kind << 32 | number;
}
static inline enum heap_owner heap_owner_kind(uint64_t owner) {
  return (enum heap_owner)(owner >> 32);
}

/* Returns the table of pieces of an entry that has one. */
static inline struct fc_region_piece *heap_table(const struct fc_region_entry *placed) {
  uint64_t shape = region_writer_load(&placed->shape);
  const uint8_t *names = (const uint8_t *)(placed + 1);
  return (struct fc_region_piece *)(uintptr_t)(names +
                                               fc_region_names_bytes(fc_region_op_size(shape),
                                                                     fc_region_view_size(shape)));
}
static inline uint32_t heap_n_pieces(const struct fc_region_entry *placed) {
  return fc_region_n_pieces(region_writer_load(&placed->shape));
}
static inline arena_block heap_piece_block(const struct fc_region_piece *piece) {
  return (arena_block)(region_writer_load(&piece->extent) >> 32);
}

/* Ensures that a block has memory. */
static inline bool heap_commit(const struct heap *heap, arena_block block) {
  return region_writer_commit(heap->region, arena_offset(&heap->arena, block) +
                                                arena_block_size(&heap->arena, block));
}

/* Records that must be unused before a put: for a value in pieces, its first block, and a chunk. */
#define HEAP_RECORDS_RESERVED (ARENA_PIECES_MAX + 2u)

/* The words of the catalog's directory: 0 for no chunk. */
#define HEAP_DIRECTORY_CATALOG 1u /* the chunk is in the catalog, at its number */
#define HEAP_DIRECTORY_SPARE 2u   /* it is being moved, and the spare chunk is a copy */
#define HEAP_DIRECTORY_REGION 3u  /* the low 4 bits; then 4 bits for the region, and its offset */
static inline uint64_t heap_directory_word(uint32_t region, uint64_t offset) {
  return offset / SLOTS_ALIGN << 8 | region << 4 | HEAP_DIRECTORY_REGION;
}

/* Returns how much of the arena the budget allows, at least what has memory. */
uint64_t heap_arena_limit(const struct heap *heap);

/* heap_chunks.c: makes an entry of the catalog's directory for a chunk in the catalog. */
void heap_chunk_in_catalog(struct heap *heap, struct slots_chunk *chunk);

/* heap_chunks.c: makes the arena, with a chunk of records, and adapts the table of entries to the
 * catalog. Returns 0 or FC_ENOMEM. */
int heap_init_arena(struct heap *heap);

/* heap_chunks.c: make the first chunks; add a chunk. Return 0 or FC_ENOMEM, and false if there is
 * no room. */
int heap_init_chunks(struct heap *heap);
bool heap_add_records(struct heap *heap, enum heap_effort effort);
bool heap_add_entries(struct heap *heap, enum heap_effort effort);

/* As arena_move_fn, for a chunk. */
bool heap_move_chunk(struct heap *heap, uint64_t owner, uint64_t arena_to);

/* Cost limit of one compaction, during which other requests wait. docs/decisions/0005 has
 * measurements of other limits. */
#define HEAP_COMPACT_MAX (8u << 20)

/* heap_move.c. Moves bytes, and zeroes those of the old place that are then in a hole: a clear of
 * the entry would not find them there. The places may overlap if `to` is lower. */
void heap_move_bytes(uint8_t *to, uint8_t *from, uint64_t bytes);

arena_move_fn heap_move_block; /* `arg` is the heap */

#endif
