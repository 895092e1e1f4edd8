#include "tests/support/child_process.h"

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/support/harness.h"

#define RUN_TIMEOUT_MS 60000u

static bool become(const struct child_user *user) {
  return setgroups(user->group ? 1 : 0, &user->group) == 0 && setgid(user->gid) == 0 &&
         setuid(user->uid) == 0;
}

pid_t child_start(int (*fn)(void *arg), void *arg, const struct child_user *user) {
  pid_t parent = getpid(), pid;

  (void)fflush(NULL); /* or the child would write buffered output again */
  pid = fork();
  if (pid < 0)
    ck_abort_msg("fork: %s", strerror(errno));
  if (pid > 0)
    return pid;
  if (user && !become(user)) {
    perror("a child cannot become another user");
    _exit(1);
  }
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid, which clears it */
  if (getppid() != parent)
    _exit(1);
  _exit(fn(arg)); /* skips the exit handlers of Check and the parent */
}

int child_run(int (*fn)(void *arg), void *arg, const struct child_user *user) {
  return harness_wait(child_start(fn, arg, user), RUN_TIMEOUT_MS);
}

void *child_shared(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED)
    ck_abort_msg("no shared memory: %s", strerror(errno));
  return memory;
}

void heir_init(struct heir *heir) {
  if (pipe(heir->ready) != 0 || pipe(heir->life) != 0)
    ck_abort_msg("pipe: %s", strerror(errno));
}

bool heir_leave(const struct heir *heir) {
  char byte;
  pid_t pid = fork();

  (void)close(heir->life[1]);
  if (pid == 0) {
    while (read(heir->life[0], &byte, 1) < 0 && errno == EINTR)
      ;
    _exit(0);
  }
  return pid > 0 && write(heir->ready[1], &pid, sizeof pid) == sizeof pid;
}

pid_t heir_pid(const struct heir *heir) {
  pid_t pid;

  if (read(heir->ready[0], &pid, sizeof pid) != sizeof pid)
    ck_abort_msg("no heir: %s", strerror(errno));
  return pid;
}

void heir_end(struct heir *heir, pid_t pid) {
  if (kill(pid, SIGKILL) != 0 || !harness_wait_until(harness_is_gone, &pid, RUN_TIMEOUT_MS))
    ck_abort_msg("the heir %d cannot be ended", (int)pid);
  for (int i = 0; i < 2; i++) {
    (void)close(heir->ready[i]);
    (void)close(heir->life[i]);
  }
}
