/* Copies out of, into and within shared memory: every size around the rounds of vectors, sizes
 * around those from which strings copy, every alignment, and not a byte beyond. tests.mk also links
 * this with the copies of older processors. */
#include "proto/shm/torn_copy.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/runner.h"

#define SIZE_MAX_TESTED 700u
#define ROOM (SIZE_MAX_TESTED + 64u)

static void fill(uint8_t *bytes, size_t size, uint8_t seed) {
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(i * 7u + (i >> 8) * 13u + seed);
}

static size_t padded(size_t size) {
  return (size + 7u) & ~(size_t)7;
}

static bool is_all(const uint8_t *bytes, size_t size, uint8_t value) {
  size_t i = 0;
  while (i < size && bytes[i] == value)
    i++;
  return i == size;
}

/* The memory ends behind the last readable byte, so a sanitizer sees a read behind it. */
START_TEST(read_any_size_copies_exactly) {
  uint8_t to[ROOM];
  for (size_t size = 0; size <= SIZE_MAX_TESTED; size++)
    for (size_t shift = 0; shift < 9; shift += 4) {
      uint8_t *shared = aligned_alloc(8, padded(size) + 8);
      ck_assert_ptr_nonnull(shared);
      fill(shared, padded(size) + 8, 1);
      memset(to, 0xee, sizeof to);
      fc_torn_read(to + shift, shared + 8, size);
      ck_assert(memcmp(to + shift, shared + 8, size) == 0);
      ck_assert(is_all(to, shift, 0xee));
      ck_assert(is_all(to + shift + size, sizeof to - shift - size, 0xee));
      free(shared);
    }
}
END_TEST

START_TEST(write_any_size_zeroes_padding) {
  uint8_t from[ROOM];
  fill(from, sizeof from, 2);
  for (size_t size = 0; size <= SIZE_MAX_TESTED; size++)
    for (size_t shift = 0; shift < 9; shift += 4) {
      uint8_t *shared = aligned_alloc(8, padded(size) + 16);
      ck_assert_ptr_nonnull(shared);
      memset(shared, 0xee, padded(size) + 16);
      fc_torn_write(shared + 8, from + shift, size);
      ck_assert(memcmp(shared + 8, from + shift, size) == 0);
      ck_assert(is_all(shared + 8 + size, padded(size) - size, 0));
      ck_assert(is_all(shared, 8, 0xee));
      ck_assert(is_all(shared + 8 + padded(size), 8, 0xee));
      free(shared);
    }
}
END_TEST

START_TEST(zero_any_size_keeps_neighbours) {
  static uint8_t shared[3 * 4096 + 64] __attribute__((aligned(8)));
  for (size_t size = 0; size <= sizeof shared - 16; size += size < SIZE_MAX_TESTED ? 8 : 1016) {
    fill(shared, sizeof shared, 5);
    fc_torn_zero(shared + 8, size);
    ck_assert(is_all(shared + 8, size, 0));
    for (size_t i = 0; i < 8; i++)
      ck_assert(shared[i] == (uint8_t)(i * 7u + 5u) &&
                shared[8 + size + i] ==
                    (uint8_t)((8 + size + i) * 7u + ((8 + size + i) >> 8) * 13u + 5u));
  }
}
END_TEST

START_TEST(move_down_overlapping_keeps_bytes) {
  static uint8_t expected[2 * ROOM], shared[2 * ROOM] __attribute__((aligned(8)));
  for (size_t size = 0; size <= SIZE_MAX_TESTED; size += 8)
    for (size_t distance = 8; distance <= SIZE_MAX_TESTED; distance += distance < 160 ? 8 : 104) {
      fill(shared, sizeof shared, 3);
      memcpy(expected, shared, sizeof expected);
      memmove(expected + 8, expected + 8 + distance, size);
      fc_torn_move_down(shared + 8, shared + 8 + distance, size);
      ck_assert_msg(memcmp(shared, expected, sizeof shared) == 0, "%zu bytes by %zu", size,
                    distance);
    }
}
END_TEST

START_TEST(read_large_value_whole) {
  const size_t size = 1000003;
  uint8_t *from = malloc(size), *to = malloc(size);
  uint8_t *shared = aligned_alloc(8, padded(size));
  ck_assert(from != NULL && to != NULL && shared != NULL);
  fill(from, size, 4);
  fc_torn_write(shared, from, size);
  fc_torn_read(to, shared, size);
  ck_assert(memcmp(from, to, size) == 0);
  free(from);
  free(to);
  free(shared);
}
END_TEST

