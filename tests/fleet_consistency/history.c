#include "tests/fleet_consistency/history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checked {
  struct history *history;
  struct history_event *puts;  /* by value; owned, as the next */
  struct history_event *rules; /* clears and faults, as they began */
  size_t n_puts, n_rules;
  size_t faults;
  char *report;
};

static int compare(uint64_t a, uint64_t b) {
  return (a > b) - (a < b);
}

static int by_value(const void *a, const void *b) {
  return compare(((const struct history_event *)a)->value,
                 ((const struct history_event *)b)->value);
}

/* By node, life and key, then by the beginning. */
static int by_place(const void *left, const void *right) {
  const struct history_event *a = left, *b = right;
  int result = compare(a->node, b->node);
  result = result != 0 ? result : compare(a->life, b->life);
  result = result != 0 ? result : compare(a->key, b->key);
  return result != 0 ? result : compare(a->begin_ns, b->begin_ns);
}

static const struct history_event *put_of(const struct checked *checked, uint64_t value) {
  const struct history_event wanted = {.value = value};
  return bsearch(&wanted, checked->puts, checked->n_puts, sizeof wanted, by_value);
}

static bool is_same_place(const struct history_event *a, const struct history_event *b) {
  return a->node == b->node && a->life == b->life && a->key == b->key;
}

static bool is_seen(const struct history_event *event) {
  return event->kind == HISTORY_HIT || event->kind == HISTORY_STORED;
}

__attribute__((format(printf, 3, 4))) static void
report(struct checked *checked, const struct history_event *hit, const char *format, ...) {
  va_list args;
  if (checked->faults++ > 0)
    return;
  int size = snprintf(checked->report, HISTORY_REPORT_SIZE,
                      "node %u (start %u), key %u, value %llx at %.6f s: ", hit->node, hit->life,
                      hit->key, (unsigned long long)hit->value, (double)hit->begin_ns / 1e9);
  va_start(args, format);
  (void)vsnprintf(checked->report + size, HISTORY_REPORT_SIZE - (size_t)size, format, args);
  va_end(args);
}

/* ---- clears ---- */

static bool selects(const struct history_event *clear, const struct history_event *hit) {
  return (clear->key == HISTORY_ANY || clear->key == hit->key) &&
         (clear->view == HISTORY_ANY || clear->view == hit->view) &&
         (clear->op == HISTORY_ANY || clear->op == hit->op);
}

/* Returns when the clear was executed, at the latest. The rules are in the order in which they
 * began, so one fault may follow another. */
static uint64_t executed_ns(const struct checked *checked, const struct history_event *clear) {
  uint64_t bound_ns = checked->history->bound_ns, since_ns = clear->end_ns;
  if (clear->kind == HISTORY_CLEAR)
    return since_ns;
  for (size_t i = 0; i < checked->n_rules; i++) {
    const struct history_event *fault = &checked->rules[i];
    if (fault->kind == HISTORY_FAULT &&
        (fault->node == HISTORY_ANY || fault->node == clear->node) &&
        fault->begin_ns <= since_ns + bound_ns && fault->end_ns > since_ns)
      since_ns = fault->end_ns;
  }
  return since_ns + bound_ns;
}

/* Returns since when the node has known the clear, at the latest. */
static uint64_t known_ns(const struct checked *checked, const struct history_event *clear,
                         const struct history_event *hit) {
  uint64_t bound_ns = checked->history->bound_ns, since_ns = executed_ns(checked, clear);
  if (clear->node == hit->node)
    return since_ns;
  for (size_t i = 0; i < checked->n_rules; i++) {
    const struct history_event *fault = &checked->rules[i];
    bool concerns = fault->kind == HISTORY_FAULT &&
                    (fault->node == HISTORY_ANY || fault->node == hit->node) &&
                    fault->begin_ns <= hit->begin_ns && fault->end_ns + bound_ns >= clear->end_ns;
    if (concerns && fault->end_ns > since_ns)
      since_ns = fault->end_ns;
  }
  return since_ns + bound_ns;
}

/* ---- 1: older after newer ---- */

#define OPEN_MAX 256 /* events of a place that overlap: more are forgotten */

/* What a node has seen of a key, up to the event that is checked. */
struct seen {
  const struct history_event *newest, *newest_put; /* of those that have ended */
  const struct history_event *open[OPEN_MAX];
  size_t n_open;
};

/* Takes the events that ended before `ns`. */
static void close_until(const struct checked *checked, struct seen *seen, uint64_t ns) {
  size_t kept = 0;
  for (size_t i = 0; i < seen->n_open; i++) {
    const struct history_event *event = seen->open[i];
    if (event->end_ns >= ns) {
      seen->open[kept++] = event;
      continue;
    }
    const struct history_event *put = put_of(checked, event->value);
    if (put != NULL && (seen->newest_put == NULL || put->begin_ns > seen->newest_put->begin_ns)) {
      seen->newest = event;
      seen->newest_put = put;
    }
  }
  seen->n_open = kept;
}

