/* quota.h - a pool of memory that the large replies of all clients together may hold. A reply
 * reserves its whole size before it is sent, and returns it when its peer has taken it.
 *
 * Two classes share the pool, so that one whose peers read slowly does not hold up the other. A
 * charge of up to a sixteenth of the limit is small. A part of the pool (`reserve_bytes`) is for
 * small charges alone. While a large charge waits, small ones have only that part: the large one
 * gets what others give back, and cannot starve. Small charges are first come, first served. A
 * large one that fits passes those that do not, up to QUOTA_PASSES_MAX times before the first of
 * them has its turn.
 *
 * A waiter may hold up those behind it, so it must charge, or leave (quota_forget), whenever it is
 * called; and what was let in must never wait for room in the same pool.
 *
 * One thread. Each charge is undone by its holder; quota_deinit asserts that
 * nothing is left. */
#ifndef FC_DAEMON_QUOTA_H
#define FC_DAEMON_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

enum quota_class { QUOTA_SMALL, QUOTA_LARGE, QUOTA_CLASSES };

struct quota_waiter {
  struct quota_waiter *next, *prev; /* NULL: not waiting */
  enum quota_class class;           /* where it waits */
  /* There may be room: try again. Called from within the calls below, also twice;
   * it must make no call of them itself, but only see that one is made later. */
  void (*ready)(struct quota_waiter *);
};

#define QUOTA_PASSES_MAX 1024u

struct quota {
  size_t limit_bytes, reserve_bytes;
  size_t used_bytes, used_small_bytes;        /* all charges; the small ones among them */
  struct quota_waiter waiters[QUOTA_CLASSES]; /* heads of rings */
  unsigned passes;                            /* of the first large waiter, so far */
};

/* `largest_bytes`: the largest charge that is expected. The reserve is a quarter of the limit, or
 * less, so that a charge of that size fits beside it. */
void quota_init(struct quota *quota, size_t limit_bytes, size_t largest_bytes);
void quota_deinit(struct quota *quota);

/* Of which class a charge of that size is. */
enum quota_class quota_class_of(const struct quota *quota, size_t bytes);

/* Reserves `bytes`, or queues `waiter` (once) and returns false. A charge over
 * the whole limit is let in when nothing else is held, so that it cannot wait
 * for ever. */
bool quota_charge(struct quota *quota, size_t bytes, struct quota_waiter *waiter);

/* Returns one charge, and calls `ready` of the first waiters of each class. */
void quota_release(struct quota *quota, size_t bytes);

/* Leaves the queue, and calls `ready` of the waiters that are now first; nothing happens where the
 * waiter is not in it. */
void quota_forget(struct quota *quota, struct quota_waiter *waiter);

static inline bool quota_has_waiters(const struct quota *quota, enum quota_class class) {
  return quota->waiters[class].next != &quota->waiters[class];
}

#endif
