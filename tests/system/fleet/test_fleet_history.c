/* The checker of histories finds what a fleet must never do, and nothing else. */
#include <check.h>
#include <string.h>

#include "tests/fleet_consistency/history.h"
#include "tests/support/runner.h"

#define EVENTS_MAX 8
#define ANY HISTORY_ANY
#define BOUND_NS 100u
#define IN(n, l) .node = (n), .life = (l)
#define AT(b, e) .begin_ns = (b), .end_ns = (e)
#define PUT(v, b, e)                                                                               \
  { .kind = HISTORY_PUT, .value = (v), AT(b, e), IN(0, 1) }
#define HIT(v, n, l, b, e)                                                                         \
  { .kind = HISTORY_HIT, .value = (v), AT(b, e), IN(n, l) }
#define CLEAR(n, b, e)                                                                             \
  { .kind = HISTORY_CLEAR, AT(b, e), IN(n, 1), .key = ANY, .view = ANY, .op = ANY }

#define FAILED_CLEAR(n, b, e)                                                                      \
  { .kind = HISTORY_FAILED_CLEAR, AT(b, e), IN(n, 1), .key = ANY, .view = ANY, .op = ANY }

struct scene {
  const char *name;
  size_t faults;
  struct history_event events[EVENTS_MAX]; /* up to the first with end_ns 0 */
};

