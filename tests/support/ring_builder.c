#include "ring_builder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void require(bool truth) {
  if (!truth)
    abort();
}

void ring_builder_open(struct ring_builder *builder, int fd) {
  struct stat st;
  require(fstat(fd, &st) == 0);
  builder->bytes = (uint64_t)st.st_size;
  void *base = mmap(NULL, builder->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  require(base != MAP_FAILED);
  builder->header = base;
  builder->slots = (uint8_t *)base + sizeof(struct fc_ring_header);
  builder->head = atomic_load_explicit(&builder->header->head, memory_order_relaxed);
  require(builder->header->magic == FC_RING_MAGIC);
  require(fc_ring_bytes(builder->header->n_slots) == builder->bytes);
}

void ring_builder_close(struct ring_builder *builder) {
  require(munmap(builder->header, builder->bytes) == 0);
}

void ring_builder_slot(struct ring_builder *builder, const void *slot) {
  uint64_t i = builder->head++ % builder->header->n_slots;
  memcpy(builder->slots + i * FC_RING_SLOT, slot, FC_RING_SLOT);
}

void ring_builder_context(struct ring_builder *builder, uint8_t index, const char *op,
                          const char *view, const char *probe) {
  uint8_t bytes[FC_RING_CONTEXT_BYTES_MAX + FC_RING_SLOT] = {0};
  const char *names[] = {op, view, probe == NULL ? "" : probe};
  uint8_t sizes[3];
  uint32_t at = sizeof(struct fc_ring_context);
  for (int i = 0; i < 3; i++) {
    sizes[i] = (uint8_t)strlen(names[i]);
    memcpy(bytes + at, names[i], sizes[i]);
    at += sizes[i];
  }
  struct fc_ring_context head = {FC_RING_CONTEXT, index, sizes[0], sizes[1], sizes[2], {0}};
  memcpy(bytes, &head, sizeof head);
  for (uint32_t i = 0; i * FC_RING_SLOT < at; i++)
    ring_builder_slot(builder, bytes + (size_t)i * FC_RING_SLOT);
}

void ring_builder_hit(struct ring_builder *builder, const struct fc_ring_hit *hit) {
  ring_builder_slot(builder, hit);
}

void ring_builder_publish(struct ring_builder *builder) {
  /* Release: the slots are written before it. */
  atomic_store_explicit(&builder->header->head, builder->head, memory_order_release);
}

uint64_t ring_builder_used(const struct ring_builder *builder) {
  /* Acquire: the daemon has copied the slots before it released them. */
  return builder->head - atomic_load_explicit(&builder->header->tail, memory_order_acquire);
}

struct fc_ring_hit ring_builder_hit_on(uint64_t namespace_id, uint8_t context,
                                       const struct fc_key *key) {
  struct fc_ring_hit hit = {.kind = FC_RING_HIT,
                            .context = context,
                            .top_k = key->top_k,
                            .digest = fc_key_digest(namespace_id, key)};
  memcpy(hit.prompt, key->prompt.bytes, FC_HASH_SIZE);
  return hit;
}
