/* seeded_values.h - values of any size in world.ns (store_world.h), whose bytes follow from a seed,
 * and random numbers. A failure ends the test. */
#ifndef FC_TESTS_SEEDED_VALUES_H
#define FC_TESTS_SEEDED_VALUES_H

#include "tests/support/store_world.h"

#define SEEDED_MAX_BYTES (4u << 20) /* of the store */
#define SEEDED_VALUE_MAX (1u << 20)

/* Open and close the store. */
void seeded_open(void);
void seeded_close(void);

/* Restarts the random numbers. */
void random_seed(uint64_t seed);
uint32_t random_below(uint32_t n);
/* Returns 1 to 2^bits_max; each power of two is equally likely. */
uint32_t random_log_uniform(uint32_t bits_max);

/* Returns the bytes of a value, valid until the next call. No two values have the same. */
const uint8_t *seeded_bytes(uint64_t seed, uint32_t size);

/* Puts the value of a seed under the key of number n, with the seed as compute time. */
int seeded_put(uint32_t n, uint64_t seed, uint32_t size);

/* Checks that an entry has key, bytes, compute time and checksum of that put. */
void seeded_check(const struct entry *entry, uint32_t n, uint64_t seed, uint32_t size);

/* Returns the number of pieces of a value. */
size_t seeded_pieces(const struct entry *entry);

#endif
