/* Counts by names: sums, the bound of the rows, names that give way, shares of users, listings. */
#include "daemon/usage/usage.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/users.h"
#include "tests/support/runner.h"

static struct usage usage;
static struct users users;

static void set_up(void) {
  users_init(&users, 75);
  users_set_limit(&users, USER_USAGE_ROWS, USAGE_ROWS_MAX);
  usage_init(&usage, 42);
}

static void tear_down(void) {
  usage_deinit(&usage);
  usage_deinit(&usage);
  users_deinit(&users); /* asserts that no row is charged any more */
}

static const struct usage_counts one_hit = {.hits = 1, .saved_ns = 10};

static void add(struct user *user, const char *ns, const char *op, const char *view,
                const char *probe, struct usage_counts more) {
  struct usage_names names = {fc_str_of(ns), fc_str_of(op), fc_str_of(view), fc_str_of(probe)};
  usage_add(&usage, user, &names, &more);
}

/* A hit of one of many ops. Its namespace and probe are always the same. */
static void hit_op(struct user *user, unsigned i) {
  char op[16];
  (void)snprintf(op, sizeof op, "op-%u", i);
  add(user, "m", op, "v", NULL, one_hit);
}

/* The sum of all rows and the others of a kind. */
static struct usage_counts sum_of(enum usage_kind kind, unsigned *n) {
  struct usage_counts sum = usage.others[kind].counts;
  const struct usage_row *place = NULL;
  struct usage_item item;
  uint64_t last = 0;
  *n = 0;
  while (usage_next(&usage, kind, 0, &place, &item)) {
    ck_assert_uint_lt(last, item.serial);
    last = item.serial;
    usage_counts_add(&sum, item.counts);
    ++*n;
  }
  return sum;
}

static bool has_op(const char *op) {
  const struct usage_row *place = NULL;
  struct usage_item item;
  while (usage_next(&usage, USAGE_KEY, 0, &place, &item))
    if (fc_str_equal(item.op, fc_str_of(op)))
      return true;
  return false;
}

