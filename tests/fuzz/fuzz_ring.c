/* libFuzzer: any bytes in a client's ring. The input is two heads, one after the other, and then
 * slots, repeated until the ring is full. The reader must stay within the published slots, return
 * only valid names and defined contexts, and stop at a bad record. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/rings/ring_reader.h"
#include "proto/errors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADS (2 * sizeof(uint64_t))

static void require(int truth) {
  if (!truth)
    abort();
}

static void check_hits(const struct ring_reader *reader, const struct ring_hit *hits, size_t n) {
  for (size_t i = 0; i < n; i++) {
    require(hits[i].context >= reader->contexts &&
            hits[i].context < reader->contexts + FC_RING_CONTEXTS);
    require(fc_name_valid(ring_hit_op(&hits[i])) && fc_name_valid(ring_hit_view(&hits[i])));
    require(hits[i].context->probe_size == 0 || fc_name_valid(ring_hit_probe(&hits[i])));
    require((hits[i].record.flags & ~FC_RING_UNRECORDED) == 0);
  }
}

/* Returns false if the ring is rejected. */
static bool read_all(const struct ring *ring, struct ring_reader *reader) {
  struct ring_hit hits[RING_BATCH];
  while (reader->at != ring->head) {
    const char *why = NULL;
    size_t n;
    uint64_t before = reader->at;
    int rc = ring_next(ring, reader, ring->head, hits, &n, &why);
    require(n <= RING_BATCH && reader->at - before <= ring->head - before);
    check_hits(reader, hits, n);
    if (rc != 0) {
      require(rc == FC_EPROTOCOL && n == 0 && why != NULL &&
              reader->at - before <= ring->head - before);
      return false;
    }
    require(reader->at != before);
  }
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ring_reader reader;
  struct ring ring;
  uint64_t heads[2];
  if (size < HEADS + 1)
    return 0;
  memcpy(heads, data, HEADS);
  require(ring_init(&ring, FC_RING_SLOTS_MIN) == 0);
  uint8_t *base = mmap(NULL, ring.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, 0);
  require(base != MAP_FAILED);
  struct fc_ring_header *header = (struct fc_ring_header *)(void *)base;
  for (uint64_t at = sizeof *header; at < ring.bytes; at += size - HEADS) {
    uint64_t left = ring.bytes - at;
    memcpy(base + at, data + HEADS, left < size - HEADS ? left : size - HEADS);
  }
  memset(&reader, 0, sizeof reader);
  for (int i = 0; i < 2; i++) {
    const char *why = NULL;
    atomic_store_explicit(&header->head, heads[i], memory_order_release);
    if (ring_look(&ring, &why) != 0) {
      require(why != NULL);
      break;
    }
    require(ring.head - ring.tail <= FC_RING_SLOTS_MIN);
    if (!read_all(&ring, &reader))
      break;
    ring_release(&ring, reader.at);
  }
  require(munmap(base, ring.bytes) == 0);
  ring_deinit(&ring);
  return 0;
}
