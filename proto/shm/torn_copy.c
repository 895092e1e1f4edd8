#include "proto/shm/torn_copy.h"

#include <stdatomic.h>
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

#define WIDE_BYTES 128u  /* that one round of AVX2 copies */
#define NARROW_BYTES 64u /* and one of SSE2, which every x86-64 has */

/* Each copies `rounds` (> 0) rounds upwards, and loads a whole round before it stores it. So a move
 * to a lower address may overlap. */
static void copy_wide(void *to, const void *from, size_t rounds) {
  __asm__ volatile("1:\n\t"
                   "vmovdqu   (%[from]), %%ymm0\n\t"
                   "vmovdqu 32(%[from]), %%ymm1\n\t"
                   "vmovdqu 64(%[from]), %%ymm2\n\t"
                   "vmovdqu 96(%[from]), %%ymm3\n\t"
                   "vmovdqu %%ymm0,   (%[to])\n\t"
                   "vmovdqu %%ymm1, 32(%[to])\n\t"
                   "vmovdqu %%ymm2, 64(%[to])\n\t"
                   "vmovdqu %%ymm3, 96(%[to])\n\t"
                   "add $128, %[from]\n\t"
                   "add $128, %[to]\n\t"
                   "dec %[rounds]\n\t"
                   "jnz 1b\n\t"
                   "vzeroupper" /* else SSE code that follows is slow on some processors */
                   : [to] "+r"(to), [from] "+r"(from), [rounds] "+r"(rounds)
                   :
                   : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3");
}

static void copy_narrow(void *to, const void *from, size_t rounds) {
  __asm__ volatile("1:\n\t"
                   "movdqu   (%[from]), %%xmm0\n\t"
                   "movdqu 16(%[from]), %%xmm1\n\t"
                   "movdqu 32(%[from]), %%xmm2\n\t"
                   "movdqu 48(%[from]), %%xmm3\n\t"
                   "movdqu %%xmm0,   (%[to])\n\t"
                   "movdqu %%xmm1, 16(%[to])\n\t"
                   "movdqu %%xmm2, 32(%[to])\n\t"
                   "movdqu %%xmm3, 48(%[to])\n\t"
                   "add $64, %[from]\n\t"
                   "add $64, %[to]\n\t"
                   "dec %[rounds]\n\t"
                   "jnz 1b"
                   : [to] "+r"(to), [from] "+r"(from), [rounds] "+r"(rounds)
                   :
                   : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3");
}

/* Copies whole rounds. Returns the number of copied bytes, a multiple of 8. */
static size_t copy_rounds(uint8_t *to, const uint8_t *from, size_t size) {
  size_t done = 0;
  /* The compiler's library asks the processor once, before main. */
  if (size >= WIDE_BYTES && __builtin_cpu_supports("avx2")) {
    copy_wide(to, from, size / WIDE_BYTES);
    done = size - size % WIDE_BYTES;
  }
  if (size - done >= NARROW_BYTES) {
    copy_narrow(to + done, from + done, (size - done) / NARROW_BYTES);
    done = size - size % NARROW_BYTES;
  }
  return done;
}

#else

static size_t copy_rounds(uint8_t *to, const uint8_t *from, size_t size) {
  (void)to;
  (void)from;
  (void)size;
  return 0;
}

#endif

void fc_torn_read(void *to, const void *shared, size_t size) {
  size_t done = copy_rounds(to, shared, size);
  uint8_t *at = (uint8_t *)to + done;
  const uint8_t *from = (const uint8_t *)shared + done;
  for (size -= done; size >= 8; size -= 8, at += 8, from += 8) {
    uint64_t word = load(from);
    memcpy(at, &word, 8);
  }
  if (size > 0) {
    uint64_t word = load(from);
    memcpy(at, &word, size);
  }
}

void fc_torn_write(void *shared, const void *from, size_t size) {
  size_t done = copy_rounds(shared, from, size);
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
  size_t done = copy_rounds(to, from, size);
  for (; done < size; done += 8)
    store((uint8_t *)to + done, load((const uint8_t *)from + done));
}
