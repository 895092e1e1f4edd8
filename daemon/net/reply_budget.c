#include "daemon/net/reply_budget.h"

#include <assert.h>

#include "daemon/base/check.h"

#define WOKEN_MAX 8u /* waiters that one release calls */

void reply_budget_init(struct reply_budget *budget, size_t limit_bytes) {
  *budget = (struct reply_budget){.limit_bytes = limit_bytes};
  budget->waiters.next = budget->waiters.prev = &budget->waiters;
}

void reply_budget_deinit(struct reply_budget *budget) {
  check_eq(budget->used_bytes, 0);
  assert(!reply_budget_has_waiters(budget));
}

static void enqueue(struct reply_budget *budget, struct reply_budget_waiter *waiter) {
  waiter->prev = budget->waiters.prev;
  waiter->next = &budget->waiters;
  waiter->prev->next = waiter;
  waiter->next->prev = waiter;
}

static void dequeue(struct reply_budget_waiter *waiter) {
  if (waiter->next == NULL)
    return;
  waiter->prev->next = waiter->next;
  waiter->next->prev = waiter->prev;
  waiter->next = waiter->prev = NULL;
}

static void wake(struct reply_budget *budget) {
  struct reply_budget_waiter *waiter = budget->waiters.next;
  for (unsigned woken = 0; woken < WOKEN_MAX && waiter != &budget->waiters; woken++) {
    struct reply_budget_waiter *next = waiter->next;
    waiter->ready(waiter);
    waiter = next;
  }
}

void reply_budget_cancel_wait(struct reply_budget *budget, struct reply_budget_waiter *waiter) {
  bool first = budget->waiters.next == waiter;
  dequeue(waiter);
  if (first)
    wake(budget);
}

static bool fits(const struct reply_budget *budget, size_t bytes) {
  return budget->used_bytes == 0 || (budget->used_bytes <= budget->limit_bytes &&
                                     bytes <= budget->limit_bytes - budget->used_bytes);
}

bool reply_budget_charge(struct reply_budget *budget, size_t bytes,
                         struct reply_budget_waiter *waiter) {
  bool first = !reply_budget_has_waiters(budget) || budget->waiters.next == waiter;
  if (!first || !fits(budget, bytes)) {
    if (waiter->next == NULL)
      enqueue(budget, waiter);
    return false;
  }
  dequeue(waiter);
  budget->used_bytes += bytes;
  return true;
}

void reply_budget_release(struct reply_budget *budget, size_t bytes) {
  check_le(bytes, budget->used_bytes);
  if (bytes == 0)
    return;
  budget->used_bytes -= bytes;
  wake(budget);
}
