/* Memory for large frames that are being received: which frames pass others, and that all finish.
 */
#include <check.h>
#include <stdlib.h>

#include "daemon/net/read_budget.h"
#include "tests/support/runner.h"

#define LIMIT 2000u
#define LARGEST 1000u
#define SHARED (LIMIT - LARGEST)
#define WHOLE 100u

enum { FRAMES = 6 };

static struct read_budget budget;
static struct read_reservation frames[FRAMES];
static struct read_reservation *ready[100]; /* in the order of their calls */
static unsigned n_ready;

static void record_ready(struct read_reservation *frame) {
  ready[n_ready++] = frame;
}

static void set_up(void) {
  read_budget_init(&budget, LIMIT, LARGEST, WHOLE);
  for (int i = 0; i < FRAMES; i++)
    frames[i] = (struct read_reservation){.ready = record_ready};
  n_ready = 0;
}

static void tear_down(void) {
  for (int i = 0; i < FRAMES; i++)
    read_budget_release(&budget, &frames[i]);
  read_budget_deinit(&budget);
}

START_TEST(frame_holds_its_reservation_only) {
  ck_assert(read_budget_reserve(&budget, &frames[0], 200));
  ck_assert(read_budget_reserve(&budget, &frames[0], 150));
  ck_assert_uint_eq(budget.used_bytes, 200);
  ck_assert(read_budget_reserve(&budget, &frames[0], 400));
  ck_assert_uint_eq(budget.used_bytes, 400);
  read_budget_release(&budget, &frames[0]);
  ck_assert_uint_eq(budget.used_bytes, 0);
}
END_TEST

/* Half-received frames that fill the pool: the first that waits has the lane, then the next. */
START_TEST(frames_that_fill_the_budget_all_finish) {
  for (int i = 0; i < FRAMES; i++)
    ck_assert(read_budget_reserve(&budget, &frames[i], SHARED / FRAMES));
  ck_assert(read_budget_reserve(&budget, &frames[0], LARGEST));
  for (int i = 1; i < FRAMES; i++)
    ck_assert(!read_budget_reserve(&budget, &frames[i], LARGEST));
  for (int i = 0; i < FRAMES; i++) {
    ck_assert_uint_le(budget.used_bytes, LIMIT);
    ck_assert_uint_eq(frames[i].held_bytes, LARGEST);
    read_budget_release(&budget, &frames[i]);
  }
  ck_assert_uint_eq(n_ready, FRAMES - 1);
  for (int i = 1; i < FRAMES; i++)
    ck_assert_ptr_eq(ready[i - 1], &frames[i]);
}
END_TEST

START_TEST(small_step_passes_large_waiter) {
  ck_assert(read_budget_reserve(&budget, &frames[0], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[1], LARGEST)); /* in the lane */
  ck_assert(!read_budget_reserve(&budget, &frames[2], LARGEST));
  ck_assert(read_budget_reserve(&budget, &frames[3], SHARED / 2));
  ck_assert(!read_budget_reserve(&budget, &frames[4], 50));
  read_budget_release(&budget, &frames[3]);
  ck_assert_uint_eq(n_ready, 1); /* frame 4, though 2 has waited longer */
  ck_assert_ptr_eq(ready[0], &frames[4]);
  ck_assert_uint_eq(frames[4].held_bytes, 50);
  ck_assert(read_reservation_is_waiting(&frames[2]));
  read_budget_release(&budget, &frames[1]);
  ck_assert_ptr_eq(ready[1], &frames[2]);
}
END_TEST

/* However much the frame held before. */
START_TEST(lane_frame_holds_no_shared_bytes) {
  ck_assert(read_budget_reserve(&budget, &frames[0], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[1], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[2], 100)); /* has the lane */
  ck_assert(!read_budget_reserve(&budget, &frames[0], LARGEST));
  ck_assert(!read_budget_reserve(&budget, &frames[3], SHARED / 2));
  read_budget_release(&budget, &frames[2]);
  ck_assert_uint_eq(frames[0].lane_bytes, LARGEST);
  ck_assert_uint_eq(frames[3].held_bytes, SHARED / 2);
  ck_assert_uint_eq(n_ready, 2);
}
END_TEST

/* Two that wait for the lane leave as much of the shared part as one of them holds. */
START_TEST(frame_holds_half_of_shared_part_at_most) {
  ck_assert(read_budget_reserve(&budget, &frames[0], LARGEST));
  ck_assert(read_budget_reserve(&budget, &frames[1], SHARED / 4));
  ck_assert(!read_budget_reserve(&budget, &frames[1], SHARED / 2 + 1));
  ck_assert(read_budget_reserve(&budget, &frames[2], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[3], SHARED / 4));
}
END_TEST

