/* libFuzzer: a region with some wrong words, in memory and in files. The client must reject it, or
 * its lookups must end and stay within its bytes. The input is a list of patches, each a place (a
 * word, 2 bytes) and 8 bytes. They change the header, buckets, entries and tables of pieces. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/shm/region_reader.h"
#include "tests/support/region_builder.h"
#include "tests/support/region_lookup.h"

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

static void add_entries(struct region_build *build) {
  static uint8_t bytes[300];
  for (uint32_t i = 0; i < KEYS; i++) {
    struct fc_key key = key_of(i);
    (void)region_build_add(build, SPACE, &key, bytes, 40 * i, i == 3 ? 2 : i == 5 ? 4 : 0);
  }
}

static void look_up(const struct region_reader *map) {
  struct fcache_value value = {0};
  struct region_reader_hit hit;
  (void)region_reader_is_live(map);
  for (uint32_t i = 0; i < KEYS; i++) {
    struct fc_key key = key_of(i);
    enum region_reader_result result =
        region_lookup(map, SPACE, fc_key_digest(SPACE, &key), &key, &value, &hit);
    if (result == REGION_READER_NOMEM ||
        (result == REGION_READER_HIT && value.size > FC_REGION_PIECES_MAX * map->size))
      abort();
  }
  fcache_value_free(&value);
}

/* The same region in files: an index and two segments. An access beyond them is SIGBUS or SIGSEGV.
 */
static struct {
  int fds[FC_REGION_FDS_MAX];
  unsigned n;
  struct region_build build;
  uint8_t index[SIZE], arena[SIZE]; /* the begin of both, unchanged */
} files;

static void make_files(void) {
  const size_t size = FC_REGION_SEGMENT_UNIT + BUILD_SEGMENT_BYTES + FC_REGION_PAGE;
  files.n =
      region_build_fds(&files.build, size, 1, BUCKETS, F_SEAL_SHRINK | F_SEAL_GROW, files.fds);
  add_entries(&files.build);
  memcpy(files.index, files.build.base, SIZE);
  memcpy(files.arena, files.build.base + files.build.header->arena_offset, SIZE);
}

static void try_files(const uint8_t *data, size_t size) {
  struct region_reader map;
  if (files.n == 0)
    make_files();
  uint8_t *base = files.build.base;
  memcpy(base, files.index, SIZE);
  memcpy(base + FC_REGION_SEGMENT_UNIT, files.arena, SIZE);
  for (; size >= PATCH_BYTES; size -= PATCH_BYTES, data += PATCH_BYTES) {
    size_t word = (size_t)(data[0] | data[1] << 8);
    size_t at = word % 4 == 0   ? word / 4 % (sizeof(struct fc_region_header) / 8) * 8
                : word % 4 == 1 ? FC_REGION_PAGE + word / 4 % (2 * BUCKETS) * 8
                                : FC_REGION_SEGMENT_UNIT + word / 4 % (SIZE / 8) * 8;
    memcpy(base + at, data + 2, 8);
  }
  if (region_reader_map_fds(&map, files.fds, files.n, 1)) {
    look_up(&map);
    region_reader_unmap(&map);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct region_build build;
  struct region_reader map;
  void *base = aligned_alloc(64, SIZE); /* of the exact size, so that the sanitizer sees its end */
  if (base == NULL)
    abort();
  region_build_init(&build, base, SIZE, 1, BUCKETS);
  add_entries(&build);
  patch(base, data, size);
  if (region_reader_attach(&map, base, SIZE))
    look_up(&map);
  free(base);
  try_files(data, size);
  return 0;
}
