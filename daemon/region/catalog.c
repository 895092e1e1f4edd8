#include "daemon/region/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

/* The header, and the spare chunk behind it. */
#define HEADER_BYTES CATALOG_ALIGN
#define SPARE_OFFSET (HEADER_BYTES - CATALOG_CHUNK_BYTES)
#define COMMIT_STEP 65536u

static_assert(sizeof(struct catalog_header) <= SPARE_OFFSET, "the spare chunk lies behind it");
static_assert(sizeof(struct catalog_region) == 576, "layout 1");
static_assert(offsetof(struct catalog_header, areas) == 24, "layout 1");
static_assert(offsetof(struct catalog_header, regions) == 728, "layout 1");

static const char *area_name(enum catalog_area area) {
  static const char *const names[CATALOG_AREAS] = {
      [CATALOG_STORE] = "store",           [CATALOG_TOTALS] = "totals",
      [CATALOG_NAMESPACES] = "namespaces", [CATALOG_MANIFESTS] = "manifests",
      [CATALOG_LEASES] = "leases",         [CATALOG_DIRECTORY] = "directory",
      [CATALOG_CHUNKS] = "chunks",
  };
  check_lt(area, CATALOG_AREAS);
  return names[area];
}

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

static uint64_t limit_chunks(uint64_t max_chunks) {
  return max_chunks < CATALOG_CHUNKS_MAX ? max_chunks : CATALOG_CHUNKS_MAX;
}

/* Fills the areas of the header. Returns the size of the file. */
static uint64_t lay_out(struct catalog_header *header, const struct catalog_sizes *sizes,
                        uint64_t max_chunks) {
  uint64_t offset = HEADER_BYTES;
  for (int area = 0; area < CATALOG_AREAS; area++) {
    if (area < CATALOG_DIRECTORY) {
      header->areas[area].element_bytes = sizes->areas[area].element_bytes;
      header->areas[area].count = sizes->areas[area].count;
    }
    header->areas[area].offset = offset;
    if (area == CATALOG_DIRECTORY) {
      header->areas[area].element_bytes = sizeof(uint64_t);
      header->areas[area].count = CATALOG_CHUNKS_MAX;
    } else if (area == CATALOG_CHUNKS) {
      header->areas[area].element_bytes = CATALOG_CHUNK_BYTES;
      header->areas[area].count = limit_chunks(max_chunks);
    }
    offset +=
        round_up(header->areas[area].element_bytes * header->areas[area].count, CATALOG_ALIGN);
  }
  return offset;
}

uint64_t catalog_fixed_bytes(const struct catalog_sizes *sizes) {
  return HEADER_BYTES + round_up(sizes->areas[CATALOG_STORE].element_bytes, CATALOG_ALIGN) +
         round_up(sizes->areas[CATALOG_TOTALS].element_bytes, CATALOG_ALIGN);
}

/* ---- memory ---- */

static bool allocate(const struct catalog *catalog, uint64_t offset, uint64_t bytes) {
  int rc;
  check_le(offset + bytes, catalog->size);
  if (catalog->fd < 0) /* private memory is allocated by the first access */
    return true;
  do
    rc = fallocate(catalog->fd, 0, (off_t)offset, (off_t)bytes);
  while (rc < 0 && errno == EINTR);
  return rc == 0;
}

/* Reserves addresses for all chunks that slots can have, so that the catalog grows in place. Where
 * the address space is limited, it reserves less, but at least `size`. */
