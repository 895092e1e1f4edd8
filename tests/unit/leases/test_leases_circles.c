/* Circles of processes: which waits have a grace, when it ends, how long it is, which waits are
 * refused, and how far is searched. */
#include <check.h>
#include <stdlib.h>

#include "daemon/leases/leases.h"
#include "tests/support/runner.h"

#define STEPS_MAX 4096u /* of a search: SEARCH_STEPS_MAX in leases_circles.c */
#define EDGES_MAX 512u  /* EDGES_EACH_MAX there */
#define MANY (STEPS_MAX + 8u)

#define FOR_EVER UINT64_MAX
#define UNKNOWN LEASES_GRACE_UNKNOWN_NS
#define SECOND UINT64_C(1000000000)

static struct counters counters;
static struct namespace space;
static uint64_t now_ns;
static struct leases leases;
static struct lease_process *processes; /* MANY of them, each with three connections */
static struct lease_client *holders;

static struct lease_client *connection(uint32_t process, uint32_t i) {
  struct lease_client *holder = &holders[3 * process + i];
  holder->process = &processes[process];
  return holder;
}

static void set_up(void) {
  const struct leases_limits limits = {100000, 100000, 100000, 100000, UINT64_MAX};
  now_ns = 1;
  leases_init(&leases, &limits, &counters);
  namespace_init(&space, fc_str_of("ns"), 7, 1);
  processes = calloc(MANY, sizeof *processes);
  holders = calloc(3 * MANY, sizeof *holders);
  ck_assert(processes != NULL && holders != NULL);
}

static void tear_down(void) {
  for (uint32_t i = 0; i < 3 * MANY; i++)
    leases_client_gone(&leases, &holders[i], now_ns);
  for (uint32_t i = 0; i < MANY; i++)
    leases_forget_process(&processes[i]);
  leases_deinit(&leases);
  namespace_deinit(&space);
  free(processes);
  free(holders);
}

static struct fc_key key_of(uint32_t number) {
  return (struct fc_key){.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = number};
}

static enum lease_answer ask_for(struct lease_client *holder, uint32_t number, uint64_t wait_ns) {
  struct fc_key key = key_of(number);
  struct lease_request request = {.ns = &space,
                                  .digest = fc_key_digest(space.seed, &key),
                                  .key = &key,
                                  .wants = true,
                                  .term_ns = UINT64_MAX,
                                  .wait_ns = wait_ns,
                                  .id = number};
  return leases_acquire(&leases, holder, &request, now_ns);
}

static enum lease_answer ask(struct lease_client *holder, uint32_t number) {
  return ask_for(holder, number, UINT64_MAX);
}

/* What the holder's latest wait has left; FOR_EVER: no grace. */
static uint64_t left_ns(const struct lease_client *holder) {
  uint64_t until_ns = holder->wait_last->until.at_ns;
  return until_ns == UINT64_MAX ? FOR_EVER : until_ns - now_ns;
}

static void waits_with(struct lease_client *holder, uint32_t number, uint64_t expected_ns) {
  ck_assert_int_eq(ask(holder, number), LEASE_WAITS);
  ck_assert_uint_eq(left_ns(holder), expected_ns);
}

static void put(uint32_t number) {
  struct fc_key key = key_of(number);
  leases_put(&leases, &space, fc_key_digest(space.seed, &key), &key, now_ns);
}

static void pass(uint64_t ns) {
  now_ns += ns;
  leases_expire(&leases, now_ns);
}

static void give_up(struct lease_client *holder, uint32_t number) {
  struct fc_key key = key_of(number);
  ck_assert(leases_give_up(&leases, holder, &space, fc_key_digest(space.seed, &key), &key, false,
                           now_ns));
}

/* How the holder's one due wait ended. */
static enum lease_end end_of(struct lease_client *holder) {
  ck_assert_uint_eq(holder->due, 1);
  enum lease_end end = holder->due_first->end;
  leases_due_done(&leases, holder);
  return end;
}

START_TEST(two_processes_want_each_others_key) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, FOR_EVER);
  waits_with(connection(1, 1), 0, UNKNOWN);
  waits_with(connection(2, 1), 0, FOR_EVER); /* a third is in no circle */
  pass(UNKNOWN - 1);
  ck_assert_uint_eq(leases.due, 0);
  pass(1);
  ck_assert_uint_eq(leases.due, 1);
  ck_assert_int_eq(end_of(connection(1, 1)), LEASE_END_NONE);
}
END_TEST