/* Sizes around those from which torn_copy.c copies in another way. */
static const size_t bounds[] = {2040,  2047,  2048,  2049,  2111,  2112,  8191,  8193,
                                24575, 24576, 24577, 24639, 24640, 32773, 40000, 65544};
enum { N_BOUNDS = sizeof bounds / sizeof bounds[0], BOUND_ROOM = 65544 + 256 };

START_TEST(read_at_bounds_copies_exactly) {
  static uint8_t shared[BOUND_ROOM] __attribute__((aligned(64)));
  static uint8_t to[BOUND_ROOM] __attribute__((aligned(64)));
  fill(shared, sizeof shared, 6);
  for (size_t i = 0; i < N_BOUNDS; i++)
    for (size_t at = 0; at < 64; at += 8)
      for (size_t shift = 0; shift < 67; shift += 11) {
        memset(to, 0xee, sizeof to);
        fc_torn_read(to + shift, shared + at, bounds[i]);
        ck_assert(memcmp(to + shift, shared + at, bounds[i]) == 0);
        ck_assert(is_all(to, shift, 0xee));
        ck_assert(is_all(to + shift + bounds[i], sizeof to - shift - bounds[i], 0xee));
      }
}
END_TEST

START_TEST(write_at_bounds_copies_exactly) {
  static uint8_t shared[BOUND_ROOM] __attribute__((aligned(64)));
  static uint8_t from[BOUND_ROOM] __attribute__((aligned(64)));
  fill(from, sizeof from, 7);
  for (size_t i = 0; i < N_BOUNDS; i++)
    for (size_t at = 0; at < 64; at += 8)
      for (size_t shift = 0; shift < 67; shift += 11) {
        size_t size = bounds[i], end = at + padded(size);
        memset(shared, 0xee, sizeof shared);
        fc_torn_write(shared + at, from + shift, size);
        ck_assert(memcmp(shared + at, from + shift, size) == 0);
        ck_assert(is_all(shared, at, 0xee));
        ck_assert(is_all(shared + at + size, end - at - size, 0));
        ck_assert(is_all(shared + end, sizeof shared - end, 0xee));
      }
}
END_TEST

/* Returns memory of `size` bytes, a multiple of the page size, whose neighbours are no memory. */
static uint8_t *guarded(size_t size) {
  enum { GUARD = 1 << 16 };
  uint8_t *base = mmap(NULL, size + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert(base != MAP_FAILED);
  ck_assert_int_eq(mprotect(base + GUARD, size, PROT_READ | PROT_WRITE), 0);
  return base + GUARD;
}

static void copy_at_both_ends(uint8_t *shared, uint8_t *own, size_t room, size_t size) {
  size_t whole = padded(size);
  fc_torn_read(own, shared + room - whole, size);
  fc_torn_read(own + room - size, shared, size);
  fc_torn_write(shared, own + room - size, size);
  fc_torn_write(shared + room - whole, own, size);
  fc_torn_move_down(shared, shared + room - whole, whole);
}

/* A sanitizer sees no access of the machine code, so a fault has to show it. */
START_TEST(copies_stay_in_their_memory) {
  enum { ROOM_BYTES = 1 << 18 };
  uint8_t *shared = guarded(ROOM_BYTES), *own = guarded(ROOM_BYTES);
  for (size_t size = 1; size <= SIZE_MAX_TESTED; size++)
    copy_at_both_ends(shared, own, ROOM_BYTES, size);
  for (size_t i = 0; i < N_BOUNDS; i++)
    copy_at_both_ends(shared, own, ROOM_BYTES, bounds[i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("shared");
  TCase *tcase = tcase_create("shared");
  tcase_add_test(tcase, read_any_size_copies_exactly);
  tcase_add_test(tcase, write_any_size_zeroes_padding);
  tcase_add_test(tcase, zero_any_size_keeps_neighbours);
  tcase_add_test(tcase, move_down_overlapping_keeps_bytes);
  tcase_add_test(tcase, read_large_value_whole);
  tcase_add_test(tcase, read_at_bounds_copies_exactly);
  tcase_add_test(tcase, write_at_bounds_copies_exactly);
  tcase_add_test(tcase, copies_stay_in_their_memory);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
