#include "client/lib/shm/region_reader.h"

#include <assert.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/lib/shm/map_shared.h"
#include "client/lib/util/value.h"
#include "proto/shm/reserve.h"
#include "proto/shm/torn_copy.h"

#define TRIES 4u
#define LINE_BYTES 64u  /* of a cache line; another size only makes it load ahead too much */
#define AHEAD_MAX 4096u /* bytes of a value to load ahead */

/* For tests: defects that a missing part of the seqlock allows. 1: uses bytes that were read while
 * the sequence was odd. 2: loads the sequence for the second time before the copy, as without the
 * acquire fence. 3: loads it for the first time after the copy, as without the acquire load. */
#ifndef FC_REGION_MUTANT
#define FC_REGION_MUTANT 0
#endif

static uint64_t load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}

/* ---- the map ---- */

/* The header's constants, copied to private memory, which need not have the header's alignment. */
struct constants {
  uint64_t magic;
  uint32_t layout, max_value;
  uint64_t size, boot_id, buckets_offset, n_buckets, arena_offset, arena_size, segment_bytes;
  uint32_t n_segments, clock_sequence; /* the latter is not used from here */
};
static_assert(offsetof(struct constants, size) == offsetof(struct fc_region_header, size),
              "the same fields");
static_assert(offsetof(struct constants, n_segments) ==
                  offsetof(struct fc_region_header, n_segments),
              "the same fields");
static_assert(sizeof(struct constants) % 8 == 0, "whole words");

/* Checks a private copy of the constants, of a region of `size` bytes. The header, the buckets and
 * the arena come in this order, each aligned. The sums cannot overflow, since each part is compared
 * with the space that is left. */
static bool header_is_valid(const struct constants *header, uint64_t size) {
  if (header->magic != FC_REGION_MAGIC || header->layout != FC_REGION_LAYOUT ||
      header->size != size)
    return false;
  if (header->buckets_offset < sizeof(struct fc_region_header) || header->buckets_offset > size ||
      header->buckets_offset % sizeof(struct fc_region_bucket) != 0 || header->n_buckets == 0 ||
      header->n_buckets > UINT32_MAX ||
      header->n_buckets > (size - header->buckets_offset) / sizeof(struct fc_region_bucket))
    return false;
  uint64_t end = header->buckets_offset + header->n_buckets * sizeof(struct fc_region_bucket);
  return header->arena_offset >= end && header->arena_offset <= size &&
         header->arena_size <= size - header->arena_offset &&
         header->arena_offset % FC_REGION_UNIT == 0 && header->arena_size % FC_REGION_UNIT == 0;
}

/* Uses the region at `base` with the private copy of its constants. */
static void use(struct region_reader *map, const void *base, const struct constants *header) {
  *map = (struct region_reader){
      .base = base,
      .size = header->size,
      .header = base,
      .buckets = (const void *)((const uint8_t *)base + header->buckets_offset),
      .n_buckets = header->n_buckets,
      .arena_offset = header->arena_offset,
      .arena_end = header->arena_offset + header->arena_size,
      .boot_id = header->boot_id,
      .max_value = header->max_value,
      .n_segments = header->n_segments,
  };
}

bool region_reader_attach(struct region_reader *map, const void *base, size_t size) {
  struct constants header;
  *map = (struct region_reader){0};
  if (size < sizeof(struct fc_region_header) ||
      (uintptr_t)base % _Alignof(struct fc_region_header) != 0)
    return false;
  fc_torn_read(&header, base, sizeof header);
  if (!header_is_valid(&header, size))
    return false;
  use(map, base, &header);
  return true;
}

