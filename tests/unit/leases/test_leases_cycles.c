/* Cycles in the wait-for graph of processes: which waits get a grace, how long it is, which waits
 * are refused, and the bounds of a search. */
#include <check.h>
#include <stdlib.h>

#include "daemon/leases/leases.h"
#include "tests/support/runner.h"

#define STEPS_MAX 4096u /* of a search: SEARCH_STEPS_MAX in leases_deadlock.c */
#define EDGES_MAX 512u  /* EDGES_EACH_MAX there */
#define MANY (STEPS_MAX + 8u)

#define NO_GRACE UINT64_MAX
#define UNKNOWN LEASES_GRACE_UNKNOWN_NS
#define SECOND UINT64_C(1000000000)

static struct counters counters;
static struct namespace space;
static uint64_t now_ns;
static struct leases leases;
static struct lease_process *processes; /* MANY of them, each with three connections */
static struct lease_client *clients;

static struct lease_client *connection(uint32_t process, uint32_t i) {
  struct lease_client *client = &clients[3 * process + i];
  client->process = &processes[process];
  return client;
}

static void set_up(void) {
  const struct leases_limits limits = {100000, 100000, 100000, 100000, UINT64_MAX};
  now_ns = 1;
  leases_init(&leases, &limits, &counters);
  namespace_init(&space, fc_str_of("ns"), 7, 1);
  processes = calloc(MANY, sizeof *processes);
  clients = calloc(3 * MANY, sizeof *clients);
  ck_assert(processes != NULL && clients != NULL);
}

static void tear_down(void) {
  for (uint32_t i = 0; i < 3 * MANY; i++)
    leases_client_gone(&leases, &clients[i], now_ns);
  for (uint32_t i = 0; i < MANY; i++)
    leases_forget_process(&processes[i]);
  leases_deinit(&leases);
  namespace_deinit(&space);
  free(processes);
  free(clients);
}

static struct fc_key key_of(uint32_t number) {
  return (struct fc_key){.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = number};
}

static enum lease_answer acquire_for(struct lease_client *client, uint32_t number,
                                     uint64_t wait_ns) {
  struct fc_key key = key_of(number);
  struct lease_request request = {.ns = &space,
                                  .digest = fc_key_digest(space.seed, &key),
                                  .key = &key,
                                  .wants = true,
                                  .term_ns = UINT64_MAX,
                                  .wait_ns = wait_ns,
                                  .id = number};
  return leases_acquire(&leases, client, &request, now_ns);
}

static enum lease_answer acquire(struct lease_client *client, uint32_t number) {
  return acquire_for(client, number, UINT64_MAX);
}

/* Returns the time left of the latest wait of the client, or NO_GRACE. */
static uint64_t left_ns(const struct lease_client *client) {
  uint64_t until_ns = client->wait_last->until.at_ns;
  return until_ns == UINT64_MAX ? NO_GRACE : until_ns - now_ns;
}

static void waits_with(struct lease_client *client, uint32_t number, uint64_t expected_ns) {
  ck_assert_int_eq(acquire(client, number), LEASE_WAITS);
  ck_assert_uint_eq(left_ns(client), expected_ns);
}

static void put(uint32_t number) {
  struct fc_key key = key_of(number);
  leases_put(&leases, &space, fc_key_digest(space.seed, &key), &key, now_ns);
}

static void pass(uint64_t ns) {
  now_ns += ns;
  leases_expire(&leases, now_ns);
}

static void give_up(struct lease_client *client, uint32_t number) {
  struct fc_key key = key_of(number);
  ck_assert(leases_give_up(&leases, client, &space, fc_key_digest(space.seed, &key), &key, false,
                           now_ns));
}

/* Returns how the one due wait of the client ended. */
static enum lease_end end_of(struct lease_client *client) {
  ck_assert_uint_eq(client->due, 1);
  enum lease_end end = client->due_first->end;
  leases_due_done(&leases, client);
  return end;
}

