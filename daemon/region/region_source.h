/* region_source.h - an earlier region of the cache, mapped read-only: entries that were not
 * migrated yet keep their bytes there.
 *
 * The daemon that wrote it is gone, and no other process can write it, so its bytes stay as they
 * are. But memory may be damaged, and the last write may be unfinished: each offset and size is
 * checked before it is used, and a value is compared with its checksum. One thread. */
#ifndef FC_DAEMON_REGION_SOURCE_H
#define FC_DAEMON_REGION_SOURCE_H

#include <stdbool.h>

#include "daemon/base/error_text.h"
#include "daemon/region/catalog.h"
#include "daemon/region/region_writer.h"
#include "proto/key.h"

/* A value of this size may be in several pieces, which may lie in several segments. */
#define REGION_SOURCE_SPREAD_BYTES (32u << 10)

struct region_source {
  uint8_t *base; /* NULL: not open. Offsets as in struct region; only the arena is mapped */
  uint64_t size, arena_offset, arena_size;
  uint64_t boot_id;
  uint64_t segment_bytes;
  uint32_t n_segments;
  uint64_t front_bytes; /* mapped in front of `base` */
  /* slots whose entry begins in each segment, held ones included; and in all */
  uint64_t entries[CATALOG_SEGMENTS_MAX], n_entries;
  uint64_t n_spread;             /* of them, those whose value may be in several segments */
  uint64_t memory_bytes;         /* of the files that were not released */
  int fds[CATALOG_SEGMENTS_MAX]; /* owned; -1: released */
  struct XXH3_state_s *hash;     /* of a value in pieces; owned */
};

/* Fills in what the catalog's header says about a region, with boot id 0. */
void region_source_describe(struct catalog_region *described, const struct region *region);

/* Maps the arena of an earlier daemon's region. Takes those of `fds` that are its segments by their
 * inodes, and sets them to -1. A segment that is missing stays unmapped. The index is not needed,
 * because chains lead through segments that are given up. Returns 0, or FC_EREFUSED with *why if
 * there is no segment, or FC_ENOMEM. */
int region_source_open(struct region_source *source, const struct catalog_region *described,
                       int *fds, size_t n_fds, struct error_text *why);
/* Takes over a shared region that the daemon itself wrote: mapping and descriptors, but for those
 * of the index. `boot_id` is that of the catalog's header. The struct is empty afterwards. Returns
 * 0, or FC_ENOMEM with nothing changed. */
int region_source_take(struct region_source *source, struct region *region, uint64_t boot_id);
void region_source_close(struct region_source *source); /* idempotent */

/* Unmaps the pages of at most 1 MiB of a segment without live entries, from *done bytes on, which
 * it advances. An access would map them again. Returns false if none are left. Without these calls
 * the release of a segment takes milliseconds. */
bool region_source_unmap(const struct region_source *source, uint32_t segment, uint64_t *done);

/* Unmaps a segment and closes its file. No entry may lie in it. */
void region_source_release(struct region_source *source, uint32_t segment);

/* Returns the segment that has an offset, which is checked to lie in the arena: else n_segments. */
uint32_t region_source_segment(const struct region_source *source, uint64_t offset);

/* Returns the entry at that offset, if head, names, table and value lie in mapped segments and the
 * sizes agree. Otherwise returns an entry of no namespace, without names and value. */
struct fc_region_entry *region_source_entry(const struct region_source *source, uint64_t offset);

/* Returns the bytes at that offset, or NULL if they are not all mapped. */
const void *region_source_bytes(const struct region_source *source, uint64_t offset,
                                uint64_t bytes);

/* Returns whether an entry's key has the digest and its value the checksum. */
bool region_source_verify(const struct region_source *source, uint64_t offset, uint64_t digest);

/* Returns whether a part of the entry at that offset lies in the segment. */
bool region_source_touches(const struct region_source *source, uint64_t offset, uint32_t segment);

/* Count an entry that begins at that offset, and its slot that is freed. */
void region_source_count(struct region_source *source, uint64_t offset, uint64_t charge);
void region_source_uncount(struct region_source *source, uint64_t offset, uint64_t charge);

#endif
