#include "daemon/os/ticker.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

static void on_expired(uv_poll_t *poll, int status, int events) {
  (void)status; /* a timerfd reports no errors */
  (void)events;
  struct ticker *ticker = poll->data;
  uint64_t times;
  if (read(ticker->fd, &times, sizeof times) == sizeof times) /* else it was stopped */
    ticker->tick(ticker->arg);
}

static void set(struct ticker *ticker, unsigned period_ms) {
  struct timespec period = {.tv_sec = (time_t)(period_ms / 1000u),
                            .tv_nsec = (long)(period_ms % 1000u) * 1000000L};
  struct itimerspec spec = {.it_interval = period, .it_value = period};
  (void)timerfd_settime(ticker->fd, 0, &spec, NULL); /* fails only for a bad argument */
}

int ticker_init(struct ticker *ticker, uv_loop_t *loop, void (*tick)(void *arg), void *arg) {
  ticker->tick = tick;
  ticker->arg = arg;
  ticker->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (ticker->fd < 0)
    return FC_EREFUSED;
  ticker->poll.data = ticker;
  if (uv_poll_init(loop, &ticker->poll, ticker->fd) < 0) {
    (void)close(ticker->fd); /* never used */
    ticker->fd = -1;
    return FC_EREFUSED;
  }
  if (uv_poll_start(&ticker->poll, UV_READABLE, on_expired) < 0 ||
      epoll_watch_add((uv_handle_t *)&ticker->poll) < 0) {
    ticker_close(ticker);
    return FC_EREFUSED;
  }
  return 0;
}

void ticker_start(struct ticker *ticker, unsigned period_ms) {
  set(ticker, period_ms);
}

void ticker_once(struct ticker *ticker, uint64_t at_ns) {
  if (at_ns == 0) /* 0 would stop it */
    at_ns = 1;
  struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(at_ns / 1000000000u),
                                         .tv_nsec = (long)(at_ns % 1000000000u)}};
  (void)timerfd_settime(ticker->fd, TFD_TIMER_ABSTIME, &spec,
                        NULL); /* fails only for a bad argument */
}

void ticker_stop(struct ticker *ticker) {
  set(ticker, 0);
}

void ticker_close(struct ticker *ticker) {
  if (ticker->fd < 0)
    return;
  uv_close((uv_handle_t *)&ticker->poll, NULL); /* it stops polling the descriptor at once */
  (void)close(ticker->fd);                      /* nothing is buffered */
  ticker->fd = -1;
}
