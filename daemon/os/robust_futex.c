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

/* As in the region's header: the C library keeps the futex word first. */
union lock {
  pthread_mutex_t mutex;
  _Atomic uint32_t owner;
};

static int refused(struct fault *why, const char *what, int error) {
  return fault_set(why, FC_EREFUSED,
                   "clients cannot read the cache themselves, and ask for each value: it could not "
                   "be proved that the kernel marks a dead daemon's lock: %s: %s",
                   what, strerror(error));
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
  (void)pthread_mutexattr_destroy(&attributes); /* holds nothing */
  return rc;
}

/* True when the child has ended. With SIGCHLD ignored the kernel reaps it, and waitpid says ECHILD
 * once it has. */
static bool has_ended(pid_t pid) {
  pid_t ended = waitpid(pid, NULL, WNOHANG);
  return ended == pid || (ended < 0 && errno == ECHILD);
}

static bool wait_end(pid_t pid) {
  struct timespec pause = {.tv_nsec = 200000};
  for (unsigned waited_us = 0; waited_us < ROBUST_WAIT_MS * 1000u; waited_us += 200u) {
    if (has_ended(pid))
      return true;
    (void)nanosleep(&pause, NULL); /* cut short is as good */
  }
  (void)kill(pid, SIGKILL); /* our own child, not waited for: the pid is its own */
  (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  (void)has_ended(pid); /* one that hangs in the kernel stays, and holds nothing of ours */
  return false;
}

/* Runs the child, and judges its lock. */
static int try_lock(union lock *lock, struct fault *why) {
  pid_t pid = fork();
  if (pid < 0)
    return refused(why, "fork (raise TasksMax= or ulimit -u)", errno);
  if (pid == 0)
    _exit(pthread_mutex_lock(&lock->mutex) == 0 ? 0 : 1); /* not unlocked: that is the test */
  if (!wait_end(pid))
    return refused(why, "a child process that only exits", ETIMEDOUT);
  /* Acquire: the child's stores, and the kernel's, were made before it could be waited for. */
  uint32_t owner = atomic_load_explicit(&lock->owner, memory_order_acquire);
  if ((owner & FUTEX_OWNER_DIED) != 0 && (owner & FC_REGION_TID_MASK) == 0)
    return 0;
  return fault_set(why, FC_EREFUSED,
                   "clients cannot read the cache themselves, and ask for each value: the kernel "
                   "does not mark a dead process's lock here (robust futexes: an emulator or a "
                   "sandbox leaves them out), so they would read a dead daemon's values");
}

int robust_prove(struct fault *why) {
  union lock *lock =
      mmap(NULL, sizeof *lock, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (lock == MAP_FAILED)
    return refused(why, "shared memory", errno);
  int rc = init_lock(lock);
  rc = rc != 0 ? refused(why, "a robust mutex", rc) : try_lock(lock, why);
  (void)munmap(lock, sizeof *lock); /* it was mapped above */
  return rc;
}
