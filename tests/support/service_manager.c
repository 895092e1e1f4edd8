#include "tests/support/service_manager.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 62
#define FIRST_FD 3
#define MESSAGE_FDS_MAX 253 /* the kernel's SCM_MAX_FD */
#define MESSAGE_MAX 4096
#define START_TIMEOUT_MS 20000
#define MIGRATION_TIMEOUT_MS 60000
#define BLOCK_BYTES 512u /* of st_blocks */
#define BACKLOG 1024     /* as in systemd/fcached.socket */

static void lock(struct service_manager *manager) {
  if (pthread_mutex_lock(&manager->lock) != 0)
    ck_abort_msg("a mutex cannot be locked");
}

static void unlock(struct service_manager *manager) {
  if (pthread_mutex_unlock(&manager->lock) != 0)
    ck_abort_msg("a mutex cannot be unlocked");
}

/* ---- the store; the caller holds the lock ---- */

/* Where kcmp(2) is missing, no two descriptors are the same. */
static bool is_same_file(int a, int b) {
  pid_t pid = getpid();
  return syscall(SYS_kcmp, pid, pid, KCMP_FILE, (long)a, (long)b) == 0;
}

/* Takes the descriptor. */
static void add(struct service_manager *manager, const char *name, int fd) {
  bool is_full =
      manager->n_stored >= manager->store_max || manager->n_stored >= SERVICE_MANAGER_STORE_MAX;
  bool is_known = false;
  for (unsigned i = 0; i < manager->n_stored && !is_full; i++)
    is_known = is_known || is_same_file(manager->stored[i].fd, fd);
  if (is_full || is_known) {
    manager->n_dropped += is_full;
    (void)close(fd);
    return;
  }
  struct stored_fd *stored = &manager->stored[manager->n_stored++];
  stored->fd = fd;
  (void)snprintf(stored->name, sizeof stored->name, "%s", name);
}

static void drop(struct service_manager *manager, const char *name) {
  unsigned kept = 0;
  for (unsigned i = 0; i < manager->n_stored; i++) {
    if (name == NULL || strcmp(manager->stored[i].name, name) == 0)
      (void)close(manager->stored[i].fd);
    else
      manager->stored[kept++] = manager->stored[i];
  }
  manager->n_stored = kept;
}

/* ---- messages ---- */

/* Returns the value of the line "FIELD=VALUE", cut to `size`, or NULL. */
static const char *find_line(const char *text, const char *field, char *value, size_t size) {
  size_t length = strlen(field);
  for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, field, length) != 0 || line[length] != '=')
      continue;
    (void)snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
    return value;
  }
  return NULL;
}

static bool says(const char *text, const char *field) {
  char value[8];
  return find_line(text, field, value, sizeof value) != NULL && strcmp(value, "1") == 0;
}

static bool is_valid_name(const char *name) {
  for (const char *at = name; *at != '\0'; at++)
    if (*at < ' ' || *at > '~' || *at == ':')
      return false;
  return strlen(name) < SERVICE_MANAGER_NAME_SIZE;
}

/* Takes the descriptors. */
static void apply(struct service_manager *manager, const char *text, const int *fds, size_t n) {
  char name[MESSAGE_MAX], value[64];
  bool has_name = find_line(text, "FDNAME", name, sizeof name) != NULL && is_valid_name(name);
  manager->n_messages++;
  manager->n_extended +=
      find_line(text, "EXTEND_TIMEOUT_USEC", value, sizeof value) != NULL ? 1 : 0;
  manager->stopping = manager->stopping || says(text, "STOPPING");
  if (says(text, "READY") && !manager->ready) {
    manager->ready = true;
    manager->ready_ns = harness_now_ns();
  }
  if (says(text, "FDSTOREREMOVE") && has_name)
    drop(manager, name);
  for (size_t i = 0; i < n; i++) {
    if (says(text, "FDSTORE"))
      add(manager, has_name ? name : "stored", fds[i]);
    else
      (void)close(fds[i]);
  }
}

/* Reads one message. Returns false if there is none. */
static bool read_message(struct service_manager *manager) {
  char text[MESSAGE_MAX + 1];
  union {
    char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
    struct cmsghdr align;
  } control;
  struct iovec piece = {.iov_base = text, .iov_len = MESSAGE_MAX};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t size = recvmsg(manager->notify_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  int fds[MESSAGE_FDS_MAX];
  size_t n = 0;
  if (size < 0)
    return false;
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    ck_abort_msg("a message to the service manager was cut");
  text[size] = '\0';
  for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(part), n * sizeof(int));
  }
  apply(manager, text, fds, n);
  return true;
}

