/* The grace of a tier server whose connection was lost, on a clock of the test. */
#include "daemon/fleet/grace.h"

#include <check.h>

#include "tests/support/runner.h"

#define DEADLINE_NS UINT64_C(1000000000)
#define START_NS UINT64_C(5000000000)

START_TEST(server_that_never_served_has_no_grace) {
  struct grace grace;
  grace_init(&grace, 0);
  ck_assert(!grace_lost(&grace, DEADLINE_NS, START_NS));
  ck_assert_uint_eq(grace.until_ns, 0);
  ck_assert_uint_eq(grace.retry_ns, 0);
}
END_TEST

/* The times between the attempts double from 5 ms to 50 ms, less up to a half. */
START_TEST(attempts_come_at_once_and_then_less_often) {
  static const uint64_t most_ns[] = {5000000, 10000000, 20000000, 40000000, 50000000, 50000000};
  for (uint64_t seed = 0; seed < 100; seed++) {
    struct grace grace;
    uint64_t now_ns = START_NS;
    grace_init(&grace, seed);
    grace_served(&grace);
    ck_assert(grace_lost(&grace, DEADLINE_NS, now_ns));
    ck_assert_uint_eq(grace.retry_ns, now_ns);
    for (unsigned i = 0; i < sizeof most_ns / sizeof *most_ns; i++) {
      ck_assert(grace_lost(&grace, DEADLINE_NS, now_ns));
      ck_assert_uint_le(grace.retry_ns - now_ns, most_ns[i]);
      ck_assert_uint_ge(grace.retry_ns - now_ns, most_ns[i] / 2);
      now_ns = grace.retry_ns;
    }
  }
}
END_TEST

/* Also if a connection is made and lost again meanwhile. */
START_TEST(grace_ends_a_deadline_after_the_first_loss) {
  struct grace grace;
  grace_init(&grace, 1);
  grace_served(&grace);
  for (uint64_t ns = 0; ns < DEADLINE_NS; ns += DEADLINE_NS / 10) {
    ck_assert(grace_lost(&grace, DEADLINE_NS, START_NS + ns));
    ck_assert_uint_eq(grace.until_ns, START_NS + DEADLINE_NS);
  }
  for (int i = 0; i < 2; i++)
    ck_assert(!grace_lost(&grace, DEADLINE_NS, START_NS + DEADLINE_NS));
  ck_assert_uint_eq(grace.until_ns, 0);
}
END_TEST

START_TEST(reply_ends_the_grace_and_earns_the_next) {
  struct grace grace;
  grace_init(&grace, 1);
  grace_served(&grace);
  ck_assert(grace_lost(&grace, DEADLINE_NS, START_NS));
  grace_served(&grace);
  ck_assert_uint_eq(grace.until_ns, 0);
  ck_assert_uint_eq(grace.retry_ns, 0);
  ck_assert(grace_lost(&grace, DEADLINE_NS, START_NS + 1));
  ck_assert_uint_eq(grace.until_ns, START_NS + 1 + DEADLINE_NS);
  grace_end(&grace);
  ck_assert(!grace_lost(&grace, DEADLINE_NS, START_NS + 2));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("grace");
  TCase *tests = tcase_create("grace");
  tcase_add_test(tests, server_that_never_served_has_no_grace);
  tcase_add_test(tests, attempts_come_at_once_and_then_less_often);
  tcase_add_test(tests, grace_ends_a_deadline_after_the_first_loss);
  tcase_add_test(tests, reply_ends_the_grace_and_earns_the_next);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
