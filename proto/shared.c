#include "proto/shared.h"

#include <stdatomic.h>
#include <string.h>

static uint64_t load(const void *word) {
  return atomic_load_explicit((const _Atomic uint64_t *)word, memory_order_relaxed);
}

static void store(void *word, uint64_t value) {
  atomic_store_explicit((_Atomic uint64_t *)word, value, memory_order_relaxed);
}

void fc_shared_read(void *to, const void *shared, size_t size) {
  uint8_t *at = to;
  const uint8_t *from = shared;
  for (; size >= 8; size -= 8, at += 8, from += 8) {
    uint64_t word = load(from);
    memcpy(at, &word, 8);
  }
  if (size > 0) {
    uint64_t word = load(from);
    memcpy(at, &word, size);
  }
}

void fc_shared_write(void *shared, const void *from, size_t size) {
  uint8_t *to = shared;
  const uint8_t *at = from;
  for (; size >= 8; size -= 8, at += 8, to += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    store(to, word);
  }
  if (size > 0) {
    uint64_t word = 0;
    memcpy(&word, at, size);
    store(to, word);
  }
}

void fc_shared_move_down(void *to, const void *from, size_t size) {
  uint8_t *at = to;
  const uint8_t *next = from;
  for (size_t done = 0; done < size; done += 8)
    store(at + done, load(next + done));
}
