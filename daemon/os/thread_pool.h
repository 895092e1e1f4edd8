/* thread_pool.h - libuv's thread pool, made at start.
 *
 * libuv makes its threads at the first uv_queue_work, and aborts where one cannot be
 * had. So they are tried first, all at once, and then made while there is nothing to
 * lose. They inherit the caller's signal mask: with the signals blocked that stop the
 * daemon, none of them takes one while no handler is installed. */
#ifndef FC_DAEMON_POOL_H
#define FC_DAEMON_POOL_H

#include <uv.h>

#include "daemon/base/error_text.h"

#define POOL_THREADS 4

/* Starts it, of POOL_THREADS, whatever $UV_THREADPOOL_SIZE says. Returns 0, or FC_EREFUSED with a
 * text that says what to raise; uv_queue_work must then never be called. Once, on the loop's
 * thread, before the loop runs; `ready` is a request that the loop gives back in its first turn,
 * and lives until then. */
int pool_start(uv_loop_t *loop, uv_work_t *ready, struct fault *fault);

#endif