START_TEST(waiter_cancelled_not_called) {
  ck_assert(read_budget_reserve(&budget, &frames[0], LARGEST));
  ck_assert(read_budget_reserve(&budget, &frames[1], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[4], SHARED / 2));
  ck_assert(!read_budget_reserve(&budget, &frames[2], 10));
  ck_assert(!read_budget_reserve(&budget, &frames[3], 20));
  read_budget_release(&budget, &frames[2]);
  ck_assert_uint_eq(n_ready, 0);
  read_budget_release(&budget, &frames[0]);
  ck_assert_uint_eq(n_ready, 1);
  ck_assert_ptr_eq(ready[0], &frames[3]);
}
END_TEST

/* As the smallest budget has it: large frames come one after another. */
START_TEST(budget_without_shared_part_uses_lane) {
  read_budget_init(&budget, LARGEST - 8, LARGEST, 0);
  ck_assert(read_budget_reserve(&budget, &frames[0], LARGEST));
  ck_assert(!read_budget_reserve(&budget, &frames[1], 1));
  read_budget_release(&budget, &frames[0]);
  ck_assert_uint_eq(frames[1].held_bytes, 1);
  ck_assert(read_budget_reserve(&budget, &frames[1], LARGEST));
}
END_TEST

/* Two frames, as one may hold half. */
static void fill_shared(int a, int b) {
  ck_assert(read_budget_reserve(&budget, &frames[a], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[b], SHARED / 2));
}

START_TEST(shrunk_bytes_go_to_waiter) {
  ck_assert(read_budget_reserve(&budget, &frames[0], LARGEST));
  fill_shared(1, 4);
  ck_assert(!read_budget_reserve(&budget, &frames[2], 60));
  read_budget_shrink(&budget, &frames[1], 450);
  ck_assert_uint_eq(frames[1].held_bytes, 450);
  ck_assert_uint_eq(n_ready, 0);
  read_budget_shrink(&budget, &frames[1], 440);
  ck_assert_ptr_eq(ready[0], &frames[2]);
  ck_assert_uint_eq(budget.used_bytes, LARGEST + SHARED);
  read_budget_shrink(&budget, &frames[1], 441); /* it holds less: nothing happens */
  ck_assert_uint_eq(frames[1].held_bytes, 440);
}
END_TEST

START_TEST(lane_left_by_shrunk_frame) {
  fill_shared(0, 4);
  ck_assert(read_budget_reserve(&budget, &frames[1], 300)); /* in the lane */
  ck_assert(!read_budget_reserve(&budget, &frames[2], 10));
  read_budget_shrink(&budget, &frames[1], 100);
  ck_assert(read_reservation_is_waiting(&frames[2])); /* it has the lane still */
  read_budget_shrink(&budget, &frames[1], 0);
  ck_assert_ptr_eq(ready[0], &frames[2]);
}
END_TEST

START_TEST(has_room_false_while_frame_waits) {
  ck_assert(read_budget_has_room(&budget, SHARED / 2));
  ck_assert(!read_budget_has_room(&budget, SHARED / 2 + 1));
  ck_assert(read_budget_reserve(&budget, &frames[0], LARGEST));
  ck_assert(read_budget_reserve(&budget, &frames[1], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[3], SHARED / 2 - 100));
  ck_assert(read_budget_has_room(&budget, 100));
  ck_assert(!read_budget_reserve(&budget, &frames[2], LARGEST));
  ck_assert(!read_budget_has_room(&budget, 1));
  read_budget_cancel_wait(&budget, &frames[2]);
  ck_assert(read_budget_has_room(&budget, 100));
}
END_TEST

START_TEST(spare_buffer_counts_as_free) {
  void *buffer = malloc(400), *former = malloc(500);
  read_budget_give_spare(&budget, former, 500);
  read_budget_give_spare(&budget, buffer, 400); /* the other is freed */
  ck_assert_uint_eq(budget.spare_bytes, 400);
  ck_assert_ptr_null(read_budget_reuse_spare(&budget, &frames[0], 401, 1000));
  ck_assert_ptr_null(read_budget_reuse_spare(&budget, &frames[0], 100, 399));
  ck_assert_ptr_eq(read_budget_reuse_spare(&budget, &frames[0], 300, 400), buffer);
  ck_assert_uint_eq(frames[0].held_bytes, 400);
  read_budget_release(&budget, &frames[0]);
  read_budget_give_spare(&budget, buffer, 400);
  ck_assert(read_budget_reserve(&budget, &frames[1], LARGEST));
  ck_assert_uint_eq(budget.spare_bytes, 400); /* beside it */
  ck_assert(read_budget_reserve(&budget, &frames[2], SHARED / 2));
  ck_assert(read_budget_reserve(&budget, &frames[3], WHOLE + 101));
  ck_assert_uint_eq(budget.spare_bytes, 0); /* a reservation needed its bytes */
}
END_TEST

/* A frame that cannot hold all of the spare's bytes does not get it. */
START_TEST(spare_without_room_stays) {
  void *buffer = malloc(50);
  fill_shared(0, 3);
  ck_assert(read_budget_reserve(&budget, &frames[1], LARGEST - 60));
  read_budget_give_spare(&budget, buffer, 50);
  ck_assert_ptr_null(read_budget_reuse_spare(&budget, &frames[2], 1, 50));
  ck_assert_uint_eq(frames[2].held_bytes, 0);
  ck_assert_uint_eq(budget.spare_bytes, 50);
}
END_TEST

