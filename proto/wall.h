/* wall.h - sums and shares of time, for daemon and clients. Pure functions over the caller's
 * numbers. Times are nanoseconds of CLOCK_MONOTONIC. */
#ifndef FC_PROTO_WALL_H
#define FC_PROTO_WALL_H

#include <stdint.h>

/* Adds to a sum. It stays at its maximum and does not wrap, so a counter never falls. */
static inline void fc_sum_add(uint64_t *sum, uint64_t more) {
  *sum = more > UINT64_MAX - *sum ? UINT64_MAX : *sum + more;
}

/* Returns the part of `total` in `part` of `whole` equal shares. Needs part <= whole, whole > 0. */
static inline uint64_t fc_part_of(uint64_t total, uint32_t part, uint32_t whole) {
  return total / whole * part + total % whole * part / whole; /* % whole: the product fits */
}

/* The overlapping waits of one client. While n of them are pending, each is charged an n-th of the
 * time that passes. So all charges together are the time during which at least one wait was
 * pending, to the nanosecond. A virtual clock runs at an n-th of the speed, and a wait is charged
 * the clock's advance from its beginning to its end. Zero it to start. A time before that of an
 * earlier call counts as the earlier call's. */
struct fc_waits {
  uint64_t at_ns;      /* of the latest call */
  uint64_t virtual_ns; /* the clock */
  uint64_t carry_ns;   /* passed and not divided yet: less than n */
  uint32_t n;          /* pending */
};

static inline void fc_waits_advance(struct fc_waits *waits, uint64_t now_ns) {
  uint64_t passed_ns = now_ns > waits->at_ns ? now_ns - waits->at_ns : 0;
  waits->at_ns += passed_ns;
  if (waits->n == 0)
    return;
  waits->carry_ns += passed_ns;
  waits->virtual_ns += waits->carry_ns / waits->n;
  waits->carry_ns %= waits->n; /* 0 for a single wait */
}

/* Begins a wait. Returns `begun` for fc_waits_end. */
static inline uint64_t fc_waits_begin(struct fc_waits *waits, uint64_t now_ns) {
  fc_waits_advance(waits, now_ns);
  waits->n++;
  return waits->virtual_ns;
}

/* Ends a wait. Returns its charge. */
static inline uint64_t fc_waits_end(struct fc_waits *waits, uint64_t begun, uint64_t now_ns) {
  fc_waits_advance(waits, now_ns);
  waits->n--;
  return waits->virtual_ns - begun;
}

#endif
