#include "region_builder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(int truth) {
  if (!truth)
    abort();
}

static uint64_t allocate(struct region_build *build, uint64_t size) {
  uint64_t offset = build->next;
  build->next += (size + FC_REGION_UNIT - 1) / FC_REGION_UNIT * FC_REGION_UNIT;
  require(build->next <= build->size);
  return offset;
}

/* The memory at `base` is zero. */
static void lay_out(struct region_build *build, void *base, size_t size, uint64_t boot_id,
                    uint32_t n_buckets, uint64_t alignment, uint64_t segment_bytes) {
  *build = (struct region_build){.base = base, .size = size, .header = base};
  struct fc_region_header *header = base;
  uint64_t end = FC_REGION_PAGE + n_buckets * sizeof(struct fc_region_bucket);
  build->next = (end + alignment - 1) / alignment * alignment;
  require(build->next < size);
  header->magic = FC_REGION_MAGIC;
  header->layout = FC_REGION_LAYOUT;
  header->max_value = 16u << 20;
  header->size = size;
  header->boot_id = boot_id;
  header->buckets_offset = FC_REGION_PAGE;
  header->n_buckets = n_buckets;
  header->arena_offset = build->next;
  header->arena_size = size - build->next;
  header->segment_bytes = segment_bytes < header->arena_size ? segment_bytes : header->arena_size;
  header->n_segments =
      (uint32_t)((header->arena_size + header->segment_bytes - 1) / header->segment_bytes);
  atomic_store(&header->owner, BUILD_OWNER);
}

void region_build_init(struct region_build *build, void *base, size_t size, uint64_t boot_id,
                       uint32_t n_buckets) {
  memset(base, 0, size);
  lay_out(build, base, size, boot_id, n_buckets, FC_REGION_UNIT, size);
}

struct fc_region_bucket *region_build_bucket(const struct region_build *build, uint64_t name_space,
                                             const struct fc_key *key) {
  struct fc_region_bucket *buckets = (void *)(build->base + build->header->buckets_offset);
  return &buckets[fc_region_bucket_of(fc_key_digest(name_space, key), build->header->n_buckets)];
}

struct fc_region_entry *region_build_entry(const struct region_build *build, uint64_t offset) {
  return (void *)(build->base + offset);
}

struct fc_region_piece *region_build_pieces(const struct region_build *build, uint64_t offset) {
  const struct fc_region_entry *entry = region_build_entry(build, offset);
  uint64_t shape = atomic_load(&entry->shape);
  return (void *)(build->base + offset + sizeof *entry +
                  fc_region_names_bytes(fc_region_op_size(shape), fc_region_view_size(shape)));
}

/* Adds pieces of one size, a multiple of 8, except the last. Their order in the arena is the
 * reverse of that in the table. */
static void add_pieces(struct region_build *build, struct fc_region_piece *table, uint32_t n,
                       const uint8_t *value, uint32_t size) {
  uint64_t each = size / n / 8 * 8;
  for (uint32_t i = n; i-- > 0;) {
    uint64_t bytes = i == n - 1 ? size - each * (n - 1) : each;
    uint64_t offset = allocate(build, bytes);
    if (bytes > 0)
      memcpy(build->base + offset, value + each * i, bytes);
    atomic_store(&table[i].offset, offset);
    atomic_store(&table[i].extent, bytes);
  }
}

uint64_t region_build_add(struct region_build *build, uint64_t name_space, const struct fc_key *key,
                          const void *value, uint32_t size, uint32_t n_pieces) {
  struct fc_region_bucket *bucket = region_build_bucket(build, name_space, key);
  uint64_t prompt[2];
  uint64_t bytes = sizeof(struct fc_region_entry) +
                   fc_region_names_bytes(key->op.size, key->view.size) +
                   (n_pieces == 0 ? size : n_pieces * sizeof(struct fc_region_piece));
  uint64_t offset = allocate(build, bytes);
  struct fc_region_entry *entry = region_build_entry(build, offset);
  uint8_t *names = (uint8_t *)(entry + 1);
  memcpy(prompt, key->prompt.bytes, sizeof prompt);
  atomic_store(&entry->name_space, name_space);
  atomic_store(&entry->prompt[0], prompt[0]);
  atomic_store(&entry->prompt[1], prompt[1]);
  atomic_store(&entry->numbers, (uint64_t)size << 32 | key->top_k);
  atomic_store(&entry->shape, fc_region_shape(key->op.size, key->view.size, n_pieces, 0));
  atomic_store(&entry->compute_ns, 1000);
  atomic_store(&entry->origin, UINT64_C(77) << 32 | 9);
  memcpy(names, key->op.data, key->op.size);
  memcpy(names + key->op.size, key->view.data, key->view.size);
  if (n_pieces > 0)
    add_pieces(build, region_build_pieces(build, offset), n_pieces, value, size);
  else if (size > 0)
    memcpy(names + fc_region_names_bytes(key->op.size, key->view.size), value, size);
  atomic_store(&entry->next, atomic_load(&bucket->first));
  atomic_store(&bucket->first, offset);
  return offset;
}

/* Maps the file at `at`, which is reserved, or anywhere if that is NULL. */
static int make_fd(const char *name, size_t size, int seals, void *at, void **base) {
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  require(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
  *base = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | (at == NULL ? 0 : MAP_FIXED), fd, 0);
  require(*base != MAP_FAILED && fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

unsigned region_build_fds(struct region_build *build, size_t size, uint64_t boot_id,
                          uint32_t n_buckets, int seals, int fds[FC_REGION_FDS_MAX]) {
  uint8_t *base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void *at = base;
  unsigned n = 1;
  require(base != MAP_FAILED);
  size_t index = (FC_REGION_PAGE + n_buckets * sizeof(struct fc_region_bucket)) /
                     FC_REGION_SEGMENT_UNIT * FC_REGION_SEGMENT_UNIT +
                 FC_REGION_SEGMENT_UNIT;
  fds[0] = make_fd("test-region", index, seals, base, &at);
  lay_out(build, base, size, boot_id, n_buckets, FC_REGION_SEGMENT_UNIT, BUILD_SEGMENT_BYTES);
  require(build->header->arena_offset == index);
  for (; n <= build->header->n_segments; n++)
    fds[n] = make_fd("test-segment",
                     fc_region_segment_size(build->header->arena_size, BUILD_SEGMENT_BYTES, n - 1),
                     seals, base + index + (n - 1) * (size_t)BUILD_SEGMENT_BYTES, &at);
  return n;
}

void region_build_unmap(struct region_build *build) {
  require(munmap(build->base, build->size) == 0);
}

void ring_build_init(struct fc_ring_header *ring, uint32_t n_slots) {
  memset(ring, 0, fc_ring_bytes(n_slots));
  ring->magic = FC_RING_MAGIC;
  ring->n_slots = n_slots;
}

int ring_build_fd(struct fc_ring_header **ring, uint32_t n_slots, int seals) {
  void *base;
  int fd = make_fd("test-ring", fc_ring_bytes(n_slots), seals, NULL, &base);
  *ring = base;
  ring_build_init(*ring, n_slots);
  return fd;
}

const void *ring_build_slot(const struct fc_ring_header *ring, uint64_t i) {
  return (const uint8_t *)(ring + 1) + (i % ring->n_slots) * FC_RING_SLOT;
}
