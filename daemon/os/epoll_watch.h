/* epoll_watch.h - adds a descriptor to the loop's epoll before libuv does.
 *
 * libuv adds it in the loop's next turn and aborts where the kernel refuses: ENOSPC
 * (fs.epoll.max_user_watches, which counts all processes of a user) or ENOMEM. */
#ifndef FC_DAEMON_EPOLL_WATCH_H
#define FC_DAEMON_EPOLL_WATCH_H

#include <uv.h>

/* The text for a failure. */
#define EPOLL_WATCH_FULL                                                                           \
  "the kernel watches no more descriptors for this user: raise fs.epoll.max_user_watches"

/* Adds the handle's descriptor, so that libuv finds it present. Call it in the same loop turn as
 * the libuv call that starts watching the handle, and after uv_poll_start, which removes it first.
 * libuv removes it when it closes the handle, and at an event while no event is requested. Returns
 * 0, or FC_EREFUSED: the caller then stops or closes the handle within the same turn. */
int epoll_watch_add(const uv_handle_t *handle);

#endif
