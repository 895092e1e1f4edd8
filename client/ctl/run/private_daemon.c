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

#include "client/ctl/print/text.h"
#include "client/ctl/report.h"
#include "client/ctl/run/sibling.h"

#define READY_TIMEOUT_MS 10000u
#define STOP_TIMEOUT_MS 10000u
#define STDERR_MAX 4096 /* bytes of the daemon's stderr that are printed */

void private_daemon_init(struct private_daemon *daemon) {
  *daemon = (struct private_daemon){.ready_fd = -1, .stderr_fd = -1};
}

/* ---- waiting ---- */

static uint64_t now_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reaps the daemon if it has exited. Returns true if it is reaped, now or before. */
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

static bool received_ready(int fd) {
  char text[512];
  ssize_t size;

  while ((size = recv(fd, text, sizeof text - 1, MSG_DONTWAIT)) >= 0) {
    text[size] = '\0';
    if (strncmp(text, "READY=1", 7) == 0 || strstr(text, "\nREADY=1"))
      return true;
  }
  return false;
}

/* Returns 0 once the daemon serves, a signal that came first, or -CTL_FAILED if it exited or takes
 * too long. */
static int wait_ready(struct private_daemon *daemon, struct signals *signals) {
  struct pollfd fds[2] = {{.fd = daemon->ready_fd, .events = POLLIN},
                          {.fd = signals->fd, .events = POLLIN}};
  uint64_t end_ms = now_ms() + READY_TIMEOUT_MS, now;
  bool sent;
  int signal;

  for (now = now_ms(); now < end_ms; now = now_ms()) {
    (void)poll(fds, 2, (int)(end_ms - now)); /* any result: check all three */
    if (received_ready(daemon->ready_fd))
      return 0;
    while ((signal = signals_next(signals, &sent)) != 0)
      if (signal != SIGCHLD)
        return signal;
    if (has_ended(daemon))
      return -CTL_FAILED;
  }
  (void)report_error("run: fcached did not start within %u s", READY_TIMEOUT_MS / 1000);
  return -CTL_FAILED;
}

/* Waits until the daemon has exited, `timeout_ms` at most. */
static bool wait_end(struct private_daemon *daemon, uint64_t timeout_ms) {
  struct timespec pause = {.tv_nsec = 2000000};
  uint64_t end_ms = now_ms() + timeout_ms;

  while (!has_ended(daemon)) {
    if (now_ms() >= end_ms)
      return false;
    (void)nanosleep(&pause, NULL); /* an early return is harmless */
  }
  return true;
}

/* ---- starting ---- */

/* Opens the socket for READY=1, as a service manager does. */
static int open_ready(struct private_daemon *daemon, char path[PRIVATE_SOCKET_SIZE]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  (void)snprintf(path, PRIVATE_SOCKET_SIZE, "%s/ready", daemon->directory);
  memcpy(address.sun_path, path, strlen(path) + 1);
  daemon->ready_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (daemon->ready_fd < 0 ||
      bind(daemon->ready_fd, (struct sockaddr *)&address, sizeof address) < 0)
    return -errno;
  return 0;
}

/* Finds $FCACHED, else fcached beside this program, else in PATH. */
static void find_program(char path[SIBLING_SIZE]) {
  const char *named = getenv("FCACHED");

  if (named && *named)
    (void)snprintf(path, SIBLING_SIZE, "%s", named);
  else if (!sibling_find("fcached", path))
    (void)snprintf(path, SIBLING_SIZE, "fcached");
}

