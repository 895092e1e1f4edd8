#include "daemon/region/region_populate.h"

#include <sys/mman.h>

#include "daemon/region/region_memory.h"

#define STEP_BYTES (4u << 20) /* whole huge pages */
#define BYTES_MIN (32u << 20) /* less is filled before a thread has started */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static void *run(void *arg) {
  struct region_populate *populate = arg;
  const struct region *region = populate->region;
  /* Less than a step at the end is left to the first thread, which commits whole huge pages. */
  for (uint64_t at = 0; at + STEP_BYTES <= populate->bytes; at += STEP_BYTES) {
    uint64_t end = at + STEP_BYTES;
    /* Relaxed: the flag guards no data. */
    if (atomic_load_explicit(&populate->stop, memory_order_relaxed) ||
        !region_memory_allocate(region, at, end))
      break;
    /* Where it fails, a page fault maps each page. */
    (void)madvise(region->base + region->arena_offset + at, end - at, MADV_POPULATE_WRITE);
  }
  return NULL;
}

void region_populate_start(struct region_populate *populate, const struct region *region,
                           uint64_t bytes) {
  *populate = (struct region_populate){
      .region = region, .bytes = bytes < region->arena_size ? bytes : region->arena_size};
  if (populate->bytes >= BYTES_MIN && region->index_fd >= 0)
    populate->is_running = pthread_create(&populate->thread, NULL, run, populate) == 0;
}

void region_populate_end(struct region_populate *populate) {
  if (!populate->is_running)
    return;
  atomic_store_explicit(&populate->stop, true, memory_order_relaxed);
  (void)pthread_join(populate->thread, NULL); /* it exists, and is joined once */
  populate->is_running = false;
}
