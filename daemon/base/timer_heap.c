#include "daemon/base/timer_heap.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/base/check.h"

#define CAPACITY_FIRST 64u

static bool is_before(const struct timer_heap_entry *a, const struct timer_heap_entry *b) {
  return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void place(struct timer_heap *heap, size_t i, struct timer_heap_entry *entry) {
  heap->entries[i] = entry;
  entry->place = i + 1;
}

/* Checks one entry against its parent and its first child. */
static void check_entry(const struct timer_heap *heap, const struct timer_heap_entry *entry) {
  size_t i = entry->place - 1;
  check_lt(i, heap->n);
  assert(heap->entries[i] == entry);
  assert(i == 0 || !is_before(entry, heap->entries[(i - 1) / 2]));
  assert(2 * i + 1 >= heap->n || !is_before(heap->entries[2 * i + 1], entry));
}

void timer_heap_check(const struct timer_heap *heap) {
  check_le(heap->n, heap->capacity);
  for (size_t i = 0; i < heap->n; i++) {
    check_eq(heap->entries[i]->place, i + 1);
    check_le(heap->entries[i]->order, heap->orders);
    check_entry(heap, heap->entries[i]);
  }
}

/* Moves the hole at `i` up or down to the place of the entry, and fills it. */
static void settle(struct timer_heap *heap, size_t i, struct timer_heap_entry *entry) {
  for (; i > 0 && is_before(entry, heap->entries[(i - 1) / 2]); i = (i - 1) / 2)
    place(heap, i, heap->entries[(i - 1) / 2]);
  for (size_t child; (child = 2 * i + 1) < heap->n; i = child) {
    if (child + 1 < heap->n && is_before(heap->entries[child + 1], heap->entries[child]))
      child++;
    if (!is_before(heap->entries[child], entry))
      break;
    place(heap, i, heap->entries[child]);
  }
  place(heap, i, entry);
  check_entry(heap, entry);
}

static bool grow(struct timer_heap *heap) {
  size_t capacity = heap->capacity == 0 ? CAPACITY_FIRST : 2 * heap->capacity;
  struct timer_heap_entry **entries = realloc(heap->entries, capacity * sizeof(void *));
  if (entries == NULL)
    return false;
  heap->entries = entries;
  heap->capacity = capacity;
  return true;
}

bool timer_heap_add(struct timer_heap *heap, struct timer_heap_entry *entry, uint64_t at_ns) {
  check_eq(entry->place, 0);
  if (heap->n == heap->capacity && !grow(heap))
    return false;
  check_lt(heap->n, heap->capacity);
  entry->at_ns = at_ns;
  entry->order = ++heap->orders;
  settle(heap, heap->n++, entry);
  return true;
}

void timer_heap_remove(struct timer_heap *heap, struct timer_heap_entry *entry) {
  if (entry->place == 0)
    return;
  check_entry(heap, entry);
  size_t i = entry->place - 1;
  struct timer_heap_entry *last = heap->entries[--heap->n];
  entry->place = 0;
  if (last != entry)
    settle(heap, i, last);
}

void timer_heap_move(struct timer_heap *heap, struct timer_heap_entry *entry, uint64_t at_ns) {
  check_lt(0, entry->place);
  check_entry(heap, entry);
  entry->at_ns = at_ns;
  entry->order = ++heap->orders;
  settle(heap, entry->place - 1, entry);
}

void timer_heap_deinit(struct timer_heap *heap) {
  check_eq(heap->n, 0);
  free(heap->entries);
  *heap = (struct timer_heap){0};
}