/* Executes the daemon in the child, or exits with a shell's status for the failure. */
static void exec_daemon(struct private_daemon *daemon, const struct private_daemon_options *options,
                        struct signals *signals, const char *ready_path, pid_t parent) {
  char program[SIBLING_SIZE];
  /* Without the files of the machine's daemon or the user's: it would get the size of a service. */
  const char *argv[10] = {program, "--config", "none", "--socket", daemon->socket};
  size_t n = 5;
  int null_fd = open("/dev/null", O_RDWR);

  if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
      dup2(daemon->stderr_fd, STDERR_FILENO) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
    _exit(126);
  if (getppid() != parent) /* the parent died before prctl */
    _exit(126);
  signals_restore(signals);
  (void)close_range(3, ~0u, 0); /* fails on an old kernel; all are close-on-exec anyway */
  (void)setsid();               /* cannot fail after fork */
  if (setenv("NOTIFY_SOCKET", ready_path, 1) < 0)
    _exit(126);
  (void)unsetenv("WATCHDOG_USEC"); /* of this process's service manager */
  (void)unsetenv("LISTEN_PID");
  (void)unsetenv("LISTEN_FDS");
  (void)unsetenv("STATE_DIRECTORY");
  (void)unsetenv("LOGS_DIRECTORY");
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

/* Prints the lines without control characters, as they repeat arguments. */
static void print_lines(char *text) {
  char clean[STDERR_MAX + 1];

  for (char *line; (line = strsep(&text, "\n")) != NULL;)
    if (*line != '\0')
      (void)fprintf(stderr, "%s\n", text_clean(clean, sizeof clean, line));
}

/* Reports the exit and prints the end of the daemon's stderr. */
static void report_stderr(struct private_daemon *daemon, const char *what) {
  char text[STDERR_MAX + 1];
  off_t end = lseek(daemon->stderr_fd, 0, SEEK_END);
  ssize_t size = 0;

  if (end > 0)
    size = pread(daemon->stderr_fd, text, STDERR_MAX, end > STDERR_MAX ? end - STDERR_MAX : 0);
  text[size > 0 ? size : 0] = '\0';
  if (WIFSIGNALED(daemon->status))
    (void)report_error("run: fcached %s: killed by signal %d", what, WTERMSIG(daemon->status));
  else
    (void)report_error("run: fcached %s: exit status %d", what, WEXITSTATUS(daemon->status));
  print_lines(text);
}

int private_daemon_start(struct private_daemon *daemon,
                         const struct private_daemon_options *options, struct signals *signals) {
  char ready_path[PRIVATE_SOCKET_SIZE];
  pid_t parent = getpid();
  int result = temp_dir_create(daemon->directory);

  if (result < 0)
    return -report_error("run: no private directory in $XDG_RUNTIME_DIR, $TMPDIR or /tmp: %s",
                         strerror(-result));
  (void)snprintf(daemon->socket, sizeof daemon->socket, "%s/socket", daemon->directory);
  result = open_ready(daemon, ready_path);
  if (result < 0)
    return -report_error("run: %s: %s", ready_path, strerror(-result));
  daemon->stderr_fd = memfd_create("fcached-stderr", MFD_CLOEXEC);
  if (daemon->stderr_fd < 0)
    return -report_error("run: cannot create a memory file: %s", strerror(errno));
  daemon->pid = fork();
  if (daemon->pid == 0)
    exec_daemon(daemon, options, signals, ready_path, parent);
  if (daemon->pid < 0) {
    daemon->pid = 0;
    return -report_error("run: cannot fork: %s", strerror(errno));
  }
  result = wait_ready(daemon, signals);
  if (result < 0 && daemon->pid == 0) {
    report_stderr(daemon, "did not start");
    if (WIFEXITED(daemon->status) && WEXITSTATUS(daemon->status) == CTL_USAGE)
      result = -CTL_USAGE; /* its options are this command's */
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
      (void)wait_end(daemon, STOP_TIMEOUT_MS); /* if SIGKILL fails, nothing else helps */
    }
  }
  if (daemon->status != 0 && daemon->stderr_fd >= 0)
    report_stderr(daemon, early ? "exited early" : "did not stop cleanly");
  daemon->status = 0;
  close_fd(&daemon->ready_fd);
  close_fd(&daemon->stderr_fd);
  temp_dir_remove(daemon->directory);
}
