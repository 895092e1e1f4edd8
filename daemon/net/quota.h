/* quota.h - a pool of memory that the large copies among the replies of all clients together may
 * hold: pages of listings, and statistics. A reply reserves its whole size before it is sent, and
 * returns it when its peer has taken it. Values are no part of this: they are sent from where they
 * are stored (reclaim.h).
 *
 * First come, first served. A waiter holds up those behind it, so it must charge, or leave
 * (quota_forget), whenever it is called; and what was let in must never wait for room in the same
 * pool.
 *
 * One thread. Each charge is undone by its holder; quota_deinit asserts that
 * nothing is left. */
#ifndef FC_DAEMON_QUOTA_H
#define FC_DAEMON_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

struct quota_waiter {
  struct quota_waiter *next, *prev; /* NULL: not waiting */
  /* There may be room: try again. Called from within the calls below, also twice;
   * it must make no call of them itself, but only see that one is made later. */
  void (*ready)(struct quota_waiter *);
};

struct quota {
  size_t limit_bytes, used_bytes;
  struct quota_waiter waiters; /* head of the ring */
};

void quota_init(struct quota *quota, size_t limit_bytes);
void quota_deinit(struct quota *quota);

/* Reserves `bytes`, or queues `waiter` (once) and returns false. A charge over
 * the whole limit is let in when nothing else is held, so that it cannot wait
 * for ever. */
bool quota_charge(struct quota *quota, size_t bytes, struct quota_waiter *waiter);

/* Returns one charge, and calls `ready` of the first waiters. */
void quota_release(struct quota *quota, size_t bytes);

/* Leaves the queue, and calls `ready` of the waiters that are now first; nothing happens where the
 * waiter is not in it. */
void quota_forget(struct quota *quota, struct quota_waiter *waiter);

static inline bool quota_has_waiters(const struct quota *quota) {
  return quota->waiters.next != &quota->waiters;
}

#endif
