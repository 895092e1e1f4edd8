/* The time of one user's requests in a turn of the loop: long for a user alone, short when others
 * have requests, and none for input while the user has queued connections. */
#include <check.h>
#include <stdlib.h>

#include "daemon/net/conn.h"
#include "daemon/store/store.h"
#include "tests/support/runner.h"

#define MS UINT64_C(1000000)

static struct store store;
static struct dispatch dispatch;
static struct users users;
static struct conns conns;
static uv_loop_t loop;
static struct conn one, two;

static void set_up(void) {
  struct conns_limits limits = {.max_clients = 4, .budget_bytes = 1u << 20};
  users_init(&users, USER_SHARE_DEFAULT);
  dispatch.store = &store;
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  ck_assert_int_eq(conns_init(&conns, &loop, &dispatch, &users, &limits, NULL), 0);
  one = two = (struct conn){.conns = &conns};
  one.session.user = users_ref(&users, 1, true);
  two.session.user = users_ref(&users, 2, true);
}

static void tear_down(void) {
  round_robin_remove(&one.turn);
  user_unref(one.session.user);
  user_unref(two.session.user);
  conns_close(&conns);
  ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
  conns_deinit(&conns);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  users_deinit(&users);
}

/* Returns true if the user's time in this turn is over after `ms` of requests. */
static bool is_over_after(struct conn *conn, uint64_t ms) {
  return conns_time_is_up(&conns, conn, ms * MS);
}

/* Returns true if the user has time left now. Tries repeatedly, because the clock may advance
 * between two calls on a busy machine. */
static bool has_time(struct conn *conn) {
  bool over = true;
  for (int i = 0; i < 1000 && over; i++)
    over = is_over_after(conn, 0);
  return !over;
}

static void next_turn(void) {
  conns.turn_number++;
}

START_TEST(user_alone_has_long_turn) {
  ck_assert(has_time(&one));
  ck_assert(!is_over_after(&one, 1));
  ck_assert(is_over_after(&one, 5));
  conns_charge_time(&conns, &one, 5 * MS);
  ck_assert(is_over_after(&one, 0));
  next_turn();
  ck_assert(has_time(&one));
}
END_TEST

START_TEST(user_among_others_has_short_turn) {
  ck_assert(!is_over_after(&one, 1));
  ck_assert(has_time(&two));
  ck_assert(is_over_after(&one, 1));
  conns_charge_time(&conns, &one, 1 * MS);
  ck_assert(is_over_after(&one, 0));
  ck_assert(has_time(&two)); /* each user has its own time */
  next_turn();
  ck_assert(has_time(&one));
}
END_TEST

/* The loop's own turns forget a user that has no more requests. */
START_TEST(user_left_alone_has_long_turn_again) {
  ck_assert(has_time(&two));
  ck_assert(has_time(&one));
  ck_assert(is_over_after(&one, 1));
  uint64_t end_ns = uv_hrtime() + 5000 * MS;
  while (is_over_after(&one, 1) && uv_hrtime() < end_ns)
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  ck_assert(!is_over_after(&one, 1));
}
END_TEST

START_TEST(input_of_user_with_queue_waits_behind_it) {
  round_robin_add(&conns.ready, &one.session.user->queues[SLICE_KINDS], &one.turn);
  ck_assert(has_time(&one)); /* alone, its input is served */
  ck_assert(has_time(&two));
  ck_assert(is_over_after(&one, 0));
  conns.resuming = true; /* now it is the queue's turn */
  ck_assert(has_time(&one));
  conns.resuming = false;
  round_robin_remove(&one.turn);
  ck_assert(has_time(&one));
}
END_TEST

/* Otherwise it would lose each slice to other connections of its user. */
START_TEST(slice_not_ended_by_user_time) {
  ck_assert(has_time(&two));
  conns_charge_time(&conns, &one, 1 * MS);
  ck_assert(is_over_after(&one, 0));
  conns.slicing = true;
  ck_assert(has_time(&one));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("conns_turns");
  TCase *tests = tcase_create("turns");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, user_alone_has_long_turn);
  tcase_add_test(tests, user_among_others_has_short_turn);
  tcase_add_test(tests, user_left_alone_has_long_turn_again);
  tcase_add_test(tests, input_of_user_with_queue_waits_behind_it);
  tcase_add_test(tests, slice_not_ended_by_user_time);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