static bool reserve(struct catalog *catalog, uint64_t size) {
  uint64_t bytes = size + (uint64_t)CATALOG_CHUNKS_MAX * CATALOG_CHUNK_BYTES;
  uint8_t *front;
  do {
    bytes = bytes > size ? bytes : size;
    front = mmap(NULL, CATALOG_FRONT_BYTES + bytes, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    catalog->reserved_bytes = bytes;
    bytes = bytes / 2 / CATALOG_ALIGN * CATALOG_ALIGN;
  } while (front == MAP_FAILED && catalog->reserved_bytes > size);
  if (front == MAP_FAILED)
    return false;
  catalog->base = front + CATALOG_FRONT_BYTES;
  return mprotect(front, CATALOG_FRONT_BYTES, PROT_READ | PROT_WRITE) == 0;
}

/* Makes the first `size` bytes accessible. */
static bool map(struct catalog *catalog, uint64_t size) {
  if (size > catalog->reserved_bytes)
    return false;
  if (catalog->fd < 0 && mprotect(catalog->base, size, PROT_READ | PROT_WRITE) < 0)
    return false;
  if (catalog->fd >= 0 &&
      mmap(catalog->base + catalog->size, size - catalog->size, PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_FIXED, catalog->fd, (off_t)catalog->size) == MAP_FAILED)
    return false;
  catalog->size = size;
  return true;
}

static void unmap(struct catalog *catalog) {
  if (catalog->base != NULL) /* cannot fail for an existing mapping */
    (void)munmap(catalog->base - CATALOG_FRONT_BYTES,
                 CATALOG_FRONT_BYTES + catalog->reserved_bytes);
  catalog->base = NULL;
  catalog->header = NULL;
}

void catalog_deinit(struct catalog *catalog) {
  if (catalog->base == NULL)
    return;
  unmap(catalog);
  if (catalog->fd >= 0)
    (void)close(catalog->fd); /* a memory file loses no data */
  *catalog = (struct catalog){.fd = -1};
}

bool catalog_commit(struct catalog *catalog, enum catalog_area area, uint64_t count) {
  uint64_t bytes = count * catalog->header->areas[area].element_bytes;
  uint64_t all = round_up(catalog_count(catalog, area) * catalog->header->areas[area].element_bytes,
                          CATALOG_ALIGN);
  check_le(count, catalog_count(catalog, area));
  if (bytes <= catalog->committed[area])
    return true;
  bytes = round_up(bytes, COMMIT_STEP);
  bytes = bytes < all ? bytes : all;
  if (!allocate(catalog, catalog->header->areas[area].offset + catalog->committed[area],
                bytes - catalog->committed[area]))
    return false;
  catalog->committed[area] = bytes;
  return true;
}

bool catalog_commit_one(struct catalog *catalog, enum catalog_area area, uint64_t index,
                        uint64_t bytes) {
  check_lt(index, catalog_count(catalog, area));
  check_le(bytes, catalog->header->areas[area].element_bytes);
  return bytes == 0 ||
         allocate(catalog, (uint64_t)((uint8_t *)catalog_at(catalog, area, index) - catalog->base),
                  bytes);
}

void catalog_release(struct catalog *catalog, enum catalog_area area, uint64_t index) {
  uint8_t *at = catalog_at(catalog, area, index);
  uint64_t bytes = catalog->header->areas[area].element_bytes;
  check_lt(index, catalog_count(catalog, area));
  if (catalog->fd >= 0) /* on failure the memory stays allocated, and its content does not matter */
    (void)fallocate(catalog->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)(at - catalog->base), (off_t)bytes);
  else
    (void)madvise(at, bytes, MADV_DONTNEED);
}

void *catalog_spare_chunk(const struct catalog *catalog) {
  return catalog->base + SPARE_OFFSET;
}

/* ---- create ---- */

static int no_memory(struct catalog *catalog, uint64_t size, struct error_text *error) {
  int cause = errno;
  unmap(catalog);
  if (catalog->fd >= 0)
    (void)close(catalog->fd); /* empty */
  *catalog = (struct catalog){.fd = -1};
  return error_text_set(error, FC_ENOMEM,
                        "no memory for a catalog of %llu bytes: %s: lower --max-bytes",
                        (unsigned long long)size, strerror(cause));
}

/* Commits the header and the elements that are always used. */
static bool commit_fixed(struct catalog *catalog) {
  return allocate(catalog, 0, HEADER_BYTES) && catalog_commit(catalog, CATALOG_STORE, 1) &&
         catalog_commit(catalog, CATALOG_TOTALS, 1);
}

int catalog_create(struct catalog *catalog, const struct catalog_sizes *sizes, uint64_t max_chunks,
                   bool shared, struct error_text *error) {
  struct catalog_header header = {
      .magic = CATALOG_MAGIC, .layout = CATALOG_LAYOUT, .header_bytes = sizeof header};
  uint64_t size = lay_out(&header, sizes, max_chunks);
  *catalog = (struct catalog){.fd = -1};
  if (getrandom(&header.cache_id, sizeof header.cache_id, 0) != sizeof header.cache_id)
    return error_text_set(error, FC_ENOMEM, "getrandom failed: try again");
  header.cache_id |= header.cache_id == 0;
  if (shared)
    catalog->fd = memfd_create(CATALOG_MEMFD, MFD_CLOEXEC);
  if (catalog->fd >= 0 && ftruncate(catalog->fd, (off_t)size) < 0) {
    (void)close(catalog->fd); /* empty */
    catalog->fd = -1;
  }
  if (!reserve(catalog, size) || !map(catalog, size))
    return no_memory(catalog, size, error);
  catalog->header = (struct catalog_header *)(void *)catalog->base;
  if (!allocate(catalog, 0, HEADER_BYTES))
    return no_memory(catalog, size, error);
  *catalog->header = header;
  return commit_fixed(catalog) ? 0 : no_memory(catalog, size, error);
}

