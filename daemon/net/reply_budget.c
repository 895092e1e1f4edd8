#include "daemon/net/reply_budget.h"

#include <assert.h>

#define WOKEN_MAX 8u /* at a time */

void reply_budget_init(struct reply_budget *quota, size_t limit_bytes) {
  *quota = (struct reply_budget){.limit_bytes = limit_bytes};
  quota->waiters.next = quota->waiters.prev = &quota->waiters;
}

void reply_budget_deinit(struct reply_budget *quota) {
  assert(quota->used_bytes == 0 && !reply_budget_has_waiters(quota));
  (void)quota; /* without assertions */
}

static void enqueue(struct reply_budget *quota, struct reply_budget_waiter *waiter) {
  waiter->prev = quota->waiters.prev;
  waiter->next = &quota->waiters;
  waiter->prev->next = waiter;
  waiter->next->prev = waiter;
}

static void leave(struct reply_budget_waiter *waiter) {
  if (waiter->next == NULL)
    return;
  waiter->prev->next = waiter->next;
  waiter->next->prev = waiter->prev;
  waiter->next = waiter->prev = NULL;
}

static void wake(struct reply_budget *quota) {
  struct reply_budget_waiter *waiter = quota->waiters.next;
  for (unsigned woken = 0; woken < WOKEN_MAX && waiter != &quota->waiters; woken++) {
    struct reply_budget_waiter *next = waiter->next;
    waiter->ready(waiter);
    waiter = next;
  }
}

void reply_budget_cancel_wait(struct reply_budget *quota, struct reply_budget_waiter *waiter) {
  bool first = quota->waiters.next == waiter;
  leave(waiter);
  if (first)
    wake(quota);
}

static bool fits(const struct reply_budget *quota, size_t bytes) {
  return quota->used_bytes == 0 || (quota->used_bytes <= quota->limit_bytes &&
                                    bytes <= quota->limit_bytes - quota->used_bytes);
}

bool reply_budget_charge(struct reply_budget *quota, size_t bytes, struct reply_budget_waiter *waiter) {
  bool first = !reply_budget_has_waiters(quota) || quota->waiters.next == waiter;
  if (!first || !fits(quota, bytes)) {
    if (waiter->next == NULL)
      enqueue(quota, waiter);
    return false;
  }
  leave(waiter);
  quota->used_bytes += bytes;
  return true;
}

void reply_budget_release(struct reply_budget *quota, size_t bytes) {
  assert(bytes <= quota->used_bytes);
  if (bytes == 0)
    return;
  quota->used_bytes -= bytes;
  wake(quota);
}
