/* What is due first: against a flat array that is searched from end to end. */
#include <check.h>
#include <stdlib.h>

#include "daemon/base/timer_heap.h"
#include "tests/support/runner.h"

#define MANY 1000u

static struct timer_heap set;

static void set_up(void) {
  set = (struct timer_heap){0};
}

static void tear_down(void) {
  timer_heap_deinit(&set);
}

static void add(struct timer_heap_entry *deadline, uint64_t at_ns) {
  ck_assert(timer_heap_add(&set, deadline, at_ns));
}

/* Takes the first out, which must be this one. */
static void expect(struct timer_heap_entry *deadline) {
  ck_assert_ptr_eq(timer_heap_first(&set), deadline);
  timer_heap_remove(&set, deadline);
}

START_TEST(none_is_first_of_none) {
  ck_assert_ptr_null(timer_heap_first(&set));
}
END_TEST

START_TEST(the_earliest_is_first) {
  struct timer_heap_entry a = {0}, b = {0}, c = {0};
  add(&a, 30);
  add(&b, UINT64_MAX);
  add(&c, 0);
  expect(&c);
  expect(&a);
  expect(&b);
  ck_assert_ptr_null(timer_heap_first(&set));
}
END_TEST

START_TEST(at_the_same_time_the_first_added_is_first) {
  struct timer_heap_entry deadlines[MANY] = {0};
  for (size_t i = 0; i < MANY; i++)
    add(&deadlines[i], 7);
  for (size_t i = 0; i < MANY; i++)
    expect(&deadlines[i]);
}
END_TEST

START_TEST(one_that_is_moved_is_behind_those_of_its_new_time) {
  struct timer_heap_entry a = {0}, b = {0}, c = {0};
  add(&a, 1);
  add(&b, 2);
  add(&c, 3);
  timer_heap_move(&set, &a, 3);
  expect(&b);
  expect(&c);
  add(&b, 4);
  timer_heap_move(&set, &b, 2);
  expect(&b);
  expect(&a);
}
END_TEST

START_TEST(one_that_is_out_may_be_removed_and_added_again) {
  struct timer_heap_entry a = {0}, b = {0};
  timer_heap_remove(&set, &a);
  add(&a, 1);
  add(&b, 2);
  timer_heap_remove(&set, &a);
  timer_heap_remove(&set, &a);
  ck_assert_ptr_eq(timer_heap_first(&set), &b);
  add(&a, 3);
  expect(&b);
  expect(&a);
}
END_TEST

static uint64_t random_state;

static uint64_t below(uint64_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (random_state >> 11) % n;
}

static struct timer_heap_entry *earliest(struct timer_heap_entry *deadlines) {
  struct timer_heap_entry *first = NULL;
  for (size_t i = 0; i < MANY; i++)
    if (deadlines[i].place != 0 && (first == NULL || deadlines[i].at_ns < first->at_ns))
      first = &deadlines[i];
  return first;
}

START_TEST(random_ones_come_in_order) {
  struct timer_heap_entry deadlines[MANY] = {0};
  random_state = 88172645463325252u + (uint64_t)_i;
  for (size_t i = 0; i < 20 * MANY; i++) {
    struct timer_heap_entry *one = &deadlines[below(MANY)];
    uint64_t at_ns = below(5 * MANY);
    if (one->place == 0)
      add(one, at_ns);
    else if (below(2) == 0)
      timer_heap_move(&set, one, at_ns);
    else
      timer_heap_remove(&set, one);
    struct timer_heap_entry *first = timer_heap_first(&set);
    ck_assert((first == NULL) == (earliest(deadlines) == NULL));
    ck_assert(first == NULL || first->at_ns == earliest(deadlines)->at_ns);
  }
  for (struct timer_heap_entry *first; (first = timer_heap_first(&set)) != NULL;) {
    ck_assert_uint_eq(first->at_ns, earliest(deadlines)->at_ns);
    timer_heap_remove(&set, first);
  }
  ck_assert_ptr_null(earliest(deadlines));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("timer_heap");
  TCase *tcase = tcase_create("timer_heap");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, none_is_first_of_none);
  tcase_add_test(tcase, the_earliest_is_first);
  tcase_add_test(tcase, at_the_same_time_the_first_added_is_first);
  tcase_add_test(tcase, one_that_is_moved_is_behind_those_of_its_new_time);
  tcase_add_test(tcase, one_that_is_out_may_be_removed_and_added_again);
  tcase_add_loop_test(tcase, random_ones_come_in_order, 0, 5);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