int catalog_grow(struct catalog *catalog, uint64_t max_chunks) {
  max_chunks = limit_chunks(max_chunks);
  uint64_t *count = &catalog->header->areas[CATALOG_CHUNKS].count;
  uint64_t size = catalog->header->areas[CATALOG_CHUNKS].offset +
                  round_up(max_chunks * CATALOG_CHUNK_BYTES, CATALOG_ALIGN);
  if (max_chunks <= *count)
    return 0;
  if (size > catalog->size) {
    if (catalog->fd >= 0 && ftruncate(catalog->fd, (off_t)size) < 0)
      return FC_ENOMEM;
    if (!map(catalog, size))
      return FC_ENOMEM;
  }
  catalog_commit_u64(count, max_chunks);
  return 0;
}

/* ---- open ---- */

static int refuse(struct error_text *why, const char *what, uint64_t found, uint64_t expected) {
  return error_text_set(why, FC_EREFUSED, "the catalog's %s is %llu, and this daemon's is %llu",
                        what, (unsigned long long)found, (unsigned long long)expected);
}

static int check_bound(struct error_text *why, const char *what, uint64_t found, uint64_t max) {
  if (found <= max)
    return 0;
  return error_text_set(why, FC_EREFUSED, "the catalog's %s is %llu, and the bound is %llu", what,
                        (unsigned long long)found, (unsigned long long)max);
}

/* Checks the areas, of which only the number of chunks may differ. */
static int check_areas(const struct catalog_header *header, const struct catalog_sizes *sizes,
                       uint64_t file_bytes, struct error_text *why) {
  struct catalog_header expected = {0};
  uint64_t size = lay_out(&expected, sizes, header->areas[CATALOG_CHUNKS].count);
  for (int area = 0; area < CATALOG_AREAS; area++) {
    const uint64_t found[] = {header->areas[area].element_bytes, header->areas[area].count,
                              header->areas[area].offset};
    const uint64_t wanted[] = {expected.areas[area].element_bytes, expected.areas[area].count,
                               expected.areas[area].offset};
    static const char *const fields[] = {"size of an element", "number of elements", "offset"};
    for (int i = 0; i < 3; i++)
      if (found[i] != wanted[i])
        return error_text_set(why, FC_EREFUSED,
                              "the catalog's area %s: its %s is %llu, and this daemon's is %llu",
                              area_name((enum catalog_area)area), fields[i],
                              (unsigned long long)found[i], (unsigned long long)wanted[i]);
  }
  if (file_bytes < size)
    return error_text_set(why, FC_EREFUSED,
                          "the catalog's file has %llu bytes, and its areas need %llu",
                          (unsigned long long)file_bytes, (unsigned long long)size);
  return 0;
}

static int check_region(const struct catalog_region *region, struct error_text *why) {
  if (region->boot_id == 0)
    return 0;
  int rc = check_bound(why, "number of segments", region->n_segments, CATALOG_SEGMENTS_MAX);
  if (rc < 0)
    return rc;
  const uint64_t max = UINT64_C(1) << 52; /* so that no sum overflows */
  if (region->arena_offset > max || region->arena_size > max ||
      region->size != region->arena_offset + region->arena_size)
    return refuse(why, "region size", region->size, region->arena_offset + region->arena_size);
  if (region->arena_offset < FC_REGION_PAGE || region->n_buckets == 0 ||
      region->n_buckets > UINT32_MAX ||
      region->n_buckets > (region->arena_offset - FC_REGION_PAGE) / sizeof(struct fc_region_bucket))
    return refuse(why, "number of buckets", region->n_buckets, region->arena_offset);
  if (region->n_segments == 0 || region->segment_bytes == 0 || region->segment_bytes > max ||
      (region->arena_size + region->segment_bytes - 1) / region->segment_bytes !=
          region->n_segments)
    return refuse(why, "number of segments", region->n_segments, region->arena_size);
  return 0;
}

