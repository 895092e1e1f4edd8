/* Memory for large frames that are being received: what passes, and that all of them finish. */
#include <check.h>
#include <stdlib.h>

#include "daemon/intake.h"
#include "runner.h"

#define LIMIT 2000u
#define LARGEST 1000u
#define SHARED (LIMIT - LARGEST)

enum { FRAMES = 5 };

static struct intake intake;
static struct intake_frame frames[FRAMES];
static struct intake_frame *ready[100]; /* in the order of their calls */
static unsigned n_ready;

static void note(struct intake_frame *frame) {
  ready[n_ready++] = frame;
}

static void set_up(void) {
  intake_init(&intake, LIMIT, LARGEST);
  for (int i = 0; i < FRAMES; i++)
    frames[i] = (struct intake_frame){.ready = note};
  n_ready = 0;
}

static void tear_down(void) {
  for (int i = 0; i < FRAMES; i++)
    intake_release(&intake, &frames[i]);
  intake_deinit(&intake);
}

START_TEST(a_frame_holds_what_it_reserved_and_no_more) {
  ck_assert(intake_reserve(&intake, &frames[0], 200));
  ck_assert(intake_reserve(&intake, &frames[0], 150));
  ck_assert_uint_eq(intake.used_bytes, 200);
  ck_assert(intake_reserve(&intake, &frames[0], 400));
  ck_assert_uint_eq(intake.used_bytes, 400);
  intake_release(&intake, &frames[0]);
  ck_assert_uint_eq(intake.used_bytes, 0);
}
END_TEST

/* Half-received frames that fill the pool: the first that waits has the lane, then the next. */
START_TEST(frames_that_fill_the_pool_all_finish) {
  for (int i = 0; i < FRAMES; i++)
    ck_assert(intake_reserve(&intake, &frames[i], SHARED / FRAMES));
  ck_assert(intake_reserve(&intake, &frames[0], LARGEST));
  for (int i = 1; i < FRAMES; i++)
    ck_assert(!intake_reserve(&intake, &frames[i], LARGEST));
  for (int i = 0; i < FRAMES; i++) {
    ck_assert_uint_le(intake.used_bytes, LIMIT);
    ck_assert_uint_eq(frames[i].held_bytes, LARGEST);
    intake_release(&intake, &frames[i]);
  }
  ck_assert_uint_eq(n_ready, FRAMES - 1);
  for (int i = 1; i < FRAMES; i++)
    ck_assert_ptr_eq(ready[i - 1], &frames[i]);
}
END_TEST

START_TEST(what_fits_passes_what_does_not) {
  ck_assert(intake_reserve(&intake, &frames[0], SHARED / 2));
  ck_assert(intake_reserve(&intake, &frames[1], LARGEST)); /* in the lane */
  ck_assert(!intake_reserve(&intake, &frames[2], LARGEST));
  ck_assert(intake_reserve(&intake, &frames[3], SHARED / 2));
  ck_assert(!intake_reserve(&intake, &frames[4], 50));
  intake_release(&intake, &frames[3]);
  ck_assert_uint_eq(n_ready, 1); /* frame 4, though 2 has waited longer */
  ck_assert_ptr_eq(ready[0], &frames[4]);
  ck_assert_uint_eq(frames[4].held_bytes, 50);
  ck_assert(intake_is_waiting(&frames[2]));
  intake_release(&intake, &frames[1]);
  ck_assert_ptr_eq(ready[1], &frames[2]);
}
END_TEST

/* However much it held before. */
START_TEST(a_frame_in_the_lane_holds_nothing_of_the_shared_part) {
  ck_assert(intake_reserve(&intake, &frames[0], SHARED / 2));
  ck_assert(intake_reserve(&intake, &frames[1], SHARED / 2));
  ck_assert(intake_reserve(&intake, &frames[2], 100)); /* has the lane */
  ck_assert(!intake_reserve(&intake, &frames[0], LARGEST));
  ck_assert(!intake_reserve(&intake, &frames[3], SHARED / 2));
  intake_release(&intake, &frames[2]);
  ck_assert_uint_eq(frames[0].lane_bytes, LARGEST);
  ck_assert_uint_eq(frames[3].held_bytes, SHARED / 2);
  ck_assert_uint_eq(n_ready, 2);
}
END_TEST

/* Two that wait for the lane leave as much of the shared part as one of them holds. */
START_TEST(a_frame_holds_at_most_half_of_the_shared_part) {
  ck_assert(intake_reserve(&intake, &frames[0], LARGEST));
  ck_assert(intake_reserve(&intake, &frames[1], SHARED / 4));
  ck_assert(!intake_reserve(&intake, &frames[1], SHARED / 2 + 1));
  ck_assert(intake_reserve(&intake, &frames[2], SHARED / 2));
  ck_assert(intake_reserve(&intake, &frames[3], SHARED / 4));
}
END_TEST

START_TEST(a_waiter_that_leaves_is_not_called) {
  ck_assert(intake_reserve(&intake, &frames[0], LARGEST));
  ck_assert(intake_reserve(&intake, &frames[1], SHARED / 2));
  ck_assert(intake_reserve(&intake, &frames[4], SHARED / 2));
  ck_assert(!intake_reserve(&intake, &frames[2], 10));
  ck_assert(!intake_reserve(&intake, &frames[3], 20));
  intake_release(&intake, &frames[2]);
  ck_assert_uint_eq(n_ready, 0);
  intake_release(&intake, &frames[0]);
  ck_assert_uint_eq(n_ready, 1);
  ck_assert_ptr_eq(ready[0], &frames[3]);
}
END_TEST

/* As the smallest budget has it: large frames come one after another. */
START_TEST(without_a_shared_part_there_is_the_lane) {
  intake_init(&intake, LARGEST - 8, LARGEST);
  ck_assert(intake_reserve(&intake, &frames[0], LARGEST));
  ck_assert(!intake_reserve(&intake, &frames[1], 1));
  intake_release(&intake, &frames[0]);
  ck_assert_uint_eq(frames[1].held_bytes, 1);
  ck_assert(intake_reserve(&intake, &frames[1], LARGEST));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("intake");
  TCase *tcase = tcase_create("intake");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, a_frame_holds_what_it_reserved_and_no_more);
  tcase_add_test(tcase, frames_that_fill_the_pool_all_finish);
  tcase_add_test(tcase, what_fits_passes_what_does_not);
  tcase_add_test(tcase, a_frame_in_the_lane_holds_nothing_of_the_shared_part);
  tcase_add_test(tcase, a_frame_holds_at_most_half_of_the_shared_part);
  tcase_add_test(tcase, a_waiter_that_leaves_is_not_called);
  tcase_add_test(tcase, without_a_shared_part_there_is_the_lane);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
