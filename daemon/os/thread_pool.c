#include "daemon/os/thread_pool.h"

#include <stdlib.h>

#include "proto/errors.h"

#define STRINGIFIED(number) #number
#define STRING_OF(number) STRINGIFIED(number)

/* Lives until the others are there, so that all of them have been had at once. */
static void wait_for_others(void *arg) {
  uv_mutex_t *held = arg;
  uv_mutex_lock(held);
  uv_mutex_unlock(held);
}

/* 0, or libuv's code. */
static int try_threads(void) {
  uv_thread_t threads[POOL_THREADS];
  uv_mutex_t held;
  unsigned n = 0;
  int rc = uv_mutex_init(&held);
  if (rc < 0)
    return rc;
  uv_mutex_lock(&held);
  for (; rc == 0 && n < POOL_THREADS; n += rc == 0)
    rc = uv_thread_create(&threads[n], wait_for_others, &held);
  uv_mutex_unlock(&held);
  for (unsigned i = 0; i < n; i++)
    (void)uv_thread_join(&threads[i]); /* it was created above, and ends */
  uv_mutex_destroy(&held);
  return rc;
}

static void nothing(uv_work_t *ready) {
  (void)ready;
}

static void done(uv_work_t *ready, int status) {
  (void)ready, (void)status;
}

int pool_start(uv_loop_t *loop, uv_work_t *ready, struct fault *fault) {
  int rc = try_threads();
  if (rc == 0 && setenv("UV_THREADPOOL_SIZE", STRING_OF(POOL_THREADS), 1) < 0)
    rc = UV_ENOMEM;
  if (rc == 0)
    rc = uv_queue_work(loop, ready, nothing, done);
  if (rc == 0)
    return 0;
  return fault_set(fault, FC_EREFUSED,
                   "no threads to write a trace with: %s: raise TasksMax= of the service, the pids "
                   "limit of its control group, or ulimit -u, and restart fcached",
                   uv_strerror(rc));
}
