/* The bounds on leases, waits and times. */
#include <check.h>

#include "tests/support/leases_fixture.h"
#include "tests/support/runner.h"

static struct lease_client *const a = &lease_clients[0], *const b = &lease_clients[1],
                                  *const c = &lease_clients[2];

static void limit(const struct leases_limits *limits) {
  leases_set_limits(&leases, limits);
}

START_TEST(lease_beyond_limit_refused) {
  limit(&(struct leases_limits){4, 2, 10, 10, UINT64_MAX});
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(a, 2), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(a, 3), LEASE_NONE); /* its own bound */
  ck_assert_int_eq(lease_acquire(b, 3), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(b, 4), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(c, 5), LEASE_NONE);  /* the bound of all */
  ck_assert_int_eq(lease_acquire(c, 1), LEASE_WAITS); /* which is not that of waits */
  lease_put(2, NOW);
  ck_assert_int_eq(lease_acquire(a, 5), LEASE_GRANTED);
}
END_TEST

START_TEST(lease_refused_waits_go_on) {
  limit(&(struct leases_limits){1, 1, 10, 10, UINT64_MAX});
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
  ck_assert_int_eq(lease_acquire(b, 2), LEASE_NONE);
  ck_assert_uint_eq(b->waits, 1);
}
END_TEST

START_TEST(wait_beyond_limit_refused) {
  limit(&(struct leases_limits){10, 10, 3, 2, UINT64_MAX});
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_NONE); /* its own bound */
  ck_assert_int_eq(lease_acquire(c, 1), LEASE_WAITS);
  ck_assert_int_eq(lease_acquire(&lease_clients[3], 1), LEASE_NONE); /* the bound of all */
}
END_TEST

/* A put ends them all at once. */
START_TEST(wait_for_crowded_lease_refused) {
  limit(&(struct leases_limits){10, 10, 100000, 100000, UINT64_MAX});
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  for (uint32_t i = 0; i < LEASES_WAITS_FOR_ONE_MAX; i++)
    if (lease_acquire(b, 1) != LEASE_WAITS)
      ck_abort_msg("wait %u is refused", i);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_NONE);
  ck_assert_int_eq(lease_acquire(c, 1), LEASE_NONE);
  ck_assert_int_eq(lease_acquire(a, 2), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(c, 2), LEASE_WAITS); /* one for another */
}
END_TEST

/* Otherwise a client that reads no replies could have any number of waits. */
START_TEST(due_waits_count_for_client) {
  limit(&(struct leases_limits){10, 10, 10, 2, UINT64_MAX});
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
    ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
    lease_put(1, NOW);
  }
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_NONE);
  leases_due_done(&leases, b);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
}
END_TEST

/* Otherwise many such clients could, each within its own limit. */
START_TEST(due_waits_count_for_all) {
  limit(&(struct leases_limits){10, 10, 2, 1, UINT64_MAX});
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
  ck_assert_int_eq(lease_acquire(c, 1), LEASE_WAITS);
  lease_put(1, NOW);
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(&lease_clients[3], 1), LEASE_NONE);
  leases_due_done(&leases, b);
  ck_assert_int_eq(lease_acquire(&lease_clients[3], 1), LEASE_WAITS);
  leases_client_gone(&leases, c, NOW);
  ck_assert_int_eq(lease_acquire(&lease_clients[4], 1), LEASE_WAITS);
}
END_TEST

/* The end of a lease's term or of a wait, for a requested time. */
struct time_case {
  uint64_t now_ns, requested_ns, max_ns;
  bool of_wait;
  uint64_t at_ns;
};

static const struct time_case time_cases[] = {
    {NOW, 500, 1000, false, NOW + 500},
    {NOW, 1000, 1000, false, NOW + 1000},
    {NOW, 1001, 1000, false, NOW + 1000},
    {NOW, 0, UINT64_MAX, false, NOW + 300000000000},
    {NOW, 0, 1000, false, NOW + 1000},
    {NOW, UINT64_MAX, UINT64_MAX, false, UINT64_MAX},
    {UINT64_MAX - 10, 10, UINT64_MAX, false, UINT64_MAX},
    {UINT64_MAX - 10, 11, UINT64_MAX, false, UINT64_MAX},
    {UINT64_MAX - 10, 9, UINT64_MAX, false, UINT64_MAX - 1},
    {NOW, 500, 1000, true, NOW + 500},
    {NOW, 1001, 1000, true, NOW + 1000},
    {NOW, UINT64_MAX, UINT64_MAX, true, UINT64_MAX},
    {UINT64_MAX - 10, 11, UINT64_MAX, true, UINT64_MAX},
};

START_TEST(times_bounded) {
  const struct time_case *time = &time_cases[_i];
  leases.limits.time_max_ns = time->max_ns;
  struct fc_key key = lease_key(1);
  struct lease_request request = lease_request(&key);
  request.term_ns = time->of_wait ? TERM : time->requested_ns;
  ck_assert_int_eq(leases_acquire(&leases, a, &request, time->now_ns), LEASE_GRANTED);
  ck_assert(time->of_wait || leases.first->term.at_ns == time->at_ns);
  ck_assert(time->of_wait || leases_next_ns(&leases) == time->at_ns);
  request.wait_ns = time->of_wait ? time->requested_ns : WAIT;
  ck_assert_int_eq(leases_acquire(&leases, b, &request, time->now_ns), LEASE_WAITS);
  ck_assert(!time->of_wait || b->wait_first->until.at_ns == time->at_ns);
  for (size_t i = 0; i < CLIENTS; i++) /* here, because time does not go back */
    leases_client_gone(&leases, &lease_clients[i], time->now_ns);
}
END_TEST

/* A waiter that gets the lease has its own requested term, bounded too. */
START_TEST(term_after_wait_bounded) {
  leases.limits.time_max_ns = 2 * TERM;
  struct fc_key key = lease_key(1);
  struct lease_request request = lease_request(&key);
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  request.term_ns = 0;
  ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW), LEASE_WAITS);
  request.term_ns = TERM + 1;
  ck_assert_int_eq(leases_acquire(&leases, c, &request, NOW), LEASE_WAITS);
  ck_assert(lease_give_up(a, 1, false, NOW + 1));
  ck_assert_uint_eq(leases.first->term.at_ns, NOW + 1 + 2 * TERM);
  ck_assert_uint_eq(leases.first->granted_ns, NOW + 1);
  ck_assert(lease_give_up(b, 1, false, NOW + 2));
  ck_assert_uint_eq(leases.first->term.at_ns, NOW + 2 + TERM + 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_limits");
  TCase *tcase = tcase_create("leases_limits");
  tcase_add_checked_fixture(tcase, leases_fixture_start, leases_fixture_end);
  tcase_set_timeout(tcase, 30);
  tcase_add_test(tcase, lease_beyond_limit_refused);
  tcase_add_test(tcase, lease_refused_waits_go_on);
  tcase_add_test(tcase, wait_beyond_limit_refused);
  tcase_add_test(tcase, wait_for_crowded_lease_refused);
  tcase_add_test(tcase, due_waits_count_for_client);
  tcase_add_test(tcase, due_waits_count_for_all);
  tcase_add_loop_test(tcase, times_bounded, 0, sizeof time_cases / sizeof time_cases[0]);
  tcase_add_test(tcase, term_after_wait_bounded);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