/* Independent computations: each is put within the grace. */
START_TEST(a_put_within_the_grace_is_waited_for) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, FOR_EVER);
  waits_with(connection(1, 1), 0, UNKNOWN);
  pass(UNKNOWN / 2);
  put(0);
  put(1);
  ck_assert_int_eq(end_of(connection(0, 1)), LEASE_END_PUT);
  ck_assert_int_eq(end_of(connection(1, 1)), LEASE_END_PUT);
}
END_TEST

/* A wait goes on as it was asked for where its circle is gone by the end of the grace; the next
 * wait that closes a circle with it has a grace itself. */
START_TEST(a_wait_whose_circle_is_gone_goes_on) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, FOR_EVER);
  ck_assert_int_eq(ask_for(connection(1, 1), 0, 5 * SECOND), LEASE_WAITS);
  ck_assert_uint_eq(left_ns(connection(1, 1)), UNKNOWN);
  leases_client_gone(&leases, connection(0, 1), now_ns);
  pass(UNKNOWN);
  ck_assert_uint_eq(left_ns(connection(1, 1)), 5 * SECOND - UNKNOWN);
  waits_with(connection(0, 1), 1, UNKNOWN);
  pass(UNKNOWN);
  ck_assert_int_eq(end_of(connection(0, 1)), LEASE_END_NONE);
  pass(5 * SECOND - 2 * UNKNOWN - 1);
  ck_assert_uint_eq(leases.due, 0);
  pass(1);
  ck_assert_int_eq(end_of(connection(1, 1)), LEASE_END_NONE);
}
END_TEST

START_TEST(a_wait_is_no_longer_than_was_asked_for) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, FOR_EVER);
  ck_assert_int_eq(ask_for(connection(1, 1), 0, UNKNOWN - 1), LEASE_WAITS);
  ck_assert_uint_eq(left_ns(connection(1, 1)), UNKNOWN - 1);
}
END_TEST

START_TEST(a_circle_of_three) {
  for (uint32_t i = 0; i < 3; i++)
    ck_assert_int_eq(ask(connection(i, 0), i), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, FOR_EVER);
  waits_with(connection(1, 1), 2, FOR_EVER);
  waits_with(connection(2, 1), 0, UNKNOWN);
  waits_with(connection(2, 1), 1, UNKNOWN);
}
END_TEST

/* Threads that miss a key together compute it once. */
START_TEST(threads_of_one_process_wait_for_each_other) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 2), 0), LEASE_WAITS);
  ck_assert_uint_eq(processes[0].edges, 0);
}
END_TEST

/* 1 and 2 wait for a key of 0. When it goes to 1, which waits for 2 as well, 2 has a grace. */
START_TEST(a_lease_that_changes_hands_closes_a_circle) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(2, 0), 2), LEASE_GRANTED);
  waits_with(connection(1, 0), 0, FOR_EVER);
  waits_with(connection(1, 1), 2, FOR_EVER);
  waits_with(connection(2, 1), 0, FOR_EVER);
  waits_with(connection(1, 2), 0, FOR_EVER); /* a thread of the new owner */
  give_up(connection(0, 0), 0);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_GRANTED);
  ck_assert_uint_eq(left_ns(connection(2, 1)), UNKNOWN);
  ck_assert_uint_eq(left_ns(connection(1, 1)), FOR_EVER);
  ck_assert_uint_eq(left_ns(connection(1, 2)), FOR_EVER);
  pass(UNKNOWN);
  ck_assert_uint_eq(leases.due, 1);
  ck_assert_int_eq(end_of(connection(2, 1)), LEASE_END_NONE);
}
END_TEST

/* Waits for the former owner are no part of a circle any more. */
START_TEST(a_lease_that_changes_hands_opens_a_circle) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(2, 0), 2), LEASE_GRANTED);
  waits_with(connection(0, 1), 2, FOR_EVER);
  waits_with(connection(1, 0), 0, FOR_EVER);
  waits_with(connection(1, 1), 0, FOR_EVER);
  waits_with(connection(2, 1), 0, UNKNOWN); /* 0 waits for 2 */
  give_up(connection(0, 0), 0);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_GRANTED);
  ck_assert_uint_eq(left_ns(connection(2, 1)), FOR_EVER); /* 1 waits for nobody else */
  ck_assert_uint_eq(left_ns(connection(1, 1)), FOR_EVER);
}
END_TEST