static void read_messages(struct service_manager *manager) {
  lock(manager);
  while (read_message(manager))
    ;
  unlock(manager);
}

static void *run(void *arg) {
  struct service_manager *manager = arg;
  struct pollfd polled[] = {{.fd = manager->notify_fd, .events = POLLIN},
                            {.fd = manager->stop_fd, .events = POLLIN}};
  while (polled[1].revents == 0) {
    if (poll(polled, 2, -1) > 0)
      read_messages(manager);
  }
  return NULL;
}

/* ---- begin and end ---- */

static int open_socket(const char *path, int type) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  memcpy(address.sun_path, path, strlen(path) + 1);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
      (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
    ck_abort_msg("no socket at %s: %s", path, strerror(errno));
  return fd;
}

void service_manager_init(struct service_manager *manager) {
  struct daemon *daemon = &manager->daemon;
  *manager = (struct service_manager){.store_max = SERVICE_MANAGER_STORE_MAX};
  harness_make_dir(daemon->dir);
  (void)snprintf(daemon->socket, sizeof daemon->socket, "%.90s/s", daemon->dir);
  (void)snprintf(daemon->log, sizeof daemon->log, "%.90s/log", daemon->dir);
  (void)snprintf(manager->notify_path, HARNESS_PATH_SIZE, "%.90s/notify", daemon->dir);
  manager->listen_fd = open_socket(daemon->socket, SOCK_STREAM);
  manager->notify_fd = open_socket(manager->notify_path, SOCK_DGRAM);
  manager->stop_fd = eventfd(0, EFD_CLOEXEC);
  manager->stored = calloc(SERVICE_MANAGER_STORE_MAX, sizeof *manager->stored);
  if (manager->stored == NULL || manager->stop_fd < 0 ||
      pthread_mutex_init(&manager->lock, NULL) != 0 ||
      pthread_create(&manager->thread, NULL, run, manager) != 0)
    ck_abort_msg("no service manager: %s", strerror(errno));
}

void service_manager_deinit(struct service_manager *manager) {
  if (manager->stored == NULL)
    return;
  service_manager_kill9(manager);
  if (eventfd_write(manager->stop_fd, 1) < 0 || pthread_join(manager->thread, NULL) != 0)
    ck_abort_msg("the service manager's thread does not end");
  drop(manager, NULL);
  (void)close(manager->listen_fd);
  (void)close(manager->notify_fd);
  (void)close(manager->stop_fd);
  (void)pthread_mutex_destroy(&manager->lock);
  free(manager->stored);
  manager->stored = NULL;
}

/* ---- a daemon ---- */

/* What the child needs. Made before the fork: between fork and exec another thread's lock may be
 * held for ever, so the child allocates nothing. */
struct launch {
  const char *argv[ARGS_MAX + 2];
  char **environment;
  char listen_pid[32]; /* a line of the environment */
  int *fds;            /* the socket and the stored descriptors, newest first */
  unsigned n;
  int log_fd;
  pid_t parent;
};

/* Moves the descriptors out of the way, and then to their places. Needs twice as many numbers. */
static bool place_descriptors(struct launch *launch) {
  struct rlimit former, raised;
  int above = FIRST_FD + (int)launch->n;
  if (getrlimit(RLIMIT_NOFILE, &former) < 0)
    return false;
  raised = (struct rlimit){former.rlim_max, former.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
    return false;
  for (unsigned i = 0; i < launch->n; i++) {
    launch->fds[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, above);
    if (launch->fds[i] < 0)
      return false;
  }
  for (unsigned i = 0; i < launch->n; i++) /* the copies have no FD_CLOEXEC */
    if (dup2(launch->fds[i], FIRST_FD + (int)i) < 0)
      return false;
  return close_range((unsigned)above, ~0u, 0) == 0 && setrlimit(RLIMIT_NOFILE, &former) == 0;
}

/* Formats "LISTEN_PID=N" without stdio, which may hold a lock. */
static void write_pid(char text[32], pid_t pid) {
  char digits[16];
  int n = 0, at = (int)strlen("LISTEN_PID=");
  memcpy(text, "LISTEN_PID=", (size_t)at);
  for (; pid > 0; pid /= 10)
    digits[n++] = (char)('0' + pid % 10);
  while (n > 0)
    text[at++] = digits[--n];
  text[at] = '\0';
}

static void become(struct launch *launch) {
  int null_fd = open("/dev/null", O_RDWR);
  write_pid(launch->listen_pid, getpid());
  if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(launch->log_fd, STDOUT_FILENO) < 0 ||
      dup2(launch->log_fd, STDERR_FILENO) < 0 || !place_descriptors(launch))
    _exit(127);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != launch->parent)
    _exit(127);
  (void)execve(launch->argv[0], (char *const *)(uintptr_t)launch->argv, launch->environment);
  _exit(127);
}

