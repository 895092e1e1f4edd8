/* The header of libxxhash, compiled for AVX2. Only this file has its functions, and only a
 * processor with AVX2 runs them. Other processors than x86-64 do not call this file. */
#include "proto/xxh3_avx2.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#include <immintrin.h>
#define XXH_VECTOR XXH_AVX2
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t fc_xxh3_64_avx2(const void *data, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(data, size, seed);
}

struct fc_xxh3_128 fc_xxh3_128_avx2(const void *data, size_t size) {
  XXH128_hash_t hash = XXH3_128bits(data, size);
  return (struct fc_xxh3_128){.low = hash.low64, .high = hash.high64};
}

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
