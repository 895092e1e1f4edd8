/* The calibration of the clients' clock: against a model of a counter and a clock that is slewed,
 * read with errors, set forward and stopped; and against this machine's clock. */
#include "daemon/rings/tsc_calibration.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "client/lib/shm/hit_clock.h"
#include "daemon/os/clocksource.h"
#include "proto/shm/tsc.h"
#include "tests/support/runner.h"

#define MS UINT64_C(1000000)

static struct tsc_calibration calibration;
/* The model: the counter, CLOCK_MONOTONIC in picoseconds, and its rate. */
static struct { uint64_t ticks, ps, ps_per_1000_ticks, random; } machine;

static void set_up(void) {
  calibration = (struct tsc_calibration){0};
  machine.ticks = UINT64_C(1) << 40;
  machine.ps = 5000000 * MS;
  machine.ps_per_1000_ticks = 385000; /* 2.6 GHz */
  machine.random = 1;
}

static void tear_down(void) {}

static void pass_ms(uint64_t ms) {
  uint64_t ticks = ms * MS * 1000000 / machine.ps_per_1000_ticks;
  machine.ticks += ticks;
  machine.ps += ticks * machine.ps_per_1000_ticks / 1000;
}

/* Adds a sample whose time is wrong by up to `error_ns`. */
static void sample(uint64_t error_ns) {
  machine.random = machine.random * UINT64_C(6364136223846793005) + 1;
  uint64_t error = error_ns == 0 ? 0 : (machine.random >> 33) % (2 * error_ns + 1);
  tsc_calibration_add(&calibration, machine.ticks, machine.ps / 1000 + error - error_ns);
}

/* Returns how far the published clock is from the model's, ns. */
static uint64_t off_ns(void) {
  ck_assert(fc_tsc_clock_covers(&calibration.clock, machine.ticks));
  uint64_t ns = fc_tsc_clock_ns(&calibration.clock, machine.ticks), right = machine.ps / 1000;
  return ns > right ? ns - right : right - ns;
}

START_TEST(second_sample_makes_clock) {
  sample(0);
  ck_assert_uint_eq(calibration.clock.ticks_max, 0);
  pass_ms(100);
  sample(0);
  ck_assert_uint_le(off_ns(), 1);
  pass_ms(1900);
  ck_assert_uint_le(off_ns(), 20);
  pass_ms(101);
  ck_assert(!fc_tsc_clock_covers(&calibration.clock, machine.ticks));
}
END_TEST

/* The rate changes by up to 500 ppm, as NTP does, and each sample is wrong by up to 15 ns. */
START_TEST(clock_slewed_follows_and_never_goes_back) {
  uint64_t most_ns = 0;
  sample(15);
  pass_ms(100);
  sample(15);
  for (unsigned i = 0; i < 5000; i++) {
    struct fc_tsc_clock before = calibration.clock;
    if (i % 50 == 0)
      machine.ps_per_1000_ticks = 385000 + (i / 50 % 3) * 385000 * 500 / 1000000;
    pass_ms(100 + i % 50);
    most_ns = off_ns() > most_ns ? off_ns() : most_ns;
    sample(15);
    ck_assert_uint_ge(fc_tsc_clock_ns(&calibration.clock, machine.ticks),
                      fc_tsc_clock_ns(&before, machine.ticks));
    if (i % 50 > 20) /* it has settled */
      ck_assert_uint_le(off_ns(), 100);
  }
  ck_assert_uint_le(most_ns, 150 * MS * 1000 / 1000000 + 100); /* 1,000 ppm for 150 ms */
}
END_TEST

START_TEST(clock_ahead_runs_slower_until_it_agrees) {
  sample(0);
  pass_ms(100);
  sample(0);
  pass_ms(100);
  machine.ps -= 500 * MS; /* 500 us, as a rate of which no sample told */
  sample(0);
  ck_assert_uint_ge(off_ns(), 499000);
  for (unsigned i = 0; i < 30; i++) {
    uint64_t before = off_ns();
    pass_ms(100);
    sample(0);
    ck_assert_uint_le(off_ns(), before + 1);
  }
  ck_assert_uint_le(off_ns(), 2);
}
END_TEST

START_TEST(jump_or_counter_set_back_withdraws) {
  for (unsigned i = 0; i < 3; i++) {
    set_up();
    sample(0);
    pass_ms(100);
    sample(0);
    pass_ms(100);
    if (i == 0)
      machine.ps += 1100 * MS * 1000; /* the machine slept */
    else if (i == 1)
      machine.ps -= 2 * MS * 1000;
    else
      machine.ticks = 5;
    sample(0);
    ck_assert_uint_eq(calibration.clock.ticks_max, 0);
    pass_ms(100);
    sample(0);
    ck_assert_uint_le(off_ns(), 1); /* a new one */
  }
}
END_TEST

START_TEST(long_pause_or_impossible_rate_none) {
  sample(0);
  pass_ms(2001);
  sample(0);
  ck_assert_uint_eq(calibration.clock.ticks_max, 0);
  tsc_calibration_add(&calibration, machine.ticks + 10, machine.ps / 1000 + 100 * MS);
  ck_assert_uint_eq(calibration.clock.ticks_max, 0);
}
END_TEST

