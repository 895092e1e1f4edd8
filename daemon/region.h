/* region.h - the region as its one writer sees it: the memory, its header, and the
 * index that readers walk, each change of which is a window of the bucket's seqlock.
 *
 * The layout is proto/region.h. Where the entries lie is not decided here (arena.h),
 * nor which (store.h). One thread, but for the readers, which are other processes. */
#ifndef FC_DAEMON_REGION_H
#define FC_DAEMON_REGION_H

#include "daemon/fault.h"
#include "proto/region.h"

struct region {
  /* read by all */
  uint64_t size; /* of the whole, bytes */
  uint64_t arena_offset, arena_size;
  uint64_t n_buckets;
  int fd;       /* to hand to clients, sealed; -1: private, no client can map it */
  uint8_t *base;
  /* the region's own */
  struct fc_region_header *header;
  struct fc_region_bucket *buckets;
  uint64_t promised_bytes; /* of the arena: pages that the kernel has given */
};

/* What it takes beside max_bytes of entries: header, buckets, and room in the arena for holes. */
uint64_t region_overhead_bytes(uint64_t max_bytes);

/* Makes one for entries of `max_bytes` together. `shared`: clients may map it; where the kernel
 * cannot give such memory, *why says so and the region is private all the same. 0, or FC_ENOMEM.
 * The calling thread is to live as long as the daemon: its death is what readers look at. */
int region_init(struct region *region, uint64_t max_bytes, uint32_t max_value, uint64_t boot_id,
                bool shared, struct fault *why);
void region_deinit(struct region *region);

/* Readers serve nothing from it from now on. */
void region_retire(struct region *region);

/* Makes sure that the arena's first `bytes` bytes have memory. False: the kernel has none. */
bool region_promise(struct region *region, uint64_t bytes);

/* ---- the index; a `digest` chooses the bucket ---- */

/* The first entry of the chain, and the one after: offsets; 0: none. */
uint64_t region_first(const struct region *region, uint64_t digest);
static inline struct fc_region_entry *region_entry(const struct region *region, uint64_t offset) {
  return (struct fc_region_entry *)(void *)(region->base + offset);
}

/* A window: what stands between the two is seen by readers as one change. They nest, also on one
 * bucket. The bytes of an entry that readers can find may be changed within a window of its
 * bucket alone; they may be given to others once a window has taken it out of the chain. */
void region_open(struct region *region, uint64_t digest);
void region_close(struct region *region, uint64_t digest);

/* Within a window: adds an entry in front; takes one out; puts one in the place of another. */
void region_link(struct region *region, uint64_t digest, uint64_t offset);
void region_unlink(struct region *region, uint64_t digest, uint64_t offset);
void region_swap(struct region *region, uint64_t digest, uint64_t old_offset, uint64_t new_offset);

#endif
