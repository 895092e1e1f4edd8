#include "daemon/base/allocator.h"

#include <malloc.h>

#define KEEP_FREE_BYTES 131072 /* at the heap's end */

void allocator_set_up(void) {
#ifdef __GLIBC__
  /* Each fails for values that are out of its range alone. */
  (void)mallopt(M_ARENA_MAX, 1);
  (void)mallopt(M_MMAP_THRESHOLD, (int)ALLOCATOR_PAGES_MIN);
  (void)mallopt(M_TRIM_THRESHOLD, KEEP_FREE_BYTES);
#endif
}
