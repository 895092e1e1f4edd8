/* The chunks of entries that an earlier daemon left, and the budget while its memory remains. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/base/check.h"
#include "daemon/region/heap.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* ---- the budget ---- */

static uint64_t bytes_of_sources(const struct heap *heap) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < CATALOG_REGIONS_MAX; i++)
    bytes += heap->sources[i].memory_bytes;
  return bytes;
}

uint64_t heap_arena_limit(const struct heap *heap) {
  const struct region *region = heap->region;
  uint64_t limit =
      region->budget_bytes > region->other_bytes ? region->budget_bytes - region->other_bytes : 0;
  limit = limit < region->arena_size ? limit : region->arena_size;
  limit = limit > region->committed_bytes ? limit : region->committed_bytes;
  return limit & ~(uint64_t)(ARENA_UNIT - 1);
}

/* The arena ends where its memory must end, so that it allocates nothing behind. */
void heap_update_budget(struct heap *heap) {
  struct region *region = heap->region;
  region->budget_bytes = region->arena_size + (heap->n_sources > 0 ? heap->allowance_bytes : 0);
  region->other_bytes = heap->chunk_bytes + bytes_of_sources(heap);
  /* Without a record for the hole it grows at the next call. */
  (void)arena_resize(&heap->arena, heap_arena_limit(heap));
}

/* ---- chunks ---- */

/* Returns where the bytes of a chunk are, by its word in the directory, or NULL. */
static const void *find_chunk(const struct heap *heap, uint32_t number, uint64_t word) {
  uint32_t kind = word & 0xf, region = word >> 4 & 0xf;
  uint64_t offset = (word >> 8) * SLOTS_ALIGN;
  if (word == HEAP_DIRECTORY_CATALOG)
    return catalog_at(heap->catalog, CATALOG_CHUNKS, number);
  if (word == HEAP_DIRECTORY_SPARE)
    return catalog_spare_chunk(heap->catalog);
  if (kind != HEAP_DIRECTORY_REGION || region >= CATALOG_REGIONS_MAX)
    return NULL;
  return region_source_bytes(&heap->sources[region], offset, SLOTS_CHUNK_BYTES);
}

/* Brings a chunk into the catalog. Its number names it there only when the bytes are complete. */
static bool adopt_chunk(struct heap *heap, uint32_t number, uint64_t word) {
  const void *bytes = find_chunk(heap, number, word);
  void *memory = catalog_at(heap->catalog, CATALOG_CHUNKS, number);
  if (bytes == NULL)
    return false;
  if (bytes != memory) {
    if (!catalog_commit_one(heap->catalog, CATALOG_CHUNKS, number, SLOTS_CHUNK_BYTES))
      return false;
    memcpy(memory, bytes, SLOTS_CHUNK_BYTES);
  }
  heap_chunk_in_catalog(heap, slots_adopt(&heap->entries, number, memory));
  return true;
}

static uint64_t *word_of(const struct heap *heap, uint64_t number) {
  return catalog_at(heap->catalog, CATALOG_DIRECTORY, number);
}

/* Maps the pages of all chunks in the catalog at once: a page fault for each would take longer than
 * all else. */
static void populate(const struct heap *heap, uint64_t end) {
  for (uint64_t number = 0, next; number < end; number = next + 1) {
    next = number;
    while (next < end && *word_of(heap, next) == HEAP_DIRECTORY_CATALOG)
      next++;
    if (next > number) /* on failure the pages are mapped when they are used */
      (void)madvise(catalog_at(heap->catalog, CATALOG_CHUNKS, number),
                    (next - number) * SLOTS_CHUNK_BYTES, MADV_POPULATE_WRITE);
  }
}

uint64_t heap_adopt_chunks(struct heap *heap) {
  uint64_t end = heap->catalog->header->chunks_end, lost = 0;
  check_le(end, heap->entries.max_chunks);
  populate(heap, end);
  for (uint32_t number = 0; number < end; number++) {
    uint64_t *word = word_of(heap, number);
    if (*word != 0 && !adopt_chunk(heap, number, *word)) {
      catalog_commit_u64(word, 0);
      lost++;
    }
  }
  return lost;
}

/* Entries of chunks in a region are not counted, because it may not be mapped. The chunk counts as
 * full. */
uint32_t heap_forget_region(struct heap *heap) {
  struct catalog_header *header = heap->catalog->header;
  uint64_t counts[16] = {0};
  uint32_t least = 0;
  for (uint32_t number = 0; number < header->chunks_end; number++) {
    uint64_t word = *(uint64_t *)catalog_at(heap->catalog, CATALOG_DIRECTORY, number);
    if ((word & 0xf) == HEAP_DIRECTORY_REGION)
      counts[word >> 4 & 0xf] += ENTRIES_PER_CHUNK;
    if (word != HEAP_DIRECTORY_CATALOG)
      continue;
    const struct entry *entry = catalog_at(heap->catalog, CATALOG_CHUNKS, number);
    for (const struct entry *end = entry + ENTRIES_PER_CHUNK; entry < end; entry++)
      counts[entry->source] += entry->name_space != 0;
  }
  for (uint32_t i = 1; i < CATALOG_REGIONS_MAX; i++)
    if (counts[i] < counts[least])
      least = i;
  catalog_commit_u64(&header->regions[least].boot_id, 0);
  return least;
}

/* ---- the index of the entries in sources ---- */

#define HEADS_MIN 64u

bool heap_sources_begin(struct heap *heap) {
  uint64_t heads = HEADS_MIN;
  while (heads * 4 < heap->entries.n_slots)
    heads *= 2;
  heap->source_heads = calloc(heads, sizeof *heap->source_heads);
  heap->source_mask = (uint32_t)(heads - 1);
  return heap->source_heads != NULL;
}

void heap_sources_end(struct heap *heap) {
  free(heap->source_heads);
  heap->source_heads = NULL;
}

static uint32_t *head_of(const struct heap *heap, uint64_t digest) {
  return &heap->source_heads[(uint32_t)digest & heap->source_mask];
}

void heap_sources_add(struct heap *heap, struct entry *entry) {
  uint32_t *head = head_of(heap, entry->digest);
  entry->block = *head;
  *head = entry->number;
  region_source_count(&heap->sources[entry->source], entry_place(entry), heap_charge_of(entry));
}

void heap_sources_remove(struct heap *heap, struct entry *entry) {
  uint32_t *link = head_of(heap, entry->digest);
  while (*link != entry->number) {
    check_lt(0, *link);
    link = &heap_entry(heap, *link)->block;
  }
  *link = entry->block;
  entry->block = 0;
  region_source_uncount(&heap->sources[entry->source], entry_place(entry), heap_charge_of(entry));
}

struct entry *heap_sources_first(const struct heap *heap, uint64_t digest) {
  uint32_t number = heap->source_heads == NULL ? 0 : *head_of(heap, digest);
  return number == 0 ? NULL : heap_entry(heap, number);
}

struct entry *heap_sources_next(const struct heap *heap, const struct entry *entry) {
  return entry->block == 0 ? NULL : heap_entry(heap, entry->block);
}
