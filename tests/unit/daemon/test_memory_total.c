/* The one formula for all memory: each option has a part in it, and no part overflows. */
#include <check.h>

#include "daemon/config/options_set.h"
#include "daemon/memory_total.h"
#include "daemon/server_tier.h"
#include "tests/support/runner.h"

static struct memory_settings defaults(void) {
  struct options options;
  options_init(&options);
  return (struct memory_settings){.max_bytes = options.max_bytes,
                                  .client_budget = options.client_budget,
                                  .max_value = options.max_value,
                                  .max_clients = options.max_clients,
                                  .max_namespaces = options.max_namespaces,
                                  .max_leases = options.max_leases,
                                  .shares = true};
}

static struct memory_amounts bounds_of(const struct memory_settings *settings) {
  struct memory_amounts bounds;
  memory_total_bounds(settings, &bounds);
  return bounds;
}

/* docs/limits.md has this calculation. */
START_TEST(memory_total_defaults_are_as_documented) {
  static const unsigned mib[MEMORY_PARTS] = {
      [MEMORY_REGION] = 270, [MEMORY_MESSAGES] = 65, [MEMORY_SOCKETS] = 61,
      [MEMORY_RINGS] = 64,   [MEMORY_CLIENTS] = 20,  [MEMORY_NAMESPACES] = 17,
      [MEMORY_LEASES] = 57,  [MEMORY_TRACE] = 16,    [MEMORY_DAEMON] = 30,
  };
  struct memory_settings settings = defaults();
  struct memory_amounts bounds = bounds_of(&settings);
  for (int part = 0; part < MEMORY_PARTS; part++)
    ck_assert_uint_eq(bounds.bytes[part] >> 20, mib[part]);
  ck_assert_uint_eq(memory_total_sum(&bounds) >> 20, 602);
}
END_TEST

static void expect_growth(struct memory_settings more, enum memory_part part, uint64_t least) {
  struct memory_settings less = defaults();
  struct memory_amounts before = bounds_of(&less), after = bounds_of(&more);
  ck_assert_uint_ge(after.bytes[part], before.bytes[part] + least);
  ck_assert_uint_ge(memory_total_sum(&after), memory_total_sum(&before) + least);
}

START_TEST(memory_total_each_option_raises_its_part) {
  struct memory_settings more = defaults();
  more.max_bytes += 100u << 20;
  expect_growth(more, MEMORY_REGION, 100u << 20);
  more = defaults();
  more.client_budget += 20u << 20;
  expect_growth(more, MEMORY_MESSAGES, 20u << 20);
  expect_growth(more, MEMORY_SOCKETS, 10u << 20);
  more.client_budget = 120u << 20; /* more than the smallest rings and a quarter for growth */
  expect_growth(more, MEMORY_RINGS, 48u << 20);
  more = defaults();
  more.max_clients += 1000;
  expect_growth(more, MEMORY_CLIENTS, 1000u * (4096u + 10240u));
  expect_growth(more, MEMORY_SOCKETS, 1000u * 20480u);
  more = defaults();
  more.max_namespaces += 100;
  expect_growth(more, MEMORY_NAMESPACES, 100u * 16384u);
  more = defaults();
  more.max_leases += 10000;
  expect_growth(more, MEMORY_LEASES, 20000u * 320u);
  more = defaults();
  more.max_value = 1u << 30; /* the lane has room for the largest frame, whatever the budget */
  expect_growth(more, MEMORY_MESSAGES, 900u << 20);
}
END_TEST

/* A tier's part has the queue, the fills and the replies. docs/limits.md has the calculation. */
START_TEST(memory_total_tier_has_its_part) {
  struct options options;
  options_init(&options);
  ck_assert_uint_eq(server_tier_bytes_max(&options), 0);
  options.tier = (char[]){"redis://localhost"};
  uint64_t bytes = server_tier_bytes_max(&options);
  ck_assert_uint_eq(bytes >> 20, 109);
  options.tier_queue += 100u << 20;
  options.max_value += 10u << 20;
  ck_assert_uint_ge(server_tier_bytes_max(&options), bytes + (110u << 20));
  struct memory_settings more = defaults();
  more.tier_bytes = bytes;
  expect_growth(more, MEMORY_TIER, bytes);
}
END_TEST

START_TEST(memory_total_without_region_has_no_rings) {
  struct memory_settings settings = defaults();
  settings.shares = false;
  ck_assert_uint_eq(bounds_of(&settings).bytes[MEMORY_RINGS], 0);
}
END_TEST

/* docs/limits.md has this number too. */
START_TEST(memory_total_with_snapshots_is_as_documented) {
  struct memory_settings settings = defaults();
  uint64_t without = bounds_of(&settings).bytes[MEMORY_DAEMON];
  settings.snapshots = true;
  ck_assert_uint_eq((bounds_of(&settings).bytes[MEMORY_DAEMON] - without) >> 20, 25);
}
END_TEST

START_TEST(memory_total_overflow_saturates) {
  struct memory_settings huge = defaults();
  huge.max_bytes = UINT64_MAX - (UINT64_MAX >> 6);
  huge.client_budget = UINT64_MAX;
  struct memory_amounts bounds = bounds_of(&huge);
  ck_assert_uint_eq(memory_total_sum(&bounds), UINT64_MAX);
}
END_TEST

START_TEST(memory_total_each_part_has_a_name) {
  for (int part = 0; part < MEMORY_PARTS; part++)
    ck_assert_ptr_nonnull(memory_part_name((enum memory_part)part));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("memory_total");
  TCase *tcase = tcase_create("memory_total");
  tcase_add_test(tcase, memory_total_defaults_are_as_documented);
  tcase_add_test(tcase, memory_total_each_option_raises_its_part);
  tcase_add_test(tcase, memory_total_tier_has_its_part);
  tcase_add_test(tcase, memory_total_without_region_has_no_rings);
  tcase_add_test(tcase, memory_total_with_snapshots_is_as_documented);
  tcase_add_test(tcase, memory_total_overflow_saturates);
  tcase_add_test(tcase, memory_total_each_part_has_a_name);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
