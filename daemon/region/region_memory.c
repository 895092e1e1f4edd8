#include "daemon/region/region_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "proto/shm/region_uses.h"
#include "proto/shm/reserve.h"

/* The buckets take 1.6% of max_bytes. An entry with a small value takes 290 bytes, so a full cache
 * of such values has four entries a bucket. With values of 3 KiB, nearly every entry is the first
 * of its chain. */
#define BYTES_PER_BUCKET 1024u
#define BUCKETS_MIN 64u
#define BUCKETS_MAX UINT32_MAX
/* Room in the arena beyond the charge of the entries: holes, without which compaction would move
 * more bytes, and unused metadata. */
#define SLACK_SHIFT 6
#define SLACK_MIN (128u << 10)
#define SEGMENT_MIN (1u << 20) /* a small cache needs few descriptors */
#define STEP_BYTES (1u << 20)  /* the kernel zeroes it in a fraction of a millisecond */
#define SMALL_PAGE 4096        /* the page size with which a huge page is FC_HUGE_PAGE */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1 */
#endif

static_assert(FC_REGION_SEGMENT_UNIT == REGION_FRONT_BYTES, "each is a multiple of any page size");
static_assert(SEGMENT_MIN % FC_REGION_SEGMENT_UNIT == 0, "segments end between pages");
static_assert(FC_HUGE_PAGE % FC_REGION_SEGMENT_UNIT == 0, "so are those of huge pages");
static_assert(FC_HUGE_PAGE % STEP_BYTES == 0, "a step is within a huge page");

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void region_memory_lay_out(struct region *region, uint64_t max_bytes) {
  *region = (struct region){.index_fd = -1, .step_bytes = STEP_BYTES};
  for (unsigned i = 0; i < FC_REGION_SEGMENTS_MAX; i++)
    region->segment_fds[i] = -1;
  uint64_t n = max_bytes / BYTES_PER_BUCKET;
  n = n < BUCKETS_MIN ? BUCKETS_MIN : n;
  region->n_buckets = n < BUCKETS_MAX ? n : BUCKETS_MAX;
  region->index_bytes = round_up(
      FC_REGION_PAGE + region->n_buckets * sizeof(struct fc_region_bucket), FC_REGION_SEGMENT_UNIT);
  region->arena_size = round_up(max_bytes + (max_bytes >> SLACK_SHIFT) + SLACK_MIN, FC_REGION_PAGE);
  bool is_large = region->arena_size > (uint64_t)FC_REGION_SEGMENTS_MAX * SEGMENT_MIN;
  uint64_t unit = is_large ? FC_HUGE_PAGE : FC_REGION_SEGMENT_UNIT;
  region->arena_offset = round_up(region->index_bytes, unit);
  region->size = region->arena_offset + region->arena_size;
  region->segment_bytes = is_large ? round_up(region->arena_size, FC_REGION_SEGMENTS_MAX * unit) /
                                         FC_REGION_SEGMENTS_MAX
                                   : SEGMENT_MIN;
  region->n_segments =
      (uint32_t)((region->arena_size + region->segment_bytes - 1) / region->segment_bytes);
  check_le(region->n_segments, FC_REGION_SEGMENTS_MAX);
}

/* Maps the front, and reserves the addresses behind it for the region with that protection. */
static bool reserve(struct region *region, int protection) {
  region->base = fc_reserve(REGION_FRONT_BYTES, region->size, protection);
  return region->base != NULL && mprotect(region->base - REGION_FRONT_BYTES, REGION_FRONT_BYTES,
                                          PROT_READ | PROT_WRITE) == 0;
}

/* Makes a file and maps it at `at`, which is reserved. */
static bool map_file(int *fd, const char *name, uint8_t *at, uint64_t bytes) {
  *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return *fd >= 0 && ftruncate(*fd, (off_t)bytes) == 0 &&
         mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, *fd, 0) != MAP_FAILED;
}

static void close_file(int *fd) {
  if (*fd >= 0)
    (void)close(*fd); /* a memfd loses no data */
  *fd = -1;
}

/* Seals a file before another process has it. The mapping that was made before stays writable. */
static bool seal(int fd) {
  return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) ==
         0;
}

/* Gives a range of a file at `at` its huge pages, as far as they are whole within the range. The
 * kernel allocates one at the first touch of memory that was advised, and never by fallocate. To
 * populate one page is such a touch, but fails where a store would raise SIGBUS. What has no memory
 * afterwards is left to fallocate. */