/* Checks a valid header against its files, of which the index has `index_bytes`. */
static bool files_match(const struct constants *header, uint64_t index_bytes, const int *fds,
                        unsigned n) {
  uint64_t arena = header->arena_size, segment = header->segment_bytes;
  if (header->arena_offset != index_bytes || index_bytes % FC_REGION_SEGMENT_UNIT != 0 ||
      arena != header->size - index_bytes || segment == 0 || segment % FC_REGION_SEGMENT_UNIT != 0)
    return false;
  if (header->n_segments == 0 || header->n_segments > FC_REGION_SEGMENTS_MAX ||
      header->n_segments != n - 1 ||
      header->n_segments != arena / segment + (arena % segment != 0 ? 1 : 0))
    return false;
  for (uint32_t k = 0; k < header->n_segments; k++) {
    uint64_t bytes;
    if (!map_shared_check(fds[1 + k], &bytes) || bytes != fc_region_segment_size(arena, segment, k))
      return false;
  }
  return true;
}

/* Maps the files side by side. Returns the address, or NULL with nothing mapped. */
static void *map_files(const struct constants *header, const int *fds) {
  uint8_t *base = fc_reserve(0, header->size, PROT_NONE); /* for huge pages, where it has some */
  if (base == NULL)
    return NULL;
  uint8_t *at = base;
  for (uint32_t i = 0; i <= header->n_segments; i++) {
    uint64_t bytes = i == 0
                         ? header->arena_offset
                         : fc_region_segment_size(header->arena_size, header->segment_bytes, i - 1);
    if (mmap(at, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fds[i], 0) == MAP_FAILED) {
      (void)munmap(base, header->size); /* mapped above */
      return NULL;
    }
    at += bytes;
  }
  map_shared_keep_private(base, header->size);
  return base;
}

bool region_reader_map_fds(struct region_reader *map, const int *fds, unsigned n,
                           uint64_t boot_id) {
  struct constants header;
  uint64_t index_bytes;
  *map = (struct region_reader){0};
  /* A sealed file is in memory, so its read cannot wait. */
  if (n < 2 || !map_shared_check(fds[0], &index_bytes) ||
      pread(fds[0], &header, sizeof header, 0) != (ssize_t)sizeof header)
    return false;
  if (!header_is_valid(&header, header.size) || header.boot_id != boot_id ||
      !files_match(&header, index_bytes, fds, n))
    return false;
  void *base = map_files(&header, fds);
  if (base == NULL)
    return false;
  use(map, base, &header);
  return true;
}

void region_reader_unmap(struct region_reader *map) {
  if (map->base != NULL)
    (void)munmap((void *)(uintptr_t)map->base, map->size); /* region_reader_map_fds mapped it */
  *map = (struct region_reader){0};
}

/* Acquire: later loads from the region are not made before this check. When a daemon ends, the
 * kernel marks `owner` before it releases the lock file that the next daemon waits for. A daemon
 * that replaces its region sets `retired` before it hands out the new one. So a client that learned
 * of a clear from the next daemon, and then looks up the key, sees the mark here. A daemon that
 * ends after this check leaves complete entries or odd sequences. */
bool region_reader_is_live(const struct region_reader *map) {
  uint32_t owner = atomic_load_explicit(&map->header->owner, memory_order_acquire);
  return (owner & FC_REGION_TID_MASK) != 0 && (owner & FUTEX_OWNER_DIED) == 0 &&
         atomic_load_explicit(&map->header->retired, memory_order_acquire) == 0;
}

bool region_reader_is_replaced(const struct region_reader *map) {
  return atomic_load_explicit(&map->header->retired, memory_order_relaxed) == FC_REGION_REPLACED;
}

/* ---- one attempt ---- */

/* One lookup: its key, and the state of its current attempt. */
struct search {
  const struct region_reader *map;
  const struct region_key *key;
  const struct fc_region_bucket *bucket;
  uint64_t sequence;       /* of the bucket, at the begin of the attempt */
  uint64_t offset;         /* of the current entry, in bounds */
  uint64_t numbers, shape; /* of the current entry, each loaded once */
};

/* Returns whether no write began since the sequence was loaded, so that all loads since then saw
 * one state of the bucket. The fence orders the relaxed loads before the second load of the
 * sequence: if one of them saw a write, the second load sees the odd number that preceded this
 * write, or a later number. */
static bool sequence_unchanged(const struct search *search) {
  atomic_thread_fence(memory_order_acquire);
  return load(&search->bucket->sequence) == search->sequence;
}

