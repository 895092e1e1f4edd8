/* thread_pool.h - creates libuv's thread pool at start.
 *
 * libuv creates its threads at the first uv_queue_work and aborts where that fails. So
 * thread_pool_start tests first that they can all exist at once. The threads inherit the caller's
 * signal mask: block SIGTERM, SIGINT and SIGHUP, or a thread would take one while no handler is
 * installed. */
#ifndef FC_DAEMON_THREAD_POOL_H
#define FC_DAEMON_THREAD_POOL_H

#include <uv.h>

#include "daemon/base/error_text.h"

#define THREAD_POOL_SIZE 4

/* Starts THREAD_POOL_SIZE threads; $UV_THREADPOOL_SIZE is overridden. Call once, on the loop's
 * thread, before the loop runs. `ready` is a request that completes in the loop's first turn and
 * must live until then. Returns 0, or FC_EREFUSED with a text that names the limit to raise: then
 * never call uv_queue_work. */
int thread_pool_start(uv_loop_t *loop, uv_work_t *ready, struct error_text *error);

#endif
