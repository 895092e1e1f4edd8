/* The circuit breaker: scenes of single calls. test_breaker_random.c has its promises. */
#include <check.h>

#include "daemon/fleet/breaker.h"
#include "tests/support/runner.h"

#define MS UINT64_C(1000000)

enum action {
  ENDS,      /* of the scene */
  REQUEST,   /* is admitted and succeeds */
  TIMES_OUT, /* is admitted, the others too */
  IS_LOST,
  IS_ERROR,
  REFUSED,     /* is not admitted */
  PROBE_GOOD,  /* at the time of the next probe */
  PROBE_ERROR, /* likewise */
};

struct step {
  enum action action;
  uint32_t times;
  enum breaker_state state; /* after it */
};

struct scene {
  const char *name;
  struct step steps[12];
};

#define C BREAKER_CLOSED
#define O BREAKER_OPEN
#define H BREAKER_HALF_OPEN

static const struct scene scenes[] = {
    {"success keeps it closed", {{REQUEST, 100, C}}},
    {"a timeout opens it", {{TIMES_OUT, 1, O}, {REFUSED, 3, O}}},
    {"a lost connection opens it", {{IS_LOST, 1, O}, {REFUSED, 3, O}}},
    {"three errors in a row open it", {{IS_ERROR, 2, C}, {IS_ERROR, 1, O}}},
    {"success between errors keeps it closed",
     {{IS_ERROR, 2, C}, {REQUEST, 1, C}, {IS_ERROR, 2, C}, {REQUEST, 1, C}}},
    {"a probe closes it", {{TIMES_OUT, 1, O}, {PROBE_GOOD, 1, C}, {REQUEST, 9, C}}},
    {"failed probes keep it open",
     {{TIMES_OUT, 1, O}, {PROBE_ERROR, 50, O}, {REFUSED, 1, O}, {PROBE_GOOD, 1, C}}},
    {"the second time it takes a probe and eight requests",
     {{TIMES_OUT, 1, O},
      {PROBE_GOOD, 1, C},
      {TIMES_OUT, 1, O},
      {PROBE_ERROR, 1, O},
      {PROBE_GOOD, 1, H},
      {REQUEST, 7, H},
      {REQUEST, 1, C}}},
    {"half-open one error opens it, and success begins anew",
     {{IS_ERROR, 3, O},
      {PROBE_GOOD, 1, C},
      {IS_ERROR, 3, O},
      {PROBE_GOOD, 1, H},
      {REQUEST, 5, H},
      {IS_ERROR, 1, O},
      {PROBE_GOOD, 1, H},
      {REQUEST, 7, H},
      {REQUEST, 1, C}}},
    {"the third time it takes a probe and 64 requests",
     {{TIMES_OUT, 1, O},
      {PROBE_GOOD, 1, C},
      {TIMES_OUT, 1, O},
      {PROBE_GOOD, 1, H},
      {REQUEST, 8, C},
      {TIMES_OUT, 1, O},
      {PROBE_GOOD, 1, H},
      {REQUEST, 63, H},
      {REQUEST, 1, C}}},
};

static struct breaker breaker;
static uint64_t now_ns;

static void set_up(void) {
  breaker_init(&breaker, 1);
  now_ns = 1000 * MS;
}

static void request_fails(enum breaker_cause cause) {
  uint64_t permit = breaker_admit(&breaker);
  ck_assert_uint_ne(permit, 0);
  bool was_closed = breaker.state == BREAKER_CLOSED;
  bool opened = breaker_failed(&breaker, permit, cause, now_ns);
  ck_assert_int_eq(opened, was_closed && breaker.state == BREAKER_OPEN);
}

static void request_succeeds(void) {
  uint64_t permit = breaker_admit(&breaker);
  ck_assert_uint_ne(permit, 0);
  bool was_closed = breaker.state == BREAKER_CLOSED;
  bool closed = breaker_succeeded(&breaker, permit, now_ns);
  ck_assert_int_eq(closed, !was_closed && breaker.state == BREAKER_CLOSED);
}

static void start_probe(void) {
  uint64_t due_ns = breaker_next_ns(&breaker);
  ck_assert_uint_ne(due_ns, UINT64_MAX);
  ck_assert_uint_gt(due_ns, now_ns);
  ck_assert(!breaker_probe_due(&breaker, due_ns - 1));
  ck_assert(breaker_probe_due(&breaker, due_ns));
  ck_assert(!breaker_probe_due(&breaker, due_ns + 1000 * MS));
  ck_assert_uint_eq(breaker_next_ns(&breaker), UINT64_MAX);
  now_ns = due_ns;
}

static void act(enum action action) {
  now_ns += MS;
  if (action == REQUEST) {
    request_succeeds();
  } else if (action == REFUSED) {
    ck_assert_uint_eq(breaker_admit(&breaker), 0);
  } else if (action == PROBE_GOOD) {
    start_probe();
    ck_assert_int_eq(breaker_probe_succeeded(&breaker, now_ns), breaker.state == BREAKER_CLOSED);
  } else if (action == PROBE_ERROR) {
    start_probe();
    breaker_probe_failed(&breaker, BREAKER_ERROR, now_ns);
  } else {
    request_fails(action == TIMES_OUT ? BREAKER_TIMEOUT
                  : action == IS_LOST ? BREAKER_LOST
                                      : BREAKER_ERROR);
  }
}

