/* epoll_watch.h - a descriptor's place among those that the loop's epoll watches. libuv asks for it
 * in the loop's next turn, and aborts where the kernel has none (ENOSPC: fs.epoll.max_user_watches,
 * which counts all processes of a user; ENOMEM). */
#ifndef FC_DAEMON_WATCH_H
#define FC_DAEMON_WATCH_H

#include <uv.h>

/* What to say of a failure. */
#define WATCH_FULL                                                                                 \
  "the kernel watches no more descriptors for this user: raise fs.epoll.max_user_watches"

/* Takes the place of the handle's descriptor: libuv then finds it there. Call it in the same turn
 * as uv_poll_start (after it, which gives the place back first) or whatever else makes libuv watch
 * a stream; libuv gives the place back as it closes the handle, and as an event comes while nothing
 * is wanted of the descriptor. 0, or FC_EREFUSED: then stop or close the handle within the turn. */
int watch_take(const uv_handle_t *handle);

#endif
