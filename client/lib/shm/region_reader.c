#include "client/lib/shm/region_reader.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "client/lib/util/value.h"
#include "proto/shm/torn_copy.h"

#define TRIES 4u

/* For tests alone: what a processor may do where one mark of the seqlock is missing. 1: what is
 * read while the sequence is odd is used. 2: the second look at the sequence is made before the
 * copy, as without the acquire fence. 3: so is the first one made after it, as without the acquire
 * load. */
#ifndef FC_REGION_MUTANT
#define FC_REGION_MUTANT 0
#endif

static uint64_t load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}

/* ---- the map ---- */

bool region_attach(struct region_map *map, const void *base, size_t size) {
  struct fc_region_header header; /* its constants alone, as they were at one moment */
  *map = (struct region_map){0};
  if (size < sizeof header || (uintptr_t)base % _Alignof(struct fc_region_header) != 0)
    return false;
  fc_torn_read(&header, base, offsetof(struct fc_region_header, retired));
  if (header.magic != FC_REGION_MAGIC || header.layout != FC_REGION_LAYOUT || header.size != size)
    return false;
  /* The header, the buckets, the arena, in this order, each where its words can be loaded; the sums
   * cannot overflow, since each part is held against what is left. */
  if (header.buckets_offset < sizeof header || header.buckets_offset > size ||
      header.buckets_offset % sizeof(struct fc_region_bucket) != 0 || header.n_buckets == 0 ||
      header.n_buckets > UINT32_MAX ||
      header.n_buckets > (size - header.buckets_offset) / sizeof(struct fc_region_bucket))
    return false;
  uint64_t end = header.buckets_offset + header.n_buckets * sizeof(struct fc_region_bucket);
  if (header.arena_offset < end || header.arena_offset > size ||
      header.arena_size > size - header.arena_offset || header.arena_offset % FC_REGION_UNIT != 0 ||
      header.arena_size % FC_REGION_UNIT != 0)
    return false;
  *map = (struct region_map){
      .base = base,
      .size = size,
      .header = base,
      .buckets = (const void *)((const uint8_t *)base + header.buckets_offset),
      .n_buckets = header.n_buckets,
      .arena_offset = header.arena_offset,
      .arena_end = header.arena_offset + header.arena_size,
      .boot_id = header.boot_id,
      .max_value = header.max_value,
  };
  return true;
}

bool region_map_fd(struct region_map *map, int fd, uint64_t boot_id) {
  const int needed = F_SEAL_SHRINK | F_SEAL_GROW; /* memory that is cut under us would be SIGBUS */
  int seals = fcntl(fd, F_GET_SEALS);
  struct stat status;
  *map = (struct region_map){0};
  if (seals < 0 || (seals & needed) != needed || fstat(fd, &status) < 0 || status.st_size <= 0)
    return false;
  size_t size = (size_t)status.st_size;
  void *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
    return false;
  (void)madvise(base, size, MADV_DONTDUMP); /* where it cannot: a larger core file */
  (void)madvise(base, size,
                MADV_DONTFORK); /* where it cannot: a child keeps the memory allocated */
  if (region_attach(map, base, size) && map->boot_id == boot_id)
    return true;
  *map = (struct region_map){0};
  (void)munmap(base, size); /* it was mapped above */
  return false;
}

void region_unmap(struct region_map *map) {
  if (map->base != NULL)
    (void)munmap((void *)(uintptr_t)map->base, map->size); /* it was mapped by region_map_fd */
  *map = (struct region_map){0};
}

/* Acquire: what is read from the region after this look is not read before it. That suffices: when
 * a daemon ends, the kernel marks `owner` before it lets go of the lock file that the next daemon
 * waits for, and a daemon sets `retired` before it hands out a successor. So whoever was told by
 * the next one that a key is cleared, and looks it up then, sees the mark here and reads nothing.
 * What a daemon leaves that ends after this look are whole entries, or odd sequences; and they are
 * for a lookup that had begun before. */