/* Formats "NAMEVALUE". The caller frees it. */
static char *join(const char *name, const char *value) {
  char *line;
  if (asprintf(&line, "%s%s", name, value) < 0)
    ck_abort_msg("out of memory");
  return line;
}

/* Joins "socket:NAME:NAME". The caller holds the lock. */
static char *join_names(const struct service_manager *manager) {
  size_t size = 64 + (size_t)manager->n_stored * (SERVICE_MANAGER_NAME_SIZE + 1), used;
  char *names = malloc(size);
  if (names == NULL)
    ck_abort_msg("out of memory");
  used = (size_t)snprintf(names, size, "LISTEN_FDNAMES=fcached.socket");
  for (unsigned i = manager->n_stored; i-- > 0;)
    used += (size_t)snprintf(names + used, size - used, ":%s", manager->stored[i].name);
  return names;
}

static bool is_replaced(const char *line) {
  return strncmp(line, "LISTEN_", 7) == 0 || strncmp(line, "NOTIFY_SOCKET=", 14) == 0 ||
         strncmp(line, "WATCHDOG_", 9) == 0;
}

/* Copies the environment, with the service manager's variables behind it. */
static void fill_environment(struct service_manager *manager, struct launch *launch) {
  size_t n = 0;
  char number[16];
  while (environ[n] != NULL)
    n++;
  launch->environment = calloc(n + 5, sizeof *launch->environment);
  if (launch->environment == NULL)
    ck_abort_msg("out of memory");
  n = 0;
  for (char **line = environ; *line != NULL; line++)
    if (!is_replaced(*line))
      launch->environment[n++] = join("", *line);
  (void)snprintf(number, sizeof number, "%u", launch->n);
  launch->environment[n++] = join("LISTEN_FDS=", number);
  launch->environment[n++] = join("NOTIFY_SOCKET=", manager->notify_path);
  launch->environment[n++] = join_names(manager);
  launch->environment[n] = launch->listen_pid;
}

static void free_launch(struct launch *launch) {
  for (char **line = launch->environment; *line != launch->listen_pid; line++)
    free(*line);
  free(launch->environment);
  free(launch->fds);
  (void)close(launch->log_fd);
}