/* Returns whether the arena contains `size` bytes at `offset`, for any values of both. The arena
 * ends at a multiple of 8, so it also contains the bytes up to the next multiple of 8. */
static bool in_bounds(const struct region_reader *map, uint64_t offset, uint64_t size) {
  return offset >= map->arena_offset && offset <= map->arena_end && size <= map->arena_end - offset;
}

static const struct fc_region_entry *entry_of(const struct search *search) {
  return (const void *)(search->map->base + search->offset);
}

/* Compares the names behind the current entry's head, in whole words: the entry's padding is zero,
 * as the key's is. */
static bool names_match(const struct search *search) {
  const struct fc_region_entry *entry = entry_of(search);
  const _Atomic uint64_t *words = (const void *)(entry + 1);
  uint32_t bytes = fc_region_names_bytes(search->key->op_size, search->key->view_size);
  if (!in_bounds(search->map, search->offset, sizeof *entry + bytes))
    return false;
  for (uint32_t at = 0; at < bytes; at += 8) {
    uint64_t word;
    memcpy(&word, search->key->names + at, sizeof word);
    if (load(&words[at / 8]) != word)
      return false;
  }
  return true;
}

/* Compares the current entry with the key. The fields that differ most often come first. */
static bool key_matches(struct search *search) {
  const struct fc_region_entry *entry = entry_of(search);
  const struct region_key *key = search->key;
  search->numbers = load(&entry->numbers);
  search->shape = load(&entry->shape);
  return load(&entry->prompt[0]) == key->prompt[0] && load(&entry->prompt[1]) == key->prompt[1] &&
         load(&entry->name_space) == key->name_space && (uint32_t)search->numbers == key->top_k &&
         fc_region_op_size(search->shape) == key->op_size &&
         fc_region_view_size(search->shape) == key->view_size && names_match(search);
}

/* Loads the first entry's cache lines ahead, while its key is compared. Values of one handle mostly
 * have one size, so `size` bytes of the value are loaded too. A wrong guess only costs time. */
static void load_ahead(const struct search *search, size_t size) {
  const uint8_t *at = (const uint8_t *)entry_of(search);
  size_t bytes = sizeof(struct fc_region_entry) +
                 fc_region_names_bytes(search->key->op_size, search->key->view_size) +
                 (size < AHEAD_MAX ? size : AHEAD_MAX);
  if (!in_bounds(search->map, search->offset, bytes))
    return;
  for (size_t line = 0; line < bytes; line += LINE_BYTES)
    __builtin_prefetch(at + line);
}

/* Walks the chain of the bucket. `size` is the probable size of the value. Follows an offset only
 * if the sequence is unchanged after its load: otherwise the memory may have been reused, and the
 * offset may be any number. */
static enum region_reader_result find(struct search *search, size_t size) {
  search->offset = load(&search->bucket->first);
  for (unsigned hops = 0; hops < FC_REGION_CHAIN_MAX; hops++) {
    if (!sequence_unchanged(search))
      return REGION_READER_BUSY;
    if (search->offset == 0)
      return REGION_READER_MISS;
    if (search->offset % FC_REGION_UNIT != 0 ||
        !in_bounds(search->map, search->offset, sizeof(struct fc_region_entry)))
      return REGION_READER_BUSY;
    if (hops == 0)
      load_ahead(search, size);
    if (key_matches(search))
      return REGION_READER_HIT;
    search->offset = load(&entry_of(search)->next);
  }
  return REGION_READER_BUSY;
}

struct piece {
  uint64_t offset, size;
};

/* Finds the pieces of the value in the arena, `size` bytes together. Returns their number, 0 if the
 * entry is invalid. */
