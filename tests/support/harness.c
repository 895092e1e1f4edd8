#include "tests/support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX 62
#define START_TIMEOUT_MS 20000
#define STOP_TIMEOUT_MS 20000
#define RUN_TIMEOUT_MS 60000
#define ROOT_VARIABLE                                                                              \
  "FCACHE_TEST_ROOT" /* passes the directory to the tests, which are child processes */

/* ---- directories ---- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
  (void)status, (void)kind, (void)walk;
  return remove(path);
}

int harness_main(Suite *suite) {
  char root[] = "/tmp/fct-XXXXXX"; /* short: sockets below it must fit in an address */
  SRunner *runner;
  int failed;

  if (!mkdtemp(root)) {
    perror("a private directory for the tests in /tmp");
    return EXIT_FAILURE;
  }
  (void)setenv(ROOT_VARIABLE, root, 1);
  runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

const char *harness_fcached(void) {
  const char *path = getenv("FCACHED");

  return path && *path ? path : "build/fcached";
}

const char *harness_fcachectl(void) {
  const char *path = getenv("FCACHECTL");

  return path && *path ? path : "build/fcachectl";
}

void harness_make_dir(char path[HARNESS_PATH_SIZE]) {
  const char *root = getenv(ROOT_VARIABLE);

  if (!root)
    ck_abort_msg("the program must run its suite with harness_main");
  snprintf(path, HARNESS_PATH_SIZE, "%s/XXXXXX", root);
  if (!mkdtemp(path))
    ck_abort_msg("cannot create a directory below %s: %s", root, strerror(errno));
}

char *harness_read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "re");
  char *text = NULL;
  size_t used = 0, got;

  if (!file)
    return NULL;
  do {
    text = realloc(text, used + 65537);
    if (!text)
      ck_abort_msg("out of memory over %s", path);
    got = fread(text + used, 1, 65536, file);
    used += got;
  } while (got > 0);
  (void)fclose(file); /* only read */
  text[used] = '\0';
  if (size)
    *size = used;
  return text;
}

/* ---- waiting ---- */

uint64_t harness_now_ns(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void harness_outlive_tick(void) {
  uint64_t start_ns = harness_now_ns();
  while (harness_now_ns() - start_ns < 2 * UINT64_C(10000000))
    (void)sched_yield();
}

bool harness_wait_until(bool (*condition)(void *arg), void *arg, unsigned timeout_ms) {
  uint64_t end_ns = harness_now_ns() + timeout_ms * UINT64_C(1000000);
  struct timespec pause = {.tv_nsec = 2000000};

  while (!condition(arg)) {
    if (harness_now_ns() >= end_ns)
      return false;
    (void)nanosleep(&pause, NULL); /* an early return is harmless */
  }
  return true;
}

/* Returns the state letter of /proc/PID/stat, or 'X' if there is no such process. */
static char state_of(pid_t pid) {
  char path[64], *text, *name_end, state = 'X';

  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  text = harness_read_file(path, NULL);
  name_end = text ? strrchr(text, ')') : NULL;
  if (name_end && name_end[1] == ' ')
    state = name_end[2];
  free(text);
  return state;
}

bool harness_is_gone(void *pid_t_pointer) {
  char state = state_of(*(pid_t *)pid_t_pointer);

  return state == 'Z' || state == 'X';
}

static bool stands_still(void *pid_t_pointer) {
  return state_of(*(pid_t *)pid_t_pointer) == 'T';
}

struct ending {
  pid_t pid;
  int status;
};

static bool has_ended(void *arg) {
  struct ending *ending = arg;

  return waitpid(ending->pid, &ending->status, WNOHANG) != 0;
}

int harness_wait(pid_t pid, unsigned timeout_ms) {
  struct ending ending = {.pid = pid};

  if (!harness_wait_until(has_ended, &ending, timeout_ms)) {
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    ck_abort_msg("process %d did not end within %u ms", (int)pid, timeout_ms);
  }
  return WIFSIGNALED(ending.status) ? 128 + WTERMSIG(ending.status) : WEXITSTATUS(ending.status);
}

/* ---- commands ---- */

/* Prepares the child: it inherits no descriptor of the test. */
static void become(const char *const argv[], char **environment, int out_fd, int err_fd,
                   pid_t parent) {
  int null_fd = open("/dev/null", O_RDWR);

  (void)dup2(null_fd, STDIN_FILENO);
  (void)dup2(out_fd < 0 ? null_fd : out_fd, STDOUT_FILENO);
  (void)dup2(err_fd < 0 ? null_fd : err_fd, STDERR_FILENO);
  for (int fd = 3; fd < 256; fd++)
    (void)close(fd);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(127);
  (void)execvpe(argv[0], (char *const *)(uintptr_t)argv, environment);
  dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

static pid_t spawn(const char *const argv[], char **environment, int out_fd, int err_fd) {
  pid_t parent = getpid(), pid = fork();

  if (pid < 0)
    ck_abort_msg("fork: %s", strerror(errno));
  if (pid == 0)
    become(argv, environment, out_fd, err_fd, parent);
  return pid;
}

pid_t harness_spawn(const char *const argv[], int out_fd, int err_fd) {
  return spawn(argv, environ, out_fd, err_fd);
}

/* Does as harness_spawn, with one more variable ("NAME=VALUE"). The test's own environment does not
 * change, because a client in another thread of it may read it at the moment. */
static pid_t spawn_with(const char *const argv[], char *variable, int out_fd, int err_fd) {
  size_t n = 0;
  while (environ[n] != NULL)
    n++;
  char **environment = calloc(n + 2, sizeof *environment);
  if (environment == NULL)
    ck_abort_msg("out of memory");
  environment[0] = variable;
  memcpy(environment + 1, environ, n * sizeof *environment);
  pid_t pid = spawn(argv, environment, out_fd, err_fd);
  free(environment);
  return pid;
}

/* Reads and closes a memory file. */
static void collect(int fd, char **text) {
  char path[64];

  if (text) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    *text = harness_read_file(path, NULL); /* a new descriptor reads from the start */
    if (!*text)
      ck_abort_msg("cannot read back a command's output: %s", strerror(errno));
  }
  (void)close(fd);
}

int harness_run(const char *const argv[], char **out, char **err) {
  int out_fd = memfd_create("stdout", MFD_CLOEXEC), err_fd = memfd_create("stderr", MFD_CLOEXEC);
  int status;

  if (out_fd < 0 || err_fd < 0)
    ck_abort_msg("memfd_create: %s", strerror(errno));
  status = harness_wait(harness_spawn(argv, out_fd, err_fd), RUN_TIMEOUT_MS);
  collect(out_fd, out);
  collect(err_fd, err);
  return status;
}

/* ---- daemons ---- */

static void place(struct daemon *daemon) {
  if (daemon->dir[0])
    return;
  harness_make_dir(daemon->dir);
  snprintf(daemon->socket, sizeof daemon->socket, "%.90s/s", daemon->dir);
  snprintf(daemon->log, sizeof daemon->log, "%.90s/log", daemon->dir);
}

/* Where the daemon says READY=1, as to a service manager: it then serves, and
 * handles signals, and unlike a connection this leaves no trace in its counters. */
static int open_ready(struct daemon *daemon, char path[HARNESS_PATH_SIZE]) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  snprintf(path, HARNESS_PATH_SIZE, "%.90s/ready", daemon->dir);
  memcpy(address.sun_path, path, strlen(path) + 1);
  (void)unlink(path); /* from a former start */
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
    ck_abort_msg("no socket at %s: %s", path, strerror(errno));
  return fd;
}