START_TEST(whole_frames_use_whole_part) {
  ck_assert(read_budget_reserve(&budget, &frames[0], LARGEST));
  fill_shared(1, 5);
  ck_assert(!read_budget_reserve(&budget, &frames[2], LARGEST));
  ck_assert(read_budget_reserve_whole(&budget, &frames[3], WHOLE - 10));
  ck_assert(!read_budget_reserve_whole(&budget, &frames[4], 11));
  ck_assert(!read_reservation_is_waiting(&frames[4]));
  ck_assert(read_budget_has_room_whole(&budget, 10));
  read_budget_shrink(&budget, &frames[3], 20);
  ck_assert_uint_eq(n_ready, 0); /* it is of no use to others */
  ck_assert(read_budget_reserve_whole(&budget, &frames[4], WHOLE - 20));
  ck_assert_uint_le(budget.used_bytes, LIMIT + WHOLE);
}
END_TEST

/* The whole part is used when the shared part has no room. */
START_TEST(whole_frame_uses_shared_part_first) {
  ck_assert(read_budget_reserve_whole(&budget, &frames[0], SHARED / 2));
  ck_assert(read_budget_reserve_whole(&budget, &frames[2], SHARED / 2));
  ck_assert_uint_eq(budget.whole_bytes, 0);
  ck_assert(read_budget_reserve_whole(&budget, &frames[1], WHOLE));
  ck_assert_uint_eq(budget.whole_bytes, WHOLE);
}
END_TEST

static unsigned tries; /* calls of a frame that waits for its user's share */

static void count_try(struct user_wait *wait) {
  (void)wait;
  tries++;
}

/* Its other frames wait for that one, and another user's frame passes all of them. */
START_TEST(user_past_share_has_one_frame_queued) {
  struct users users;
  users_init(&users, 75);
  users_set_limit(&users, USER_FRAME_BYTES, SHARED);
  struct user *user = users_ref(&users, 1, true), *other = users_ref(&users, 2, true);
  for (int i = 0; i < 4; i++) {
    frames[i].user = user;
    frames[i].share.ready = count_try;
  }
  frames[5].user = other;
  tries = 0;
  ck_assert(
      read_budget_reserve(&budget, &frames[4], LARGEST)); /* without a user: it has the lane */
  ck_assert(read_budget_reserve(&budget, &frames[0], 500));
  ck_assert(read_budget_reserve(&budget, &frames[1], 250)); /* its share: 3/4 of 1000 */
  ck_assert(!read_budget_reserve(&budget, &frames[2], 100));
  ck_assert(!read_budget_reserve(&budget, &frames[3], 5));
  ck_assert(read_reservation_is_waiting(&frames[2]) && read_reservation_is_waiting(&frames[3]));
  ck_assert(read_budget_reserve(&budget, &frames[5], 187)); /* 3/4 of 250 */
  ck_assert_uint_eq(user->used[USER_FRAME_BYTES], 750);
  read_budget_release(&budget, &frames[4]); /* the lane goes to the frame that waits for it */
  ck_assert_ptr_eq(ready[0], &frames[2]);
  ck_assert_uint_eq(frames[2].lane_bytes, 100);
  ck_assert_uint_eq(tries, 1);
  ck_assert(!read_budget_reserve(&budget, &frames[3], 5)); /* the next that waits for the lane */
  read_budget_release(&budget, &frames[1]);
  ck_assert_ptr_eq(ready[1], &frames[3]);
  ck_assert_uint_eq(user->used[USER_FRAME_BYTES], 505); /* of 3/4 of 813 */
  for (int i = 0; i < FRAMES; i++)
    read_budget_release(&budget, &frames[i]);
  ck_assert_uint_eq(user->lane_waiters, 0);
  user_unref(user);
  user_unref(other);
  users_deinit(&users);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("budget");
  TCase *tcase = tcase_create("budget");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, frame_holds_its_reservation_only);
  tcase_add_test(tcase, frames_that_fill_the_budget_all_finish);
  tcase_add_test(tcase, small_step_passes_large_waiter);
  tcase_add_test(tcase, lane_frame_holds_no_shared_bytes);
  tcase_add_test(tcase, frame_holds_half_of_shared_part_at_most);
  tcase_add_test(tcase, waiter_cancelled_not_called);
  tcase_add_test(tcase, budget_without_shared_part_uses_lane);
  tcase_add_test(tcase, shrunk_bytes_go_to_waiter);
  tcase_add_test(tcase, lane_left_by_shrunk_frame);
  tcase_add_test(tcase, has_room_false_while_frame_waits);
  tcase_add_test(tcase, spare_buffer_counts_as_free);
  tcase_add_test(tcase, spare_without_room_stays);
  tcase_add_test(tcase, whole_frames_use_whole_part);
  tcase_add_test(tcase, whole_frame_uses_shared_part_first);
  tcase_add_test(tcase, user_past_share_has_one_frame_queued);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