bool region_is_live(const struct region_map *map) {
  uint32_t owner = atomic_load_explicit(&map->header->owner, memory_order_acquire);
  return (owner & FC_REGION_TID_MASK) != 0 && (owner & FUTEX_OWNER_DIED) == 0 &&
         atomic_load_explicit(&map->header->retired, memory_order_acquire) == 0;
}

/* ---- one attempt ---- */

/* What is wanted, and what is known of it in one attempt. */
struct search {
  const struct region_map *map;
  const struct fc_region_bucket *bucket;
  uint64_t sequence; /* of the bucket when the attempt began */
  uint64_t name_space;
  const struct fc_key *key;
  uint64_t prompt[2];
  uint64_t offset;         /* of the entry at hand; checked */
  uint64_t numbers, shape; /* of that entry, each loaded once */
};

/* Is all that was read since the sequence was loaded what stood there then? The fence keeps the
 * relaxed loads before it from being made after the sequence's second load: if one of them saw a
 * write, that load sees the odd number, or a later one, that was stored before that write. */
static bool is_still(const struct search *search) {
  atomic_thread_fence(memory_order_acquire);
  return load(&search->bucket->sequence) == search->sequence;
}

/* Do `size` bytes from `offset` on lie in the arena? Both may be anything. Since the arena ends at
 * a multiple of 8, so do the bytes to the next multiple of 8 behind them. */
static bool is_within(const struct region_map *map, uint64_t offset, uint64_t size) {
  return offset >= map->arena_offset && offset <= map->arena_end && size <= map->arena_end - offset;
}

static const struct fc_region_entry *entry_of(const struct search *search) {
  return (const void *)(search->map->base + search->offset);
}

/* Is the entry at hand the wanted one? What differs most often comes first. */
static bool is_it(struct search *search) {
  const struct fc_region_entry *entry = entry_of(search);
  const struct fc_key *key = search->key;
  uint8_t names[2 * FC_NAME_MAX];
  search->numbers = load(&entry->numbers);
  search->shape = load(&entry->shape);
  if (load(&entry->prompt[0]) != search->prompt[0] ||
      load(&entry->prompt[1]) != search->prompt[1] ||
      load(&entry->name_space) != search->name_space || (uint32_t)search->numbers != key->top_k ||
      fc_region_op_size(search->shape) != key->op.size ||
      fc_region_view_size(search->shape) != key->view.size)
    return false;
  uint32_t size = key->op.size + key->view.size;
  if (!is_within(search->map, search->offset, sizeof *entry + size))
    return false;
  fc_torn_read(names, entry + 1, size);
  return memcmp(names, key->op.data, key->op.size) == 0 &&
         memcmp(names + key->op.size, key->view.data, key->view.size) == 0;
}

/* Walks the bucket's chain. An offset is followed only where the bucket is still as it was after
 * the offset was loaded: so it is a true one, and not a word of whoever has that memory now. */
static enum region_result find(struct search *search) {
  search->offset = load(&search->bucket->first);
  for (unsigned hops = 0; hops < FC_REGION_CHAIN_MAX; hops++) {
    if (!is_still(search))
      return REGION_BUSY;
    if (search->offset == 0)
      return REGION_MISS;
    if (search->offset % FC_REGION_UNIT != 0 ||
        !is_within(search->map, search->offset, sizeof(struct fc_region_entry)))
      return REGION_BUSY;
    if (is_it(search))
      return REGION_HIT;
    search->offset = load(&entry_of(search)->next);
  }
  return REGION_BUSY;
}

struct piece {
  uint64_t offset, size;
};

/* Where the bytes of the value stand: pieces in the arena that are `size` bytes together. Returns
 * how many, of FC_REGION_PIECES_MAX at most; 0 where that makes no sense. */
