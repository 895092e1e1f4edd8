#include "daemon/region/region_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "proto/errors.h"
#include "proto/shm/region_uses.h"

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
#define COMMIT_STEP (1u << 20) /* the kernel zeroes it in a fraction of a millisecond */

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1 */
#endif

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

static void lay_out(struct region *region, uint64_t max_bytes) {
  uint64_t n = max_bytes / BYTES_PER_BUCKET;
  n = n < BUCKETS_MIN ? BUCKETS_MIN : n;
  region->n_buckets = n < BUCKETS_MAX ? n : BUCKETS_MAX;
  region->arena_offset = round_up(
      FC_REGION_PAGE + region->n_buckets * sizeof(struct fc_region_bucket), FC_REGION_PAGE);
  region->arena_size = round_up(max_bytes + (max_bytes >> SLACK_SHIFT) + SLACK_MIN, FC_REGION_PAGE);
  region->size = region->arena_offset + region->arena_size;
}

uint64_t region_writer_overhead_bytes(uint64_t max_bytes) {
  struct region region;
  lay_out(&region, max_bytes);
  return region.size - max_bytes;
}

/* ---- memory ---- */

/* Allocates memory for a range of the file, so that no access to it can fail. */
static bool allocate(const struct region *region, uint64_t offset, uint64_t bytes) {
  int rc;
  do
    rc = fallocate(region->fd, 0, (off_t)offset, (off_t)bytes);
  while (rc < 0 && errno == EINTR);
  return rc == 0;
}

