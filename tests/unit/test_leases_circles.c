/* Circles of processes: which waits are refused, which end when a lease goes to another owner, and
 * how far is searched. */
#include <check.h>
#include <stdlib.h>

#include "daemon/leases.h"
#include "runner.h"

#define STEPS_MAX 4096u /* of a search: SEARCH_STEPS_MAX in leases_circles.c */
#define EDGES_MAX 512u  /* EDGES_EACH_MAX there */
#define MANY (STEPS_MAX + 8u)

static struct counters counters;
static struct namespace space;
static struct leases leases;
static struct lease_process *processes; /* MANY of them, each with three connections */
static struct lease_holder *holders;

static struct lease_holder *connection(uint32_t process, uint32_t i) {
  struct lease_holder *holder = &holders[3 * process + i];
  holder->process = &processes[process];
  return holder;
}

static void set_up(void) {
  const struct leases_limits limits = {100000, 100000, 100000, 100000, UINT64_MAX};
  leases_init(&leases, &limits, &counters);
  namespace_init(&space, fc_str_of("ns"), 7, 1);
  processes = calloc(MANY, sizeof *processes);
  holders = calloc(3 * MANY, sizeof *holders);
  ck_assert(processes != NULL && holders != NULL);
}

static void tear_down(void) {
  for (uint32_t i = 0; i < 3 * MANY; i++)
    leases_leave(&leases, &holders[i], 1);
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

static enum lease_answer ask(struct lease_holder *holder, uint32_t number) {
  struct fc_key key = key_of(number);
  struct lease_request request = {.ns = &space,
                                  .digest = fc_key_digest(space.seed, &key),
                                  .key = &key,
                                  .wants = true,
                                  .term_ns = UINT64_MAX,
                                  .wait_ns = UINT64_MAX,
                                  .id = number};
  return leases_ask(&leases, holder, &request, 1);
}

static void give_up(struct lease_holder *holder, uint32_t number) {
  struct fc_key key = key_of(number);
  ck_assert(
      leases_give_up(&leases, holder, &space, fc_key_digest(space.seed, &key), &key, false, 1));
}

/* How the holder's one due wait ended. */
static enum lease_end end_of(struct lease_holder *holder) {
  ck_assert_uint_eq(holder->due, 1);
  enum lease_end end = holder->due_first->end;
  leases_due_done(&leases, holder);
  return end;
}

START_TEST(two_processes_want_each_others_key) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(1, 1), 0), LEASE_NONE);
  ck_assert_int_eq(ask(connection(2, 1), 0), LEASE_WAITS); /* a third is in no circle */
  leases_leave(&leases, connection(0, 1), 1);
  ck_assert_int_eq(ask(connection(1, 1), 0), LEASE_WAITS); /* nor is that one now */
}
END_TEST

START_TEST(a_circle_of_three) {
  for (uint32_t i = 0; i < 3; i++)
    ck_assert_int_eq(ask(connection(i, 0), i), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(1, 1), 2), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(2, 1), 0), LEASE_NONE);
  ck_assert_int_eq(ask(connection(2, 1), 1), LEASE_NONE);
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

/* 1 and 2 wait for a key of 0. When it goes to 1, which waits for 2 as well, 2 must not go on. */
START_TEST(a_lease_that_changes_hands_closes_a_circle) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(2, 0), 2), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 0), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(1, 1), 2), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(2, 1), 0), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(1, 2), 0), LEASE_WAITS); /* a thread of the new owner */
  give_up(connection(0, 0), 0);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_GRANTED);
  ck_assert_int_eq(end_of(connection(2, 1)), LEASE_END_NONE);
  ck_assert_uint_eq(connection(1, 1)->waits, 1);
  ck_assert_uint_eq(connection(1, 2)->waits, 1);
}
END_TEST

/* Waits for the former owner are no part of a circle any more. */
START_TEST(a_lease_that_changes_hands_opens_a_circle) {
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(2, 0), 2), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 2), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(1, 0), 0), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(1, 1), 0), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(3, 0), 0), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(2, 1), 0), LEASE_NONE); /* 0 waits for 2 */
  give_up(connection(0, 0), 0);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_GRANTED);
  ck_assert_int_eq(ask(connection(2, 1), 0), LEASE_WAITS); /* 1 waits for nobody else */
  ck_assert_uint_eq(connection(3, 0)->waits, 1);
}
END_TEST

START_TEST(a_helper_does_not_wait_for_whom_it_works) {
  leases_set_helper(&processes[1], &processes[0]);
  leases_set_helper(&processes[2], &processes[1]);
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 0), 0), LEASE_NONE);
  ck_assert_int_eq(ask(connection(2, 0), 0), LEASE_NONE);
  ck_assert_int_eq(ask(connection(2, 0), 2), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 2), LEASE_WAITS); /* it does not work for that one */
  /* What a helper waits for, its boss may wait for. */
  ck_assert_int_eq(ask(connection(3, 0), 3), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(1, 1), 3), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(3, 1), 0), LEASE_NONE);
  leases_leave(&leases, connection(1, 1), 1);
  ck_assert_int_eq(ask(connection(3, 1), 0), LEASE_WAITS);
}
END_TEST

START_TEST(a_process_that_is_not_known_is_in_no_circle) {
  struct lease_holder *unknown[2] = {connection(1, 0), connection(1, 1)};
  unknown[0]->process = unknown[1]->process = NULL;
  ck_assert_int_eq(ask(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(ask(unknown[0], 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(ask(unknown[1], 0), LEASE_WAITS);
}
END_TEST

/* Each process waits for the next: from one of them on, so many are found. */
START_TEST(a_search_is_bounded) {
  for (uint32_t i = 0; i < STEPS_MAX + 2; i++)
    ck_assert_int_eq(ask(connection(i, 0), i), LEASE_GRANTED);
  for (uint32_t i = STEPS_MAX + 1; i > 0; i--)
    ck_assert_int_eq(ask(connection(i - 1, 1), i), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(STEPS_MAX + 3, 0), 1), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(STEPS_MAX + 3, 0), 0), LEASE_NONE);
}
END_TEST

START_TEST(the_processes_that_one_waits_for_are_bounded) {
  for (uint32_t i = 1; i < EDGES_MAX + 3; i++)
    ck_assert_int_eq(ask(connection(i, 0), i), LEASE_GRANTED);
  for (uint32_t i = 1; i < EDGES_MAX + 1; i++)
    ck_assert_int_eq(ask(connection(0, 0), i), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(ask(connection(0, 1), EDGES_MAX + 1), LEASE_NONE);
  leases_leave(&leases, connection(0, 0), 1);
  ck_assert_int_eq(ask(connection(0, 2), EDGES_MAX + 2), LEASE_WAITS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_circles");
  TCase *tcase = tcase_create("leases_circles");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, two_processes_want_each_others_key);
  tcase_add_test(tcase, a_circle_of_three);
  tcase_add_test(tcase, threads_of_one_process_wait_for_each_other);
  tcase_add_test(tcase, a_lease_that_changes_hands_closes_a_circle);
  tcase_add_test(tcase, a_lease_that_changes_hands_opens_a_circle);
  tcase_add_test(tcase, a_helper_does_not_wait_for_whom_it_works);
  tcase_add_test(tcase, a_process_that_is_not_known_is_in_no_circle);
  tcase_add_test(tcase, a_search_is_bounded);
  tcase_add_test(tcase, the_processes_that_one_waits_for_are_bounded);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
