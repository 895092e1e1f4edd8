/* Frames around the sizes that the daemon handles without a buffer of their own, many of them sent
 * at once and in parts: each is stored, and answered in its order. */
#include <stdio.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"

#define VALUE_MAX (300u << 10)

static struct daemon served;
static uint8_t value[VALUE_MAX];

/* Of the values. A frame is some 60 bytes longer. Behind them come small ones: more than a turn
 * handles, and more than a small buffer keeps. */
static const uint32_t large[] = {65400,  65500, 1,      65536,  131000, 131072, 40, 131040, 262144,
                                 131073, 100,   300000, 200000, 64000,  10,     10, 10,     65470};
enum { N_LARGE = sizeof large / sizeof large[0], N_SMALL = 120, N = N_LARGE + N_SMALL + 1 };

static uint32_t size_of(uint32_t i) {
  if (i < N_LARGE)
    return large[i];
  return i < N_LARGE + N_SMALL ? 2900 + i % 100 : 150000;
}

static void start(void) {
  harness_start(&served, "--max-value", "1M", NULL);
}

static void start_small(void) {
  /* the smallest budget: one frame of the largest value, and one reply */
  harness_start(&served, "--max-value", "1M", "--client-budget", "4200000", NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static const uint8_t *value_of(uint32_t i, uint32_t round) {
  for (uint32_t k = 0; k < size_of(i); k++)
    value[k] = (uint8_t)(k * 7u + (k >> 8) + i * 31u + round);
  return value;
}

static struct fc_key key_of(uint32_t i, char view[16]) {
  (void)snprintf(view, 16, "v%u", i);
  return raw_key("op", view, 0, "p");
}

static void add_put(struct fc_buf *buf, uint32_t i, uint32_t round) {
  char view[16];
  struct fc_put put = {
      .key = key_of(i, view), .value = value_of(i, round), .value_size = size_of(i)};
  ck_assert_int_eq(fc_encode_put_head(buf, 100 + i, &put), 0);
  ck_assert_int_eq(fc_buf_append(buf, put.value, put.value_size), 0);
}

static void check_stored(struct raw *raw, uint32_t round) {
  for (uint32_t i = 0; i < N; i++) {
    char view[16];
    struct fc_get get = {.key = key_of(i, view)};
    struct fc_reply reply;
    ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
    ck_assert_uint_eq(reply.get.value_size, size_of(i));
    ck_assert(memcmp(reply.get.value, value_of(i, round), size_of(i)) == 0);
  }
}

/* Sends all puts in parts of `part` bytes, in a frame or across frames, and reads all replies. */
static void put_all(struct raw *raw, uint32_t round, size_t part) {
  struct fc_buf all = {0};
  for (uint32_t i = 0; i < N; i++)
    add_put(&all, i, round);
  for (size_t at = 0; at < all.size; at += part)
    ck_assert_int_eq(raw_send(raw, all.data + at, all.size - at < part ? all.size - at : part), 0);
  fc_buf_free(&all);
  for (uint32_t i = 0; i < N; i++) {
    struct fc_reply reply;
    ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
    ck_assert_uint_eq(reply.id, 100 + i);
    ck_assert_int_eq(reply.put, FC_STORED);
  }
}

static void run(void) {
  static const size_t parts[] = {SIZE_MAX / 2, 65536, 131072, 131073, 65535, 9999};
  struct raw raw;
  raw_open(&raw, served.socket, "pipelined");
  for (uint32_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    put_all(&raw, i, parts[i]);
    check_stored(&raw, i);
  }
  raw_close(&raw);
}

START_TEST(frames_of_all_sizes_answered_in_order) {
  run();
}
END_TEST

START_TEST(frames_of_all_sizes_with_small_budget_answered_in_order) {
  run();
}
END_TEST

/* Together they begin more than the budget has room for. What does not fit stays in the sockets. */
START_TEST(many_unfinished_frames_leave_daemon_serving) {
  enum { CLIENTS = 100, BEGUN = 126000 };
  static struct raw raws[CLIENTS];
  struct fc_buf put = {0};
  add_put(&put, N - 1, 0);
  ck_assert_uint_gt(put.size, BEGUN);
  for (int i = 0; i < CLIENTS; i++)
    raw_open(&raws[i], served.socket, "pipelined");
  for (int i = 0; i < CLIENTS; i++)
    ck_assert_int_eq(raw_send(&raws[i], put.data, BEGUN), 0);
  run();
  for (int i = 0; i < CLIENTS; i++)
    raw_close(&raws[i]);
  fc_buf_free(&put);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("pipelined");
  TCase *tests = tcase_create("default"), *small = tcase_create("small budget");
  tcase_add_checked_fixture(tests, start, stop);
  tcase_add_test(tests, frames_of_all_sizes_answered_in_order);
  suite_add_tcase(suite, tests);
  tcase_add_checked_fixture(small, start_small, stop);
  tcase_add_test(small, frames_of_all_sizes_with_small_budget_answered_in_order);
  tcase_add_test(small, many_unfinished_frames_leave_daemon_serving);
  suite_add_tcase(suite, small);
  return harness_main(suite);
}
