/* quota.h - a pool of memory that the large copies among the replies of all clients together may
 * hold: pages of listings, and statistics. A reply reserves its whole size before it is sent, and
 * returns it when its peer has taken it. Values are no part of this: they are sent from where they
 * are stored (reclaim.h).
 *
 * First come, first served. A waiter holds up those behind it, so it must charge, or leave
 * (reply_budget_cancel_wait), whenever it is called; and what was let in must never wait for room in the same
 * pool.
 *
 * One thread. Each charge is undone by its holder; reply_budget_deinit asserts that
 * nothing is left. */
#ifndef FC_DAEMON_QUOTA_H
#define FC_DAEMON_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

struct reply_budget_waiter {
  struct reply_budget_waiter *next, *prev; /* NULL: not waiting */
  /* There may be room: try again. Called from within the calls below, also twice;
   * it must make no call of them itself, but only see that one is made later. */
  void (*ready)(struct reply_budget_waiter *);
};

struct reply_budget {
  size_t limit_bytes, used_bytes;
  struct reply_budget_waiter waiters; /* head of the ring */
};

void reply_budget_init(struct reply_budget *quota, size_t limit_bytes);
void reply_budget_deinit(struct reply_budget *quota);

/* Reserves `bytes`, or queues `waiter` (once) and returns false. A charge over
 * the whole limit is let in when nothing else is held, so that it cannot wait
 * for ever. */
bool reply_budget_charge(struct reply_budget *quota, size_t bytes, struct reply_budget_waiter *waiter);

/* Returns one charge, and calls `ready` of the first waiters. */
void reply_budget_release(struct reply_budget *quota, size_t bytes);

/* Leaves the queue, and calls `ready` of the waiters that are now first; nothing happens where the
 * waiter is not in it. */
void reply_budget_cancel_wait(struct reply_budget *quota, struct reply_budget_waiter *waiter);

static inline bool reply_budget_has_waiters(const struct reply_budget *quota) {
  return quota->waiters.next != &quota->waiters;
}

#endif
