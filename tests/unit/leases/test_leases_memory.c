/* The lease table without memory: its program is linked with malloc, calloc and realloc wrapped
 * (tests.mk), and each allocation of a call fails in turn. The answer is LEASE_NONE, and nothing
 * else changes. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/leases_fixture.h"
#include "tests/support/runner.h"

static unsigned until_failure; /* allocations that succeed before one fails; 0: the next */
static bool failing;
static unsigned failures;

static bool fails_now(void) {
  if (!failing || until_failure-- > 0)
    return false;
  failing = false;
  failures++;
  return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size) {
  return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
  return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size) {
  return fails_now() ? NULL : __real_realloc(old, size);
}

static struct lease_client *const owner = &lease_clients[0], *const waiter = &lease_clients[1];

static void set_up(void) {
  leases_fixture_start();
  failing = false;
  failures = 0;
}

/* With `n` allocations before one that fails; UINT_MAX: none fails. */
static enum lease_answer acquire(struct lease_client *client, uint32_t prompt, unsigned n) {
  struct fc_key key = lease_key(0);
  key.top_k = prompt;
  struct lease_request request = lease_request(&key);
  request.term_ns = request.wait_ns = 10;
  request.probe = fc_str_of("probe");
  until_failure = n;
  failing = n != UINT32_MAX;
  enum lease_answer answer = leases_acquire(&leases, client, &request, NOW);
  failing = false;
  return answer;
}

/* The first of all takes the buckets, which stay, the lease, and its place among the terms. */
START_TEST(lease_without_memory_refused) {
  const unsigned before[] = {0, 1, 1};
  for (unsigned i = 0; i < 3; i++) {
    ck_assert_int_eq(acquire(owner, 1, before[i]), LEASE_NONE);
    ck_assert_uint_eq(failures, i + 1);
    ck_assert_uint_eq(leases.n, 0);
    ck_assert_uint_eq(owner->held, 0);
    ck_assert_uint_eq(leases_next_ns(&leases), UINT64_MAX);
  }
  ck_assert_uint_eq(counters.leases_granted, 0);
  ck_assert_int_eq(acquire(owner, 1, UINT32_MAX), LEASE_GRANTED);
}
END_TEST

START_TEST(wait_without_memory_refused) {
  ck_assert_int_eq(acquire(owner, 1, UINT32_MAX), LEASE_GRANTED);
  for (unsigned n = 0; n < 2; n++) {
    ck_assert_int_eq(acquire(waiter, 1, n), LEASE_NONE);
    ck_assert_uint_eq(failures, n + 1);
    ck_assert_uint_eq(leases.waits, 0);
    ck_assert_uint_eq(waiter->waits, 0);
    ck_assert_uint_eq(leases_next_ns(&leases), NOW + 10);
  }
  ck_assert_int_eq(acquire(waiter, 1, UINT32_MAX), LEASE_WAITS);
}
END_TEST

/* A lease that cannot be granted ends no wait of its client. */
START_TEST(lease_without_memory_waits_go_on) {
  ck_assert_int_eq(acquire(owner, 1, UINT32_MAX), LEASE_GRANTED);
  ck_assert_int_eq(acquire(waiter, 1, UINT32_MAX), LEASE_WAITS);
  ck_assert_int_eq(acquire(waiter, 2, 0), LEASE_NONE);
  ck_assert_uint_eq(failures, 1);
  ck_assert_uint_eq(waiter->waits, 1);
}
END_TEST

/* Where the table cannot grow, it serves on as it is, and finds all. */
START_TEST(growth_without_memory_table_still_works) {
  uint32_t n = 0;
  do {
    ck_assert_int_eq(acquire(owner, n, UINT32_MAX), LEASE_GRANTED);
    n++;
  } while (leases.n < leases.n_buckets);
  uint32_t n_buckets = leases.n_buckets;
  ck_assert_int_eq(acquire(owner, n, 0), LEASE_GRANTED);
  ck_assert_uint_eq(failures, 1);
  ck_assert_uint_eq(leases.n_buckets, n_buckets);
  for (uint32_t i = 0; i <= n; i++)
    ck_assert_int_eq(acquire(waiter, i, UINT32_MAX), LEASE_WAITS);
  ck_assert_int_eq(acquire(owner, n + 1, UINT32_MAX), LEASE_GRANTED);
  ck_assert_uint_eq(leases.n_buckets, 2 * n_buckets);
}
END_TEST

/* The end of a lease never allocates: its waiters would be lost. */
START_TEST(end_of_lease_allocates_nothing) {
  ck_assert_int_eq(acquire(owner, 1, UINT32_MAX), LEASE_GRANTED);
  ck_assert_int_eq(acquire(waiter, 1, UINT32_MAX), LEASE_WAITS);
  failing = true;
  until_failure = 0;
  leases_client_gone(&leases, owner, NOW);
  const struct lease_client *due = leases_next_due(&leases);
  enum lease_end end = waiter->due_first->end;
  leases_expire(&leases, NOW + 10);
  leases_due_done(&leases, waiter);
  failing = false; /* Check allocates too */
  ck_assert_uint_eq(failures, 0);
  ck_assert_ptr_eq(due, waiter);
  ck_assert_int_eq(end, LEASE_END_GRANTED);
  ck_assert_uint_eq(leases.n, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_memory");
  TCase *tcase = tcase_create("leases_memory");
  tcase_add_checked_fixture(tcase, set_up, leases_fixture_end);
  tcase_add_test(tcase, lease_without_memory_refused);
  tcase_add_test(tcase, wait_without_memory_refused);
  tcase_add_test(tcase, lease_without_memory_waits_go_on);
  tcase_add_test(tcase, growth_without_memory_table_still_works);
  tcase_add_test(tcase, end_of_lease_allocates_nothing);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
