#include "daemon/net/owner_deaths.h"

#include "daemon/net/conns.h"
#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

static void on_death(uv_poll_t *poll, int status, int events) {
  (void)status; /* the call finds out which processes have exited */
  (void)events;
  struct conns *conns = poll->data;
  dispatch_check_deaths(conns->dispatch);
  conns_schedule_background(conns); /* very many waits may have ended at once */
  conns_schedule_expiry(conns);
}

int owner_deaths_start(struct owner_deaths *deaths, struct conns *conns) {
  int fd = conns->dispatch->owners.deaths_fd;
  if (fd < 0)
    return 0;
  if (uv_poll_init(conns->loop, &deaths->poll, fd) < 0) /* tries epoll_ctl */
    return FC_EREFUSED;
  deaths->watching = true;
  deaths->poll.data = conns;
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
