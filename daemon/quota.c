#include "daemon/quota.h"

#include <assert.h>

void quota_init(struct quota *quota, size_t limit_bytes) {
  quota->limit_bytes = limit_bytes;
  quota->used_bytes = 0;
  quota->waiters.next = quota->waiters.prev = &quota->waiters;
  quota->waiters.ready = NULL;
}

void quota_deinit(struct quota *quota) {
  assert(quota->used_bytes == 0);
  assert(quota->waiters.next == &quota->waiters);
}

static bool fits(const struct quota *quota, size_t bytes) {
  return quota->used_bytes == 0 || (quota->used_bytes < quota->limit_bytes &&
                                    bytes <= quota->limit_bytes - quota->used_bytes);
}

static void enqueue(struct quota *quota, struct quota_waiter *waiter) {
  if (waiter->next != NULL)
    return;
  waiter->prev = quota->waiters.prev;
  waiter->next = &quota->waiters;
  waiter->prev->next = waiter;
  waiter->next->prev = waiter;
}

static void leave(struct quota_waiter *waiter) {
  if (waiter->next == NULL)
    return;
  waiter->prev->next = waiter->next;
  waiter->next->prev = waiter->prev;
  waiter->next = waiter->prev = NULL;
}

/* The first in the queue may have got room, or become the first: it tries. */
static void wake_first(struct quota *quota) {
  if (quota->waiters.next != &quota->waiters)
    quota->waiters.next->ready(quota->waiters.next);
}

void quota_forget(struct quota *quota, struct quota_waiter *waiter) {
  bool first = quota->waiters.next == waiter;
  leave(waiter);
  if (first)
    wake_first(quota);
}

bool quota_charge(struct quota *quota, size_t bytes, struct quota_waiter *waiter) {
  /* Nobody overtakes: a stream of medium frames must not starve a large one. */
  bool first = quota->waiters.next == &quota->waiters || quota->waiters.next == waiter;
  if (!first || !fits(quota, bytes)) {
    enqueue(quota, waiter);
    return false;
  }
  leave(waiter);
  quota->used_bytes += bytes;
  wake_first(quota);
  return true;
}

void quota_release(struct quota *quota, size_t bytes) {
  assert(bytes <= quota->used_bytes);
  if (bytes == 0)
    return;
  quota->used_bytes -= bytes;
  wake_first(quota);
}
