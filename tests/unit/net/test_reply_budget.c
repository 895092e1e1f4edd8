/* The budget of large copies: charges, waiters, and that each waiter is called. */
#include <check.h>
#include <stdlib.h>

#include "daemon/net/reply_budget.h"
#include "tests/support/runner.h"

#define LIMIT 1000u

struct client {
  struct reply_budget_waiter waiter; /* first: a waiter is its client */
  unsigned woken;
};

static struct reply_budget budget;
static struct client a, b, c;

static void wake(struct reply_budget_waiter *waiter) {
  ((struct client *)waiter)->woken++;
}

static void set_up(void) {
  reply_budget_init(&budget, LIMIT);
  a = b = c = (struct client){.waiter.ready = wake};
}

static void tear_down(void) {
  reply_budget_deinit(&budget);
}

static bool charge(struct client *client, size_t bytes) {
  client->woken = 0;
  return reply_budget_charge(&budget, bytes, &client->waiter);
}

static bool waits(const struct client *client) {
  return client->waiter.next != NULL;
}

START_TEST(charge_that_fits_admitted_else_queued) {
  ck_assert(charge(&a, 500));
  ck_assert(charge(&b, 500));
  ck_assert_uint_eq(budget.used_bytes, LIMIT);
  ck_assert(!reply_budget_has_waiters(&budget));
  ck_assert(!charge(&c, 1));
  ck_assert(waits(&c) && reply_budget_has_waiters(&budget));
  reply_budget_release(&budget, 500);
  ck_assert_uint_eq(c.woken, 1);
  ck_assert(charge(&c, 1));
  ck_assert(!waits(&c));
  reply_budget_release(&budget, 500);
  reply_budget_release(&budget, 1);
}
END_TEST

START_TEST(waiters_served_in_order) {
  ck_assert(charge(&a, 600));
  ck_assert(!charge(&b, 500));
  ck_assert(!charge(&c, 100)); /* would fit, but for b */
  ck_assert(!charge(&b, 500)); /* stays where it is */
  reply_budget_release(&budget, 600);
  ck_assert_uint_ge(b.woken, 1);
  ck_assert(!charge(&c, 100));
  ck_assert(charge(&b, 500));
  ck_assert(charge(&c, 100));
  reply_budget_release(&budget, 500);
  reply_budget_release(&budget, 100);
}
END_TEST

START_TEST(charge_over_limit_admitted_alone) {
  ck_assert(charge(&a, 1));
  ck_assert(!charge(&b, LIMIT + 1));
  reply_budget_release(&budget, 1);
  ck_assert(charge(&b, LIMIT + 1));
  ck_assert(!charge(&a, 1));
  reply_budget_release(&budget, LIMIT + 1);
  ck_assert(charge(&a, 1));
  reply_budget_release(&budget, 1);
}
END_TEST

/* A waiter that gives up must not take the turn of those behind with it. */
START_TEST(first_waiter_cancelled_wakes_next) {
  ck_assert(charge(&a, 900));
  ck_assert(!charge(&b, 200));
  ck_assert(!charge(&c, 50)); /* would fit, but for b */
  reply_budget_cancel_wait(&budget, &b.waiter);
  ck_assert(!waits(&b));
  ck_assert_uint_eq(c.woken, 1);
  ck_assert(charge(&c, 50));
  reply_budget_release(&budget, 50);
  reply_budget_release(&budget, 900);
}
END_TEST

START_TEST(later_waiter_cancelled_wakes_none) {
  ck_assert(charge(&a, LIMIT));
  ck_assert(!charge(&b, 500));
  ck_assert(!charge(&c, 200));
  reply_budget_cancel_wait(&budget, &c.waiter);
  reply_budget_cancel_wait(&budget, &c.waiter); /* not in it any more: nothing happens */
  ck_assert_uint_eq(b.woken, 0);
  reply_budget_cancel_wait(&budget, &b.waiter);
  reply_budget_release(&budget, LIMIT);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("budget");
  TCase *tcase = tcase_create("budget");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, charge_that_fits_admitted_else_queued);
  tcase_add_test(tcase, waiters_served_in_order);
  tcase_add_test(tcase, charge_over_limit_admitted_alone);
  tcase_add_test(tcase, first_waiter_cancelled_wakes_next);
  tcase_add_test(tcase, later_waiter_cancelled_wakes_none);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
