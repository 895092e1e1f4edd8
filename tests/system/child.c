#include "tests/system/child.h"

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/system/harness.h"

#define RUN_TIMEOUT_MS 60000u

static bool become(const struct child_user *user) {
  return setgroups(user->group ? 1 : 0, &user->group) == 0 && setgid(user->gid) == 0 &&
         setuid(user->uid) == 0;
}

pid_t child_start(int (*fn)(void *arg), void *arg, const struct child_user *user) {
  pid_t parent = getpid(), pid;

  (void)fflush(NULL); /* else the child might write it once more */
  pid = fork();
  if (pid < 0)
    ck_abort_msg("fork: %s", strerror(errno));
  if (pid > 0)
    return pid;
  if (user && !become(user)) {
    perror("a child cannot become another user");
    _exit(1);
  }
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid, which undoes it */
  if (getppid() != parent)
    _exit(1);
  _exit(fn(arg)); /* neither Check's nor the parent's exit handlers */
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
