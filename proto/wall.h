/* wall.h - how time is added up, by one definition on both sides. Pure functions over the caller's
 * numbers; times are nanoseconds of CLOCK_MONOTONIC. */
#ifndef FC_PROTO_WALL_H
#define FC_PROTO_WALL_H

#include <stdint.h>

/* Adds to a sum that stays at its maximum instead of wrapping: a counter never falls. */
static inline void fc_sum_add(uint64_t *sum, uint64_t more) {
  *sum = more > UINT64_MAX - *sum ? UINT64_MAX : *sum + more;
}

/* The part of `total` that `part` of `whole` equal shares have; part <= whole, whole > 0. */
static inline uint64_t fc_part_of(uint64_t total, uint32_t part, uint32_t whole) {
  return total / whole * part + total % whole * part / whole; /* % whole: the product fits */
}

/* The waits of one client that overlap. While n of them are outstanding, each is charged an n-th of
 * the time that passes, so the charges of all waits add up to the time during which at least one
 * was outstanding, to the nanosecond. That is a virtual clock which runs at an n-th of the speed:
 * a wait is charged what the clock advanced from its begin to its end. Zero it to start. A time
 * that is before an earlier call's counts as that one. */
struct fc_waits {
  uint64_t at_ns;      /* of the latest call */
  uint64_t virtual_ns; /* the clock */
  uint64_t carry_ns;   /* less than n: passed, and not divided yet */
  uint32_t n;          /* outstanding */
};

static inline void fc_waits_advance(struct fc_waits *waits, uint64_t now_ns) {
  uint64_t passed_ns = now_ns > waits->at_ns ? now_ns - waits->at_ns : 0;
  waits->at_ns += passed_ns;
  if (waits->n == 0)
    return;
  waits->carry_ns += passed_ns;
  waits->virtual_ns += waits->carry_ns / waits->n;
  waits->carry_ns %= waits->n; /* nothing once one alone is left */
}

/* A wait begins: returns what its end needs. */
static inline uint64_t fc_waits_begin(struct fc_waits *waits, uint64_t now_ns) {
  fc_waits_advance(waits, now_ns);
  waits->n++;
  return waits->virtual_ns;
}

/* It ends: returns its charge. */
static inline uint64_t fc_waits_end(struct fc_waits *waits, uint64_t begun, uint64_t now_ns) {
  fc_waits_advance(waits, now_ns);
  waits->n--;
  return waits->virtual_ns - begun;
}

#endif
