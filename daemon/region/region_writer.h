/* region_writer.h - the region as its one writer sees it: its memory, its header, and the index
 * that readers walk. Each change of the index is a window of the bucket's seqlock.
 *
 * The layout is proto/shm/region_layout.h. The heap decides where entries lie (heap.h), and the
 * store decides which entries there are. One thread; the readers are other processes. */
#ifndef FC_DAEMON_REGION_WRITER_H
#define FC_DAEMON_REGION_WRITER_H

#include "daemon/base/error_text.h"
#include "proto/shm/region_layout.h"

/* Only tests set it, to prove that they would detect the error: 10 removes an entry from its chain
 * outside of a window (store_entries.c), 11 never shows an odd number, as without the release fence
 * behind it, 12 ends a window with the number that it began with, 13 moves blocks outside of a
 * window (heap_move.c), 14 shows the number that ends a window before the stores of the window,
 * as without its release, 15 overwrites a value outside of a window (heap.c). */
#ifndef FC_REGION_MUTANT
#define FC_REGION_MUTANT 0
#endif

#define REGION_FRONT_BYTES 65536u /* a multiple of every page size */

struct region {
  /* read by all */
  uint64_t size; /* bytes, of the whole region */
  uint64_t
      index_bytes; /* of header and buckets, which have memory. The rest of the index has none */
  uint64_t arena_offset, arena_size;
  uint64_t n_buckets;
  uint64_t segment_bytes;
  uint32_t n_segments;
  /* The memory files, sealed, for clients to map. -1: the memory is private. */
  int index_fd, segment_fds[FC_REGION_SEGMENTS_MAX];
  uint8_t *base;
  bool has_huge_pages; /* the kernel gives its memory in pages of 2 MiB, as far as it has them */
  /* set by its user: see region_writer_commit */
  uint64_t budget_bytes, other_bytes;
  /* private to region_writer.c */
  struct fc_region_header *header;
  struct fc_region_bucket *buckets;
  uint64_t committed_bytes; /* at the start of the arena: they have memory; read by all */
  uint64_t step_bytes;      /* by which `committed_bytes` grows */
};

/* Returns the bytes that a region needs in addition to `max_bytes` of entries: header, buckets, and
 * room in the arena for holes and unused metadata. */
uint64_t region_writer_overhead_bytes(uint64_t max_bytes);

/* Returns the bytes of one segment of such a region. A region that replaces an earlier one needs as
 * much in addition, until all entries have moved (store/store_migrate.h). */
uint64_t region_writer_segment_bytes(uint64_t max_bytes);

/* Makes a region for entries that are charged `max_bytes` together. If `shared`, clients may map
 * it. Where the system cannot provide such memory, the region is private, index_fd is -1 and *error
 * has the reason. Its budget is the arena. Returns 0, or FC_ENOMEM with *error. The calling thread
 * must live as long as the daemon serves, because readers detect the daemon's death by its end. */
int region_writer_init(struct region *region, uint64_t max_bytes, uint32_t max_value,
                       uint64_t boot_id, bool shared, struct error_text *error);
void region_writer_deinit(struct region *region); /* idempotent */

/* Stores the descriptors of the index and of the segments, in the order in which clients get them.
 * Returns their number, 0 if the memory is private. The region keeps them. */
unsigned region_writer_fds(const struct region *region, int fds[FC_REGION_FDS_MAX]);

/* Returns the inode of the index, by which maps of the region are recognised (region_uses.h), or 0
 * if no client can map it. */
uint64_t region_writer_inode(const struct region *region);

/* From then on, readers serve nothing from the region. */
void region_writer_retire(struct region *region);

/* Retires the region, and gives up what only a writer has. Its memory stays mapped: the caller then
 * owns descriptors and mapping. The struct is empty afterwards. */
void region_writer_abandon(struct region *region);

/* Ensures that the first `bytes` bytes of the arena have memory. It grows in steps, so that an
 * empty cache costs little. Returns false if the kernel has none; an access would then raise
 * SIGBUS. Returns false, too, if the arena's memory and `other_bytes`, which its user counts, would
 * exceed `budget_bytes`. Memory that the arena has stays. */
bool region_writer_commit(struct region *region, uint64_t bytes);

/* Returns the header, of which the caller may change only what clients expect to change. */
static inline struct fc_region_header *region_writer_header(const struct region *region) {
  return (struct fc_region_header *)(void *)region->base;
}

/* The daemon alone writes the region, so its own loads need no order. */
static inline uint64_t region_writer_load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}
/* Readers may load the word at any time. The end of the window makes the store valid. */
static inline void region_writer_store(_Atomic uint64_t *word, uint64_t value) {
  atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline struct fc_region_entry *region_writer_at(const struct region *region,
                                                       uint64_t offset) {
  return (struct fc_region_entry *)(void *)(region->base + offset);
}
static inline uint64_t region_writer_offset(const struct region *region, const void *at) {
  return (uint64_t)((const uint8_t *)at - region->base);
}
/* Returns the pointer that the heap keeps in front of the region, in memory that only the daemon
 * maps. With it, the heap is found from an address in the region and its offset. The region itself
 * contains no address of the daemon, because clients read it. */
static inline void **region_writer_front(const uint8_t *base) {
  return (void **)(uintptr_t)(base - REGION_FRONT_BYTES);
}

/* ---- the index; a digest selects the bucket ---- */

/* Iterates over the chain of a digest's bucket. NULL: its end. */
struct fc_region_entry *region_writer_first(const struct region *region, uint64_t digest);
struct fc_region_entry *region_writer_next(const struct region *region,
                                           const struct fc_region_entry *entry);

/* Loads the bucket of a digest into the processor's cache, to change it. */
void region_writer_prefetch(const struct region *region, uint64_t digest);

/* Opens a window. Readers take all stores between open and close for one change, or try again.
 * Returns true if the caller must close it, and false if it was open already.
 *
 * The bytes of an entry in a chain change only within a window of its bucket. The bytes of an entry
 * that left its chain may change as soon as the window that removed it was opened. */
bool region_writer_open(struct region *region, uint64_t digest);
void region_writer_close(struct region *region, uint64_t digest);

/* Within a window: adds an entry in front of the chain. */
void region_writer_link(struct region *region, uint64_t digest, struct fc_region_entry *entry);
/* Within a window: removes an entry, which is in the chain. */
void region_writer_unlink(struct region *region, uint64_t digest,
                          const struct fc_region_entry *entry);
/* Within a window: replaces the offset of `old` in the chain by that of `entry`. The bytes at `old`
 * may be overwritten already. The caller sets entry->next. */
void region_writer_relink(struct region *region, uint64_t digest, const struct fc_region_entry *old,
                          const struct fc_region_entry *entry);

#endif