static void allocate_huge(uint8_t *at, uint64_t offset, uint64_t bytes) {
  for (uint64_t from = round_up(offset, FC_HUGE_PAGE); from + FC_HUGE_PAGE <= offset + bytes;
       from += FC_HUGE_PAGE)
    if (madvise(at + from - offset, FC_HUGE_PAGE, MADV_HUGEPAGE) == 0)
      (void)madvise(at + from - offset, SMALL_PAGE, MADV_POPULATE_WRITE);
}

/* Gives a range of a file, which is mapped at `at`, its memory. */
static bool allocate(const struct region *region, int fd, uint8_t *at, uint64_t offset,
                     uint64_t bytes) {
  int rc;
  if (region->has_huge_pages)
    allocate_huge(at, offset, bytes);
  do
    rc = fallocate(fd, 0, (off_t)offset, (off_t)bytes);
  while (rc < 0 && errno == EINTR);
  return rc == 0;
}

/* Finds out whether the kernel gives shared memory huge pages, by the memory of a small file that
 * is mapped at the region's reserved addresses for a moment. No setting of the kernel says it for
 * all versions. */
static void probe_huge_pages(struct region *region) {
  struct stat status;
  int fd = -1;
  if (region->segment_bytes % FC_HUGE_PAGE != 0 || sysconf(_SC_PAGESIZE) != SMALL_PAGE)
    return;
  if (map_file(&fd, "fcached-probe", region->base, FC_HUGE_PAGE)) {
    allocate_huge(region->base, 0, FC_HUGE_PAGE);
    region->has_huge_pages =
        fstat(fd, &status) == 0 && (uint64_t)status.st_blocks * 512 >= FC_HUGE_PAGE;
  }
  close_file(&fd);
  if (region->has_huge_pages)
    region->step_bytes = FC_HUGE_PAGE;
}

/* The name of a segment has the inode of its index and its own number: see region_uses.h. */
static bool map_segment(struct region *region, uint32_t k, uint64_t index_inode) {
  char name[64];
  uint64_t bytes = fc_region_segment_size(region->arena_size, region->segment_bytes, k);
  (void)snprintf(name, sizeof name, FC_REGION_SEGMENT_MEMFD "%llu-%u",
                 (unsigned long long)index_inode, (unsigned)k); /* fits */
  return map_file(&region->segment_fds[k], name,
                  region->base + region->arena_offset + k * region->segment_bytes, bytes) &&
         seal(region->segment_fds[k]);
}

bool region_memory_map_shared(struct region *region) {
  struct stat status;
  if (!reserve(region, PROT_NONE))
    return false;
  probe_huge_pages(region);
  if (!map_file(&region->index_fd, FC_REGION_MEMFD, region->base, region->arena_offset) ||
      !allocate(region, region->index_fd, region->base, 0, region->index_bytes) ||
      !seal(region->index_fd) || fstat(region->index_fd, &status) < 0)
    return false;
  for (uint32_t k = 0; k < region->n_segments; k++)
    if (!map_segment(region, k, status.st_ino))
      return false;
  return true;
}

bool region_memory_map_private(struct region *region) {
  return reserve(region, PROT_READ | PROT_WRITE);
}

void region_memory_unmap(struct region *region) {
  if (region->base != NULL) /* cannot fail for an existing mapping */
    (void)munmap(region->base - REGION_FRONT_BYTES, REGION_FRONT_BYTES + region->size);
  region->base = NULL;
  close_file(&region->index_fd);
  for (uint32_t k = 0; k < region->n_segments; k++)
    close_file(&region->segment_fds[k]);
}

bool region_memory_allocate(const struct region *region, uint64_t from, uint64_t end) {
  if (region->index_fd < 0)
    return true;
  while (from < end) { /* to the end of a segment at most */
    uint32_t k = (uint32_t)(from / region->segment_bytes);
    uint64_t start = k * region->segment_bytes;
    uint64_t stop = start + fc_region_segment_size(region->arena_size, region->segment_bytes, k);
    stop = stop < end ? stop : end;
    check_lt(k, region->n_segments);
    if (!allocate(region, region->segment_fds[k], region->base + region->arena_offset + from,
                  from - start, stop - from))
      return false;
    from = stop;
  }
  return true;
}
