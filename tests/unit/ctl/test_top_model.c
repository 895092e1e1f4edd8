/* The model of fcachectl top: rates, sums of equal names, order, filter, another daemon. */
#include "client/ctl/top/top_model.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/runner.h"

#define SECOND UINT64_C(1000000000)

static struct top_model model;

static void set_up(void) {
  const struct top_options options = {.by = TOP_OP, .sort = TOP_HITS};
  top_model_init(&model, &options);
}

static void tear_down(void) {
  top_model_deinit(&model);
  top_model_deinit(&model);
}

/* A row as a text: "name hits misses saved_s". A name that begins with '#' is the others. */
static void add(struct top_reading *reading, const char *text) {
  char name[64];
  unsigned long long hits, misses, saved_s;
  struct top_row row = {.name = name};
  ck_assert_int_eq(sscanf(text, "%63s %llu %llu %llu", name, &hits, &misses, &saved_s), 4);
  row.counts = (struct top_counts){.hits = hits,
                                   .misses = misses,
                                   .saved_ns = saved_s * SECOND,
                                   .computed_ns = misses * SECOND,
                                   .put_bytes = misses * 1024};
  if (name[0] == '#') {
    row.others = 7;
    row.name = NULL;
  }
  top_reading_add(reading, TOP_OP, &row);
}

/* Gives the model a reading at that second, with rows divided by ';'. */
static void read_at(uint64_t second, const char *rows) {
  struct top_reading reading;
  char *copy = strdup(rows), *rest = copy, *row;
  top_reading_init(&reading);
  reading.time_ns = second * SECOND;
  while ((row = strsep(&rest, ";")) != NULL)
    if (*row)
      add(&reading, row);
  free(copy);
  ck_assert(top_model_read(&model, &reading));
}

/* Checks the names of the rows that are shown, in order. The others are "#". */
static void expect_order(const char *names) {
  char text[512] = "";
  size_t used = 0;
  for (size_t i = 0; i < model.n_shown; i++) {
    const char *name = model.shown[i]->name;
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "",
                             name ? name : "#");
    ck_assert_uint_lt(used, sizeof text);
  }
  ck_assert_str_eq(text, names);
}

static double value_of(const char *name, enum top_column column) {
  for (size_t i = 0; i < model.n_shown; i++)
    if (model.shown[i]->name && strcmp(model.shown[i]->name, name) == 0)
      return top_model_value(&model, model.shown[i], column);
  ck_abort_msg("no row %s", name);
}

static void expect_value(const char *name, enum top_column column, double want) {
  double value = value_of(name, column);
  ck_assert_msg(fabs(value - want) < 1e-9, "%s, %s: %g, not %g", name, top_column_name(column),
                value, want);
}

START_TEST(first_reading_has_totals_and_no_rates) {
  read_at(10, "a 4 1 8");
  expect_value("a", TOP_HITS, -1);
  expect_value("a", TOP_SAVED, -1);
  model.options.totals = true;
  expect_value("a", TOP_HITS, 4);
  expect_value("a", TOP_HIT_RATE, 80);
  expect_value("a", TOP_SAVED, 8);
  expect_value("a", TOP_PUT, 1024);
}
END_TEST

START_TEST(rates_are_the_growth_over_the_time_between) {
  read_at(10, "a 4 1 8");
  read_at(12, "a 10 3 9;new 6 0 0");
  expect_value("a", TOP_HITS, 3);
  expect_value("a", TOP_MISSES, 1);
  expect_value("a", TOP_HIT_RATE, 75);
  expect_value("a", TOP_SAVED, 0.5);
  expect_value("a", TOP_COMPUTED, 1);
  expect_value("a", TOP_PUT, 1024);
  expect_value("new", TOP_HITS, 3);
  ck_assert(fabs(top_model_interval_s(&model) - 2) < 1e-9);
  read_at(13, "a 10 3 9;new 6 0 0");
  expect_value("a", TOP_HITS, 0);
  expect_value("a", TOP_HIT_RATE, -1); /* no lookup */
}
END_TEST

START_TEST(count_that_fell_grows_from_0) {
  read_at(10, "a 100 0 50");
  read_at(11, "a 3 0 1");
  expect_value("a", TOP_HITS, 3);
  expect_value("a", TOP_SAVED, 1);
}
END_TEST