START_TEST(publish_unusable_withdraws) {
  static struct fc_region_header header;
  struct fc_tsc_clock loaded;
  sample(0);
  pass_ms(100);
  sample(0);
  fc_tsc_clock_store(&header, &calibration.clock);
  ck_assert(fc_tsc_clock_load(&loaded, &header));
  tsc_calibration_publish(&calibration, &header, false);
  ck_assert(!fc_tsc_clock_load(&loaded, &header));
  ck_assert(!tsc_calibration_due(&calibration, calibration.ns + TSC_CALIBRATION_PERIOD_NS - 1));
  ck_assert(tsc_calibration_due(&calibration, calibration.ns + TSC_CALIBRATION_PERIOD_NS));
}
END_TEST

static uint64_t monotonic_ns(void) {
  struct timespec now;
  ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* On this machine, if its kernel uses the counter: between two readings of CLOCK_MONOTONIC, the
 * published clock shows a time between them, give or take 20 us. The rates of samples that are only
 * 20 ms apart are wrong by about 1 ppm. */
START_TEST(publish_on_this_machine_equals_its_clock) {
  static struct fc_region_header header;
  struct fc_tsc_clock clock;
  if (!clocksource_is_tsc()) {
    (void)printf("skipped: the kernel does not use the time stamp counter\n");
    return;
  }
  for (unsigned i = 0; i < 20; i++) {
    uint64_t end_ns = monotonic_ns() + 20 * MS;
    tsc_calibration_publish(&calibration, &header, true);
    if (i > 0 && fc_tsc_clock_load(&clock, &header))
      for (uint64_t before = 0, after; before < end_ns;) {
        before = monotonic_ns();
        uint64_t ns = fc_tsc_clock_ns(&clock, fc_tsc_read_ordered());
        after = monotonic_ns();
        ck_assert_uint_ge(ns, before - MS / 50);
        ck_assert_uint_le(ns, after + MS / 50);
      }
    while (monotonic_ns() < end_ns)
      ;
  }
  ck_assert_uint_ne(calibration.clock.ticks_max, 0);
}
END_TEST

/* Two clients that serve hits in turn, while the daemon publishes new calibrations. */
#define TURNS_MS 1000u

static struct {
  struct fc_region_header header;
  _Atomic uint64_t turn;
  atomic_bool stop;
  uint64_t latest_ns; /* of the latest hit, by any client. 0: not by the counter */
  uint64_t by_counter, earlier;
} turns;

static void *take_turns(void *arg) {
  uint64_t mine = *(const uint64_t *)arg;
  struct hit_clock clock = {0};
  while (!atomic_load(&turns.stop)) {
    uint64_t turn = atomic_load_explicit(&turns.turn, memory_order_acquire);
    if (turn % 2 != mine) {
      (void)sched_yield();
      continue;
    }
    (void)hit_clock_begin(&clock, &turns.header);
    uint64_t end_ns = hit_clock_end(&clock, &turns.header);
    bool by_counter = clock.tsc.ticks_max != 0;
    turns.by_counter += by_counter && turns.latest_ns != 0;
    turns.earlier += by_counter && end_ns < turns.latest_ns;
    turns.latest_ns = by_counter ? end_ns : 0;
    atomic_store_explicit(&turns.turn, turn + 1, memory_order_release);
  }
  return NULL;
}

START_TEST(hit_after_that_of_other_client_not_earlier) {
  static const uint64_t numbers[2] = {0, 1};
  pthread_t clients[2];
  if (!clocksource_is_tsc()) {
    (void)printf("skipped: the kernel does not use the time stamp counter\n");
    return;
  }
  for (unsigned i = 0; i < 2; i++)
    ck_assert_int_eq(pthread_create(&clients[i], NULL, take_turns, (void *)(uintptr_t)&numbers[i]),
                     0);
  uint64_t end_ns = monotonic_ns() + TURNS_MS * MS;
  for (uint64_t now_ns = monotonic_ns(), next_ns = now_ns; now_ns < end_ns; now_ns = monotonic_ns())
    if (now_ns < next_ns) {
      (void)sched_yield();
    } else {
      tsc_calibration_publish(&calibration, &turns.header, true);
      next_ns = now_ns + 5 * MS;
    }
  atomic_store(&turns.stop, true);
  for (unsigned i = 0; i < 2; i++)
    ck_assert_int_eq(pthread_join(clients[i], NULL), 0);
  ck_assert_uint_gt(turns.by_counter, 100);
  ck_assert_uint_eq(turns.earlier, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tsc_calibration");
  TCase *tcase = tcase_create("tsc_calibration");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, second_sample_makes_clock);
  tcase_add_test(tcase, clock_slewed_follows_and_never_goes_back);
  tcase_add_test(tcase, clock_ahead_runs_slower_until_it_agrees);
  tcase_add_test(tcase, jump_or_counter_set_back_withdraws);
  tcase_add_test(tcase, long_pause_or_impossible_rate_none);
  tcase_add_test(tcase, publish_unusable_withdraws);
  tcase_add_test(tcase, publish_on_this_machine_equals_its_clock);
  tcase_add_test(tcase, hit_after_that_of_other_client_not_earlier);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
