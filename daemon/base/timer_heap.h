/* timer_heap.h - finds the earliest of many points in time: a binary heap. Of entries with the same
 * time, the one that was added or moved first comes first.
 *
 * The caller embeds a struct timer_heap_entry in its own struct, which must not move while the
 * entry is in the heap. The caller chooses the clock. Zero the heap to start. One thread. */
#ifndef FC_DAEMON_TIMER_HEAP_H
#define FC_DAEMON_TIMER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero, or removed, before it is added. */
struct timer_heap_entry {
  uint64_t at_ns;
  uint64_t order; /* a later addition or move has a higher one */
  size_t place;   /* 1 + its index in the heap; 0: not in the heap */
};

struct timer_heap {
  struct timer_heap_entry **entries; /* owned; no entry is before its parent (i - 1) / 2 */
  size_t n, capacity;
  uint64_t orders; /* given out */
};

/* Adds an entry that is in no heap. Returns false if memory is out. Then nothing has changed. */
bool timer_heap_add(struct timer_heap *heap, struct timer_heap_entry *entry, uint64_t at_ns);

/* Removes the entry. Does nothing if it is in no heap. */
void timer_heap_remove(struct timer_heap *heap, struct timer_heap_entry *entry);

/* Gives an entry of the heap another time. */
void timer_heap_move(struct timer_heap *heap, struct timer_heap_entry *entry, uint64_t at_ns);

/* Returns the first entry, or NULL if there is none. */
static inline struct timer_heap_entry *timer_heap_first(const struct timer_heap *heap) {
  return heap->n == 0 ? NULL : heap->entries[0];
}

/* Checks the order of all entries. For tests. */
void timer_heap_check(const struct timer_heap *heap);

/* Frees the empty heap. */
void timer_heap_deinit(struct timer_heap *heap);

#endif
