#include "daemon/os/thread_pool.h"

#include <stdlib.h>

#include "proto/errors.h"

#define STRINGIFIED(number) #number
#define STRING_OF(number) STRINGIFIED(number)

/* Keeps the thread alive until all threads exist. */
static void wait_for_others(void *arg) {
  uv_mutex_t *held = arg;
  uv_mutex_lock(held);
  uv_mutex_unlock(held);
}

/* Creates and ends all threads. Returns 0 or libuv's error. */
static int test_threads(void) {
  uv_thread_t threads[THREAD_POOL_SIZE];
  uv_mutex_t held;
  unsigned n = 0;
  int rc = uv_mutex_init(&held);
  if (rc < 0)
    return rc;
  uv_mutex_lock(&held);
  for (; rc == 0 && n < THREAD_POOL_SIZE; n += rc == 0)
    rc = uv_thread_create(&threads[n], wait_for_others, &held);
  uv_mutex_unlock(&held);
  for (unsigned i = 0; i < n; i++)
    (void)uv_thread_join(&threads[i]); /* created above */
  uv_mutex_destroy(&held);
  return rc;
}

static void do_nothing(uv_work_t *ready) {
  (void)ready;
}

static void done(uv_work_t *ready, int status) {
  (void)ready, (void)status;
}

int thread_pool_start(uv_loop_t *loop, uv_work_t *ready, struct error_text *error) {
  int rc = test_threads();
  if (rc == 0 && setenv("UV_THREADPOOL_SIZE", STRING_OF(THREAD_POOL_SIZE), 1) < 0)
    rc = UV_ENOMEM;
  if (rc == 0)
    rc = uv_queue_work(loop, ready, do_nothing, done);
  if (rc == 0)
    return 0;
  return error_text_set(error, FC_EREFUSED,
                        "cannot create the threads that write the trace: %s: raise TasksMax= of "
                        "the service, the pids limit of its control group, or ulimit -u, and "
                        "restart fcached",
                        uv_strerror(rc));
}