static uint32_t locate(const struct search *search, uint64_t size, struct piece *pieces) {
  uint32_t n = fc_region_n_pieces(search->shape);
  uint64_t at = search->offset + sizeof(struct fc_region_entry) +
                fc_region_names_bytes(search->key->op_size, search->key->view_size);
  if (n == 0) {
    pieces[0] = (struct piece){at, size};
    return in_bounds(search->map, at, size);
  }
  if (n > FC_REGION_PIECES_MAX || !in_bounds(search->map, at, n * sizeof(struct fc_region_piece)))
    return 0;
  const struct fc_region_piece *table = (const void *)(search->map->base + at);
  for (uint32_t i = 0; i < n; i++) {
    pieces[i] = (struct piece){load(&table[i].offset), (uint32_t)load(&table[i].extent)};
    if (pieces[i].size > size || pieces[i].offset % 8 != 0 ||
        !in_bounds(search->map, pieces[i].offset, pieces[i].size))
      return 0;
    size -= pieces[i].size;
  }
  return size == 0 ? n : 0;
}

/* Copies the value of the current entry. The daemon may change it during the copy: the caller
 * checks the sequence afterwards. */
static enum region_reader_result copy(const struct search *search, struct fcache_value *value) {
  struct piece pieces[FC_REGION_PIECES_MAX];
  uint64_t size = search->numbers >> 32;
  uint32_t n = size <= search->map->max_value ? locate(search, size, pieces) : 0;
  /* Allocate memory and read pieces only for a size and offsets that were valid. */
  if (n == 0 || !sequence_unchanged(search))
    return REGION_READER_BUSY;
  if (value_reserve(value, size) < 0)
    return REGION_READER_NOMEM;
  uint8_t *to = value->data;
  for (uint32_t i = 0; i < n && size > 0; i++) {
    fc_torn_read(to, search->map->base + pieces[i].offset, pieces[i].size);
    to += pieces[i].size;
  }
  value->size = size;
  assert(value->size <= value->capacity);
  return REGION_READER_HIT;
}

static enum region_reader_result attempt(struct search *search, struct fcache_value *value,
                                         struct region_reader_hit *hit) {
  /* Acquire: later loads are not made before this one, so they see no older state. */
  search->sequence = atomic_load_explicit(&search->bucket->sequence, memory_order_acquire);
  if (FC_REGION_MUTANT != 1 && search->sequence % 2 != 0)
    return REGION_READER_BUSY; /* a write is in progress */
  enum region_reader_result result = find(search, value->size);
  if (result == REGION_READER_HIT)
    result = copy(search, value);
  if (result != REGION_READER_HIT)
    return result;
  hit->compute_ns = load(&entry_of(search)->compute_ns);
  hit->origin = load(&entry_of(search)->origin);
  if (FC_REGION_MUTANT == 3)
    search->sequence = load(&search->bucket->sequence);
  return FC_REGION_MUTANT == 2 || sequence_unchanged(search) ? REGION_READER_HIT
                                                             : REGION_READER_BUSY;
}

/* ---- a lookup ---- */

static void pause_once(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory"); /* `yield` takes no time on most of them */
#else
  atomic_signal_fence(memory_order_seq_cst); /* keeps the loop */
#endif
}

/* Spins while a write is in progress, longer after each attempt (about 0.3, 2 and 20 us), since the
 * kernel may have preempted the writer. */
static void wait_for_writer(const struct fc_region_bucket *bucket, unsigned attempts) {
  static const unsigned rounds[TRIES - 1] = {8, 64, 640};
  for (unsigned i = 0; i < rounds[attempts] && load(&bucket->sequence) % 2 != 0; i++)
    pause_once();
}

void region_reader_pack_names(uint8_t names[REGION_NAMES_BYTES], const struct fc_key *key) {
  memset(names, 0, REGION_NAMES_BYTES);
  memcpy(names, key->op.data, key->op.size);
  memcpy(names + key->op.size, key->view.data, key->view.size);
}

enum region_reader_result region_reader_get(const struct region_reader *map,
                                            const struct region_key *key,
                                            struct fcache_value *value,
                                            struct region_reader_hit *hit) {
  struct search search = {
      .map = map,
      .key = key,
      .bucket = &map->buckets[fc_region_bucket_of(key->digest, map->n_buckets)],
  };
  for (unsigned attempts = 0;; attempts++) {
    enum region_reader_result result = attempt(&search, value, hit);
    if (result != REGION_READER_BUSY || attempts == TRIES - 1)
      return result;
    wait_for_writer(search.bucket, attempts);
  }
}
