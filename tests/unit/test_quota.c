/* The pool for large replies: what is let in, what waits, and that no waiter is forgotten. */
#include <check.h>
#include <stdlib.h>

#include "daemon/quota.h"
#include "runner.h"

#define LIMIT 1600u
#define SMALL 100u  /* the most that counts as small */
#define LARGE 1200u /* the most that large ones have: the rest is the reserve */

struct client {
  struct quota_waiter waiter; /* first: a waiter is its client */
  unsigned woken;
};

static struct quota quota;
static struct client a, b, c;

static void wake(struct quota_waiter *waiter) {
  ((struct client *)waiter)->woken++;
}

static void set_up(void) {
  quota_init(&quota, LIMIT, LARGE);
  a = b = c = (struct client){.waiter.ready = wake};
}

static void tear_down(void) {
  quota_deinit(&quota);
}

static bool charge(struct client *client, size_t bytes) {
  client->woken = 0;
  return quota_charge(&quota, bytes, &client->waiter);
}

static bool waits(const struct client *client) {
  return client->waiter.next != NULL;
}

START_TEST(what_fits_is_let_in_and_the_rest_waits) {
  ck_assert(charge(&a, 600));
  ck_assert(charge(&b, 600));
  ck_assert_uint_eq(quota.used_bytes, LARGE);
  ck_assert(!charge(&c, 101)); /* would be in the reserve */
  ck_assert(waits(&c));
  quota_release(&quota, 600);
  ck_assert_uint_eq(c.woken, 1);
  ck_assert(charge(&c, 101));
  ck_assert(!waits(&c));
  quota_release(&quota, 600);
  quota_release(&quota, 101);
}
END_TEST

/* Whatever large ones hold, or wait for. */
START_TEST(small_ones_have_the_reserve) {
  ck_assert(charge(&a, LARGE));
  ck_assert(!charge(&b, 500));
  for (int i = 0; i < 4; i++)
    ck_assert(charge(&c, SMALL));
  ck_assert(!charge(&c, 1));
  quota_release(&quota, LARGE); /* that is the large one's, which waits */
  ck_assert_uint_eq(b.woken, 1);
  ck_assert(!charge(&c, 1));
  ck_assert(charge(&b, 500));
  ck_assert_uint_eq(c.woken, 1); /* no large one waits: all the room is for all */
  ck_assert(charge(&c, 1));
  quota_release(&quota, 500);
  quota_release(&quota, 1);
  for (int i = 0; i < 4; i++)
    quota_release(&quota, SMALL);
}
END_TEST

/* While none of them waits, small ones may have all. */
START_TEST(a_large_one_does_not_starve) {
  for (unsigned i = 0; i < LIMIT / SMALL; i++)
    ck_assert(charge(&a, SMALL));
  ck_assert(!charge(&b, LARGE));
  for (unsigned i = 0; i < LARGE / SMALL; i++) { /* each that goes would come again */
    quota_release(&quota, SMALL);
    ck_assert_uint_ge(b.woken, 1);
    ck_assert_int_eq(charge(&b, LARGE), i + 1 == LARGE / SMALL);
    if (i + 1 < LARGE / SMALL)
      ck_assert(!charge(&a, SMALL));
  }
  quota_forget(&quota, &a.waiter);
  quota_release(&quota, LARGE);
  for (unsigned i = 0; i < (LIMIT - LARGE) / SMALL; i++)
    quota_release(&quota, SMALL);
}
END_TEST

START_TEST(a_large_one_that_fits_passes_one_that_does_not_but_not_for_ever) {
  ck_assert(charge(&a, 600));
  ck_assert(!charge(&b, 700));
  for (unsigned i = 0; i < QUOTA_PASSES_MAX; i++) {
    ck_assert(charge(&c, 200));
    quota_release(&quota, 200);
    ck_assert(!charge(&b, 700));
  }
  ck_assert(!charge(&c, 200));
  quota_release(&quota, 600);
  ck_assert(!charge(&c, 200));
  ck_assert(charge(&b, 700));
  ck_assert_uint_eq(c.woken, 1);
  ck_assert(charge(&c, 200));
  quota_release(&quota, 700);
  quota_release(&quota, 200);
}
END_TEST

START_TEST(more_than_all_is_let_in_alone) {
  ck_assert(charge(&a, 1));
  ck_assert(!charge(&b, LIMIT + 1));
  quota_release(&quota, 1);
  ck_assert(charge(&b, LIMIT + 1));
  ck_assert(!charge(&a, 1));
  quota_release(&quota, LIMIT + 1);
  ck_assert(charge(&a, 1));
  quota_release(&quota, 1);
}
END_TEST

/* A waiter that gives up must not take the turn of those behind with it. */
START_TEST(the_first_that_leaves_wakes_the_next) {
  ck_assert(charge(&a, 1150));
  for (int i = 0; i < 4; i++)
    ck_assert(charge(&a, SMALL));
  ck_assert(!charge(&b, 80));
  ck_assert(!charge(&c, 50)); /* would fit, but for b */
  quota_forget(&quota, &b.waiter);
  ck_assert(!waits(&b));
  ck_assert_uint_eq(c.woken, 1);
  ck_assert(charge(&c, 50));
  quota_release(&quota, 50);
  for (int i = 0; i < 4; i++)
    quota_release(&quota, SMALL);
  quota_release(&quota, 1150);
}
END_TEST

START_TEST(another_that_leaves_wakes_nobody) {
  ck_assert(charge(&a, LARGE));
  ck_assert(!charge(&b, 500));
  ck_assert(!charge(&c, 200));
  quota_forget(&quota, &c.waiter);
  quota_forget(&quota, &c.waiter); /* not in it any more: nothing happens */
  ck_assert_uint_eq(b.woken, 0);
  quota_forget(&quota, &b.waiter);
  quota_release(&quota, LARGE);
  ck_assert(charge(&c, LARGE)); /* the queue is empty */
  quota_release(&quota, LARGE);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("quota");
  TCase *tcase = tcase_create("quota");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, what_fits_is_let_in_and_the_rest_waits);
  tcase_add_test(tcase, small_ones_have_the_reserve);
  tcase_add_test(tcase, a_large_one_does_not_starve);
  tcase_add_test(tcase, a_large_one_that_fits_passes_one_that_does_not_but_not_for_ever);
  tcase_add_test(tcase, more_than_all_is_let_in_alone);
  tcase_add_test(tcase, the_first_that_leaves_wakes_the_next);
  tcase_add_test(tcase, another_that_leaves_wakes_nobody);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