START_TEST(scene_states_as_in_table) {
  const struct scene *scene = &scenes[_i];
  for (const struct step *step = scene->steps; step->action != ENDS; step++) {
    for (uint32_t i = 0; i < step->times; i++)
      act(step->action);
    ck_assert_msg(breaker.state == step->state, "%s: step %td: the breaker is %s", scene->name,
                  step - scene->steps, breaker_state_text(breaker.state));
  }
}
END_TEST

START_TEST(old_result_after_change_ignored) {
  uint64_t old = breaker_admit(&breaker), lost = breaker_admit(&breaker);
  request_fails(BREAKER_TIMEOUT);
  ck_assert(!breaker_failed(&breaker, lost, BREAKER_LOST, now_ns));
  ck_assert_uint_eq(breaker.openings, 1);
  act(PROBE_GOOD);
  ck_assert(!breaker_failed(&breaker, old, BREAKER_TIMEOUT, now_ns));
  ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
}
END_TEST

/* Two requests at a time after one success, three after two. */
START_TEST(half_open_admits_one_more_with_each_success) {
  act(TIMES_OUT);
  act(PROBE_GOOD);
  act(TIMES_OUT);
  act(PROBE_GOOD);
  uint64_t first = breaker_admit(&breaker);
  ck_assert_uint_ne(first, 0);
  ck_assert_uint_eq(breaker_admit(&breaker), 0);
  breaker_abandoned(&breaker, first);
  first = breaker_admit(&breaker);
  ck_assert_uint_ne(first, 0);
  ck_assert(!breaker_succeeded(&breaker, first, now_ns));
  ck_assert_uint_ne(breaker_admit(&breaker), 0);
  ck_assert_uint_ne(breaker_admit(&breaker), 0);
  ck_assert_uint_eq(breaker_admit(&breaker), 0);
  ck_assert_uint_eq(breaker.refused, 2);
}
END_TEST

/* Few requests come, so the count is not reached. */
START_TEST(half_open_without_failure_closes_after_stable_time) {
  act(TIMES_OUT);
  act(PROBE_GOOD);
  act(TIMES_OUT);
  act(PROBE_GOOD);
  act(REQUEST);
  now_ns += BREAKER_STABLE_NS;
  act(REQUEST);
  ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
}
END_TEST

START_TEST(stable_time_forgets_strikes) {
  act(TIMES_OUT);
  act(PROBE_GOOD);
  now_ns += BREAKER_STABLE_NS;
  act(TIMES_OUT);
  act(PROBE_GOOD);
  ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
  ck_assert_uint_eq(breaker.openings, 2);
  ck_assert_uint_eq(breaker.probes, 2);
}
END_TEST

/* Not after an error reply: the user may lack the permission to read. */
START_TEST(connection_lost_probe_of_reads_does_for_both) {
  ck_assert(!breaker_probes_for_both(&breaker));
  act(IS_ERROR);
  act(IS_ERROR);
  act(IS_ERROR);
  ck_assert(!breaker_probes_for_both(&breaker));
  act(PROBE_GOOD);
  now_ns += BREAKER_STABLE_NS;
  act(IS_LOST);
  ck_assert(breaker_probes_for_both(&breaker));
  act(PROBE_GOOD);
  ck_assert(!breaker_probes_for_both(&breaker));
}
END_TEST

/* Breakers with other seeds probe at other times. */
START_TEST(probes_of_seeds_spread) {
  uint64_t least = UINT64_MAX, most = 0;
  for (uint64_t seed = 0; seed < 100; seed++) {
    struct breaker one;
    breaker_init(&one, seed * UINT64_C(0x9E3779B97F4A7C15));
    (void)breaker_failed(&one, breaker_admit(&one), BREAKER_TIMEOUT, now_ns);
    uint64_t wait_ns = breaker_next_ns(&one) - now_ns;
    least = wait_ns < least ? wait_ns : least;
    most = wait_ns > most ? wait_ns : most;
  }
  ck_assert_uint_ge(least, BREAKER_PROBE_FIRST_NS / 2);
  ck_assert_uint_le(most, BREAKER_PROBE_FIRST_NS);
  ck_assert_uint_gt(most - least, BREAKER_PROBE_FIRST_NS / 3);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("breaker");
  TCase *tcase = tcase_create("breaker");
  tcase_add_checked_fixture(tcase, set_up, NULL);
  tcase_add_loop_test(tcase, scene_states_as_in_table, 0, sizeof scenes / sizeof *scenes);
  tcase_add_test(tcase, old_result_after_change_ignored);
  tcase_add_test(tcase, half_open_admits_one_more_with_each_success);
  tcase_add_test(tcase, half_open_without_failure_closes_after_stable_time);
  tcase_add_test(tcase, stable_time_forgets_strikes);
  tcase_add_test(tcase, connection_lost_probe_of_reads_does_for_both);
  tcase_add_test(tcase, probes_of_seeds_spread);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
