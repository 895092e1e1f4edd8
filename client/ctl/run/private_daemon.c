#include "client/ctl/run/private_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/ctl/ctl.h"
#include "client/ctl/print/render.h"

#define READY_TIMEOUT_MS 10000u
#define STOP_TIMEOUT_MS 10000u
#define SAID_MAX 4096 /* bytes of what it said that are told */
#define PROGRAM_SIZE 4096

void private_daemon_init(struct private_daemon *daemon) {
  *daemon = (struct private_daemon){.ready_fd = -1, .said_fd = -1};
}

/* ---- waiting ---- */

static uint64_t now_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* True when it has ended, now or before. */
static bool has_ended(struct private_daemon *daemon) {
  pid_t pid;

  if (daemon->pid == 0)
    return true;
  do
    pid = waitpid(daemon->pid, &daemon->status, WNOHANG);
  while (pid < 0 && errno == EINTR);
  if (pid == 0)
    return false;
  daemon->pid = 0;
  return true;
}

static bool says_ready(int fd) {
  char text[512];
  ssize_t size;

  while ((size = recv(fd, text, sizeof text - 1, MSG_DONTWAIT)) >= 0) {
    text[size] = '\0';
    if (strncmp(text, "READY=1", 7) == 0 || strstr(text, "\nREADY=1"))
      return true;
  }
  return false;
}

/* 0 when it serves, a signal to end by, or CTL_FAILED negated when it ended or takes too long. */
static int wait_ready(struct private_daemon *daemon, struct signals *signals) {
  struct pollfd fds[2] = {{.fd = daemon->ready_fd, .events = POLLIN},
                          {.fd = signals->fd, .events = POLLIN}};
  uint64_t end_ms = now_ms() + READY_TIMEOUT_MS, now;
  bool sent;
  int signal;

  for (now = now_ms(); now < end_ms; now = now_ms()) {
    (void)poll(fds, 2, (int)(end_ms - now)); /* whatever it says, we look */
    if (says_ready(daemon->ready_fd))
      return 0;
    while ((signal = signals_next(signals, &sent)) != 0)
      if (signal != SIGCHLD)
        return signal;
    if (has_ended(daemon))
      return -CTL_FAILED;
  }
  (void)ctl_error("run: fcached does not serve after %u s", READY_TIMEOUT_MS / 1000);
  return -CTL_FAILED;
}

/* Waits for the end, `timeout_ms` at most. */
static bool wait_end(struct private_daemon *daemon, uint64_t timeout_ms) {
  struct timespec pause = {.tv_nsec = 2000000};
  uint64_t end_ms = now_ms() + timeout_ms;

  while (!has_ended(daemon)) {
    if (now_ms() >= end_ms)
      return false;
    (void)nanosleep(&pause, NULL); /* cut short is as good */
  }
  return true;
}

/* ---- starting ---- */

/* The socket that it is to say READY=1 on, as a service manager would have it. */
static int open_ready(struct private_daemon *daemon, char path[PRIVATE_SOCKET_SIZE]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  (void)snprintf(path, PRIVATE_SOCKET_SIZE, "%s/ready", daemon->folder);
  memcpy(address.sun_path, path, strlen(path) + 1);
  daemon->ready_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (daemon->ready_fd < 0 ||
      bind(daemon->ready_fd, (struct sockaddr *)&address, sizeof address) < 0)
    return -errno;
  return 0;
}

/* $FCACHED, else the one beside this program, else the one in PATH. */
static void find_program(char path[PROGRAM_SIZE]) {
  const char *named = getenv("FCACHED");
  ssize_t size = readlink("/proc/self/exe", path, PROGRAM_SIZE - sizeof "fcached");
  char *slash;

  if (named && *named) {
    (void)snprintf(path, PROGRAM_SIZE, "%s", named);
    return;
  }
  path[size > 0 ? size : 0] = '\0';
  slash = strrchr(path, '/');
  if (slash)
    memcpy(slash + 1, "fcached", sizeof "fcached");
  if (!slash || access(path, X_OK) != 0)
    (void)snprintf(path, PROGRAM_SIZE, "fcached");
}

