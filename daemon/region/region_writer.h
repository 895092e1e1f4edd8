/* region_writer.h - the region as its one writer sees it: the memory, its header, and the
 * index that readers walk, each change of which is a window of the bucket's seqlock.
 *
 * The layout is proto/shm/region_layout.h. Where the entries lie is not decided here (heap.h),
 * nor which (store.h). One thread, but for the readers, which are other processes. */
#ifndef FC_DAEMON_REGION_H
#define FC_DAEMON_REGION_H

#include "daemon/base/error_text.h"
#include "proto/shm/region_layout.h"

/* Only tests set it, to know that they would see it: 10 takes an entry out of its chain outside of
 * a window (store.c), 11 never shows an odd number, as without the release fence behind it, 12 ends
 * a window with the number it began with, 13 moves blocks outside of a window (heap.c), 14 shows
 * the number that ends a window before what the window stores, as without its release, 15 writes
 * one value over another outside of a window (heap.c). */
#ifndef FC_REGION_MUTANT
#define FC_REGION_MUTANT 0
#endif

#define REGION_FRONT_BYTES 65536u /* a multiple of every page size */

struct region {
  /* read by all */
  uint64_t size; /* of the whole, bytes */
  uint64_t arena_offset, arena_size;
  uint64_t n_buckets;
  int fd; /* to hand to clients, sealed; -1: no client can map it */
  uint8_t *base;
  /* the region's own */
  struct fc_region_header *header;
  struct fc_region_bucket *buckets;
  uint64_t promised_bytes; /* of the arena: those that have memory, or may */
};

/* What it takes beside `max_bytes` of entries: header, buckets, and the arena's room for holes and
 * for books that are not in use. */
uint64_t region_overhead_bytes(uint64_t max_bytes);

/* Makes one for entries that are charged `max_bytes` together. `shared`: clients may map it; where
 * the system cannot give such memory it is private all the same, fd is -1 and *why says why. 0, or
 * FC_ENOMEM with *why. The calling thread is to live as long as the daemon serves: its end is what
 * readers look at. */
int region_init(struct region *region, uint64_t max_bytes, uint32_t max_value, uint64_t boot_id,
                bool shared, struct error_text *why);
void region_deinit(struct region *region); /* idempotent */

/* By which readers' maps show it (region_uses.h); 0 where no client can map it. */
uint64_t region_inode(const struct region *region);

/* Readers serve nothing from it from now on. */
void region_retire(struct region *region);

/* Sees that the arena's first `bytes` bytes have memory: in steps, as an empty cache should cost
 * little. False: the kernel has none; to touch them would be our end (SIGBUS). */
bool region_promise(struct region *region, uint64_t bytes);

/* ---- the index; a digest chooses the bucket ---- */

static inline struct fc_region_entry *region_at(const struct region *region, uint64_t offset) {
  return (struct fc_region_entry *)(void *)(region->base + offset);
}
/* A pointer that the heap keeps in front of the region, in memory of the daemon alone: from an
 * address in the region and its offset, `base` follows, and from that the heap. The region itself
 * has no address of the daemon in it, as clients read it. */
static inline void **region_front(const uint8_t *base) {
  return (void **)(uintptr_t)(base - REGION_FRONT_BYTES);
}
static inline uint64_t region_offset(const struct region *region, const void *at) {
  return (uint64_t)((const uint8_t *)at - region->base);
}

/* The chain's entries; NULL at its end. */
struct fc_region_entry *region_first(const struct region *region, uint64_t digest);
struct fc_region_entry *region_next(const struct region *region,
                                    const struct fc_region_entry *entry);

/* A window: readers take all that is stored between the two for one change, or try again. True: it
 * is the caller's to close; false: it is open already, and its opener will close it.
 *
 * The bytes of an entry in a chain change within a window of its bucket alone; those of one that
 * left it may change once the window that took it out was opened. */
bool region_open(struct region *region, uint64_t digest);
void region_close(struct region *region, uint64_t digest);

/* Within a window: adds an entry in front; takes one out; lets the chain lead to `entry` where it
 * led to `old`, which may be overwritten already (`entry->next` is the caller's). */
void region_link(struct region *region, uint64_t digest, struct fc_region_entry *entry);
void region_unlink(struct region *region, uint64_t digest, const struct fc_region_entry *entry);
void region_relink(struct region *region, uint64_t digest, const struct fc_region_entry *old,
                   const struct fc_region_entry *entry);

#endif
