/* The clock of hits: with and without a calibration, with one that is stale, half written, wrong or
 * hostile, and across a change of the calibration. */
#include "client/lib/shm/hit_clock.h"

#include <check.h>

#include "tests/support/runner.h"

#define MS UINT64_C(1000000)
#define GHZ_1 (UINT64_C(1) << 32) /* a tick is a nanosecond */

static struct fc_region_header header;
static struct hit_clock hits;

static void set_up(void) {
  header = (struct fc_region_header){0};
  hits = (struct hit_clock){0};
}

static void tear_down(void) {}

/* Publishes a clock that shows `ns` when the counter is `ticks`. */
static void publish(uint64_t ticks, uint64_t ns, uint64_t factor) {
  struct fc_tsc_clock clock = {.ticks = ticks, .ns = ns, .factor = factor};
  fc_tsc_clock_store(&header, &clock);
}

/* Publishes a clock that is ahead of the kernel's by `ahead_ns`, at most HIT_CLOCK_MAX_OFF_NS, and
 * checks that the stamp at `ticks` is by it. Returns its time then. Does so again if the process
 * had to pause until the clock was too far behind the kernel's. */
static uint64_t begin_to_use(uint64_t ticks, uint64_t ahead_ns) {
  for (;;) {
    uint64_t base_ns = clock_now_ns() + ahead_ns;
    publish(ticks, base_ns, GHZ_1);
    hits.latest_ns = 0;
    uint64_t stamp_ns = hit_clock_at(&hits, &header, ticks);
    if (clock_now_ns() > base_ns + HIT_CLOCK_MAX_OFF_NS)
      continue;
    ck_assert_uint_eq(stamp_ns, base_ns);
    return base_ns;
  }
}

/* Checks that the next stamp is the kernel's time. */
static void check_kernel(uint64_t ticks) {
  uint64_t before_ns = clock_now_ns();
  uint64_t ns = hit_clock_at(&hits, &header, ticks);
  ck_assert_uint_ge(ns, before_ns);
  ck_assert_uint_le(ns, clock_now_ns());
}

START_TEST(without_header_or_calibration_kernel) {
  uint64_t before_ns = clock_now_ns();
  uint64_t begin_ns = hit_clock_begin(&hits, NULL), end_ns = hit_clock_end(&hits, NULL);
  ck_assert_uint_ge(begin_ns, before_ns);
  ck_assert_uint_ge(end_ns, begin_ns);
  ck_assert_uint_le(end_ns, clock_now_ns());
  check_kernel(0);
  check_kernel(12345);
}
END_TEST

START_TEST(calibration_used_until_it_is_stale) {
  uint64_t base_ns = begin_to_use(1000, 0);
  for (uint64_t age = 0; age < FC_TSC_VALID_NS; age += 50 * MS)
    ck_assert_uint_eq(hit_clock_at(&hits, &header, 1000 + age), base_ns + age);
  hits.latest_ns = 0;
  check_kernel(1000 + FC_TSC_VALID_NS);
  check_kernel(999);
}
END_TEST

START_TEST(new_calibration_used_at_once) {
  uint64_t base_ns = begin_to_use(1000, 0);
  ck_assert_uint_eq(hit_clock_at(&hits, &header, 1500), base_ns + 500);
  base_ns = begin_to_use(2000, 0);
  ck_assert_uint_eq(hit_clock_at(&hits, &header, 2001), base_ns + 1);
  hits.latest_ns = 0;
  publish(0, 0, 0); /* withdrawn */
  check_kernel(2002);
  publish(3000, clock_now_ns(), GHZ_1);
  atomic_fetch_add(&header.clock_sequence, 1); /* being written */
  check_kernel(3001);
}
END_TEST

START_TEST(stamps_never_go_back) {
  uint64_t ahead_ns = begin_to_use(1000, HIT_CLOCK_MAX_OFF_NS / 2);
  publish(0, 0, 0);
  uint64_t next_ns = hit_clock_at(&hits, &header, 1001);
  ck_assert_uint_ge(next_ns, ahead_ns);
  ck_assert_uint_ge(hit_clock_begin(&hits, NULL), next_ns);
}
END_TEST

START_TEST(calibration_far_from_kernel_rejected) {
  static const int64_t offs[] = {INT64_MIN, -3600000000000, -20000000, 60000000000, INT64_MAX};
  for (size_t i = 0; i < sizeof offs / sizeof offs[0]; i++) {
    publish(1000, clock_now_ns() + (uint64_t)offs[i], GHZ_1);
    check_kernel(1000);
    check_kernel(1001);
  }
}
END_TEST

/* With any words in the header, a stamp is within a millisecond of the kernel's clock. */
START_TEST(any_header_near_kernel) {
  uint64_t random = 1;
  for (unsigned i = 0; i < 100000; i++) {
    uint64_t words[4];
    for (unsigned w = 0; w < 4; w++) {
      random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
      words[w] = random ^ random >> 32;
    }
    uint64_t ns = i % 2 == 0 ? words[1] : clock_now_ns() + words[1] % (4 * MS) - 2 * MS;
    publish(words[0], ns, words[2] >> words[2] % 64);
    hits.latest_ns = 0;
    uint64_t before_ns = clock_now_ns();
    uint64_t stamp_ns = hit_clock_at(&hits, &header, words[0] + words[3] % (4 * MS));
    ck_assert_uint_ge(stamp_ns, before_ns - HIT_CLOCK_MAX_OFF_NS);
    ck_assert_uint_le(stamp_ns, clock_now_ns() + HIT_CLOCK_MAX_OFF_NS);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("hit_clock");
  TCase *tcase = tcase_create("hit_clock");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, without_header_or_calibration_kernel);
  tcase_add_test(tcase, calibration_used_until_it_is_stale);
  tcase_add_test(tcase, new_calibration_used_at_once);
  tcase_add_test(tcase, stamps_never_go_back);
  tcase_add_test(tcase, calibration_far_from_kernel_rejected);
  tcase_add_test(tcase, any_header_near_kernel);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
