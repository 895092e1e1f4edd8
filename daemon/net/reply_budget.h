/* reply_budget.h - memory for the large copies in replies of all clients: pages of listings, and
 * stats. A reply reserves its whole size before it is sent, and releases it when its peer has read
 * it. Values are not copied: they are sent from the region (requests/reclaim.h).
 *
 * First come, first served. A waiter blocks those behind it. So when it is called it must charge,
 * or cancel its wait; and a reply that has its charge must not wait for this budget again.
 *
 * The sender that charges also releases. reply_budget_deinit asserts that no charge is left. One
 * thread. */
#ifndef FC_DAEMON_REPLY_BUDGET_H
#define FC_DAEMON_REPLY_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct reply_budget_waiter {
  struct reply_budget_waiter *next, *prev; /* NULL: not waiting */
  /* There may be room: try again. Called from within the functions below, perhaps repeatedly. It
   * must only schedule work. */
  void (*ready)(struct reply_budget_waiter *waiter);
};

struct reply_budget {
  size_t limit_bytes, used_bytes;
  struct reply_budget_waiter waiters; /* head of the ring */
};

void reply_budget_init(struct reply_budget *budget, size_t limit_bytes);
void reply_budget_deinit(struct reply_budget *budget);

/* Reserves `bytes`. Otherwise queues `waiter` and returns false. A charge above the whole limit is
 * admitted when nothing else is reserved. */
bool reply_budget_charge(struct reply_budget *budget, size_t bytes,
                         struct reply_budget_waiter *waiter);

/* Releases one charge, and calls `ready` of the first waiters. */
void reply_budget_release(struct reply_budget *budget, size_t bytes);

/* Removes the waiter from the queue, and calls `ready` of the waiters that are now first.
 * Idempotent. */
void reply_budget_cancel_wait(struct reply_budget *budget, struct reply_budget_waiter *waiter);

static inline bool reply_budget_has_waiters(const struct reply_budget *budget) {
  return budget->waiters.next != &budget->waiters;
}

#endif
