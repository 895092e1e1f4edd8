/* shared_region.h - a small region that other processes may map. */
#ifndef FC_TESTS_SHARED_REGION_H
#define FC_TESTS_SHARED_REGION_H

#include "daemon/region/region_writer.h"

#define SHARED_MAX_BYTES (4u << 20)
#define SHARED_MAX_VALUE 4096u
#define SHARED_BOOT_ID 77u

/* Makes the region. Ends the test if it cannot be shared. */
void shared_region_open(struct region *region);

#endif
