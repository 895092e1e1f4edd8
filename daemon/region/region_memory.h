/* region_memory.h - the memory of a region: one range of addresses, of several sealed memory files
 * or of private memory. Only region_writer.c uses it; it owns the struct. One thread.
 *
 * The files are the index (header and buckets) and the segments of the arena, mapped side by side.
 * Several files let the next daemon, which can only read them, give the memory back in parts while
 * it copies the entries. */
#ifndef FC_DAEMON_REGION_MEMORY_H
#define FC_DAEMON_REGION_MEMORY_H

#include "daemon/region/region_writer.h"

/* Initializes the struct, without memory, and computes all sizes. */
void region_memory_lay_out(struct region *region, uint64_t max_bytes);

/* Makes, maps and seals the files, and allocates the memory of the index. Returns false with errno,
 * and perhaps with a part of the files: call region_memory_unmap. */
bool region_memory_map_shared(struct region *region);

/* Maps private memory instead. Returns false if the address space is too small. */
bool region_memory_map_private(struct region *region);

/* Unmaps the memory and closes the files. Idempotent. */
void region_memory_unmap(struct region *region);

/* Allocates memory for the bytes of the arena from `from` up to `end`, so that no access to them
 * can fail. Private memory is allocated on the first access instead. Returns false if the kernel
 * has none. */
bool region_memory_allocate(const struct region *region, uint64_t from, uint64_t end);

#endif
