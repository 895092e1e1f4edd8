/* colliding.h - keys as a client that means ill makes them: all of one digest. It knows the seed
 * (of a namespace it is the id in the welcome), and XXH3 multiplies words of the key with sums of
 * its own constants and the seed: where one factor is 0 the other counts for nothing. */
#ifndef FC_TESTS_COLLIDING_H
#define FC_TESTS_COLLIDING_H

#include "proto/key.h"

/* The i-th key under these names whose digest under `seed` is that of all the others. Ends the test
 * where it is not. */
struct fc_key colliding_key(uint64_t seed, const char *op, const char *view, uint32_t i);

#endif
