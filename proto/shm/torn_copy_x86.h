/* torn_copy_x86.h - the instructions of x86-64 that torn_copy.c copies with.
 *
 * The processor is asked once what it has. No function accesses a byte outside of the `size` bytes
 * that it copies. */
#ifndef FC_PROTO_TORN_COPY_X86_H
#define FC_PROTO_TORN_COPY_X86_H

#include <cpuid.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Only tests set it, to run what an older processor runs: the features that are used. */
#ifndef FC_TORN_COPY_FEATURES
#define FC_TORN_COPY_FEATURES UINT32_MAX
#endif

#define PREFETCH_BYTES 4096u

enum {
  FEATURES_KNOWN = 1,
  FEATURE_AVX2 = 2,
  /* Vectors of 64 bytes, on processors that run as fast while they use them. The first ones with
   * AVX-512 did not, and lack VBMI2. */
  FEATURE_AVX512 = 4,
  FEATURE_STRINGS = 8, /* REP MOVSB copies whole cache lines ("ERMS") */
};

static inline unsigned find_features(void) {
  unsigned a, b = 0, c, d, features = FEATURES_KNOWN;
  if (__builtin_cpu_supports("avx2")) /* and the system keeps its registers */
    features |= FEATURE_AVX2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vbmi2"))
    features |= FEATURE_AVX512;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 9 & 1) != 0)
    features |= FEATURE_STRINGS;
  return features & (FC_TORN_COPY_FEATURES | FEATURES_KNOWN);
}

/* In a virtual machine, to ask the processor takes microseconds. */
static inline unsigned get_features(void) {
  static _Atomic unsigned known;
  /* Relaxed: the word is all that is shared, and each thread that finds 0 stores the same. */
  unsigned features = atomic_load_explicit(&known, memory_order_relaxed);
  if (features == 0) {
    features = find_features();
    atomic_store_explicit(&known, features, memory_order_relaxed);
  }
  return features;
}

/* ---- strings ---- */

/* REP MOVSB reads no line that it is about to overwrite completely, and it is the fastest copy of
 * many bytes. On some processors it is slow at some offsets, unless `to` is a multiple of 64.
 * Stores that follow are visible behind its own: only among themselves its stores have no order. */
static inline void copy_string(void *to, const void *from, size_t size) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

/* Copies bytes that are probably in no cache. The processor fetches the lines of a string one after
 * the other, and this fetches a block ahead. */
static inline void copy_string_from_memory(uint8_t *to, const uint8_t *from, size_t size) {
  for (; size > 2u * PREFETCH_BYTES; size -= PREFETCH_BYTES) {
    for (size_t i = 0; i < PREFETCH_BYTES; i += 64)
      __builtin_prefetch(from + PREFETCH_BYTES + i);
    copy_string(to, from, PREFETCH_BYTES);
    to += PREFETCH_BYTES;
    from += PREFETCH_BYTES;
  }
  copy_string(to, from, size);
}

/* Loads that follow are made behind all that came before. The manuals say nothing about the order
 * of the loads of a string. */
static inline void order_loads(void) {
  __asm__ volatile("lfence" : : : "memory");
}

/* ---- vectors ---- */

/* `move` is the instruction for vectors of that name, whose size is the text `width`. */
#define LOAD(move, vector, width, i) move " " #i "*" width "(%[from]), %%" vector #i "\n\t"
#define STORE(move, vector, width, i) move " %%" vector #i ", " #i "*" width "(%[to])\n\t"
#define LOAD_ROUND(move, vector, width)                                                            \
  LOAD(move, vector, width, 0)                                                                     \
  LOAD(move, vector, width, 1) LOAD(move, vector, width, 2) LOAD(move, vector, width, 3)
#define STORE_ROUND(move, vector, width)                                                           \
  STORE(move, vector, width, 0)                                                                    \
  STORE(move, vector, width, 1) STORE(move, vector, width, 2) STORE(move, vector, width, 3)

#define COPY_ROUNDS(to, from, rounds, move, vector, width)                                         \
  __asm__ volatile("1:\n\t" LOAD_ROUND(move, vector, width)                                        \
                       STORE_ROUND(move, vector, width) "add $4*" width ", %[from]\n\t"            \
                                                        "add $4*" width ", %[to]\n\t"              \
                                                        "dec %[rounds]\n\t"                        \
                                                        "jnz 1b"                                   \
                   : [to] "+r"(to), [from] "+r"(from), [rounds] "+r"(rounds)                       \
                   :                                                                               \
                   : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3")
#define COPY_ONE(to, from, move, vector)                                                           \
  __asm__ volatile(LOAD(move, vector, "1", 0) STORE(move, vector, "1", 0)                          \
                   :                                                                               \
                   : [to] "r"(to), [from] "r"(from)                                                \
                   : "memory", "xmm0")

/* Copies `rounds` (> 0) rounds of four vectors of `width` bytes (16, 32 or 64), upwards. It loads a
 * whole round before it stores it, so a move to a lower address may overlap. */
static inline void copy_vector_rounds(uint8_t *to, const uint8_t *from, size_t rounds,
                                      unsigned width) {
  if (width == 64)
    COPY_ROUNDS(to, from, rounds, "vmovdqu64", "zmm", "64");
  else if (width == 32)
    COPY_ROUNDS(to, from, rounds, "vmovdqu", "ymm", "32");
  else
    COPY_ROUNDS(to, from, rounds, "movdqu", "xmm", "16");
}

static inline void copy_vector(uint8_t *to, const uint8_t *from, unsigned width) {
  if (width == 64)
    COPY_ONE(to, from, "vmovdqu64", "zmm");
  else if (width == 32)
    COPY_ONE(to, from, "vmovdqu", "ymm");
  else
    COPY_ONE(to, from, "movdqu", "xmm");
}

/* Follows all other copies of that width: else SSE code that comes next is slow on some processors.
 */
static inline void end_vectors(unsigned width) {
  if (width > 16)
    __asm__ volatile("vzeroupper" : : : "memory");
}

/* Copies `size` bytes, at least 64. Loads that cross cache lines cost more than such stores. So
 * only the first and the last vector may cross them, which overlap the others. */
static inline void copy_vectors(uint8_t *to, const uint8_t *from, size_t size, unsigned width) {
  size_t head = -(uintptr_t)from & (width - 1);
  size_t n = (size - head) / width;
  copy_vector(to, from, width);
  uint8_t *at = to + head;
  const uint8_t *next = from + head;
  if (n >= 4) {
    copy_vector_rounds(at, next, n / 4, width);
    at += n / 4 * 4 * width;
    next += n / 4 * 4 * width;
  }
  for (n %= 4; n > 0; n--, at += width, next += width)
    copy_vector(at, next, width);
  copy_vector(to + size - width, from + size - width, width);
  end_vectors(width);
}

#endif