START_TEST(two_processes_second_wait_gets_grace) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, NO_GRACE);
  waits_with(connection(1, 1), 0, UNKNOWN);
  waits_with(connection(2, 1), 0, NO_GRACE); /* a third process is in no cycle */
  pass(UNKNOWN - 1);
  ck_assert_uint_eq(leases.due, 0);
  pass(1);
  ck_assert_uint_eq(leases.due, 1);
  ck_assert_int_eq(end_of(connection(1, 1)), LEASE_END_NONE);
}
END_TEST

/* Independent computations, each put within the grace. */
START_TEST(put_within_grace_ends_wait) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, NO_GRACE);
  waits_with(connection(1, 1), 0, UNKNOWN);
  pass(UNKNOWN / 2);
  put(0);
  put(1);
  ck_assert_int_eq(end_of(connection(0, 1)), LEASE_END_PUT);
  ck_assert_int_eq(end_of(connection(1, 1)), LEASE_END_PUT);
}
END_TEST

/* If the cycle is gone when the grace ends, the wait goes on as requested. The next wait that
 * closes a cycle with it gets its own grace. */
START_TEST(cycle_gone_wait_goes_on) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, NO_GRACE);
  ck_assert_int_eq(acquire_for(connection(1, 1), 0, 5 * SECOND), LEASE_WAITS);
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

START_TEST(grace_longer_than_request_not_used) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(1, 0), 1), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, NO_GRACE);
  ck_assert_int_eq(acquire_for(connection(1, 1), 0, UNKNOWN - 1), LEASE_WAITS);
  ck_assert_uint_eq(left_ns(connection(1, 1)), UNKNOWN - 1);
}
END_TEST

START_TEST(three_processes_last_wait_gets_grace) {
  for (uint32_t i = 0; i < 3; i++)
    ck_assert_int_eq(acquire(connection(i, 0), i), LEASE_GRANTED);
  waits_with(connection(0, 1), 1, NO_GRACE);
  waits_with(connection(1, 1), 2, NO_GRACE);
  waits_with(connection(2, 1), 0, UNKNOWN);
  waits_with(connection(2, 1), 1, UNKNOWN);
}
END_TEST

/* Threads that miss a key together compute it once. */
START_TEST(same_process_no_cycle) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(0, 1), 1), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(0, 2), 0), LEASE_WAITS);
  ck_assert_uint_eq(processes[0].edges, 0);
}
END_TEST

/* 1 and 2 wait for a key of 0. When it goes to 1, which waits for 2 as well, 2 has a grace. */
START_TEST(new_owner_closes_cycle) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(2, 0), 2), LEASE_GRANTED);
  waits_with(connection(1, 0), 0, NO_GRACE);
  waits_with(connection(1, 1), 2, NO_GRACE);
  waits_with(connection(2, 1), 0, NO_GRACE);
  waits_with(connection(1, 2), 0, NO_GRACE); /* a thread of the new owner */
  give_up(connection(0, 0), 0);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_GRANTED);
  ck_assert_uint_eq(left_ns(connection(2, 1)), UNKNOWN);
  ck_assert_uint_eq(left_ns(connection(1, 1)), NO_GRACE);
  ck_assert_uint_eq(left_ns(connection(1, 2)), NO_GRACE);
  pass(UNKNOWN);
  ck_assert_uint_eq(leases.due, 1);
  ck_assert_int_eq(end_of(connection(2, 1)), LEASE_END_NONE);
}
END_TEST

/* Waits for the former owner are not in a cycle any more. */
START_TEST(new_owner_breaks_cycle) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(2, 0), 2), LEASE_GRANTED);
  waits_with(connection(0, 1), 2, NO_GRACE);
  waits_with(connection(1, 0), 0, NO_GRACE);
  waits_with(connection(1, 1), 0, NO_GRACE);
  waits_with(connection(2, 1), 0, UNKNOWN); /* 0 waits for 2 */
  give_up(connection(0, 0), 0);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_GRANTED);
  ck_assert_uint_eq(left_ns(connection(2, 1)), NO_GRACE); /* 1 waits for no other process */
  ck_assert_uint_eq(left_ns(connection(1, 1)), NO_GRACE);
}
END_TEST