static const struct scene scenes[] = {
    {"newer after older",
     0,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(1, 0, 1, 50, 51), HIT(2, 0, 1, 52, 53)}},
    {"older after newer",
     1,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(2, 0, 1, 50, 51), HIT(1, 0, 1, 52, 53)}},
    {"older after newer, with others between",
     1,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(2, 0, 1, 50, 51), HIT(2, 0, 1, 52, 53),
      HIT(1, 0, 1, 54, 55)}},
    {"each hit is a fault of its own",
     2,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(2, 0, 1, 50, 51), HIT(1, 0, 1, 52, 53),
      HIT(1, 0, 1, 54, 55)}},
    {"older after newer, with a clear between",
     0,
     {PUT(1, 110, 120), PUT(2, 130, 140), CLEAR(1, 90, 100), HIT(2, 0, 1, 150, 151),
      HIT(1, 0, 1, 201, 202)}},
    {"older after newer, and the clear was known",
     1,
     {PUT(1, 110, 120), PUT(2, 130, 140), CLEAR(1, 90, 100), HIT(2, 0, 1, 201, 202),
      HIT(1, 0, 1, 203, 204)}},
    {"older after newer, and the node's own clear was before",
     1,
     {PUT(1, 110, 120), PUT(2, 130, 140), CLEAR(0, 90, 100), HIT(2, 0, 1, 150, 151),
      HIT(1, 0, 1, 201, 202)}},
    {"older after newer, and a clear that failed may have been executed between",
     0,
     {PUT(1, 110, 120), PUT(2, 130, 140), FAILED_CLEAR(1, 90, 100), HIT(2, 0, 1, 250, 251),
      HIT(1, 0, 1, 252, 253)}},
    {"older after newer, and a clear that failed cannot come any more",
     1,
     {PUT(1, 110, 120), PUT(2, 130, 140), FAILED_CLEAR(1, 90, 100), HIT(2, 0, 1, 301, 302),
      HIT(1, 0, 1, 303, 304)}},
    {"older after newer, and a clear that failed by a fault came after it",
     0,
     {PUT(1, 110, 120),
      PUT(2, 130, 140),
      FAILED_CLEAR(1, 90, 100),
      {.kind = HISTORY_FAULT, AT(95, 200), IN(1, 1)},
      HIT(2, 0, 1, 399, 400),
      HIT(1, 0, 1, 401, 402)}},
    {"a clear that failed proves nothing",
     0,
     {PUT(1, 10, 20), FAILED_CLEAR(1, 30, 40), HIT(1, 0, 1, 941, 942)}},
    {"older after newer on another node",
     0,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(2, 0, 1, 50, 51), HIT(1, 1, 1, 52, 53)}},
    {"older after newer and a new start",
     0,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(2, 0, 1, 50, 51), HIT(1, 0, 2, 52, 53)}},
    {"a start during the hit",
     0,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(2, 0, 0, 50, 51), HIT(1, 0, 0, 52, 53)}},
    {"puts that overlap",
     0,
     {PUT(1, 10, 31), PUT(2, 30, 40), HIT(2, 0, 1, 50, 51), HIT(1, 0, 1, 52, 53)}},
    {"hits that overlap",
     0,
     {PUT(1, 10, 20), PUT(2, 30, 40), HIT(2, 0, 1, 50, 52), HIT(1, 0, 1, 52, 53)}},
    {"older after the node stored a newer one",
     1,
     {PUT(1, 10, 20),
      PUT(2, 30, 40),
      {.kind = HISTORY_STORED, .value = 2, AT(30, 40), IN(0, 1)},
      HIT(1, 0, 1, 52, 53)}},
    {"another key",
     0,
     {PUT(1, 10, 20),
      PUT(2, 30, 40),
      HIT(2, 0, 1, 50, 51),
      {.kind = HISTORY_HIT, .value = 1, AT(52, 53), IN(0, 1), .key = 1}}},
    {"nobody put it", 1, {PUT(1, 10, 20), HIT(7, 0, 1, 30, 31)}},
    {"cleared, within the bound", 0, {PUT(1, 10, 20), CLEAR(1, 30, 40), HIT(1, 0, 1, 140, 141)}},
    {"cleared, behind the bound", 1, {PUT(1, 10, 20), CLEAR(1, 30, 40), HIT(1, 0, 1, 141, 142)}},
    {"cleared by this node", 1, {PUT(1, 10, 20), CLEAR(0, 30, 40), HIT(1, 0, 1, 41, 42)}},
    {"cleared by this node before a new start",
     1,
     {PUT(1, 10, 20), CLEAR(0, 30, 40), HIT(1, 0, 2, 41, 42)}},
    {"the hit overlaps the clear", 0, {PUT(1, 10, 20), CLEAR(0, 30, 40), HIT(1, 0, 1, 40, 42)}},
    {"put while it was cleared", 0, {PUT(1, 10, 30), CLEAR(0, 30, 40), HIT(1, 0, 1, 500, 501)}},
    {"another view was cleared",
     0,
     {PUT(1, 10, 20),
      {.kind = HISTORY_CLEAR, AT(30, 40), IN(0, 1), .key = ANY, .view = 1, .op = ANY},
      HIT(1, 0, 1, 500, 501)}},
    {"one key was deleted",
     1,
     {PUT(1, 10, 20),
      {.kind = HISTORY_CLEAR, AT(30, 40), IN(0, 1), .key = 0, .view = ANY, .op = ANY},
      HIT(1, 0, 1, 500, 501),
      {.kind = HISTORY_HIT, .value = 1, AT(502, 503), IN(0, 1), .key = 1}}},
    {"the tier was away",
     0,
     {PUT(1, 10, 20),
      CLEAR(1, 30, 40),
      {.kind = HISTORY_FAULT, AT(100, 200), .node = ANY},
      HIT(1, 0, 1, 300, 301)}},
    {"the tier was back for longer than the bound",
     1,
     {PUT(1, 10, 20),
      CLEAR(1, 30, 40),
      {.kind = HISTORY_FAULT, AT(100, 200), .node = 0},
      HIT(1, 0, 1, 301, 302)}},
    {"the tier was away for another node",
     1,
     {PUT(1, 10, 20),
      CLEAR(1, 30, 40),
      {.kind = HISTORY_FAULT, AT(100, 200), .node = 2},
      HIT(1, 0, 1, 300, 301)}},
    {"the tier was away long before the clear",
     1,
     {{.kind = HISTORY_FAULT, AT(1, 2), .node = ANY},
      PUT(1, 110, 120),
      CLEAR(1, 230, 240),
      HIT(1, 0, 1, 341, 342)}},
};

START_TEST(history_has_its_faults) {
  const struct scene *scene = &scenes[_i];
  struct history_event events[EVENTS_MAX];
  struct history history = {.events = events, .bound_ns = BOUND_NS};
  char report[HISTORY_REPORT_SIZE];
  memcpy(events, scene->events, sizeof events);
  while (history.n < EVENTS_MAX && events[history.n].end_ns != 0)
    history.n++;
  size_t faults = history_check(&history, report);
  ck_assert_msg(faults == scene->faults, "%s: %zu faults: %s", scene->name, faults, report);
  ck_assert_int_eq(report[0] != '\0', faults > 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_history");
  TCase *tests = tcase_create("fleet_history");
  tcase_add_loop_test(tests, history_has_its_faults, 0, sizeof scenes / sizeof scenes[0]);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