/* That is certain, not a guess. */
START_TEST(a_helper_does_not_wait_for_whom_it_works) {
  leases_set_helper(&processes[1], &processes[0]);
  leases_set_helper(&processes[2], &processes[1]);
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 0), LEASE_NONE);
  ck_assert_int_eq(ask(connection(2, 0), 0), LEASE_NONE);
  ck_assert_int_eq(ask(connection(2, 0), 2), LEASE_GRANTED);
  waits_with(connection(0, 1), 2, FOR_EVER); /* it does not work for that one */
  /* What a helper waits for, its boss may wait for. */
  ck_assert_int_eq(ask(connection(3, 0), 3), LEASE_GRANTED);
  waits_with(connection(1, 1), 3, FOR_EVER);
  waits_with(connection(3, 1), 0, UNKNOWN);
  leases_client_gone(&leases, connection(1, 1), now_ns);
  waits_with(connection(3, 1), 0, FOR_EVER);
}
END_TEST

START_TEST(a_lease_that_goes_to_whom_a_helper_works_for_is_not_waited_for) {
  leases_set_helper(&processes[1], &processes[0]);
  leases_set_helper(&processes[2], &processes[1]);
  ck_assert_int_eq(ask(connection(3, 0), 3), LEASE_GRANTED);
  waits_with(connection(0, 0), 3, FOR_EVER);
  waits_with(connection(1, 0), 3, FOR_EVER);
  waits_with(connection(2, 0), 3, FOR_EVER);
  give_up(connection(3, 0), 3);
  ck_assert_int_eq(end_of(connection(0, 0)), LEASE_END_GRANTED);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_NONE);
  ck_assert_int_eq(end_of(connection(2, 0)), LEASE_END_NONE);
}
END_TEST

START_TEST(a_process_that_is_not_known_is_in_no_circle) {
  struct lease_client *unknown[2] = {connection(1, 0), connection(1, 1)};
  unknown[0]->process = unknown[1]->process = NULL;
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(unknown[0], 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(ask(unknown[1], 0), LEASE_WAITS);
}
END_TEST

/* Each process waits for the next: from one of them on, so many are found. */
static void make_chain(void) {
  for (uint32_t i = 0; i < STEPS_MAX + 2; i++)
    ck_assert_int_eq(ask(connection(i, 0), i), LEASE_GRANTED);
  for (uint32_t i = STEPS_MAX + 1; i > 0; i--)
    ck_assert_int_eq(ask(connection(i - 1, 1), i), LEASE_WAITS);
}

START_TEST(a_search_is_bounded) {
  make_chain();
  waits_with(connection(STEPS_MAX + 3, 0), 1, FOR_EVER);
  waits_with(connection(STEPS_MAX + 3, 0), 0, UNKNOWN);
  pass(UNKNOWN);
  ck_assert_int_eq(end_of(connection(STEPS_MAX + 3, 0)), LEASE_END_NONE);
}
END_TEST

/* Past what is searched at a time, the waits end without a search. */
START_TEST(the_searches_when_many_graces_end_are_bounded) {
  struct lease_client *waiter = connection(STEPS_MAX + 3, 0);
  make_chain();
  for (uint32_t i = 0; i < 1000; i++)
    waits_with(waiter, 0, UNKNOWN);
  uint64_t searches = leases.searches;
  pass(UNKNOWN);
  ck_assert_uint_eq(waiter->due, 1000);
  ck_assert_uint_le(leases.searches - searches, 16);
}
END_TEST

START_TEST(the_processes_that_one_waits_for_are_bounded) {
  for (uint32_t i = 1; i < EDGES_MAX + 3; i++)
    ck_assert_int_eq(ask(connection(i, 0), i), LEASE_GRANTED);
  for (uint32_t i = 1; i < EDGES_MAX + 1; i++)
    waits_with(connection(0, 0), i, FOR_EVER);
  waits_with(connection(0, 1), 1, FOR_EVER);
  waits_with(connection(0, 1), EDGES_MAX + 1, UNKNOWN);
  waits_with(connection(EDGES_MAX + 1, 1), 1, FOR_EVER);
  pass(UNKNOWN);
  ck_assert_int_eq(end_of(connection(0, 1)), LEASE_END_NONE);
  leases_client_gone(&leases, connection(0, 0), now_ns);
  waits_with(connection(0, 2), EDGES_MAX + 2, FOR_EVER);
}
END_TEST

/* ---- how long a grace is ---- */

static void compute(uint32_t number, uint64_t ns) {
  ck_assert_int_eq(ask(connection(0, 0), number), LEASE_GRANTED);
  pass(ns);
  put(number);
}

/* Makes a deadlock of 0 and 1, and returns its grace, after which both compute for themselves. */
static uint64_t deadlock_ns(uint64_t compute_ns) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(1, 1), 0), LEASE_WAITS);
  uint64_t grace_ns = left_ns(connection(1, 1));
  pass(grace_ns);
  ck_assert_int_eq(end_of(connection(1, 1)), LEASE_END_NONE);
  pass(compute_ns);
  put(1);
  ck_assert_int_eq(end_of(connection(0, 1)), LEASE_END_PUT);
  put(0);
  return grace_ns;
}

