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

void region_build_init(struct region_build *build, void *base, size_t size, uint64_t boot_id,
                       uint32_t n_buckets) {
  memset(base, 0, size);
  *build = (struct region_build){.base = base, .size = size, .header = base};
  struct fc_region_header *header = base;
  uint64_t buckets_bytes = n_buckets * sizeof(struct fc_region_bucket);
  build->next = FC_REGION_PAGE + buckets_bytes;
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
  atomic_store(&header->owner, BUILD_OWNER);
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

static int make_fd(const char *name, size_t size, int seals, void **base) {
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  require(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
  *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  require(*base != MAP_FAILED && fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

int region_build_fd(struct region_build *build, size_t size, uint64_t boot_id, uint32_t n_buckets,
                    int seals) {
  void *base;
  int fd = make_fd("test-region", size, seals, &base);
  region_build_init(build, base, size, boot_id, n_buckets);
  return fd;
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
  int fd = make_fd("test-ring", fc_ring_bytes(n_slots), seals, &base);
  *ring = base;
  ring_build_init(*ring, n_slots);
  return fd;
}

const void *ring_build_slot(const struct fc_ring_header *ring, uint64_t i) {
  return (const uint8_t *)(ring + 1) + (i % ring->n_slots) * FC_RING_SLOT;
}