struct start {
  struct daemon *daemon;
  int ready_fd;
};

/* Returns true once the daemon serves or has died. */
static bool has_started(void *arg) {
  struct start *start = arg;
  char text[256];
  ssize_t size = recv(start->ready_fd, text, sizeof text - 1, 0);

  if (size > 0 && strncmp(text, "READY=1", 7) == 0)
    return true;
  if (waitpid(start->daemon->pid, NULL, WNOHANG) == 0)
    return false;
  start->daemon->pid = 0;
  return true;
}

static void wait_started(struct start *start) {
  struct daemon *daemon = start->daemon;
  bool started = harness_wait_until(has_started, start, START_TIMEOUT_MS);

  (void)close(start->ready_fd);
  if (!started)
    ck_abort_msg("fcached does not serve on %s after %d ms", daemon->socket, START_TIMEOUT_MS);
  if (daemon->pid == 0)
    ck_abort_msg("fcached ended instead of serving: %s", harness_log(daemon));
}

void harness_start(struct daemon *daemon, ...) {
  const char *argv[ARGS_MAX + 2];
  char ready[HARNESS_PATH_SIZE], variable[HARNESS_PATH_SIZE + 16];
  struct start start = {.daemon = daemon};
  size_t n = 0;
  va_list args;
  int log_fd;

  place(daemon);
  argv[n++] = harness_fcached();
  argv[n++] = "--socket";
  argv[n++] = daemon->socket;
  va_start(args, daemon);
  while (n < ARGS_MAX && (argv[n] = va_arg(args, const char *)) != NULL)
    n++;
  va_end(args);
  argv[n] = NULL;

  start.ready_fd = open_ready(daemon, ready);
  (void)snprintf(variable, sizeof variable, "NOTIFY_SOCKET=%s", ready);
  log_fd = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  daemon->pid = spawn_with(argv, variable, log_fd, log_fd);
  (void)close(log_fd);
  wait_started(&start);
}

int harness_stop(struct daemon *daemon) {
  pid_t pid = daemon->pid;

  if (pid == 0)
    return 0;
  daemon->pid = 0;
  /* A test may have stopped it. First, because a SIGCONT that comes while the leak sanitizer's
   * tracer attaches at exit swallows the tracer's SIGSTOP, and both wait for ever. */
  (void)kill(pid, SIGCONT);
  (void)kill(pid, SIGTERM);
  return harness_wait(pid, STOP_TIMEOUT_MS);
}

void harness_kill9(struct daemon *daemon) {
  pid_t pid = daemon->pid;

  if (pid == 0)
    return;
  daemon->pid = 0;
  (void)kill(pid, SIGKILL);
  (void)harness_wait(pid, STOP_TIMEOUT_MS);
}

bool harness_freeze(const struct daemon *daemon) {
  pid_t pid = daemon->pid;

  return kill(pid, SIGSTOP) == 0 && harness_wait_until(stands_still, &pid, STOP_TIMEOUT_MS);
}

char *harness_log(const struct daemon *daemon) {
  char *text = harness_read_file(daemon->log, NULL);

  if (!text)
    ck_abort_msg("no log at %s", daemon->log);
  return text;
}

bool harness_log_has(const struct daemon *daemon, const char *text) {
  char *log = harness_log(daemon);
  bool found = strstr(log, text) != NULL;

  free(log);
  return found;
}

bool harness_exists(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0;
}
