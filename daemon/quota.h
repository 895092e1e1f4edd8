/* quota.h - a pool of memory that all clients together may hold in flight, beyond
 * what each connection has for small messages. A large one reserves its whole size
 * before its first byte, so whoever was let in can finish: no two half-received
 * frames can block each other. Who does not fit waits, first come first served.
 *
 * The first in the queue holds up all behind it, so a waiter must charge, or leave
 * (quota_forget), whenever it is called; and what was let in must never wait for
 * room in the same pool.
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

/* Gives back, and calls `ready` of the first who waits. */
void quota_release(struct quota *quota, size_t bytes);

/* Leaves the queue, and calls `ready` of who is the first by that; nothing happens where the
 * waiter is not in it. */
void quota_forget(struct quota *quota, struct quota_waiter *waiter);

#endif
