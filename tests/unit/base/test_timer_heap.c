/* A timer heap, compared with a flat array that is searched from end to end. */
#include <check.h>
#include <stdlib.h>

#include "daemon/base/timer_heap.h"
#include "tests/support/runner.h"

#define MANY 1000u

static struct timer_heap heap;

static void set_up(void) {
  heap = (struct timer_heap){0};
}

static void tear_down(void) {
  timer_heap_deinit(&heap);
}

static void add(struct timer_heap_entry *entry, uint64_t at_ns) {
  ck_assert(timer_heap_add(&heap, entry, at_ns));
}

/* Removes the first entry, which must be this one. */
static void expect(struct timer_heap_entry *entry) {
  ck_assert_ptr_eq(timer_heap_first(&heap), entry);
  timer_heap_remove(&heap, entry);
}

START_TEST(empty_heap_no_first) {
  ck_assert_ptr_null(timer_heap_first(&heap));
}
END_TEST

START_TEST(earliest_first) {
  struct timer_heap_entry a = {0}, b = {0}, c = {0};
  add(&a, 30);
  add(&b, UINT64_MAX);
  add(&c, 0);
  expect(&c);
  expect(&a);
  expect(&b);
  ck_assert_ptr_null(timer_heap_first(&heap));
}
END_TEST

START_TEST(same_time_in_order_of_addition) {
  struct timer_heap_entry entries[MANY] = {0};
  for (size_t i = 0; i < MANY; i++)
    add(&entries[i], 7);
  for (size_t i = 0; i < MANY; i++)
    expect(&entries[i]);
}
END_TEST

START_TEST(moved_entry_last_of_its_time) {
  struct timer_heap_entry a = {0}, b = {0}, c = {0};
  add(&a, 1);
  add(&b, 2);
  add(&c, 3);
  timer_heap_move(&heap, &a, 3);
  expect(&b);
  expect(&c);
  add(&b, 4);
  timer_heap_move(&heap, &b, 2);
  expect(&b);
  expect(&a);
}
END_TEST

START_TEST(removed_entry_added_again) {
  struct timer_heap_entry a = {0}, b = {0};
  timer_heap_remove(&heap, &a);
  add(&a, 1);
  add(&b, 2);
  timer_heap_remove(&heap, &a);
  timer_heap_remove(&heap, &a);
  ck_assert_ptr_eq(timer_heap_first(&heap), &b);
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

static struct timer_heap_entry *earliest(struct timer_heap_entry *entries) {
  struct timer_heap_entry *first = NULL;
  for (size_t i = 0; i < MANY; i++)
    if (entries[i].place != 0 && (first == NULL || entries[i].at_ns < first->at_ns))
      first = &entries[i];
  return first;
}

START_TEST(random_operations_stay_ordered) {
  struct timer_heap_entry entries[MANY] = {0};
  random_state = 88172645463325252u + (uint64_t)_i;
  for (size_t i = 0; i < 20 * MANY; i++) {
    struct timer_heap_entry *one = &entries[below(MANY)];
    uint64_t at_ns = below(5 * MANY);
    if (one->place == 0)
      add(one, at_ns);
    else if (below(2) == 0)
      timer_heap_move(&heap, one, at_ns);
    else
      timer_heap_remove(&heap, one);
    timer_heap_check(&heap);
    struct timer_heap_entry *first = timer_heap_first(&heap);
    ck_assert((first == NULL) == (earliest(entries) == NULL));
    ck_assert(first == NULL || first->at_ns == earliest(entries)->at_ns);
  }
  for (struct timer_heap_entry *first; (first = timer_heap_first(&heap)) != NULL;) {
    ck_assert_uint_eq(first->at_ns, earliest(entries)->at_ns);
    timer_heap_remove(&heap, first);
  }
  ck_assert_ptr_null(earliest(entries));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("timer_heap");
  TCase *tcase = tcase_create("timer_heap");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, empty_heap_no_first);
  tcase_add_test(tcase, earliest_first);
  tcase_add_test(tcase, same_time_in_order_of_addition);
  tcase_add_test(tcase, moved_entry_last_of_its_time);
  tcase_add_test(tcase, removed_entry_added_again);
  tcase_add_loop_test(tcase, random_operations_stay_ordered, 0, 5);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
