#include "daemon/os/robust_futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/shm/region_layout.h"

/* As in the region's header: the mutex starts with its futex word. */
union lock {
  pthread_mutex_t mutex;
  _Atomic uint32_t owner;
};

static int refused(struct error_text *error, const char *what, int code) {
  return error_text_set(error, FC_EREFUSED,
                        "no shared memory hits, each hit is a message: cannot test whether the "
                        "kernel marks a dead daemon's lock: %s: %s",
                        what, strerror(code));
}

static int init_lock(union lock *lock) {
  pthread_mutexattr_t attributes;
  int rc = pthread_mutexattr_init(&attributes);
  if (rc != 0)
    return rc;
  rc = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (rc == 0)
    rc = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (rc == 0)
    rc = pthread_mutex_init(&lock->mutex, &attributes);
  (void)pthread_mutexattr_destroy(&attributes); /* cannot fail */
  return rc;
}

/* With SIGCHLD ignored the kernel reaps the child, and waitpid then fails with ECHILD. */
static bool has_ended(pid_t pid) {
  pid_t ended = waitpid(pid, NULL, WNOHANG);
  return ended == pid || (ended < 0 && errno == ECHILD);
}

static bool wait_end(pid_t pid) {
  struct timespec pause = {.tv_nsec = 200000};
  for (unsigned waited_us = 0; waited_us < ROBUST_FUTEX_WAIT_MS * 1000u; waited_us += 200u) {
    if (has_ended(pid))
      return true;
    (void)nanosleep(&pause, NULL); /* an early return is harmless */
  }
  (void)kill(pid, SIGKILL); /* not reaped yet, so the pid is still the child's */
  (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  (void)has_ended(pid); /* a child that hangs in the kernel holds none of our resources */
  return false;
}

/* Runs the child and checks the mark on its lock. */
static int test_lock(union lock *lock, struct error_text *error) {
  pid_t pid = fork();
  if (pid < 0)
    return refused(error, "fork (raise TasksMax= or ulimit -u)", errno);
  if (pid == 0)
    _exit(pthread_mutex_lock(&lock->mutex) == 0 ? 0 : 1); /* exits with the lock held */
  if (!wait_end(pid))
    return refused(error, "a child process that does not exit", ETIMEDOUT);
  /* Acquire: the stores of the child and of the kernel came before its exit was reported. */
  uint32_t owner = atomic_load_explicit(&lock->owner, memory_order_acquire);
  if ((owner & FUTEX_OWNER_DIED) != 0 && (owner & FC_REGION_TID_MASK) == 0)
    return 0;
  return error_text_set(error, FC_EREFUSED,
                        "no shared memory hits, each hit is a message: the kernel does not mark a "
                        "dead process's lock (an emulator or a sandbox without robust futexes), so "
                        "clients would read a dead daemon's values");
}

int robust_futex_check(struct error_text *error) {
  union lock *lock =
      mmap(NULL, sizeof *lock, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (lock == MAP_FAILED)
    return refused(error, "shared memory", errno);
  int rc = init_lock(lock);
  rc = rc != 0 ? refused(error, "a robust mutex", rc) : test_lock(lock, error);
  (void)munmap(lock, sizeof *lock); /* it was mapped above */
  return rc;
}
