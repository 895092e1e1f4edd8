#include "daemon/region/region_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "proto/errors.h"
#include "proto/xxh3.h"

static_assert(FC_REGION_LAYOUT == 2, "another layout of regions needs another CATALOG_LAYOUT");

#define UNMAP_BYTES (1u << 20)

/* What region_source_entry returns for damaged bytes. Nothing of it is ever written. */
static struct {
  struct fc_region_entry entry;
  uint64_t rest[2];
} none;

/* ---- files ---- */

static uint64_t inode_of(int fd) {
  struct stat status;
  return fd >= 0 && fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static uint64_t memory_of(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

void region_source_describe(struct catalog_region *described, const struct region *region) {
  *described = (struct catalog_region){.index_inode = inode_of(region->index_fd),
                                       .size = region->size,
                                       .arena_offset = region->arena_offset,
                                       .arena_size = region->arena_size,
                                       .n_buckets = region->n_buckets,
                                       .segment_bytes = region->segment_bytes,
                                       .n_segments = region->n_segments};
  for (uint32_t i = 0; i < region->n_segments; i++)
    described->segment_inodes[i] = inode_of(region->segment_fds[i]);
}

/* Returns the index of the descriptor whose file has that inode, or n. */
static size_t find_fd(const int *fds, size_t n, uint64_t inode) {
  size_t i = 0;
  while (i < n && (inode == 0 || inode_of(fds[i]) != inode))
    i++;
  return i;
}

/* A file that may shrink would raise SIGBUS at an access. */
static bool is_usable(int fd, uint64_t bytes) {
  struct stat status;
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(fd, &status) == 0 &&
         (uint64_t)status.st_size >= bytes;
}

static uint64_t bytes_of_segment(const struct region_source *source, uint32_t segment) {
  uint64_t begin = segment * source->segment_bytes;
  uint64_t left = source->arena_size - begin;
  return left < source->segment_bytes ? left : source->segment_bytes;
}

static bool map_file(const struct region_source *source, int fd, uint64_t offset, uint64_t bytes) {
  return mmap(source->base + offset, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
}

/* Maps the segments that are among the descriptors. Returns their number. */
static uint32_t map_segments(struct region_source *source, const struct catalog_region *described,
                             int *fds, size_t n_fds) {
  uint32_t mapped = 0;
  for (uint32_t k = 0; k < source->n_segments; k++) {
    size_t at = find_fd(fds, n_fds, described->segment_inodes[k]);
    uint64_t bytes = bytes_of_segment(source, k);
    if (at == n_fds || !is_usable(fds[at], bytes) ||
        !map_file(source, fds[at], source->arena_offset + k * source->segment_bytes, bytes))
      continue;
    source->fds[k] = fds[at];
    fds[at] = -1;
    source->memory_bytes += memory_of(source->fds[k]);
    mapped++;
  }
  return mapped;
}

int region_source_open(struct region_source *source, const struct catalog_region *described,
                       int *fds, size_t n_fds, struct error_text *why) {
  *source = (struct region_source){.size = described->size,
                                   .arena_offset = described->arena_offset,
                                   .arena_size = described->arena_size,
                                   .boot_id = described->boot_id,
                                   .segment_bytes = described->segment_bytes,
                                   .n_segments = (uint32_t)described->n_segments};
  check_le(described->n_segments, CATALOG_SEGMENTS_MAX);
  for (uint32_t k = 0; k < CATALOG_SEGMENTS_MAX; k++)
    source->fds[k] = -1;
  source->hash = XXH3_createState();
  source->base =
      mmap(NULL, source->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  source->base = source->base == MAP_FAILED ? NULL : source->base;
  if (source->hash == NULL || source->base == NULL) {
    region_source_close(source);
    return error_text_set(why, FC_ENOMEM, "no memory for a region of %llu bytes",
                          (unsigned long long)described->size);
  }
  if (map_segments(source, described, fds, n_fds) > 0)
    return 0;
  region_source_close(source);
  return error_text_set(
      why, FC_EREFUSED, "of the %llu segments of the region %016llx, no descriptor was kept",
      (unsigned long long)described->n_segments, (unsigned long long)described->boot_id);
}

int region_source_take(struct region_source *source, struct region *region, uint64_t boot_id) {
  struct XXH3_state_s *hash = XXH3_createState();
  if (hash == NULL)
    return FC_ENOMEM;
  *source = (struct region_source){.base = region->base,
                                   .size = region->size,
                                   .arena_offset = region->arena_offset,
                                   .arena_size = region->arena_size,
                                   .boot_id = boot_id,
                                   .segment_bytes = region->segment_bytes,
                                   .n_segments = region->n_segments,
                                   .front_bytes = REGION_FRONT_BYTES,
                                   .hash = hash};
  for (uint32_t k = 0; k < CATALOG_SEGMENTS_MAX; k++)
    source->fds[k] = k < region->n_segments ? region->segment_fds[k] : -1;
  for (uint32_t k = 0; k < region->n_segments; k++)
    source->memory_bytes += memory_of(source->fds[k]);
  int index_fd = region->index_fd;
  region_writer_abandon(region);
  (void)close(index_fd); /* a memory file loses no data */
  (void)mmap(source->base, source->arena_offset, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0); /* frees the index */
  return 0;
}

bool region_source_unmap(const struct region_source *source, uint32_t segment, uint64_t *done) {
  uint64_t bytes = bytes_of_segment(source, segment), left = bytes > *done ? bytes - *done : 0;
  uint64_t part = left < UNMAP_BYTES ? left : UNMAP_BYTES;
  if (part > 0) /* on failure the release unmaps them */
    (void)madvise(source->base + source->arena_offset + segment * source->segment_bytes + *done,
                  part, MADV_DONTNEED);
  *done += part;
  return left > part;
}

void region_source_release(struct region_source *source, uint32_t segment) {
  check_lt(segment, source->n_segments);
  if (source->fds[segment] < 0)
    return;
  uint64_t bytes = bytes_of_segment(source, segment);
  source->memory_bytes -= memory_of(source->fds[segment]);
  /* Reserves the addresses further. Both cannot fail for an existing mapping and descriptor. */
  (void)mmap(source->base + source->arena_offset + segment * source->segment_bytes, bytes,
             PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  (void)close(source->fds[segment]);
  source->fds[segment] = -1;
}

void region_source_close(struct region_source *source) {
  (void)XXH3_freeState(source->hash);
  source->hash = NULL;
  if (source->base == NULL)
    return;
  for (uint32_t k = 0; k < source->n_segments; k++)
    if (source->fds[k] >= 0)
      (void)close(source->fds[k]); /* a memory file loses no data */
  (void)munmap(source->base - source->front_bytes,
               source->front_bytes + source->size); /* cannot fail for an existing mapping */
  *source = (struct region_source){0};
}

/* ---- entries ---- */

uint32_t region_source_segment(const struct region_source *source, uint64_t offset) {
  if (offset < source->arena_offset || offset >= source->size)
    return source->n_segments;
  return (uint32_t)((offset - source->arena_offset) / source->segment_bytes);
}

static bool is_mapped(const struct region_source *source, uint64_t offset, uint64_t bytes) {
  if (source->base == NULL || offset < source->arena_offset || offset > source->size ||
      bytes > source->size - offset)
    return false;
  uint32_t last = region_source_segment(source, offset + (bytes == 0 ? 0 : bytes - 1));
  for (uint32_t k = region_source_segment(source, offset); k <= last; k++)
    if (k >= source->n_segments || source->fds[k] < 0)
      return false;
  return true;
}

const void *region_source_bytes(const struct region_source *source, uint64_t offset,
                                uint64_t bytes) {
  return is_mapped(source, offset, bytes) ? source->base + offset : NULL;
}

static uint64_t load(const _Atomic uint64_t *word) {
  return region_writer_load(word);
}

static struct fc_region_piece *table_of(const struct fc_region_entry *placed) {
  uint64_t shape = load(&placed->shape);
  uint64_t names = fc_region_names_bytes(fc_region_op_size(shape), fc_region_view_size(shape));
  return (struct fc_region_piece *)(uintptr_t)((const uint8_t *)(placed + 1) + names);
}

/* Checks the table of pieces of an entry whose head and table are mapped. */
static bool pieces_are_mapped(const struct region_source *source,
                              const struct fc_region_entry *placed, uint32_t n, uint64_t size) {
  const struct fc_region_piece *table = table_of(placed);
  for (uint32_t i = 0; i < n; i++) {
    uint64_t offset = load(&table[i].offset), bytes = (uint32_t)load(&table[i].extent);
    if (offset % FC_REGION_UNIT != 0 || bytes == 0 || bytes > size ||
        !is_mapped(source, offset, bytes))
      return false;
    size -= bytes;
  }
  return size == 0;
}

struct fc_region_entry *region_source_entry(const struct region_source *source, uint64_t offset) {
  if (offset % FC_REGION_UNIT != 0 || !is_mapped(source, offset, sizeof(struct fc_region_entry)))
    return &none.entry;
  struct fc_region_entry *placed = (struct fc_region_entry *)(void *)(source->base + offset);
  uint64_t shape = load(&placed->shape), size = load(&placed->numbers) >> 32;
  uint32_t n = fc_region_n_pieces(shape);
  uint64_t head =
      sizeof *placed + fc_region_names_bytes(fc_region_op_size(shape), fc_region_view_size(shape));
  uint64_t bytes = head + (n == 0 ? size : n * sizeof(struct fc_region_piece));
  if (n > FC_REGION_PIECES_MAX || !is_mapped(source, offset, bytes) ||
      (n > 0 && !pieces_are_mapped(source, placed, n, size)))
    return &none.entry;
  return placed;
}

static struct fc_key key_of(const struct fc_region_entry *placed) {
  uint64_t shape = load(&placed->shape);
  uint64_t prompt[2] = {load(&placed->prompt[0]), load(&placed->prompt[1])};
  const char *names = (const char *)(placed + 1);
  struct fc_key key = {.op = {names, fc_region_op_size(shape)},
                       .view = {names + fc_region_op_size(shape), fc_region_view_size(shape)},
                       .top_k = (uint32_t)load(&placed->numbers)};
  memcpy(key.prompt.bytes, prompt, FC_HASH_SIZE);
  return key;
}

static uint32_t checksum_of(const struct region_source *source,
                            const struct fc_region_entry *placed, uint64_t digest) {
  uint32_t n = fc_region_n_pieces(load(&placed->shape));
  const struct fc_region_piece *table = table_of(placed);
  if (n == 0)
    return (uint32_t)fc_xxh3_64(table, load(&placed->numbers) >> 32, digest);
  (void)XXH3_64bits_reset_withSeed(source->hash, digest); /* these fail only for NULL */
  for (uint32_t i = 0; i < n; i++)
    (void)XXH3_64bits_update(source->hash, source->base + load(&table[i].offset),
                             (uint32_t)load(&table[i].extent));
  return (uint32_t)XXH3_64bits_digest(source->hash);
}

bool region_source_verify(const struct region_source *source, uint64_t offset, uint64_t digest) {
  const struct fc_region_entry *placed = region_source_entry(source, offset);
  if (placed == &none.entry)
    return false;
  if (FC_CATALOG_MUTANT == 5)
    return true;
  struct fc_key key = key_of(placed);
  return fc_key_digest(load(&placed->name_space), &key) == digest &&
         checksum_of(source, placed, digest) == fc_region_checksum_of(load(&placed->shape));
}

static bool overlaps(const struct region_source *source, uint64_t offset, uint64_t bytes,
                     uint32_t segment) {
  uint64_t begin = source->arena_offset + segment * source->segment_bytes;
  return offset < begin + source->segment_bytes && offset + bytes > begin;
}

bool region_source_touches(const struct region_source *source, uint64_t offset, uint32_t segment) {
  const struct fc_region_entry *placed = region_source_entry(source, offset);
  uint64_t shape = load(&placed->shape);
  uint32_t n = fc_region_n_pieces(shape);
  const struct fc_region_piece *table = table_of(placed);
  uint64_t head = (uint64_t)((const uint8_t *)table - (const uint8_t *)placed);
  head += n == 0 ? load(&placed->numbers) >> 32 : n * sizeof(struct fc_region_piece);
  bool touches = overlaps(source, offset, head, segment);
  for (uint32_t i = 0; i < n && !touches; i++)
    touches = overlaps(source, load(&table[i].offset), (uint32_t)load(&table[i].extent), segment);
  return touches;
}

/* ---- counts ---- */

/* Its charge is at least its bytes. */
static bool is_spread(const struct region_source *source, uint64_t offset, uint64_t charge) {
  return charge >= REGION_SOURCE_SPREAD_BYTES ||
         region_source_segment(source, offset) != region_source_segment(source, offset + charge);
}

void region_source_count(struct region_source *source, uint64_t offset, uint64_t charge) {
  uint32_t segment = region_source_segment(source, offset);
  check_lt(segment, source->n_segments);
  source->entries[segment]++;
  source->n_entries++;
  source->n_spread += is_spread(source, offset, charge) ? 1 : 0;
}

void region_source_uncount(struct region_source *source, uint64_t offset, uint64_t charge) {
  uint32_t segment = region_source_segment(source, offset);
  check_lt(segment, source->n_segments);
  check_lt(0, source->entries[segment]);
  source->entries[segment]--;
  source->n_entries--;
  source->n_spread -= is_spread(source, offset, charge) ? 1 : 0;
}