/* In the child: becomes the daemon, or ends with what a shell would say. */
static void become(struct private_daemon *daemon, const struct private_daemon_options *options,
                   struct signals *signals, const char *ready_path, pid_t parent) {
  char program[PROGRAM_SIZE];
  const char *argv[8] = {program, "--socket", daemon->socket};
  size_t n = 3;
  int null_fd = open("/dev/null", O_RDWR);

  if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
      dup2(daemon->said_fd, STDERR_FILENO) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
    _exit(126);
  if (getppid() != parent) /* it died before the kernel was asked to say so */
    _exit(126);
  signals_give_back(signals);
  (void)close_range(3, ~0u, 0); /* an old kernel lacks it; ours are close-on-exec all the same */
  (void)setsid();               /* fails for no child that was just forked */
  if (setenv("NOTIFY_SOCKET", ready_path, 1) < 0)
    _exit(126);
  (void)unsetenv("WATCHDOG_USEC"); /* of a service manager's that is not ours to answer */
  (void)unsetenv("LISTEN_PID");
  (void)unsetenv("LISTEN_FDS");
  find_program(program);
  if (options->max_bytes) {
    argv[n++] = "--max-bytes";
    argv[n++] = options->max_bytes;
  }
  if (options->trace) {
    argv[n++] = "--trace";
    argv[n++] = options->trace;
  }
  (void)execvp(program, (char *const *)(uintptr_t)argv);
  dprintf(STDERR_FILENO, "%s: %s; name the program in $FCACHED\n", program, strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

/* Passed on by lines, without control characters: it repeats what it was given. */
static void print_said(char *said) {
  char clean[SAID_MAX + 1];

  for (char *line; (line = strsep(&said, "\n")) != NULL;)
    if (*line != '\0')
      (void)fprintf(stderr, "%s\n", render_clean(clean, sizeof clean, line));
}

/* What it said last, told as our own error. */
static void tell_said(struct private_daemon *daemon, const char *what) {
  char said[SAID_MAX + 1];
  off_t end = lseek(daemon->said_fd, 0, SEEK_END);
  ssize_t size = 0;

  if (end > 0)
    size = pread(daemon->said_fd, said, SAID_MAX, end > SAID_MAX ? end - SAID_MAX : 0);
  said[size > 0 ? size : 0] = '\0';
  if (WIFSIGNALED(daemon->status))
    (void)ctl_error("run: fcached %s, by signal %d", what, WTERMSIG(daemon->status));
  else
    (void)ctl_error("run: fcached %s, with status %d", what, WEXITSTATUS(daemon->status));
  print_said(said);
}

int private_daemon_start(struct private_daemon *daemon,
                         const struct private_daemon_options *options, struct signals *signals) {
  char ready_path[PRIVATE_SOCKET_SIZE];
  pid_t parent = getpid();
  int result = folder_make(daemon->folder);

  if (result < 0)
    return -ctl_error("run: no private folder in $XDG_RUNTIME_DIR, $TMPDIR or /tmp: %s",
                      strerror(-result));
  (void)snprintf(daemon->socket, sizeof daemon->socket, "%s/socket", daemon->folder);
  result = open_ready(daemon, ready_path);
  if (result < 0)
    return -ctl_error("run: %s: %s", ready_path, strerror(-result));
  daemon->said_fd = memfd_create("fcached-stderr", MFD_CLOEXEC);
  if (daemon->said_fd < 0)
    return -ctl_error("run: no memory file for what fcached says: %s", strerror(errno));
  daemon->pid = fork();
  if (daemon->pid == 0)
    become(daemon, options, signals, ready_path, parent);
  if (daemon->pid < 0) {
    daemon->pid = 0;
    return -ctl_error("run: cannot fork: %s", strerror(errno));
  }
  result = wait_ready(daemon, signals);
  if (result < 0 && daemon->pid == 0) {
    tell_said(daemon, "did not start");
    if (WIFEXITED(daemon->status) && WEXITSTATUS(daemon->status) == CTL_USAGE)
      result = -CTL_USAGE; /* of its options, which are ours */
    daemon->status = 0;
  }
  return result;
}

/* ---- stopping ---- */

static void close_fd(int *fd) {
  if (*fd >= 0)
    (void)close(*fd);
  *fd = -1;
}

void private_daemon_stop(struct private_daemon *daemon) {
  bool early = daemon->pid == 0 || has_ended(daemon);

  if (!early) {
    (void)kill(daemon->pid, SIGTERM);
    if (!wait_end(daemon, STOP_TIMEOUT_MS)) {
      (void)kill(daemon->pid, SIGKILL);
      (void)wait_end(daemon, STOP_TIMEOUT_MS); /* nothing is left to be done if even that fails */
    }
  }
  if (daemon->status != 0 && daemon->said_fd >= 0)
    tell_said(daemon, early ? "ended early" : "did not end well");
  daemon->status = 0;
  close_fd(&daemon->ready_fd);
  close_fd(&daemon->said_fd);
  folder_remove(daemon->folder);
}