START_TEST(helper_waiting_for_its_process_refused) {
  leases_set_helper(&processes[1], &processes[0]);
  leases_set_helper(&processes[2], &processes[1]);
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(1, 0), 0), LEASE_NONE);
  ck_assert_int_eq(acquire(connection(2, 0), 0), LEASE_NONE);
  ck_assert_int_eq(acquire(connection(2, 0), 2), LEASE_GRANTED);
  waits_with(connection(0, 1), 2, NO_GRACE); /* it does not help that process */
  /* Its process may wait for all that a helper waits for. */
  ck_assert_int_eq(acquire(connection(3, 0), 3), LEASE_GRANTED);
  waits_with(connection(1, 1), 3, NO_GRACE);
  waits_with(connection(3, 1), 0, UNKNOWN);
  leases_client_gone(&leases, connection(1, 1), now_ns);
  waits_with(connection(3, 1), 0, NO_GRACE);
}
END_TEST

START_TEST(new_owner_ends_waits_of_its_helpers) {
  leases_set_helper(&processes[1], &processes[0]);
  leases_set_helper(&processes[2], &processes[1]);
  ck_assert_int_eq(acquire(connection(3, 0), 3), LEASE_GRANTED);
  waits_with(connection(0, 0), 3, NO_GRACE);
  waits_with(connection(1, 0), 3, NO_GRACE);
  waits_with(connection(2, 0), 3, NO_GRACE);
  give_up(connection(3, 0), 3);
  ck_assert_int_eq(end_of(connection(0, 0)), LEASE_END_GRANTED);
  ck_assert_int_eq(end_of(connection(1, 0)), LEASE_END_NONE);
  ck_assert_int_eq(end_of(connection(2, 0)), LEASE_END_NONE);
}
END_TEST

START_TEST(unknown_process_no_cycle) {
  struct lease_client *unknown[2] = {connection(1, 0), connection(1, 1)};
  unknown[0]->process = unknown[1]->process = NULL;
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(unknown[0], 1), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(acquire(unknown[1], 0), LEASE_WAITS);
}
END_TEST

/* Makes each process wait for the next, STEPS_MAX of them. */
static void make_chain(void) {
  for (uint32_t i = 0; i < STEPS_MAX + 2; i++)
    ck_assert_int_eq(acquire(connection(i, 0), i), LEASE_GRANTED);
  for (uint32_t i = STEPS_MAX + 1; i > 0; i--)
    ck_assert_int_eq(acquire(connection(i - 1, 1), i), LEASE_WAITS);
}

START_TEST(search_too_long_assumes_cycle) {
  make_chain();
  waits_with(connection(STEPS_MAX + 3, 0), 1, NO_GRACE);
  waits_with(connection(STEPS_MAX + 3, 0), 0, UNKNOWN);
  pass(UNKNOWN);
  ck_assert_int_eq(end_of(connection(STEPS_MAX + 3, 0)), LEASE_END_NONE);
}
END_TEST

