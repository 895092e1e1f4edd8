/* colliding.h - keys that all have one digest, as a hostile client makes them. The client knows the
 * seed, because it is the id of its namespace. XXH3 multiplies words of the key with sums of its
 * constants and the seed: if one factor is 0, the other does not matter. */
#ifndef FC_TESTS_COLLIDING_H
#define FC_TESTS_COLLIDING_H

#include "proto/key.h"

/* Returns the i-th key with these names. All of them have the same digest under `seed`; otherwise
 * the test ends. */
struct fc_key colliding_key(uint64_t seed, const char *op, const char *view, uint32_t i);

#endif
