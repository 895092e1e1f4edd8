#include "daemon/region/region_writer.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "daemon/region/region_memory.h"
#include "proto/errors.h"

uint64_t region_writer_overhead_bytes(uint64_t max_bytes) {
  struct region region;
  region_memory_lay_out(&region, max_bytes);
  return region.index_bytes + region.arena_size - max_bytes;
}

uint64_t region_writer_segment_bytes(uint64_t max_bytes) {
  struct region region;
  region_memory_lay_out(&region, max_bytes);
  return region.segment_bytes;
}

unsigned region_writer_fds(const struct region *region, int fds[FC_REGION_FDS_MAX]) {
  if (region->index_fd < 0)
    return 0;
  fds[0] = region->index_fd;
  memcpy(fds + 1, region->segment_fds, region->n_segments * sizeof fds[0]);
  return 1 + region->n_segments;
}

uint64_t region_writer_inode(const struct region *region) {
  struct stat status;
  return region->index_fd >= 0 && fstat(region->index_fd, &status) == 0 ? status.st_ino : 0;
}

/* Returns how much of the arena may be committed. */
static uint64_t committable(const struct region *region) {
  uint64_t budget = region->budget_bytes;
  uint64_t left = budget > region->other_bytes ? budget - region->other_bytes : 0;
  return left < region->arena_size ? left : region->arena_size;
}

bool region_writer_commit(struct region *region, uint64_t bytes) {
  check_le(bytes, region->arena_size);
  if (bytes <= region->committed_bytes)
    return true;
  uint64_t end = (bytes + region->step_bytes - 1) / region->step_bytes * region->step_bytes;
  uint64_t most = committable(region);
  end = end < most ? end : most;
  if (end < bytes || !region_memory_allocate(region, region->committed_bytes, end))
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
  header->segment_bytes = region->segment_bytes;
  header->n_segments = region->n_segments;
}

static void use_mapping(struct region *region, uint32_t max_value, uint64_t boot_id) {
  region->header = (struct fc_region_header *)(void *)region->base;
  region->buckets = (struct fc_region_bucket *)(void *)(region->base + FC_REGION_PAGE);
  write_header(region, max_value, boot_id);
}

int region_writer_init(struct region *region, uint64_t max_bytes, uint32_t max_value,
                       uint64_t boot_id, bool shared, struct error_text *error) {
  region_memory_lay_out(region, max_bytes);
  region->budget_bytes = region->arena_size;
  if (shared && region_memory_map_shared(region)) {
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
  region_memory_unmap(region);
  if (!region_memory_map_private(region))
    return error_text_set(error, FC_ENOMEM,
                          "no memory for a cache of %llu bytes: lower --max-bytes",
                          (unsigned long long)max_bytes);
  use_mapping(region, max_value, boot_id);
  return 0;
}

static void retire(struct region *region, uint32_t how) {
  /* Release: a reader that sees it sees all earlier stores as well. Nothing that a reader relies on
   * is stored afterwards. */
  atomic_store_explicit(&region->header->retired, how, memory_order_release);
}

void region_writer_deinit(struct region *region) {
  if (region->base == NULL)
    return;
  region_writer_retire(region);
  if (region->index_fd >= 0)
    release_mutex(region);
  region_memory_unmap(region);
}

void region_writer_abandon(struct region *region) {
  retire(region, FC_REGION_REPLACED);
  if (region->index_fd >= 0)
    release_mutex(region);
  *region = (struct region){.index_fd = -1};
}

void region_writer_retire(struct region *region) {
  retire(region, FC_REGION_ENDED);
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