/* Whether the node may have learned of a clear of the key between the two: it drops what the node
 * stored before, and the values from after it are all right. */
static bool may_be_cleared(const struct checked *checked, const struct history_event *before,
                           const struct history_event *hit) {
  for (size_t i = 0; i < checked->n_rules; i++) {
    const struct history_event *clear = &checked->rules[i];
    bool is_clear = clear->kind == HISTORY_CLEAR || clear->kind == HISTORY_FAILED_CLEAR;
    if (is_clear && selects(clear, hit) && clear->begin_ns < hit->begin_ns &&
        known_ns(checked, clear, hit) > before->begin_ns)
      return true;
  }
  return false;
}

static void check_order(struct checked *checked, struct seen *seen,
                        const struct history_event *event) {
  const struct history_event *put = put_of(checked, event->value);
  close_until(checked, seen, event->begin_ns);
  if (event->kind == HISTORY_HIT && put != NULL && seen->newest != NULL &&
      put->end_ns < seen->newest_put->begin_ns && !may_be_cleared(checked, seen->newest, event))
    report(checked, event, "%llx was seen before, at %.6f s, and is newer by %.6f s",
           (unsigned long long)seen->newest->value, (double)seen->newest->end_ns / 1e9,
           (double)(seen->newest_put->begin_ns - put->end_ns) / 1e9);
  if (seen->n_open < OPEN_MAX)
    seen->open[seen->n_open++] = event;
}

/* ---- 2: after a clear ---- */

static void check_clears(struct checked *checked, const struct history_event *hit) {
  const struct history_event *put = put_of(checked, hit->value);
  for (size_t i = 0; put != NULL && i < checked->n_rules; i++) {
    const struct history_event *clear = &checked->rules[i];
    if (clear->kind != HISTORY_CLEAR || !selects(clear, hit) || put->end_ns >= clear->begin_ns ||
        hit->begin_ns <= clear->end_ns)
      continue;
    if (hit->begin_ns > known_ns(checked, clear, hit)) {
      report(checked, hit,
             "node %u had cleared it %.6f s before, and it was put %.6f s before that", clear->node,
             (double)(hit->begin_ns - clear->end_ns) / 1e9,
             (double)(clear->begin_ns - put->end_ns) / 1e9);
      return;
    }
  }
}

/* ---- all ---- */

static int by_begin(const void *a, const void *b) {
  uint64_t left = ((const struct history_event *)a)->begin_ns;
  uint64_t right = ((const struct history_event *)b)->begin_ns;
  return (left > right) - (left < right);
}

static bool collect(struct checked *checked) {
  const struct history *history = checked->history;
  checked->puts = calloc(history->n + 1, sizeof *checked->puts);
  checked->rules = calloc(history->n + 1, sizeof *checked->rules);
  if (checked->puts == NULL || checked->rules == NULL)
    return false;
  for (size_t i = 0; i < history->n; i++) {
    const struct history_event *event = &history->events[i];
    if (event->kind == HISTORY_PUT)
      checked->puts[checked->n_puts++] = *event;
    else if (!is_seen(event))
      checked->rules[checked->n_rules++] = *event;
  }
  qsort(checked->rules, checked->n_rules, sizeof *checked->rules, by_begin);
  qsort(checked->puts, checked->n_puts, sizeof *checked->puts, by_value);
  return true;
}

static void check_events(struct checked *checked) {
  const struct history *history = checked->history;
  struct seen seen = {0};
  for (size_t i = 0; i < history->n; i++) {
    const struct history_event *event = &history->events[i];
    if (i > 0 && !is_same_place(event - 1, event))
      seen = (struct seen){0};
    if (!is_seen(event))
      continue;
    if (event->life != 0)
      check_order(checked, &seen, event);
    if (event->kind == HISTORY_HIT && put_of(checked, event->value) == NULL)
      report(checked, event, "nobody put it");
    if (event->kind == HISTORY_HIT)
      check_clears(checked, event);
  }
}

size_t history_check(struct history *history, char text[HISTORY_REPORT_SIZE]) {
  struct checked checked = {.history = history, .report = text};
  text[0] = '\0';
  if (collect(&checked)) {
    qsort(history->events, history->n, sizeof *history->events, by_place);
    check_events(&checked);
  } else {
    (void)snprintf(text, HISTORY_REPORT_SIZE, "no memory for the history");
    checked.faults = 1;
  }
  free(checked.puts);
  free(checked.rules);
  return checked.faults;
}
