/* xxh3.h - XXH3 of many bytes at once, with the vectors of this processor.
 *
 * libxxhash uses only what every x86-64 has, and is many times slower. The results are the same. */
#ifndef FC_PROTO_XXH3_H
#define FC_PROTO_XXH3_H

#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

/* Return XXH3-64 with a seed, and XXH3-128 with seed 0. `data` may be NULL if `size` is 0. */
uint64_t fc_xxh3_64(const void *data, size_t size, uint64_t seed);
XXH128_hash_t fc_xxh3_128(const void *data, size_t size);

#endif