void service_manager_launch(struct service_manager *manager, const char *const args[]) {
  struct launch launch = {.argv = {harness_fcached()}, .parent = getpid()};
  ck_assert_int_eq(manager->daemon.pid, 0);
  for (size_t i = 0; args[i] != NULL; i++) {
    ck_assert_uint_lt(i, ARGS_MAX);
    launch.argv[i + 1] = args[i];
  }
  read_messages(manager); /* of the daemon before */
  launch.log_fd = open(manager->daemon.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  lock(manager);
  manager->ready = manager->stopping = false;
  manager->n_messages = manager->n_extended = 0;
  launch.n = manager->n_stored + 1;
  launch.fds = calloc(launch.n, sizeof *launch.fds);
  if (launch.fds == NULL)
    ck_abort_msg("out of memory");
  launch.fds[0] = manager->listen_fd;
  for (unsigned i = 1; i < launch.n; i++)
    launch.fds[i] = manager->stored[manager->n_stored - i].fd;
  fill_environment(manager, &launch);
  manager->daemon.pid = fork();
  if (manager->daemon.pid == 0)
    become(&launch);
  unlock(manager);
  if (manager->daemon.pid < 0)
    ck_abort_msg("fork: %s", strerror(errno));
  free_launch(&launch);
}

struct starting {
  struct service_manager *manager;
  int status;
  bool ended;
};

static bool is_ready(struct service_manager *manager) {
  lock(manager);
  bool ready = manager->ready;
  unlock(manager);
  return ready;
}

static bool has_started(void *arg) {
  struct starting *starting = arg;
  if (is_ready(starting->manager))
    return true;
  starting->ended = waitpid(starting->manager->daemon.pid, &starting->status, WNOHANG) != 0;
  return starting->ended;
}

bool service_manager_wait_ready(struct service_manager *manager, int *status) {
  struct starting starting = {.manager = manager};
  if (!harness_wait_until(has_started, &starting, START_TIMEOUT_MS))
    ck_abort_msg("fcached does not serve on %s after %d ms: %s", manager->daemon.socket,
                 START_TIMEOUT_MS, harness_log(&manager->daemon));
  if (!starting.ended)
    return true;
  manager->daemon.pid = 0;
  read_messages(manager);
  if (status != NULL)
    *status = WIFSIGNALED(starting.status) ? 128 + WTERMSIG(starting.status)
                                           : WEXITSTATUS(starting.status);
  return false;
}

void service_manager_start(struct service_manager *manager, ...) {
  const char *args[ARGS_MAX + 1];
  size_t n = 0;
  int status;
  va_list list;
  va_start(list, manager);
  while (n < ARGS_MAX && (args[n] = va_arg(list, const char *)) != NULL)
    n++;
  va_end(list);
  args[n] = NULL;
  service_manager_launch(manager, args);
  if (!service_manager_wait_ready(manager, &status))
    ck_abort_msg("fcached ended with status %d instead of serving: %s", status,
                 harness_log(&manager->daemon));
}

void service_manager_kill9(struct service_manager *manager) {
  harness_kill9(&manager->daemon);
  read_messages(manager);
}

int service_manager_end(struct service_manager *manager) {
  int status = harness_stop(&manager->daemon);
  read_messages(manager);
  return status;
}

int service_manager_stop(struct service_manager *manager) {
  int status = service_manager_end(manager);
  service_manager_remove(manager, NULL);
  return status;
}

/* ---- the store, for tests ---- */

unsigned service_manager_count(struct service_manager *manager, const char *prefix) {
  unsigned n = 0;
  read_messages(manager);
  lock(manager);
  for (unsigned i = 0; i < manager->n_stored; i++)
    n += prefix == NULL || strncmp(manager->stored[i].name, prefix, strlen(prefix)) == 0;
  unlock(manager);
  return n;
}

static bool is_of_region(const struct stored_fd *stored, const struct stored_fd *other) {
  size_t size = strcspn(stored->name, "-");
  size += stored->name[size] == '-' ? strcspn(stored->name + size + 1, "-") + 2 : 0;
  return strncmp(stored->name, "segment-", 8) == 0 && strncmp(stored->name, other->name, size) == 0;
}

unsigned service_manager_regions(struct service_manager *manager) {
  unsigned n = 0;
  read_messages(manager);
  lock(manager);
  for (unsigned i = 0; i < manager->n_stored; i++) {
    bool is_first = is_of_region(&manager->stored[i], &manager->stored[i]);
    for (unsigned j = 0; j < i && is_first; j++)
      is_first = !is_of_region(&manager->stored[i], &manager->stored[j]);
    n += is_first;
  }
  unlock(manager);
  return n;
}

static bool has_one_region(void *manager) {
  return service_manager_regions(manager) == 1;
}

void service_manager_wait_migrated(struct service_manager *manager) {
  if (!harness_wait_until(has_one_region, manager, MIGRATION_TIMEOUT_MS))
    ck_abort_msg("%u regions are still stored", service_manager_regions(manager));
}

uint64_t service_manager_bytes(struct service_manager *manager) {
  uint64_t bytes = 0;
  struct stat status;
  lock(manager);
  for (unsigned i = 0; i < manager->n_stored; i++)
    if (fstat(manager->stored[i].fd, &status) == 0)
      bytes += (uint64_t)status.st_blocks * BLOCK_BYTES;
  unlock(manager);
  return bytes;
}

int service_manager_fd(struct service_manager *manager, const char *name) {
  int fd = -1;
  read_messages(manager);
  lock(manager);
  for (unsigned i = 0; i < manager->n_stored; i++)
    if (strcmp(manager->stored[i].name, name) == 0)
      fd = manager->stored[i].fd;
  unlock(manager);
  return fd;
}

void service_manager_store(struct service_manager *manager, const char *name, int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0)
    ck_abort_msg("a descriptor cannot be copied: %s", strerror(errno));
  lock(manager);
  add(manager, name, copy);
  unlock(manager);
}

void service_manager_remove(struct service_manager *manager, const char *name) {
  lock(manager);
  drop(manager, name);
  unlock(manager);
}