/* Maps the front, and reserves the addresses behind it for the region with that protection. */
static bool reserve(struct region *region, int protection) {
  uint8_t *front = mmap(NULL, REGION_FRONT_BYTES + region->size, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (front == MAP_FAILED) /* too large for the address space */
    return false;
  region->base = front + REGION_FRONT_BYTES;
  return mprotect(front, REGION_FRONT_BYTES, PROT_READ | PROT_WRITE) == 0;
}

static void unmap(struct region *region) {
  if (region->base != NULL) /* cannot fail for an existing mapping */
    (void)munmap(region->base - REGION_FRONT_BYTES, REGION_FRONT_BYTES + region->size);
  if (region->fd >= 0)
    (void)close(region->fd); /* a memfd loses no data */
  region->base = NULL;
  region->fd = -1;
}

/* Seals the memory before another process has it. The mapping that was made before stays writable.
 */
static bool map_shared(struct region *region) {
  region->fd = memfd_create(FC_REGION_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (region->fd < 0 || ftruncate(region->fd, (off_t)region->size) < 0)
    return false;
  if (!reserve(region, PROT_NONE) || mmap(region->base, region->size, PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_FIXED, region->fd, 0) == MAP_FAILED)
    return false;
  return allocate(region, 0, region->arena_offset) &&
         fcntl(region->fd, F_ADD_SEALS,
               F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0;
}

uint64_t region_writer_inode(const struct region *region) {
  struct stat status;
  return region->fd >= 0 && fstat(region->fd, &status) == 0 ? status.st_ino : 0;
}

bool region_writer_commit(struct region *region, uint64_t bytes) {
  check_le(bytes, region->arena_size);
  if (bytes <= region->committed_bytes)
    return true;
  uint64_t end = round_up(bytes, COMMIT_STEP);
  end = end < region->arena_size ? end : region->arena_size;
  if (region->fd >= 0 && /* private memory is committed on the first access */
      !allocate(region, region->arena_offset + region->committed_bytes,
                end - region->committed_bytes))
    return false;
  region->committed_bytes = end;
  return true;
}

/* ---- the liveness word ---- */

static pthread_mutex_t *mutex_of(const struct region *region) {
  return (pthread_mutex_t *)(void *)(region->base + offsetof(struct fc_region_header, owner));
}

static_assert(sizeof(pthread_mutex_t) <=
                  sizeof(struct fc_region_header) - offsetof(struct fc_region_header, owner),
              "the mutex fits");

static void release_mutex(const struct region *region) {
  (void)pthread_mutex_unlock(mutex_of(region)); /* this thread holds it */
  (void)pthread_mutex_destroy(mutex_of(region));
}

/* Locks the robust mutex. Returns false if this C library keeps its futex word elsewhere, where
 * readers would not see it. */
static bool hold_mutex(const struct region *region) {
  pthread_mutexattr_t attributes;
  if (pthread_mutexattr_init(&attributes) != 0)
    return false;
  bool held = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
              pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
              pthread_mutex_init(mutex_of(region), &attributes) == 0 &&
              pthread_mutex_lock(mutex_of(region)) == 0;
  (void)pthread_mutexattr_destroy(&attributes); /* holds nothing */
  uint32_t owner = atomic_load_explicit(&region->header->owner, memory_order_relaxed);
  bool seen = held && (owner & FC_REGION_TID_MASK) == (uint32_t)gettid();
  if (held && !seen)
    release_mutex(region);
  return seen;
}

static void write_header(const struct region *region, uint32_t max_value, uint64_t boot_id) {
  struct fc_region_header *header = region->header;
  header->magic = FC_REGION_MAGIC;
  header->layout = FC_REGION_LAYOUT;
  header->max_value = max_value;
  header->size = region->size;
  header->boot_id = boot_id;
  header->buckets_offset = FC_REGION_PAGE;
  header->n_buckets = region->n_buckets;
  header->arena_offset = region->arena_offset;
  header->arena_size = region->arena_size;
}

static void use_mapping(struct region *region, uint32_t max_value, uint64_t boot_id) {
  region->header = (struct fc_region_header *)(void *)region->base;
  region->buckets = (struct fc_region_bucket *)(void *)(region->base + FC_REGION_PAGE);
  write_header(region, max_value, boot_id);
}

int region_writer_init(struct region *region, uint64_t max_bytes, uint32_t max_value,
                       uint64_t boot_id, bool shared, struct error_text *error) {
  *region = (struct region){.fd = -1};
  lay_out(region, max_bytes);
  if (shared && map_shared(region)) {
    use_mapping(region, max_value, boot_id);
    if (hold_mutex(region))
      return 0;
    (void)error_text_set(error, FC_EREFUSED,
                         "no shared memory hits, each hit is a message: this C "
                         "library has no robust mutex that shows clients the daemon's death");
  } else if (shared) {
    (void)error_text_set(error, FC_EREFUSED,
                         "no shared memory hits, each hit is a message: the kernel "
                         "provides no sealed memory of %llu bytes: %s",
                         (unsigned long long)region->size, strerror(errno));
  }
  unmap(region);
  if (!reserve(region, PROT_READ | PROT_WRITE))
    return error_text_set(error, FC_ENOMEM,
                          "no memory for a cache of %llu bytes: lower --max-bytes",
                          (unsigned long long)max_bytes);
  use_mapping(region, max_value, boot_id);
  return 0;
}

void region_writer_deinit(struct region *region) {
  if (region->base == NULL)
    return;
  region_writer_retire(region);
  if (region->fd >= 0)
    release_mutex(region);
  unmap(region);
}

void region_writer_retire(struct region *region) {
  /* Release: a reader that sees it sees all earlier stores as well. Nothing that a reader relies on
   * is stored afterwards. */
  atomic_store_explicit(&region->header->retired, 1, memory_order_release);
}

/* ---- the index ---- */

static struct fc_region_bucket *bucket_of(const struct region *region, uint64_t digest) {
  uint64_t bucket = fc_region_bucket_of(digest, region->n_buckets);
  check_lt(bucket, region->n_buckets);
  return &region->buckets[bucket];
}

void region_writer_prefetch(const struct region *region, uint64_t digest) {
  __builtin_prefetch(bucket_of(region, digest), 1);
}

static struct fc_region_entry *entry_or_null(const struct region *region, uint64_t offset) {
  if (offset == 0)
    return NULL;
  check_le(region->arena_offset, offset);
  check_lt(offset, region->size);
  check_eq(offset % FC_REGION_UNIT, 0);
  return region_writer_at(region, offset);
}

struct fc_region_entry *region_writer_first(const struct region *region, uint64_t digest) {
  return entry_or_null(region, region_writer_load(&bucket_of(region, digest)->first));
}

struct fc_region_entry *region_writer_next(const struct region *region,
                                           const struct fc_region_entry *entry) {
  return entry_or_null(region, region_writer_load(&entry->next));
}

/* Added to the bucket's number when a window opens and closes. */
enum {
  AT_OPEN = FC_REGION_MUTANT == 11   ? 0
            : FC_REGION_MUTANT == 14 ? 2
                                     : 1,
  AT_CLOSE = FC_REGION_MUTANT == 12 ? -1 : 2 - AT_OPEN,
};

bool region_writer_open(struct region *region, uint64_t digest) {
  _Atomic uint64_t *sequence = &bucket_of(region, digest)->sequence;
  uint64_t even = region_writer_load(sequence);
  if (even & 1)
    return false;
  region_writer_store(sequence, even + AT_OPEN);
  /* Release: no store of the window, nor of a block's next owner, is visible before the odd number.
   * A reader that saw such a store finds the number changed (docs/region.md). */
  atomic_thread_fence(memory_order_release);
  return true;
}

void region_writer_close(struct region *region, uint64_t digest) {
  _Atomic uint64_t *sequence = &bucket_of(region, digest)->sequence;
  assert(FC_REGION_MUTANT != 0 || (region_writer_load(sequence) & 1) == 1);
  /* Release: a reader that loads this number (acquire) sees every store of the window. */
  atomic_store_explicit(sequence, region_writer_load(sequence) + AT_CLOSE, memory_order_release);
}

/* Returns the word of the chain that holds the offset of the entry, which must be there. */
static _Atomic uint64_t *link_to(const struct region *region, uint64_t digest,
                                 const struct fc_region_entry *entry) {
  uint64_t offset = region_writer_offset(region, entry);
  _Atomic uint64_t *link = &bucket_of(region, digest)->first;
  while (region_writer_load(link) != offset) {
    check_lt(0, region_writer_load(link));
    link = &region_writer_at(region, region_writer_load(link))->next;
  }
  return link;
}

void region_writer_link(struct region *region, uint64_t digest, struct fc_region_entry *entry) {
  struct fc_region_bucket *bucket = bucket_of(region, digest);
  assert(FC_REGION_MUTANT != 0 || (region_writer_load(&bucket->sequence) & 1) == 1);
  check_eq(region_writer_offset(region, entry) % FC_REGION_UNIT, 0);
  region_writer_store(&entry->next, region_writer_load(&bucket->first));
  region_writer_store(&bucket->first, region_writer_offset(region, entry));
}

void region_writer_unlink(struct region *region, uint64_t digest,
                          const struct fc_region_entry *entry) {
  region_writer_store(link_to(region, digest, entry), region_writer_load(&entry->next));
}

void region_writer_relink(struct region *region, uint64_t digest, const struct fc_region_entry *old,
                          const struct fc_region_entry *entry) {
  region_writer_store(link_to(region, digest, old), region_writer_offset(region, entry));
}