START_TEST(rows_of_one_name_are_summed) {
  read_at(10, "a 1 2 3;b 1 1 1;a 10 20 30");
  model.options.totals = true;
  ck_assert(top_model_arrange(&model));
  expect_order("a b");
  expect_value("a", TOP_HITS, 11);
  expect_value("a", TOP_MISSES, 22);
  expect_value("a", TOP_SAVED, 33);
}
END_TEST

static const struct {
  struct top_options options;
  const char *order;
} orders[] = {
    {{.sort = TOP_HITS}, "c b a d #"},
    {{.sort = TOP_HITS, .reversed = true}, "a d b c #"}, /* the others stay last */
    {{.sort = TOP_MISSES}, "a b c d #"},                 /* equal ones by name */
    {{.sort = TOP_HIT_RATE}, "b c d a #"},
    {{.sort = TOP_SAVED}, "d c b a #"},
    {{.sort = TOP_NAME}, "a b c d #"},
    {{.sort = TOP_NAME, .reversed = true}, "d c b a #"},
    {{.sort = TOP_NAME, .filter = "B"}, "b"}, /* in any case */
    {{.sort = TOP_NAME, .filter = "x"}, ""},
};

START_TEST(rows_are_sorted_and_filtered) {
  read_at(10, "b 20 0 2;#x 900 900 900;a 1 5 1;d 1 0 9;c 30 0 3");
  model.options = orders[_i].options;
  model.options.by = TOP_OP;
  model.options.totals = true;
  ck_assert(top_model_arrange(&model));
  expect_order(orders[_i].order);
}
END_TEST

START_TEST(others_have_totals_and_no_rate) {
  read_at(10, "#x 10 0 0;a 1 0 0");
  read_at(11, "#x 500 0 0;a 2 0 0");
  expect_order("a #");
  ck_assert(top_model_value(&model, model.shown[1], TOP_HITS) < 0);
  model.options.totals = true;
  ck_assert(fabs(top_model_value(&model, model.shown[1], TOP_HITS) - 500) < 1e-9);
}
END_TEST

START_TEST(another_daemon_starts_anew) {
  read_at(10, "a 100 0 50");
  read_at(11, "a 200 0 60");
  top_model_restart(&model);
  expect_order("");
  read_at(12, "a 5 0 1");
  expect_value("a", TOP_HITS, -1);
  read_at(13, "a 6 0 2");
  expect_value("a", TOP_HITS, 1);
}
END_TEST

START_TEST(clients_of_one_name_are_apart) {
  struct top_reading reading;
  struct top_row row = {.name = (char[]){"w"}, .name_space = (char[]){"n"}, .counts.hits = 1};
  top_reading_init(&reading);
  for (uint64_t id = 1; id <= 3; id++) {
    row.id = id;
    top_reading_add(&reading, TOP_CLIENT, &row);
  }
  ck_assert(top_model_read(&model, &reading));
  model.options.by = TOP_CLIENT;
  strcpy(model.options.filter, "N"); /* of the namespace */
  ck_assert(top_model_arrange(&model));
  ck_assert_uint_eq(model.n_shown, 3);
}
END_TEST

START_TEST(daemon_grows_by_its_own_counters) {
  struct top_reading readings[2];
  for (int i = 0; i < 2; i++) {
    top_reading_init(&readings[i]);
    readings[i].time_ns = (uint64_t)(10 + i) * SECOND;
    readings[i].summary = (struct top_summary){
        .hits = 10u + 5u * (unsigned)i, .misses = 4u + (unsigned)i, .saved_s = 1.5 * (1 + i)};
    ck_assert(top_model_read(&model, &readings[i]));
  }
  struct top_counts growth = top_model_growth(&model);
  ck_assert_uint_eq(growth.hits, 5);
  ck_assert_uint_eq(growth.misses, 1);
  ck_assert_uint_eq(growth.saved_ns, 3 * SECOND / 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("top_model");
  TCase *tests = tcase_create("top_model");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, first_reading_has_totals_and_no_rates);
  tcase_add_test(tests, rates_are_the_growth_over_the_time_between);
  tcase_add_test(tests, count_that_fell_grows_from_0);
  tcase_add_test(tests, rows_of_one_name_are_summed);
  tcase_add_loop_test(tests, rows_are_sorted_and_filtered, 0, sizeof orders / sizeof orders[0]);
  tcase_add_test(tests, others_have_totals_and_no_rate);
  tcase_add_test(tests, another_daemon_starts_anew);
  tcase_add_test(tests, clients_of_one_name_are_apart);
  tcase_add_test(tests, daemon_grows_by_its_own_counters);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
