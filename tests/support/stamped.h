/* stamped.h - values that contain their key's number and version, and whose bytes all follow from
 * these. So a torn value, or that of another key, is detected. Asserts nothing, so children can use
 * it. */
#ifndef FC_TESTS_STAMPED_H
#define FC_TESTS_STAMPED_H

#include <stdbool.h>
#include <stdint.h>

#include "fcache.h"

/* Returns the key of a number. */
struct fcache_key stamped_key(uint64_t number);

/* Fills `value`. The size follows from number and version: 64 to 256 KiB if number % 8 is 7, else
 * 16 bytes to 4 KiB. Returns false if there is no memory. */
bool stamped_make(struct fcache_value *value, uint64_t number, uint64_t version);

/* Returns true if every byte is that of the number's value, and sets *version. */
bool stamped_check(const struct fcache_value *value, uint64_t number, uint64_t *version);

/* Makes a value in `value`, and puts it unrecorded with its version as compute time. Returns the
 * result of fcache_put, or FCACHE_ENOMEM. */
int stamped_put(struct fcache *cache, struct fcache_value *value, uint64_t number,
                uint64_t version);

#endif
