/* owner_deaths.h - watches the processes that hold adopted leases and have no connection
 * (lease_owners.h), so that the first waiters get the leases of a dead one at once.
 *
 * One handle of the loop, for the epoll in which the lease owners keep their pidfds. Loop thread
 * only. */
#ifndef FC_DAEMON_OWNER_DEATHS_H
#define FC_DAEMON_OWNER_DEATHS_H

#include <stdbool.h>
#include <uv.h>

/* Zero to start. */
struct owner_deaths {
  uv_poll_t poll;
  bool watching;
  void (*died)(void *arg);
  void *arg;
};

/* Calls `died(arg)` from the loop when `fd`, the deaths_fd of the owners, is readable. Call it
 * once. Returns 0, or FC_EREFUSED if out of watches. */
int owner_deaths_start(struct owner_deaths *deaths, uv_loop_t *loop, int fd,
                       void (*died)(void *arg), void *arg);

/* Idempotent. The struct must stay until the loop has run once more. */
void owner_deaths_close(struct owner_deaths *deaths);

#endif
