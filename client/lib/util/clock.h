/* clock.h - the library's one clock. */
#ifndef FC_CLIENT_CLOCK_H
#define FC_CLIENT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_MS_NS 1000000u /* nanoseconds of a millisecond */

/* Returns CLOCK_MONOTONIC in nanoseconds. It does not enter the kernel. */
static inline uint64_t clock_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
