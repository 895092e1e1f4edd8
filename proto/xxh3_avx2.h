/* xxh3_avx2.h - for xxh3.c: XXH3 compiled for a processor with AVX2. */
#ifndef FC_PROTO_XXH3_AVX2_H
#define FC_PROTO_XXH3_AVX2_H

#include <stddef.h>
#include <stdint.h>

uint64_t fc_xxh3_64_avx2(const void *data, size_t size, uint64_t seed);

struct fc_xxh3_128 {
  uint64_t low, high;
};
struct fc_xxh3_128 fc_xxh3_128_avx2(const void *data, size_t size);

#endif
