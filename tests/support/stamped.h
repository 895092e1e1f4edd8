/* stamped.h - values that tell what they are: of which key, in which version, and whether each byte
 * belongs to that. So a value that is torn, or another's, is seen whoever wrote it. Asserts
 * nothing: for children too. */
#ifndef FC_TESTS_STAMPED_H
#define FC_TESTS_STAMPED_H

#include <stdbool.h>
#include <stdint.h>

#include "fcache.h"

/* Key and value of a number, of any number. */
struct fcache_key stamped_key(uint64_t number);

/* Fills `value`. Its size belongs to number and version: mostly 16 bytes to 4 KiB; 64 to 256 KiB
 * where number % 8 is 7. False: no memory. */
bool stamped_make(struct fcache_value *value, uint64_t number, uint64_t version);

/* Is it the value of that number, every byte of it? Then *version is its own. */
bool stamped_check(const struct fcache_value *value, uint64_t number, uint64_t *version);

/* Makes one and puts it, unrecorded, its version as the cost of computing it: the result of
 * fcache_put, or FCACHE_ENOMEM. `value` is a buffer of the caller's. */
int stamped_put(struct fcache *cache, struct fcache_value *value, uint64_t number,
                uint64_t version);

#endif
