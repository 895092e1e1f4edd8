/* shared_region.h - a small region that other processes may map. */
#ifndef FC_TESTS_SHARED_REGION_H
#define FC_TESTS_SHARED_REGION_H

#include <sys/types.h>

#include "client/lib/shm/region_reader.h"
#include "daemon/region/region_writer.h"

#define SHARED_MAX_BYTES (4u << 20)
#define SHARED_MAX_VALUE 4096u
#define SHARED_BOOT_ID 77u

/* Makes the region. Ends the test if it cannot be shared. */
void shared_region_open(struct region *region);

/* Maps the region as a client of `boot_id` would. Returns false if its reader refuses it. */
bool shared_region_map(const struct region *region, struct region_reader *map, uint64_t boot_id);

/* Maps the region that another process, `owner`, may make. `region` is a copy of its struct.
 * Returns false if it cannot be opened or its reader refuses it. Does not use Check. */
bool shared_region_map_of(pid_t owner, const struct region *region, struct region_reader *map,
                          uint64_t boot_id);

#endif