START_TEST(a_grace_is_twice_what_computing_takes) {
  for (uint32_t i = 0; i < 3; i++) {
    compute(7, SECOND);
    ck_assert_uint_eq(deadlock_ns(SECOND), 2 * SECOND);
  }
}
END_TEST

START_TEST(a_grace_has_bounds) {
  compute(7, 3600 * SECOND);
  ck_assert_uint_eq(deadlock_ns(1), LEASES_GRACE_MAX_NS);
  for (uint32_t i = 0; i < 200; i++)
    compute(7, 10);
  ck_assert_uint_eq(deadlock_ns(1), LEASES_GRACE_MIN_NS);
}
END_TEST

/* Among many short computations, a few long ones decide. */
START_TEST(a_grace_is_enough_for_the_long_computations) {
  for (uint32_t i = 0; i < 100; i++)
    compute(7, i % 10 == 0 ? 2 * SECOND : SECOND / 50);
  ck_assert_uint_gt(deadlock_ns(1), 2 * SECOND);
}
END_TEST

/* The computations take a grace more each time, which is not counted. */
START_TEST(a_grace_does_not_grow_with_each_deadlock) {
  for (uint32_t i = 0; i < 100; i++)
    ck_assert_uint_le(deadlock_ns(SECOND / 2), SECOND);
  ck_assert_uint_ge(deadlock_ns(SECOND / 2), SECOND / 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_circles");
  TCase *tcase = tcase_create("leases_circles");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, two_processes_want_each_others_key);
  tcase_add_test(tcase, a_put_within_the_grace_is_waited_for);
  tcase_add_test(tcase, a_wait_whose_circle_is_gone_goes_on);
  tcase_add_test(tcase, a_wait_is_no_longer_than_was_asked_for);
  tcase_add_test(tcase, a_circle_of_three);
  tcase_add_test(tcase, threads_of_one_process_wait_for_each_other);
  tcase_add_test(tcase, a_lease_that_changes_hands_closes_a_circle);
  tcase_add_test(tcase, a_lease_that_changes_hands_opens_a_circle);
  tcase_add_test(tcase, a_helper_does_not_wait_for_whom_it_works);
  tcase_add_test(tcase, a_lease_that_goes_to_whom_a_helper_works_for_is_not_waited_for);
  tcase_add_test(tcase, a_process_that_is_not_known_is_in_no_circle);
  tcase_add_test(tcase, a_search_is_bounded);
  tcase_add_test(tcase, the_searches_when_many_graces_end_are_bounded);
  tcase_add_test(tcase, the_processes_that_one_waits_for_are_bounded);
  tcase_add_test(tcase, a_grace_is_twice_what_computing_takes);
  tcase_add_test(tcase, a_grace_has_bounds);
  tcase_add_test(tcase, a_grace_is_enough_for_the_long_computations);
  tcase_add_test(tcase, a_grace_does_not_grow_with_each_deadlock);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