static int check_header(const struct catalog_header *header, const struct catalog_sizes *sizes,
                        uint64_t file_bytes, struct error_text *why) {
  if (header->magic != CATALOG_MAGIC)
    return refuse(why, "magic number", header->magic, CATALOG_MAGIC);
  if (header->layout != CATALOG_LAYOUT)
    return refuse(why, "layout", header->layout, CATALOG_LAYOUT);
  if (header->header_bytes != sizeof *header)
    return refuse(why, "size of the header", header->header_bytes, sizeof *header);
  if (header->cache_id == 0)
    return error_text_set(why, FC_EREFUSED, "the catalog's cache id is 0, and must be another");
  int rc =
      check_bound(why, "number of chunks", header->areas[CATALOG_CHUNKS].count, CATALOG_CHUNKS_MAX);
  rc = rc < 0 ? rc : check_bound(why, "number of boots", header->n_boots, CATALOG_BOOTS_MAX);
  rc = rc < 0 ? rc : check_bound(why, "current region", header->current, CATALOG_REGIONS_MAX - 1);
  rc = rc < 0 ? rc : check_areas(header, sizes, file_bytes, why);
  for (unsigned i = 0; rc == 0 && i < CATALOG_REGIONS_MAX; i++)
    rc = check_region(&header->regions[i], why);
  return rc;
}

/* Reads the header from a file that must be a memory file, so that no later access waits for a
 * disk. */
static int read_header(int fd, struct catalog_header *header, uint64_t *file_bytes,
                       struct error_text *why) {
  struct stat status;
  if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &status) < 0)
    return error_text_set(why, FC_EREFUSED, "the catalog's descriptor is no memory file: %s",
                          strerror(errno));
  *file_bytes = (uint64_t)status.st_size;
  ssize_t got = pread(fd, header, sizeof *header, 0);
  if (got != (ssize_t)sizeof *header)
    return error_text_set(why, FC_EREFUSED,
                          "the catalog's file has %llu bytes, and its header needs %zu",
                          (unsigned long long)*file_bytes, sizeof *header);
  return 0;
}

int catalog_open(struct catalog *catalog, int fd, const struct catalog_sizes *sizes,
                 uint64_t max_chunks, struct error_text *why) {
  struct catalog_header header = {0};
  uint64_t file_bytes = 0;
  *catalog = (struct catalog){.fd = -1};
  int rc = read_header(fd, &header, &file_bytes, why);
  if (rc == 0)
    rc = check_header(&header, sizes, file_bytes, why);
  if (rc < 0)
    return rc;
  uint64_t size = lay_out(&(struct catalog_header){0}, sizes, header.areas[CATALOG_CHUNKS].count);
  catalog->fd = fd;
  if (reserve(catalog, size) && map(catalog, size)) {
    catalog->header = (struct catalog_header *)(void *)catalog->base;
    if (commit_fixed(catalog) && catalog_grow(catalog, max_chunks) == 0)
      return 0;
  }
  catalog->fd = -1; /* remains the caller's */
  return no_memory(catalog, size, why);
}

/* ---- boots ---- */

void catalog_add_boot(struct catalog *catalog, uint64_t boot_id) {
  struct catalog_header *header = catalog->header;
  check_lt(0, boot_id);
  check_le(header->n_boots, CATALOG_BOOTS_MAX);
  if (header->n_boots > 0 && header->boots[header->n_boots - 1] == boot_id)
    return;
  if (FC_CATALOG_MUTANT == 22)
    header->n_boots = 0;
  if (header->n_boots == CATALOG_BOOTS_MAX) {
    /* A kill within leaves one id twice, or the oldest one forgotten. */
    for (unsigned i = 1; i < CATALOG_BOOTS_MAX; i++)
      header->boots[i - 1] = header->boots[i];
    header->boots[CATALOG_BOOTS_MAX - 1] = boot_id;
    return;
  }
  header->boots[header->n_boots] = boot_id;
  catalog_commit_u64(&header->n_boots, header->n_boots + 1);
}

bool catalog_knows_boot(const struct catalog *catalog, uint64_t boot_id) {
  for (uint64_t i = 0; i < catalog->header->n_boots; i++)
    if (catalog->header->boots[i] == boot_id)
      return true;
  return false;
}
