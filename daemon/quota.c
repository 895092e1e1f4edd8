#include "daemon/quota.h"

#include <assert.h>

#define SMALL_DIVISOR 16u
#define RESERVE_DIVISOR 4u
#define WOKEN_MAX 8u /* of each class, at a time */

void quota_init(struct quota *quota, size_t limit_bytes, size_t largest_bytes) {
  size_t beside = limit_bytes > largest_bytes ? limit_bytes - largest_bytes : 0;
  size_t reserve = limit_bytes / RESERVE_DIVISOR;
  *quota = (struct quota){.limit_bytes = limit_bytes,
                          .reserve_bytes = reserve < beside ? reserve : beside};
  for (int class = 0; class < QUOTA_CLASSES; class ++)
    quota->waiters[class].next = quota->waiters[class].prev = &quota->waiters[class];
}

void quota_deinit(struct quota *quota) {
  assert(quota->used_bytes == 0 && quota->used_small_bytes == 0);
  assert(!quota_has_waiters(quota, QUOTA_SMALL) && !quota_has_waiters(quota, QUOTA_LARGE));
}

enum quota_class quota_class_of(const struct quota *quota, size_t bytes) {
  return bytes <= quota->limit_bytes / SMALL_DIVISOR ? QUOTA_SMALL : QUOTA_LARGE;
}

static bool fits_within(size_t used, size_t bytes, size_t most) {
  return used <= most && bytes <= most - used;
}

static bool fits(const struct quota *quota, size_t bytes, enum quota_class class) {
  if (quota->used_bytes == 0)
    return true;
  if (class == QUOTA_LARGE) {
    size_t used_large = quota->used_bytes - quota->used_small_bytes;
    return fits_within(used_large, bytes, quota->limit_bytes - quota->reserve_bytes) &&
           fits_within(quota->used_bytes, bytes, quota->limit_bytes);
  }
  if (quota_has_waiters(quota, QUOTA_LARGE) &&
      !fits_within(quota->used_small_bytes, bytes, quota->reserve_bytes))
    return false;
  return fits_within(quota->used_bytes, bytes, quota->limit_bytes);
}

static void enqueue(struct quota *quota, struct quota_waiter *waiter, enum quota_class class) {
  struct quota_waiter *head = &quota->waiters[class];
  waiter->class = class;
  waiter->prev = head->prev;
  waiter->next = head;
  waiter->prev->next = waiter;
  waiter->next->prev = waiter;
}

/* The first of each class may have got room, or become the first: they try. Those behind them, too,
 * which may fit where the first does not. */
static void wake(struct quota *quota) {
  for (int class = 0; class < QUOTA_CLASSES; class ++) {
    struct quota_waiter *waiter = quota->waiters[class].next;
    for (unsigned woken = 0; woken < WOKEN_MAX && waiter != &quota->waiters[class]; woken++) {
      struct quota_waiter *next = waiter->next;
      waiter->ready(waiter);
      waiter = next;
    }
  }
}

static bool is_first(const struct quota *quota, const struct quota_waiter *waiter,
                     enum quota_class class) {
  return !quota_has_waiters(quota, class) || quota->waiters[class].next == waiter;
}

static void leave(struct quota *quota, struct quota_waiter *waiter) {
  if (waiter->next == NULL)
    return;
  if (waiter->class == QUOTA_LARGE && quota->waiters[QUOTA_LARGE].next == waiter)
    quota->passes = 0; /* another is the first from now on */
  waiter->prev->next = waiter->next;
  waiter->next->prev = waiter->prev;
  waiter->next = waiter->prev = NULL;
}

void quota_forget(struct quota *quota, struct quota_waiter *waiter) {
  if (waiter->next == NULL)
    return;
  bool first = is_first(quota, waiter, waiter->class);
  leave(quota, waiter);
  if (first)
    wake(quota);
}

bool quota_charge(struct quota *quota, size_t bytes, struct quota_waiter *waiter) {
  enum quota_class class = quota_class_of(quota, bytes);
  if (waiter->next != NULL && waiter->class != class)
    leave(quota, waiter); /* it waited with another reply */
  bool passes = !is_first(quota, waiter, class);
  bool may_pass = class == QUOTA_LARGE && quota->passes < QUOTA_PASSES_MAX;
  if ((passes && !may_pass) || !fits(quota, bytes, class)) {
    if (waiter->next == NULL)
      enqueue(quota, waiter, class);
    return false;
  }
  quota->passes += passes;
  leave(quota, waiter);
  quota->used_bytes += bytes;
  if (class == QUOTA_SMALL)
    quota->used_small_bytes += bytes;
  else
    wake(quota); /* small ones may have more than the reserve again */
  return true;
}

void quota_release(struct quota *quota, size_t bytes) {
  assert(bytes <= quota->used_bytes);
  if (bytes == 0)
    return;
  quota->used_bytes -= bytes;
  if (quota_class_of(quota, bytes) == QUOTA_SMALL)
    quota->used_small_bytes -= bytes;
  wake(quota);
}
