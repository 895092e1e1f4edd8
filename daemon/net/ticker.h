/* ticker.h - something to be done every so often, at no cost in between.
 *
 * A timer of the loop makes every wait of the loop one with a timeout, and so
 * each request pays for arming and cancelling it in the kernel: 1.1 us of a
 * 13 us round trip. A ticker is a descriptor that the loop waits for as for any
 * other. For what always runs; a timer that seldom runs may be the loop's own.
 */
#ifndef FC_DAEMON_TICKER_H
#define FC_DAEMON_TICKER_H

#include <uv.h>

struct ticker {
  uv_poll_t poll;
  int fd; /* -1: not open */
  void (*tick)(void *arg);
  void *arg;
};

/* Ready to be started; `tick(arg)` is then called from the loop. 0 or
 * FC_EREFUSED: out of descriptors. */
int ticker_init(struct ticker *ticker, uv_loop_t *loop, void (*tick)(void *arg), void *arg);

/* Every `period_ms` from now on; again, if it runs already. */
void ticker_start(struct ticker *ticker, unsigned period_ms);

/* Once, at that time (CLOCK_MONOTONIC), or now if it is past. */
void ticker_once(struct ticker *ticker, uint64_t at_ns);

/* Idempotent. */
void ticker_stop(struct ticker *ticker);

/* Idempotent, also after a failed init. The memory must stay until the loop has
 * run once more. */
void ticker_close(struct ticker *ticker);

#endif