START_TEST(lookups_are_counted_by_each_kind_of_name) {
  const struct usage_row *place = NULL;
  struct usage_item item;
  unsigned n;
  add(NULL, "m", "op", "v", "p", (struct usage_counts){2, 1, 20, 7, 4096});
  add(NULL, "m", "op", "v", NULL, one_hit);
  add(NULL, "m", "op", "w", "p", one_hit);
  add(NULL, "n", "op", "v", "p", one_hit);
  ck_assert(usage_next(&usage, USAGE_KEY, 0, &place, &item));
  ck_assert(fc_str_equal(item.name_space, fc_str_of("m")) &&
            fc_str_equal(item.op, fc_str_of("op")) && fc_str_equal(item.view, fc_str_of("v")));
  ck_assert_uint_eq(item.counts->hits, 3);
  ck_assert_uint_eq(item.counts->misses, 1);
  ck_assert_uint_eq(item.counts->saved_ns, 30);
  ck_assert_uint_eq(item.counts->computed_ns, 7);
  ck_assert_uint_eq(item.counts->put_bytes, 4096);
  ck_assert_uint_eq(usage_of_namespace(&usage, fc_str_of("m"))->hits, 4);
  ck_assert_uint_eq(usage_of_namespace(&usage, fc_str_of("n"))->hits, 1);
  ck_assert_ptr_null(usage_of_namespace(&usage, fc_str_of("o")));
  ck_assert_uint_eq(sum_of(USAGE_NAMESPACE, &n).hits, 5);
  ck_assert_uint_eq(n, 2);
  ck_assert_uint_eq(sum_of(USAGE_KEY, &n).hits, 5);
  ck_assert_uint_eq(n, 3);
  ck_assert_uint_eq(sum_of(USAGE_PROBE, &n).hits, 5); /* m: p and none; n: p */
  ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(names_are_not_run_together) {
  unsigned n;
  add(NULL, "m", "ab", "c", NULL, one_hit);
  add(NULL, "m", "a", "bc", NULL, one_hit);
  add(NULL, "ma", "b", "c", NULL, one_hit);
  ck_assert_uint_eq(sum_of(USAGE_KEY, &n).hits, 3);
  ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(sums_of_times_saturate) {
  add(NULL, "m", "op", "v", NULL, (struct usage_counts){.saved_ns = UINT64_MAX});
  add(NULL, "m", "op", "v", NULL, one_hit);
  ck_assert_uint_eq(usage_of_namespace(&usage, fc_str_of("m"))->saved_ns, UINT64_MAX);
}
END_TEST

START_TEST(many_names_keep_the_bound_and_the_sum) {
  unsigned n, total = 3 * USAGE_ROWS_MAX;
  for (unsigned i = 0; i < total; i++)
    hit_op(NULL, i);
  ck_assert_uint_le(usage.n, USAGE_ROWS_MAX);
  ck_assert_uint_le(usage.bytes + sizeof usage, usage_bytes_max());
  struct usage_counts sum = sum_of(USAGE_KEY, &n);
  ck_assert_uint_eq(sum.hits, total);
  ck_assert_uint_eq(sum.saved_ns, 10 * total);
  uint64_t others = usage_n_others(&usage, USAGE_KEY), exact = total - n;
  ck_assert_uint_le(others, exact + exact / 20);
  ck_assert_uint_ge(others, exact - exact / 20);
  ck_assert_uint_eq(sum_of(USAGE_NAMESPACE, &n).hits,
                    total); /* its one row was used all the time */
  ck_assert_uint_eq(usage_n_others(&usage, USAGE_NAMESPACE), 0);
}
END_TEST

START_TEST(few_others_are_numbered_exactly) {
  ck_assert_uint_eq(usage_n_others(&usage, USAGE_KEY), 0);
  for (unsigned i = 0; usage_n_others(&usage, USAGE_KEY) < 3; i++)
    hit_op(NULL, i);
  unsigned n;
  (void)sum_of(USAGE_KEY, &n);
  ck_assert_uint_eq(n, USAGE_ROWS_MAX - 2); /* all but the namespace and the probe */
}
END_TEST

START_TEST(used_name_keeps_its_row) {
  for (unsigned i = 0; i < 4 * USAGE_ROWS_MAX; i++) {
    hit_op(NULL, i);
    if (i % 100 == 0)
      add(NULL, "m", "busy", "v", NULL, one_hit);
  }
  ck_assert(has_op("busy"));
  ck_assert(!has_op("op-0"));
}
END_TEST

START_TEST(user_with_many_names_loses_only_its_own) {
  struct user *greedy = users_ref(&users, 1000, true), *quiet = users_ref(&users, 1001, true);
  add(quiet, "quiet", "op", "v", NULL, one_hit);
  for (unsigned i = 0; i < 4 * USAGE_ROWS_MAX; i++)
    hit_op(greedy, i);
  ck_assert_uint_le(greedy->used[USER_USAGE_ROWS], USAGE_ROWS_MAX * 3 / 4);
  ck_assert_uint_eq(quiet->used[USER_USAGE_ROWS], 3);
  ck_assert_uint_eq(usage_of_namespace(&usage, fc_str_of("quiet"))->hits, 1);
  user_unref(greedy);
  user_unref(quiet);
}
END_TEST

START_TEST(user_gets_rows_of_one_that_holds_all) {
  struct user *root = users_ref(&users, 0, false), *other = users_ref(&users, 1001, true);
  for (unsigned i = 0; i < 2 * USAGE_ROWS_MAX; i++)
    hit_op(root, i);
  ck_assert_uint_eq(usage.n, USAGE_ROWS_MAX);
  for (unsigned i = 0; i < 4 * USAGE_ROWS_MAX; i++)
    add(other, "mine", "op", "v", NULL, one_hit);
  ck_assert_ptr_nonnull(usage_of_namespace(&usage, fc_str_of("mine")));
  ck_assert_uint_ge(other->used[USER_USAGE_ROWS], 1);
  user_unref(root);
  user_unref(other);
}
END_TEST

START_TEST(listing_in_pages_shows_each_row_once) {
  unsigned n = 0, expected;
  uint64_t last = 0;
  for (unsigned i = 0; i < 100; i++)
    hit_op(NULL, i);
  (void)sum_of(USAGE_KEY, &expected);
  for (bool more = true; more;) { /* pages of 7 */
    const struct usage_row *place = NULL;
    struct usage_item item;
    more = false;
    for (unsigned i = 0; i < 7 && usage_next(&usage, USAGE_KEY, last, &place, &item); i++) {
      last = item.serial;
      more = true;
      n++;
    }
  }
  ck_assert_uint_eq(n, expected);
  ck_assert_uint_eq(n, 100);
}
END_TEST

/* A model without a bound: the counts of each of few names. All names have rows. */
START_TEST(random_lookups_equal_a_model) {
  enum { NAMES = 5 };
  static const char *const names[NAMES] = {"a", "b", "ab", "\xc3\xa9", "c"};
  struct usage_counts ns[NAMES] = {{0}}, keys[NAMES][NAMES][NAMES] = {{{{0}}}};
  unsigned n;
  srand(7);
  for (int i = 0; i < 20000; i++) {
    int a = rand() % NAMES, b = rand() % NAMES, c = rand() % NAMES, d = rand() % NAMES;
    struct usage_counts more = {(unsigned)rand() % 3, (unsigned)rand() % 3, (unsigned)rand() % 99,
                                (unsigned)rand() % 99, (unsigned)rand() % 99};
    add(NULL, names[a], names[b], names[c], d == 0 ? NULL : names[d], more);
    usage_counts_add(&ns[a], &more);
    usage_counts_add(&keys[a][b][c], &more);
  }
  for (int a = 0; a < NAMES; a++)
    ck_assert_mem_eq(usage_of_namespace(&usage, fc_str_of(names[a])), &ns[a], sizeof ns[a]);
  const struct usage_row *place = NULL;
  struct usage_item item;
  for (n = 0; usage_next(&usage, USAGE_KEY, 0, &place, &item); n++) {
    int at[3] = {0};
    const struct fc_str parts[3] = {item.name_space, item.op, item.view};
    for (int part = 0; part < 3; part++)
      while (!fc_str_equal(parts[part], fc_str_of(names[at[part]])))
        at[part]++;
    ck_assert_mem_eq(item.counts, &keys[at[0]][at[1]][at[2]], sizeof *item.counts);
  }
  ck_assert_uint_eq(n, NAMES * NAMES * NAMES);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("usage");
  TCase *tests = tcase_create("usage");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, lookups_are_counted_by_each_kind_of_name);
  tcase_add_test(tests, names_are_not_run_together);
  tcase_add_test(tests, sums_of_times_saturate);
  tcase_add_test(tests, many_names_keep_the_bound_and_the_sum);
  tcase_add_test(tests, few_others_are_numbered_exactly);
  tcase_add_test(tests, used_name_keeps_its_row);
  tcase_add_test(tests, user_with_many_names_loses_only_its_own);
  tcase_add_test(tests, user_gets_rows_of_one_that_holds_all);
  tcase_add_test(tests, listing_in_pages_shows_each_row_once);
  tcase_add_test(tests, random_lookups_equal_a_model);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
