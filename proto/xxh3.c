#include "proto/xxh3.h"

#include <stdbool.h>

#include "proto/xxh3_avx2.h"

#define VECTORS_MIN_BYTES 241u /* XXH3 hashes fewer bytes without vectors */

static bool has_avx2(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2"); /* asked once, before main */
#else
  return false;
#endif
}

uint64_t fc_xxh3_64(const void *data, size_t size, uint64_t seed) {
  if (size >= VECTORS_MIN_BYTES && has_avx2())
    return fc_xxh3_64_avx2(data, size, seed);
  return XXH3_64bits_withSeed(size > 0 ? data : "", size, seed);
}

XXH128_hash_t fc_xxh3_128(const void *data, size_t size) {
  if (size < VECTORS_MIN_BYTES || !has_avx2())
    return XXH3_128bits(size > 0 ? data : "", size);
  struct fc_xxh3_128 hash = fc_xxh3_128_avx2(data, size);
  return (XXH128_hash_t){.low64 = hash.low, .high64 = hash.high};
}
