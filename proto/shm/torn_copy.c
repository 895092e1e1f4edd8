#include "proto/shm/torn_copy.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define ZEROS_BYTES 4096u /* stays in the nearest cache while much is zeroed */

/* ThreadSanitizer does not see into machine code. */
#if defined(__SANITIZE_THREAD__)
#define WORDS_ALONE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WORDS_ALONE 1
#endif
#endif

static uint64_t load(const void *word) {
  return atomic_load_explicit((const _Atomic uint64_t *)word, memory_order_relaxed);
}

static void store(void *word, uint64_t value) {
  atomic_store_explicit((_Atomic uint64_t *)word, value, memory_order_relaxed);
}

#if defined(__x86_64__) && !defined(WORDS_ALONE)
#include "proto/shm/torn_copy_x86.h"

/* Measured: see docs/decisions/0109-copies-by-strings-and-vectors.md. */
#define READ_VECTORS_MIN 64u   /* bytes */
#define READ_STRING_MIN 24576u /* with both sides, more than the nearest cache */
#define WRITE_STRING_MIN 2048u /* the lines are rarely in a cache */
#define LINE_BYTES 64u

static bool read_many(uint8_t *to, const uint8_t *from, size_t size) {
  if (size < READ_VECTORS_MIN)
    return false;
  unsigned features = get_features();
  if (size >= READ_STRING_MIN && (features & FEATURE_STRINGS) != 0) {
    size_t head = -(uintptr_t)to & (LINE_BYTES - 1);
    copy_vectors(to, from, LINE_BYTES, 16);
    copy_string_from_memory(to + head, from + head, size - head);
    order_loads();
  } else if ((features & FEATURE_AVX512) != 0) {
    copy_vectors(to, from, size, 64);
  } else if ((features & FEATURE_AVX2) != 0) {
    copy_vectors(to, from, size, 32);
  } else {
    copy_vectors(to, from, size, 16);
  }
  return true;
}

/* Copies whole rounds. Returns the number of copied bytes, a multiple of 8. */
static size_t move_many(uint8_t *to, const uint8_t *from, size_t size) {
  size_t done = 0;
  if (size >= 4u * 32 && (get_features() & FEATURE_AVX2) != 0) {
    copy_vector_rounds(to, from, size / (4u * 32), 32);
    end_vectors(32);
    done = size - size % (4u * 32);
  }
  if (size - done >= 4u * 16) {
    copy_vector_rounds(to + done, from + done, (size - done) / (4u * 16), 16);
    done = size - size % (4u * 16);
  }
  return done;
}

/* Returns the number of copied bytes, a multiple of 8. */
static size_t write_many(uint8_t *to, const uint8_t *from, size_t size) {
  if (size < WRITE_STRING_MIN || (get_features() & FEATURE_STRINGS) == 0)
    return move_many(to, from, size);
  size_t head = -(uintptr_t)to & (LINE_BYTES - 1);
  copy_vectors(to, from, LINE_BYTES, 16);
  copy_string(to + head, from + head, (size - head) & ~(size_t)7);
  return head + ((size - head) & ~(size_t)7);
}

#else

static bool read_many(uint8_t *to, const uint8_t *from, size_t size) {
  (void)to;
  (void)from;
  (void)size;
  return false;
}

static size_t move_many(uint8_t *to, const uint8_t *from, size_t size) {
  (void)to;
  (void)from;
  (void)size;
  return 0;
}

static size_t write_many(uint8_t *to, const uint8_t *from, size_t size) {
  return move_many(to, from, size);
}

#endif

void fc_torn_read(void *to, const void *shared, size_t size) {
  if (read_many(to, shared, size))
    return;
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

void fc_torn_write(void *shared, const void *from, size_t size) {
  size_t done = write_many(shared, from, size);
  uint8_t *to = (uint8_t *)shared + done;
  const uint8_t *at = (const uint8_t *)from + done;
  for (size -= done; size >= 8; size -= 8, at += 8, to += 8) {
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

void fc_torn_zero(void *shared, size_t size) {
  static const uint8_t zeros[ZEROS_BYTES];
  uint8_t *to = shared;
  for (size_t left = size, n; left > 0; left -= n, to += n) {
    n = left < sizeof zeros ? left : sizeof zeros;
    fc_torn_write(to, zeros, n);
  }
}

void fc_torn_move_down(void *to, const void *from, size_t size) {
  size_t done = move_many(to, from, size);
  for (; done < size; done += 8)
    store((uint8_t *)to + done, load((const uint8_t *)from + done));
}
