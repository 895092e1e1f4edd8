/* timer_heap.h - things that are due at a time, the earliest first: a binary heap. Of those at the
 * same time, the one that was added or moved first is the first.
 *
 * The times are whatever clock the caller has; a struct deadline is embedded in what is due, and
 * stays where it is while it is in. Zero the set to start. One thread. */
#ifndef FC_DAEMON_DEADLINES_H
#define FC_DAEMON_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
  uint64_t at_ns;
  uint64_t order; /* the set's own, as is `place` */
  size_t place;   /* 1 + its index; 0: it is not in */
};

struct deadlines {
  struct deadline **heap; /* owned */
  size_t n, capacity;
  uint64_t orders; /* given out */
};

/* `deadline` is zero, or was removed. False: out of memory, and it is not in. */
bool deadlines_add(struct deadlines *set, struct deadline *deadline, uint64_t at_ns);

/* Idempotent. */
void deadlines_remove(struct deadlines *set, struct deadline *deadline);

/* For one that is in: another time. */
void deadlines_move(struct deadlines *set, struct deadline *deadline, uint64_t at_ns);

/* NULL: none is in. */
struct deadline *deadlines_first(const struct deadlines *set);

/* Frees; none may be in. */
void deadlines_deinit(struct deadlines *set);

#endif