/* Beyond the steps of one leases_expire, the waits end without a search. */
START_TEST(many_graces_end_searches_bounded) {
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

START_TEST(too_many_edges_wait_gets_grace) {
  for (uint32_t i = 1; i < EDGES_MAX + 3; i++)
    ck_assert_int_eq(acquire(connection(i, 0), i), LEASE_GRANTED);
  for (uint32_t i = 1; i < EDGES_MAX + 1; i++)
    waits_with(connection(0, 0), i, NO_GRACE);
  waits_with(connection(0, 1), 1, NO_GRACE);
  waits_with(connection(0, 1), EDGES_MAX + 1, UNKNOWN);
  waits_with(connection(EDGES_MAX + 1, 1), 1, NO_GRACE);
  pass(UNKNOWN);
  ck_assert_int_eq(end_of(connection(0, 1)), LEASE_END_NONE);
  leases_client_gone(&leases, connection(0, 0), now_ns);
  waits_with(connection(0, 2), EDGES_MAX + 2, NO_GRACE);
}
END_TEST

/* ---- the length of a grace ---- */

static void compute(uint32_t number, uint64_t ns) {
  ck_assert_int_eq(acquire(connection(0, 0), number), LEASE_GRANTED);
  pass(ns);
  put(number);
}

/* Makes a deadlock of 0 and 1, and returns its grace, after which both compute for themselves. */
static uint64_t deadlock_ns(uint64_t compute_ns) {
  ck_assert_int_eq(acquire(connection(0, 0), 0), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(1, 0), 1), LEASE_GRANTED);
  ck_assert_int_eq(acquire(connection(0, 1), 1), LEASE_WAITS);
  ck_assert_int_eq(acquire(connection(1, 1), 0), LEASE_WAITS);
  uint64_t grace_ns = left_ns(connection(1, 1));
  pass(grace_ns);
  ck_assert_int_eq(end_of(connection(1, 1)), LEASE_END_NONE);
  pass(compute_ns);
  put(1);
  ck_assert_int_eq(end_of(connection(0, 1)), LEASE_END_PUT);
  put(0);
  return grace_ns;
}

START_TEST(grace_twice_the_duration) {
  for (uint32_t i = 0; i < 3; i++) {
    compute(7, SECOND);
    ck_assert_uint_eq(deadlock_ns(SECOND), 2 * SECOND);
  }
}
END_TEST

START_TEST(grace_bounded) {
  compute(7, 3600 * SECOND);
  ck_assert_uint_eq(deadlock_ns(1), LEASES_GRACE_MAX_NS);
  for (uint32_t i = 0; i < 200; i++)
    compute(7, 10);
  ck_assert_uint_eq(deadlock_ns(1), LEASES_GRACE_MIN_NS);
}
END_TEST

/* Among many short computations, a few long ones decide. */
START_TEST(grace_covers_long_computations) {
  for (uint32_t i = 0; i < 100; i++)
    compute(7, i % 10 == 0 ? 2 * SECOND : SECOND / 50);
  ck_assert_uint_gt(deadlock_ns(1), 2 * SECOND);
}
END_TEST

/* Each computation takes one grace longer, which does not count. */
START_TEST(grace_stable_over_deadlocks) {
  for (uint32_t i = 0; i < 100; i++)
    ck_assert_uint_le(deadlock_ns(SECOND / 2), SECOND);
  ck_assert_uint_ge(deadlock_ns(SECOND / 2), SECOND / 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_cycles");
  TCase *tcase = tcase_create("leases_cycles");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, two_processes_second_wait_gets_grace);
  tcase_add_test(tcase, put_within_grace_ends_wait);
  tcase_add_test(tcase, cycle_gone_wait_goes_on);
  tcase_add_test(tcase, grace_longer_than_request_not_used);
  tcase_add_test(tcase, three_processes_last_wait_gets_grace);
  tcase_add_test(tcase, same_process_no_cycle);
  tcase_add_test(tcase, new_owner_closes_cycle);
  tcase_add_test(tcase, new_owner_breaks_cycle);
  tcase_add_test(tcase, helper_waiting_for_its_process_refused);
  tcase_add_test(tcase, new_owner_ends_waits_of_its_helpers);
  tcase_add_test(tcase, unknown_process_no_cycle);
  tcase_add_test(tcase, search_too_long_assumes_cycle);
  tcase_add_test(tcase, many_graces_end_searches_bounded);
  tcase_add_test(tcase, too_many_edges_wait_gets_grace);
  tcase_add_test(tcase, grace_twice_the_duration);
  tcase_add_test(tcase, grace_bounded);
  tcase_add_test(tcase, grace_covers_long_computations);
  tcase_add_test(tcase, grace_stable_over_deadlocks);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
