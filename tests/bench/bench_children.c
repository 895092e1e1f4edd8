#include "tests/bench/bench_children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECT_TRIES = 2000, CONNECT_STEP_MS = 5, STOP_MS = 5000 };

int child_pin_self(int cpu) {
  static cpu_set_t before; /* as at the start of the program, for example by taskset */
  static bool known;
  cpu_set_t set;
  if (!known && sched_getaffinity(0, sizeof(before), &before) == 0)
    known = true;
  CPU_ZERO(&set);
  if (cpu >= 0)
    CPU_SET((size_t)cpu, &set);
  if (sched_setaffinity(0, sizeof(set), cpu >= 0 ? &set : &before) == 0)
    return 0;
  fprintf(stderr, "bench: cannot pin to CPU %d: %s\n", cpu, strerror(errno));
  return -1;
}

/* In the child: ends with its parent, and has default signals. */
static void settle(pid_t parent, int cpu) {
  sigset_t none;
  sigemptyset(&none);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0 ||
      getppid() != parent || child_pin_self(cpu) != 0)
    _exit(126);
}

static int adopt(struct child *child, const char *name, pid_t pid) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) {
    fprintf(stderr, "bench: cannot watch %s: %s\n", name, strerror(errno));
    (void)kill(pid, SIGKILL); /* a child that was not waited for, so the number is not reused */
    (void)waitpid(pid, NULL, 0);
    return -1;
  }
  child->pid = pid;
  child->pidfd = pidfd;
  child->name = name;
  return 0;
}

int child_fork(struct child *child, const char *name, int cpu, int (*fn)(void *arg), void *arg) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) {
    fprintf(stderr, "bench: cannot fork %s: %s\n", name, strerror(errno));
    return -1;
  }
  if (pid == 0) {
    settle(parent, cpu);
    _exit(fn(arg));
  }
  return adopt(child, name, pid);
}

static void become(const char *log, const char *libraries, const char *const argv[]) {
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
      (libraries != NULL && setenv("LD_LIBRARY_PATH", libraries, 1) != 0))
    _exit(126);
  /* execv changes nothing; its type is older than const */
  execv(argv[0], (char *const *)(uintptr_t)argv);
  fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

int child_start(struct child *child, const char *name, int cpu, const char *dir,
                const char *libraries, const char *const argv[]) {
  (void)snprintf(child->log, sizeof(child->log), "%s/%s.log", dir, name); /* dir is short */
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) {
    fprintf(stderr, "bench: cannot fork for %s: %s\n", name, strerror(errno));
    return -1;
  }
  if (pid == 0) {
    settle(parent, cpu);
    become(child->log, libraries, argv);
  }
  return adopt(child, name, pid);
}

static void show_log(const struct child *child) {
  FILE *log = fopen(child->log, "re");
  if (log == NULL)
    return; /* nothing was written */
  char line[512];
  while (fgets(line, sizeof(line), log) != NULL)
    fprintf(stderr, "  %s: %s", child->name, line);
  (void)fclose(log); /* only read */
}

/* Returns true if it ended within `ms`. */
static bool ended(const struct child *child, int ms) {
  struct pollfd end = {.fd = child->pidfd, .events = POLLIN};
  return poll(&end, 1, ms) > 0;
}

static int connect_once(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
    int error = errno;
    (void)close(fd); /* never connected */
    errno = error;
    fd = -1;
  }
  return fd;
}

int child_connect(const struct child *child, const char *path) {
  for (int i = 0; i < CONNECT_TRIES; i++) {
    int fd = connect_once(path);
    if (fd >= 0)
      return fd;
    if (errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN)
      break;
    if (ended(child, CONNECT_STEP_MS)) {
      fprintf(stderr, "bench: %s exited before it served; its output:\n", child->name);
      show_log(child);
      return -1;
    }
  }
  fprintf(stderr, "bench: %s does not take connections on %s: %s\n", child->name, path,
          strerror(errno));
  show_log(child);
  return -1;
}

void child_stop(struct child *child) {
  if (child->pid == 0)
    return;
  (void)kill(child->pid, SIGTERM); /* not waited for, so the number is not reused */
  if (!ended(child, STOP_MS)) {
    fprintf(stderr, "bench: %s did not end on SIGTERM; killed\n", child->name);
    (void)kill(child->pid, SIGKILL);
  }
  while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  (void)close(child->pidfd); /* nothing to lose */
  child->pid = 0;
}