static uint32_t locate(const struct search *search, uint64_t size, struct piece *pieces) {
  uint32_t n = fc_region_n_pieces(search->shape);
  uint64_t at = search->offset + sizeof(struct fc_region_entry) +
                fc_region_names_bytes(search->key->op.size, search->key->view.size);
  if (n == 0) {
    pieces[0] = (struct piece){at, size};
    return is_within(search->map, at, size);
  }
  if (n > FC_REGION_PIECES_MAX || !is_within(search->map, at, n * sizeof(struct fc_region_piece)))
    return 0;
  const struct fc_region_piece *table = (const void *)(search->map->base + at);
  for (uint32_t i = 0; i < n; i++) {
    pieces[i] = (struct piece){load(&table[i].offset), (uint32_t)load(&table[i].extent)};
    if (pieces[i].size > size || pieces[i].offset % 8 != 0 ||
        !is_within(search->map, pieces[i].offset, pieces[i].size))
      return 0;
    size -= pieces[i].size;
  }
  return size == 0 ? n : 0;
}

/* Copies the value of the entry at hand, which may change meanwhile: nobody has judged yet. */
static enum region_result copy(const struct search *search, struct fcache_value *value) {
  struct piece pieces[FC_REGION_PIECES_MAX];
  uint64_t size = search->numbers >> 32;
  uint32_t n = size <= search->map->max_value ? locate(search, size, pieces) : 0;
  /* A size that was never one is not worth its memory, nor a false offset a look. */
  if (n == 0 || !is_still(search))
    return REGION_BUSY;
  if (value_reserve(value, size) < 0)
    return REGION_NOMEM;
  uint8_t *to = value->data;
  for (uint32_t i = 0; i < n && size > 0; i++) {
    fc_torn_read(to, search->map->base + pieces[i].offset, pieces[i].size);
    to += pieces[i].size;
  }
  value->size = size;
  return REGION_HIT;
}

static enum region_result attempt(struct search *search, struct fcache_value *value,
                                  struct region_hit *hit) {
  /* Acquire: the loads that follow are not made before this one, so they see nothing older than
   * what stood there when the sequence was this number. */
  search->sequence = atomic_load_explicit(&search->bucket->sequence, memory_order_acquire);
  if (FC_REGION_MUTANT != 1 && search->sequence % 2 != 0)
    return REGION_BUSY; /* the writer is at work */
  enum region_result result = find(search);
  if (result == REGION_HIT)
    result = copy(search, value);
  if (result != REGION_HIT)
    return result;
  hit->compute_ns = load(&entry_of(search)->compute_ns);
  hit->origin = load(&entry_of(search)->origin);
  if (FC_REGION_MUTANT == 3)
    search->sequence = load(&search->bucket->sequence);
  return FC_REGION_MUTANT == 2 || is_still(search) ? REGION_HIT : REGION_BUSY;
}

/* ---- a lookup ---- */

static void pause_once(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory"); /* `yield` takes no time on most of them */
#else
  atomic_signal_fence(memory_order_seq_cst); /* a round of the loop that is not left out */
#endif
}

/* Waits while the writer is at work, longer before each further attempt (about 0.3, 2 and 20 us):
 * one that was preempted in the middle defeats attempts that follow at once. */
static void wait_for_writer(const struct fc_region_bucket *bucket, unsigned attempts) {
  static const unsigned rounds[TRIES - 1] = {8, 64, 640};
  for (unsigned i = 0; i < rounds[attempts] && load(&bucket->sequence) % 2 != 0; i++)
    pause_once();
}

enum region_result region_get(const struct region_map *map, uint64_t name_space, uint64_t digest,
                              const struct fc_key *key, struct fcache_value *value,
                              struct region_hit *hit) {
  struct search search = {
      .map = map,
      .bucket = &map->buckets[fc_region_bucket_of(digest, map->n_buckets)],
      .name_space = name_space,
      .key = key,
  };
  memcpy(search.prompt, key->prompt.bytes, sizeof search.prompt);
  for (unsigned attempts = 0;; attempts++) {
    enum region_result result = attempt(&search, value, hit);
    if (result != REGION_BUSY || attempts == TRIES - 1)
      return result;
    wait_for_writer(search.bucket, attempts);
  }
}
