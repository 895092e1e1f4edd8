/* ticker.h - a periodic timer that costs nothing between its ticks.
 *
 * While a uv_timer is active, each wait of the loop has a timeout, and each request pays for arming
 * and cancelling it in the kernel: 1.1 us of a 13 us round trip. A ticker is a timerfd that the
 * loop polls like other descriptors. Use it for timers that always run, and uv_timer for rare ones.
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

/* Initializes a stopped ticker, which calls `tick(arg)` from the loop. Returns 0, or FC_EREFUSED if
 * out of descriptors or watches. */
int ticker_init(struct ticker *ticker, uv_loop_t *loop, void (*tick)(void *arg), void *arg);

/* Ticks every `period_ms` from now on, also if it was running. */
void ticker_start(struct ticker *ticker, unsigned period_ms);

/* Ticks once, at that time (CLOCK_MONOTONIC), or at once if it has passed. */
void ticker_once(struct ticker *ticker, uint64_t at_ns);

/* Stops it. Idempotent. */
void ticker_stop(struct ticker *ticker);

/* Closes it, also after a failed init. Idempotent. The struct must stay until the loop has run once
 * more. */
void ticker_close(struct ticker *ticker);

#endif
