/* Copies out of, into and within shared memory: every size around the rounds of vectors, every
 * alignment, and not a byte beyond. */
#include "proto/shm/torn_copy.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

int main(void) {
  Suite *suite = suite_create("shared");
  TCase *tcase = tcase_create("shared");
  tcase_add_test(tcase, read_any_size_copies_exactly);
  tcase_add_test(tcase, write_any_size_zeroes_padding);
  tcase_add_test(tcase, zero_any_size_keeps_neighbours);
  tcase_add_test(tcase, move_down_overlapping_keeps_bytes);
  tcase_add_test(tcase, read_large_value_whole);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
