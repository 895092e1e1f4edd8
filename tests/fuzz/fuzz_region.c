/* libFuzzer: a region with some wrong words. The client must reject it, or its lookups must end and
 * stay within its bytes. The input is a list of patches, each a place (a word, 2 bytes) and 8
 * bytes. They change the header, buckets, entries and tables of pieces. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/shm/region_reader.h"
#include "tests/support/region_builder.h"

#define SIZE 8192u
#define SPACE 3u
#define BUCKETS 2u
#define PATCH_BYTES 10u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fc_key key_of(uint32_t i) {
  return (struct fc_key){.op = fc_str_of("op"),
                         .view = fc_str_of(i % 2 == 0 ? "base" : "ft"),
                         .top_k = i,
                         .prompt = fc_hash_prompt(&i, sizeof i)};
}

#define KEYS 6u

static void patch(uint8_t *base, const uint8_t *data, size_t size) {
  for (; size >= PATCH_BYTES; size -= PATCH_BYTES, data += PATCH_BYTES) {
    size_t word = (size_t)(data[0] | data[1] << 8);
    /* One patch in 16 changes a field of the header. */
    size_t at = word % 16 == 0 ? word / 16 % (sizeof(struct fc_region_header) / 8) * 8
                               : FC_REGION_PAGE + word % ((SIZE - FC_REGION_PAGE) / 8) * 8;
    memcpy(base + at, data + 2, 8);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t bytes[300];
  struct region_build build;
  struct region_reader map;
  struct fcache_value value = {0};
  struct region_reader_hit hit;
  void *base = aligned_alloc(64, SIZE); /* of the exact size, so that the sanitizer sees its end */
  if (base == NULL)
    abort();
  region_build_init(&build, base, SIZE, 1, BUCKETS);
  for (uint32_t i = 0; i < KEYS; i++) {
    struct fc_key key = key_of(i);
    (void)region_build_add(&build, SPACE, &key, bytes, 40 * i, i == 3 ? 2 : i == 5 ? 4 : 0);
  }
  patch(base, data, size);
  if (region_reader_attach(&map, base, SIZE)) {
    (void)region_reader_is_live(&map);
    for (uint32_t i = 0; i < KEYS; i++) {
      struct fc_key key = key_of(i);
      enum region_reader_result result =
          region_reader_get(&map, SPACE, fc_key_digest(SPACE, &key), &key, &value, &hit);
      if (result == REGION_READER_NOMEM ||
          (result == REGION_READER_HIT && value.size > FC_REGION_PIECES_MAX * SIZE))
        abort();
    }
  }
  fcache_value_free(&value);
  free(base);
  return 0;
}
