#include "daemon/base/allocator.h"

#include <malloc.h>

#define KEEP_FREE_BYTES 131072 /* at the end of the heap */

void allocator_configure(void) {
#ifdef __GLIBC__
  /* Each call fails only for a value out of its range. */
  (void)mallopt(M_ARENA_MAX, 1);
  (void)mallopt(M_MMAP_THRESHOLD, (int)ALLOCATOR_PAGES_MIN);
  (void)mallopt(M_TRIM_THRESHOLD, KEEP_FREE_BYTES);
#endif
}
