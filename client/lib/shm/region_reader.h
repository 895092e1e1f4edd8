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
#include <string.h>

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

/* A key, in the form in which entries have it. */
struct region_key {
  uint64_t digest; /* fc_key_digest */
  uint64_t name_space;
  uint64_t prompt[2];
  uint32_t top_k, op_size, view_size;
  const uint8_t *names; /* op and view, then zeros up to a multiple of 8 */
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

/* Makes the key with names of these sizes, which start at `names` and outlive the key. */
static inline struct region_key region_key_of(uint64_t digest, uint64_t name_space,
                                              const struct fc_hash *prompt, uint32_t top_k,
                                              const uint8_t *names, uint32_t op_size,
                                              uint32_t view_size) {
  struct region_key key = {.digest = digest,
                           .name_space = name_space,
                           .top_k = top_k,
                           .op_size = op_size,
                           .view_size = view_size,
                           .names = names};
  memcpy(key.prompt, prompt->bytes, sizeof key.prompt);
  return key;
}

/* Room for the names of a region_key, and their padding. */
#define REGION_NAMES_BYTES (2u * FC_NAME_MAX + 2u)
static_assert(REGION_NAMES_BYTES % 8 == 0, "whole words");

/* Writes the names of a key, in the form in which entries have them. */
void region_reader_pack_names(uint8_t names[REGION_NAMES_BYTES], const struct fc_key *key);

/* Loads the bucket of a key ahead, while the caller has other work before region_reader_get. The
 * map may have any content. */
static inline void region_reader_prefetch(const struct region_reader *map,
                                          const struct region_key *key) {
  __builtin_prefetch(&map->buckets[fc_region_bucket_of(key->digest, map->n_buckets)]);
}

/* Looks up a key. Fills `value` and `hit` on a hit; otherwise their contents are undefined. The
 * size that `value` had tells how much of a value to load ahead. Spins for about 20 us at most
 * while the writer is at work. */
enum region_reader_result region_reader_get(const struct region_reader *map,
                                            const struct region_key *key,
                                            struct fcache_value *value,
                                            struct region_reader_hit *hit);

#endif
