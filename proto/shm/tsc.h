/* tsc.h - the time stamp counter of x86-64 processors. All code that is specific to it is here:
 * elsewhere the counter is 0, and no calibration is ever made (tsc_clock.h). */
#ifndef FC_PROTO_TSC_H
#define FC_PROTO_TSC_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <x86intrin.h>

/* Returns the counter. The processor may read it somewhat before or after it executes the
 * neighbouring instructions. */
static inline uint64_t fc_tsc_read(void) {
  return __rdtsc();
}

/* Returns the counter, read after all earlier loads have their values. */
static inline uint64_t fc_tsc_read_ordered(void) {
  _mm_lfence();
  return __rdtsc();
}

/* Returns whether the counter has a constant rate, also while the processor sleeps. */
static inline bool fc_tsc_is_invariant(void) {
  const unsigned leaf = 0x80000007u, invariant = 1u << 8; /* of EDX */
  unsigned a, b, c, d;
  return __get_cpuid(leaf, &a, &b, &c, &d) != 0 && (d & invariant) != 0;
}

#else

static inline uint64_t fc_tsc_read(void) {
  return 0;
}

static inline uint64_t fc_tsc_read_ordered(void) {
  return 0;
}

static inline bool fc_tsc_is_invariant(void) {
  return false;
}

#endif
#endif
