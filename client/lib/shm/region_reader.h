/* region_reader.h - reads the region: the memory, mapped read-only, in which a daemon keeps its
 * entries. A hit is a lookup and a copy, without a lock, a message or a system call.
 *
 * proto/shm/region_layout.h has the layout. The daemon writes while the client reads, so a lookup
 * copies first, and then accepts or rejects the copy by the seqlock of the bucket. It checks every
 * offset and size after it loaded it once, and passes no address of the region to libc. So no
 * content of the region can make a read fault or loop. A hit is the value that a daemon, alive when
 * the lookup began, stored under this key at some moment during the lookup.
 *
 * One thread per struct. Keys and values are in private memory. */
#ifndef FC_CLIENT_REGION_READER_H
#define FC_CLIENT_REGION_READER_H

#include <stdbool.h>

#include "fcache.h"
#include "proto/key.h"
#include "proto/shm/region_layout.h"

/* A mapped region, with private copies of the header's constants. Zero to start. */
struct region_reader {
  const uint8_t *base; /* NULL: no region */
  size_t size;
  const struct fc_region_header *header;
  const struct fc_region_bucket *buckets;
  uint64_t n_buckets, arena_offset, arena_end, boot_id;
  uint32_t max_value, n_segments;
};

enum region_reader_result {
  REGION_READER_HIT,
  REGION_READER_MISS,
  REGION_READER_BUSY,  /* the writer is at work, or the region is corrupt: ask the daemon */
  REGION_READER_NOMEM, /* no memory for the value */
};

/* The entry of a hit. */
struct region_reader_hit {
  uint64_t compute_ns;
  uint64_t origin; /* opaque: the ring's record returns it to the daemon */
};

/* Uses a region in memory that the caller has mapped and keeps: `size` bytes at `base`, which is
 * page-aligned. Returns false if it is no valid region of this layout. */
bool region_reader_attach(struct region_reader *map, const void *base, size_t size);

/* Maps a region of `n` files: the index, then its segments. The caller keeps the descriptors and
 * may close them. Returns false, with nothing mapped, if the files are no region of the daemon
 * `boot_id`, may shrink (their seals), have other sizes than the header says, are more or fewer, or
 * cannot be mapped. A forked child does not inherit the mapping: it must neither read nor unmap its
 * copy of the struct, since other memory may have these addresses there. */
bool region_reader_map_fds(struct region_reader *map, const int *fds, unsigned n, uint64_t boot_id);

/* Unmaps the region of region_reader_map_fds. Idempotent. */
void region_reader_unmap(struct region_reader *map);

/* Returns whether the region's daemon is alive and serves from it. Check before each lookup: a dead
 * or retired region may hold entries that were cleared since. Two loads. */
bool region_reader_is_live(const struct region_reader *map);

/* Returns whether the daemon that retired the region serves from another one. */
bool region_reader_is_replaced(const struct region_reader *map);

/* Looks up `key` in the namespace with that id. `digest` is its fc_key_digest. Fills `value` and
 * `hit` on a hit; otherwise their contents are undefined. Spins for about 20 us at most while the
 * writer is at work. */
enum region_reader_result region_reader_get(const struct region_reader *map, uint64_t name_space,
                                            uint64_t digest, const struct fc_key *key,
                                            struct fcache_value *value,
                                            struct region_reader_hit *hit);

#endif
