#include "daemon/base/timer_heap.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_FIRST 64u

static bool is_before(const struct deadline *a, const struct deadline *b) {
  return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void place(struct deadlines *set, size_t i, struct deadline *deadline) {
  set->heap[i] = deadline;
  deadline->place = i + 1;
}

/* Up or down from the hole at `i`, to where it belongs. */
static void settle(struct deadlines *set, size_t i, struct deadline *deadline) {
  for (; i > 0 && is_before(deadline, set->heap[(i - 1) / 2]); i = (i - 1) / 2)
    place(set, i, set->heap[(i - 1) / 2]);
  for (size_t child; (child = 2 * i + 1) < set->n; i = child) {
    if (child + 1 < set->n && is_before(set->heap[child + 1], set->heap[child]))
      child++;
    if (!is_before(set->heap[child], deadline))
      break;
    place(set, i, set->heap[child]);
  }
  place(set, i, deadline);
}

static bool grow(struct deadlines *set) {
  size_t capacity = set->capacity == 0 ? CAPACITY_FIRST : 2 * set->capacity;
  struct deadline **heap = realloc(set->heap, capacity * sizeof *heap);
  if (heap == NULL)
    return false;
  set->heap = heap;
  set->capacity = capacity;
  return true;
}

bool deadlines_add(struct deadlines *set, struct deadline *deadline, uint64_t at_ns) {
  assert(deadline->place == 0);
  if (set->n == set->capacity && !grow(set))
    return false;
  deadline->at_ns = at_ns;
  deadline->order = ++set->orders;
  settle(set, set->n++, deadline);
  return true;
}

void deadlines_remove(struct deadlines *set, struct deadline *deadline) {
  if (deadline->place == 0)
    return;
  size_t i = deadline->place - 1;
  struct deadline *last = set->heap[--set->n];
  deadline->place = 0;
  if (last != deadline)
    settle(set, i, last);
}

void deadlines_move(struct deadlines *set, struct deadline *deadline, uint64_t at_ns) {
  assert(deadline->place != 0);
  deadline->at_ns = at_ns;
  deadline->order = ++set->orders;
  settle(set, deadline->place - 1, deadline);
}

struct deadline *deadlines_first(const struct deadlines *set) {
  return set->n == 0 ? NULL : set->heap[0];
}

void deadlines_deinit(struct deadlines *set) {
  assert(set->n == 0);
  free(set->heap);
  *set = (struct deadlines){0};
}
