/* libFuzzer: any bytes as what a client wrote into its ring. The input is two heads, one after the
 * other, and then slots, again and again until the ring is full. Whatever it is, the reader stays
 * within what is published, hands out names that are names and contexts that were defined, and
 * stands still at what it refuses. */
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

/* False where the ring is refused. */
static bool read_all(struct ring_reader *reader) {
  struct ring_hit hits[RING_READER_BATCH];
  while (reader->at != reader->head) {
    const char *why = NULL;
    size_t n;
    uint64_t before = reader->at;
    int rc = ring_reader_next(reader, UINT64_MAX, hits, RING_READER_BATCH, &n, &why);
    require(n <= RING_READER_BATCH && reader->at - before <= reader->head - before);
    check_hits(reader, hits, n);
    if (rc != 0) {
      require(rc == FC_EPROTOCOL && n == 0 && why != NULL &&
              reader->at - before <= reader->head - before);
      return false;
    }
    require(reader->at != before);
  }
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ring_reader reader;
  uint64_t heads[2];
  if (size < HEADS + 1)
    return 0;
  memcpy(heads, data, HEADS);
  require(ring_reader_init(&reader, FC_RING_SLOTS_MIN) == 0);
  uint8_t *base = mmap(NULL, reader.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, reader.fd, 0);
  require(base != MAP_FAILED);
  struct fc_ring_header *header = (struct fc_ring_header *)(void *)base;
  for (uint64_t at = sizeof *header; at < reader.bytes; at += size - HEADS) {
    uint64_t left = reader.bytes - at;
    memcpy(base + at, data + HEADS, left < size - HEADS ? left : size - HEADS);
  }
  for (int i = 0; i < 2; i++) {
    const char *why = NULL;
    atomic_store_explicit(&header->head, heads[i], memory_order_release);
    if (ring_reader_load_head(&reader, &why) != 0) {
      require(why != NULL);
      break;
    }
    require(reader.head - reader.tail <= FC_RING_SLOTS_MIN);
    if (!read_all(&reader))
      break;
    ring_reader_release(&reader);
  }
  require(munmap(base, reader.bytes) == 0);
  ring_reader_deinit(&reader);
  return 0;
}
