/* The clock from the time stamp counter: conversion, bounds, and calibrations in a header that is
 * being written or has any numbers. */
#include "proto/shm/tsc_clock.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/support/runner.h"

#define GHZ_2_6 ((UINT64_C(1) << 32) * 10 / 26) /* nanoseconds of 2^32 ticks */

static struct fc_region_header header;
static struct fc_tsc_clock loaded;

static void set_up(void) {
  header = (struct fc_region_header){0};
}

static void tear_down(void) {}

static void publish(uint64_t ticks, uint64_t ns, uint64_t factor) {
  struct fc_tsc_clock clock = {.ticks = ticks, .ns = ns, .factor = factor};
  fc_tsc_clock_store(&header, &clock);
}

static uint64_t random_number(uint64_t *state) { /* splitmix64 */
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static const uint64_t factors[] = {FC_TSC_FACTOR_MIN, GHZ_2_6, UINT64_C(1) << 32,
                                   FC_TSC_FACTOR_MAX};
#define N_FACTORS (sizeof factors / sizeof factors[0])

START_TEST(convert_valid_ticks_as_wide_product) {
  for (size_t i = 0; i < N_FACTORS; i++) {
    publish(UINT64_MAX - 5, 77, factors[i]); /* the counter wraps around */
    ck_assert(fc_tsc_clock_load(&loaded, &header));
    for (uint64_t age = 0; age < loaded.ticks_max; age += 1 + loaded.ticks_max / 1000) {
      __extension__ unsigned __int128 wide = (unsigned __int128)age * factors[i];
      ck_assert(fc_tsc_clock_covers(&loaded, loaded.ticks + age));
      ck_assert_uint_eq(fc_tsc_clock_ns(&loaded, loaded.ticks + age), 77 + (uint64_t)(wide >> 32));
    }
    uint64_t last = fc_tsc_clock_ns(&loaded, loaded.ticks + loaded.ticks_max - 1) - 77;
    ck_assert_uint_le(last, FC_TSC_VALID_NS);
    ck_assert_uint_ge(last, FC_TSC_VALID_NS - 100);
  }
}
END_TEST

START_TEST(covers_valid_time_only) {
  publish(1000, 77, GHZ_2_6);
  ck_assert(fc_tsc_clock_load(&loaded, &header));
  ck_assert(fc_tsc_clock_covers(&loaded, 1000));
  ck_assert(!fc_tsc_clock_covers(&loaded, 999));
  ck_assert(!fc_tsc_clock_covers(&loaded, 0));
  ck_assert(!fc_tsc_clock_covers(&loaded, 1000 + loaded.ticks_max));
  ck_assert(!fc_tsc_clock_covers(&loaded, 1000 + (UINT64_C(1) << 63)));
}
END_TEST

START_TEST(load_none_odd_or_impossible_rejected) {
  static const uint64_t impossible[] = {0, 1, FC_TSC_FACTOR_MIN - 1, FC_TSC_FACTOR_MAX + 1,
                                        UINT64_MAX};
  ck_assert(!fc_tsc_clock_load(&loaded, &header));
  ck_assert(!fc_tsc_clock_covers(&loaded, 0));
  for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
    publish(1, 2, impossible[i]);
    ck_assert(!fc_tsc_clock_load(&loaded, &header));
    ck_assert(!fc_tsc_clock_covers(&loaded, 1));
  }
  publish(1, 2, GHZ_2_6);
  ck_assert(fc_tsc_clock_load(&loaded, &header));
  ck_assert_uint_eq(loaded.sequence, atomic_load(&header.clock_sequence));
  atomic_fetch_add(&header.clock_sequence, 1); /* the daemon was killed in the middle */
  ck_assert(!fc_tsc_clock_load(&loaded, &header));
  publish(0, 0, 0);
  ck_assert(!fc_tsc_clock_load(&loaded, &header));
}
END_TEST

/* Any numbers: the conversion is defined for what is accepted, which takes no more than 2 s. */
START_TEST(load_any_numbers_bounded) {
  uint64_t random = 1;
  for (unsigned i = 0; i < 100000; i++) {
    uint64_t ticks = random_number(&random), ns = random_number(&random);
    publish(ticks, ns, random_number(&random) >> random_number(&random) % 64);
    if (!fc_tsc_clock_load(&loaded, &header))
      continue;
    ck_assert_uint_gt(loaded.ticks_max, 0);
    uint64_t last_ns = fc_tsc_clock_ns(&loaded, loaded.ticks + loaded.ticks_max - 1);
    ck_assert_uint_le(last_ns - loaded.ns, FC_TSC_VALID_NS);
  }
}
END_TEST

#define WRITES 200000u

static void *write_on(void *arg) {
  (void)arg;
  for (uint64_t i = 1; i <= WRITES; i++)
    publish(i, 3 * i, FC_TSC_FACTOR_MIN + i);
  return NULL;
}

START_TEST(load_during_writes_never_torn) {
  pthread_t writer;
  uint64_t latest = 0;
  ck_assert_int_eq(pthread_create(&writer, NULL, write_on, NULL), 0);
  while (latest < WRITES) {
    if (!fc_tsc_clock_load(&loaded, &header))
      continue;
    ck_assert_uint_ge(loaded.ticks, latest);
    latest = loaded.ticks;
    ck_assert_uint_eq(loaded.ns, 3 * latest);
    ck_assert_uint_eq(loaded.factor, FC_TSC_FACTOR_MIN + latest);
    ck_assert_uint_eq(loaded.sequence, 2 * latest);
  }
  ck_assert_int_eq(pthread_join(writer, NULL), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tsc_clock");
  TCase *tcase = tcase_create("tsc_clock");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, convert_valid_ticks_as_wide_product);
  tcase_add_test(tcase, covers_valid_time_only);
  tcase_add_test(tcase, load_none_odd_or_impossible_rejected);
  tcase_add_test(tcase, load_any_numbers_bounded);
  tcase_add_test(tcase, load_during_writes_never_torn);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
