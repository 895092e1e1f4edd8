#include "ring_builder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void require(bool truth) {
  if (!truth)
    abort();
}

void ring_writer_open(struct ring_writer *writer, int fd) {
  struct stat st;
  require(fstat(fd, &st) == 0);
  writer->bytes = (uint64_t)st.st_size;
  void *base = mmap(NULL, writer->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  require(base != MAP_FAILED);
  writer->header = base;
  writer->slots = (uint8_t *)base + sizeof(struct fc_ring_header);
  writer->head = atomic_load_explicit(&writer->header->head, memory_order_relaxed);
  require(writer->header->magic == FC_RING_MAGIC);
  require(fc_ring_bytes(writer->header->n_slots) == writer->bytes);
}

void ring_writer_close(struct ring_writer *writer) {
  require(munmap(writer->header, writer->bytes) == 0);
}

void ring_writer_slot(struct ring_writer *writer, const void *slot) {
  uint64_t i = writer->head++ % writer->header->n_slots;
  memcpy(writer->slots + i * FC_RING_SLOT, slot, FC_RING_SLOT);
}

void ring_writer_context(struct ring_writer *writer, uint8_t index, const char *op,
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
    ring_writer_slot(writer, bytes + (size_t)i * FC_RING_SLOT);
}

void ring_writer_hit(struct ring_writer *writer, const struct fc_ring_hit *hit) {
  ring_writer_slot(writer, hit);
}

void ring_writer_publish(struct ring_writer *writer) {
  /* release: the slots are written before it */
  atomic_store_explicit(&writer->header->head, writer->head, memory_order_release);
}

uint64_t ring_writer_used(const struct ring_writer *writer) {
  /* acquire: the daemon has copied the slots before it gave them back */
  return writer->head - atomic_load_explicit(&writer->header->tail, memory_order_acquire);
}

struct fc_ring_hit ring_writer_hit_on(uint64_t namespace_id, uint8_t context,
                                      const struct fc_key *key) {
  struct fc_ring_hit hit = {.kind = FC_RING_HIT,
                            .context = context,
                            .top_k = key->top_k,
                            .digest = fc_key_digest(namespace_id, key)};
  memcpy(hit.prompt, key->prompt.bytes, FC_HASH_SIZE);
  return hit;
}
