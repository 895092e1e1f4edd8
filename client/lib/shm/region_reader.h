/* region_reader.h - reads the region: the memory in which a daemon keeps its entries, mapped
 * read-only. A hit is a look-up and a copy, without a lock, a message or a system call.
 *
 * The layout is proto/shm/region_layout.h. The daemon writes while we read: what is found is
 * copied first and judged after, by the bucket's seqlock; no offset or size is used
 * that was not checked after it was loaded, once; and no libc function runs on the
 * map. So whatever the bytes are, reading them neither faults nor loops; and a hit is
 * the value that some daemon, which was alive when the lookup began, had stored under
 * that very key at one moment during the lookup.
 *
 * One thread a map. What a lookup wants is in private memory, and so is what it gives. */
#ifndef FC_CLIENT_REGION_H
#define FC_CLIENT_REGION_H

#include <stdbool.h>

#include "fcache.h"
#include "proto/key.h"
#include "proto/shm/region_layout.h"

/* Zero to start. What of the header is constant, in memory that nobody else writes. */
struct region_map {
  const uint8_t *base; /* NULL: none */
  size_t size;
  const struct fc_region_header *header;
  const struct fc_region_bucket *buckets;
  uint64_t n_buckets, arena_offset, arena_end, boot_id;
  uint32_t max_value;
};

enum region_result {
  REGION_HIT,
  REGION_MISS,
  REGION_BUSY,  /* not to be had from here now, or broken: the daemon knows */
  REGION_NOMEM, /* no memory for the value */
};

/* What a hit tells of its entry. */
struct region_hit {
  uint64_t compute_ns;
  uint64_t origin; /* as it stands in the entry: the ring gives it back to the daemon */
};

/* Makes `map` one of memory that is mapped already, and stays the caller's: `size` bytes at `base`,
 * which is on a page's boundary. False where that is no region of this layout that makes sense. */
bool region_attach(struct region_map *map, const void *base, size_t size);

/* Maps a descriptor, which stays the caller's and is not needed any more. False, with nothing
 * mapped, where it is no region of the daemon `boot_id`, where it could be cut under us (its
 * seals), or where there is no room for it. A forked child does not have the mapping: its copy of
 * `map` must be neither read through nor unmapped, since the addresses may be another's there. */
bool region_map_fd(struct region_map *map, int fd, uint64_t boot_id);
void region_unmap(struct region_map *map); /* of region_map_fd; idempotent */

/* Does its daemon live, and serve from it? To be asked before each region_get: a dead or retired
 * region is history, which somebody may have cleared since. */
bool region_is_live(const struct region_map *map);

/* Looks up `key` in the namespace of that id; `digest` is its fc_key_digest. A hit fills `value`;
 * otherwise nothing in it is of use. Waits 20 us or so for the writer, without the kernel. */
enum region_result region_get(const struct region_map *map, uint64_t name_space, uint64_t digest,
                              const struct fc_key *key, struct fcache_value *value,
                              struct region_hit *hit);

#endif
