#include "daemon/net/owner_deaths.h"

#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

static void on_death(uv_poll_t *poll, int status, int events) {
  (void)status; /* the callback finds out which processes have exited */
  (void)events;
  const struct owner_deaths *deaths = poll->data;
  deaths->died(deaths->arg);
}

int owner_deaths_start(struct owner_deaths *deaths, uv_loop_t *loop, int fd,
                       void (*died)(void *arg), void *arg) {
  if (uv_poll_init(loop, &deaths->poll, fd) < 0) /* tries epoll_ctl */
    return FC_EREFUSED;
  deaths->watching = true;
  deaths->died = died;
  deaths->arg = arg;
  deaths->poll.data = deaths;
  if (uv_poll_start(&deaths->poll, UV_READABLE, on_death) < 0 ||
      epoll_watch_add((uv_handle_t *)&deaths->poll) < 0) {
    owner_deaths_close(deaths);
    return FC_EREFUSED;
  }
  return 0;
}

void owner_deaths_close(struct owner_deaths *deaths) {
  if (deaths->watching)
    uv_close((uv_handle_t *)&deaths->poll, NULL);
  deaths->watching = false;
}
