#include "daemon/os/listen.h"

#include "daemon/base/parse_number.h"
#include "daemon/os/lock_file.h"
#include "proto/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_HANDED_OVER 3 /* SD_LISTEN_FDS_START */
#define HANDED_OVER_MAX 4096

void listener_init(struct listener *listener) {
  *listener = (struct listener){.fd = -1, .lock_fd = -1};
}

static void close_fd(int *fd) {
  if (*fd >= 0)
    (void)close(*fd); /* sockets and a lock: nothing unwritten to lose */
  *fd = -1;
}

/* ---- handed over -------------------------------------------------------- */

/* -1: not set, or no number. */
static long env_number(const char *name) {
  uint64_t n;
  const char *end = number_parse(getenv(name), &n);
  return end == NULL || *end != '\0' || n > LONG_MAX ? -1 : (long)n;
}

static bool option_is(int fd, int option, int wanted) {
  int value;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

static bool is_listening_unix_stream(int fd) {
  return option_is(fd, SO_DOMAIN, AF_UNIX) && option_is(fd, SO_TYPE, SOCK_STREAM) &&
         option_is(fd, SO_ACCEPTCONN, 1);
}

static int set_flags(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return -1;
  return 0;
}

static void remember_path(struct listener *listener) {
  struct sockaddr_un address = {0};
  socklen_t size = sizeof address;
  if (getsockname(listener->fd, (struct sockaddr *)&address, &size) == 0 &&
      size > offsetof(struct sockaddr_un, sun_path) && size <= sizeof address)
    memcpy(listener->path, address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
}

/* 0, with listener->fd set if one was meant for us; or an error. */
static int take_handed_over(struct listener *listener, struct fault *fault) {
  long n = env_number("LISTEN_FDS");
  if (env_number("LISTEN_PID") != (long)getpid() || n <= 0)
    return 0;
  if (n > HANDED_OVER_MAX)
    return fault_set(fault, FC_EINVAL, "LISTEN_FDS=%ld: no service manager hands over so many", n);
  const char *names = getenv("LISTEN_FDNAMES");
  int last = FIRST_HANDED_OVER + (int)n - 1, found = -1, listening = 0;
  for (int fd = FIRST_HANDED_OVER; fd <= last; fd++) {
    if (is_listening_unix_stream(fd)) {
      found = found < 0 ? fd : found;
      listening++;
    }
  }
  if (listening != 1)
    return fault_set(fault, FC_EINVAL,
                     "the service manager handed over %ld descriptors (%s), of which %d are "
                     "listening Unix stream sockets: give fcached exactly one ListenStream=PATH",
                     n, names == NULL ? "unnamed" : names, listening);
  for (int fd = FIRST_HANDED_OVER; fd <= last; fd++) {
    if (fd != found)
      (void)close(fd); /* handed to us and of no use: not to be held open for nothing */
  }
  if (set_flags(found) < 0)
    return fault_set(fault, FC_EREFUSED, "cannot set up the socket that was handed over: %s",
                     strerror(errno));
  listener->fd = found;
  listener->handed_over = true;
  remember_path(listener);
  return 0;
}

static bool is_same_file(const char *one, const char *other) {
  struct stat a, b;
  return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* An option that is given has its effect, or is an error: for a socket that was handed over, the
 * service manager decides. */
static int check_asked(const struct listener *listener, const struct listener_options *options,
                       struct fault *fault) {
  const char *path = listener->path[0] != '\0' ? listener->path : "one without a path";
  struct stat st;
  if (options->path != NULL && strcmp(options->path, path) != 0 &&
      !is_same_file(options->path, path))
    return fault_set(fault, FC_EINVAL,
                     "--socket %s: the service manager handed over another socket, %s: leave "
                     "--socket out, or set ListenStream= of the .socket unit",
                     options->path, path);
  if (options->has_group && (stat(path, &st) < 0 || st.st_gid != options->group))
    return fault_set(fault, FC_EINVAL,
                     "--socket-group: the socket that the service manager handed over, %s, has "
                     "another group than %ld: leave --socket-group out, or set SocketGroup= of the "
                     ".socket unit",
                     path, (long)options->group);
  return 0;
}

/* ---- which path --------------------------------------------------------- */

static int choose_path(struct listener *listener, const char *asked, struct fault *fault) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
  char path[8192];
  int n;
  if (asked != NULL)
    n = snprintf(path, sizeof path, "%s", asked);
  else if (runtime != NULL && runtime[0] == '/')
    n = snprintf(path, sizeof path, "%s/fcached.sock", runtime);
  else
    n = snprintf(path, sizeof path, "%s", LISTEN_DEFAULT_PATH);
  if (n <= 0)
    return fault_set(fault, FC_EINVAL, "the socket's path is empty: give --socket PATH");
  if ((size_t)n > most)
    return fault_set(fault, FC_EINVAL,
                     "the socket's path is too long: %d bytes, and the system takes %zu: give a "
                     "shorter --socket (%s)",
                     n, most, asked != NULL ? asked : runtime);
  memcpy(listener->path, path, (size_t)n + 1);
  return 0;
}

/* Its folder, made where it is a default one: only its last part, as /run and
 * $XDG_RUNTIME_DIR itself are the system's to make. */
static int need_folder(const char *path, bool make, struct fault *fault) {
  char folder[sizeof(((struct listener *)0)->path)];
  (void)snprintf(folder, sizeof folder, "%s", path); /* same size */
  char *slash = strrchr(folder, '/');
  if (slash == NULL || slash == folder)
    return 0;
  *slash = '\0';
  struct stat st;
  if (stat(folder, &st) == 0) {
    if (S_ISDIR(st.st_mode))
      return 0;
    return fault_set(fault, FC_EINVAL,
                     "cannot listen on %s: %s is not a directory: give another --socket", path,
                     folder);
  }
  if (make && errno == ENOENT && (mkdir(folder, 0755) == 0 || errno == EEXIST))
    return 0;
  return fault_set(fault, FC_EREFUSED,
                   "cannot listen on %s: directory %s: %s: make it, or give another --socket", path,
                   folder, strerror(errno));
}

/* ---- the socket file ---------------------------------------------------- */

static int refused(const struct listener *listener, const char *what, struct fault *fault) {
  int error = errno;
  return fault_set(fault, FC_EREFUSED, "cannot listen on %s: %s: %s: give another --socket",
                   listener->path, what, strerror(error));
}

static void fill_address(const struct listener *listener, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, listener->path, sizeof address->sun_path); /* one less than ours */
}

/* Only a socket may stand there: looked at before the lock file is made, so that a mistaken path
 * leaves none behind. */
static int check_kind(const struct listener *listener, struct fault *fault) {
  struct stat st;
  if (lstat(listener->path, &st) < 0)
    return errno == ENOENT ? 0 : refused(listener, "stat", fault);
  if (S_ISSOCK(st.st_mode))
    return 0;
  return fault_set(fault, FC_EINVAL,
                   "cannot listen on %s: a file that is not a socket stands there: remove it, or "
                   "give another --socket",
                   listener->path);
}

/* Does anybody listen there who does not know our lock? 0: nobody does. Only what the kernel says
 * for sure counts: what we cannot find out may be alive. */
static int check_dead(const struct listener *listener, struct fault *fault) {
  struct sockaddr_un address;
  fill_address(listener, &address);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return refused(listener, "socket", fault);
  bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  int error = errno;
  close_fd(&fd);
  if (connected || error == EAGAIN) /* EAGAIN: its queue is full */
    return fault_set(fault, FC_EBUSY,
                     "already running: another program listens on %s: use that one, stop it, or "
                     "give another --socket",
                     listener->path);
  errno = error;
  return error == ECONNREFUSED || error == ENOENT
             ? 0
             : refused(listener, "finding out whether another program listens there", fault);
}

/* Only with the lock held: what stands there is then the rest of a crash. */
static int clear_stale(const struct listener *listener, struct fault *fault) {
  int r = check_kind(listener, fault);
  if (r == 0)
    r = check_dead(listener, fault);
  if (r == 0 && unlink(listener->path) < 0 && errno != ENOENT)
    return refused(listener, "removing the stale socket file", fault);
  return r;
}

/* The mode is right from the first moment, and nobody can connect before listen(). */
static int bind_and_listen(struct listener *listener, const struct listener_options *options,
                           struct fault *fault) {
  struct sockaddr_un address;
  struct stat st;
  fill_address(listener, &address);
  listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0)
    return refused(listener, "socket", fault);
  mode_t before = umask(0117);
  int bound = bind(listener->fd, (struct sockaddr *)&address, sizeof address);
  int error = errno;
  (void)umask(before); /* cannot fail */
  errno = error;
  if (bound < 0)
    return refused(listener, "bind", fault);
  if (lstat(listener->path, &st) < 0)
    return refused(listener, "stat", fault);
  listener->device = st.st_dev;
  listener->inode = st.st_ino;
  if (options->has_group && lchown(listener->path, (uid_t)-1, options->group) < 0)
    return fault_set(fault, FC_EREFUSED,
                     "cannot give %s to group %ld: %s: run as a member of the group or as root, or "
                     "leave --socket-group out",
                     listener->path, (long)options->group, strerror(errno));
  if (listen(listener->fd, options->backlog > 0 ? options->backlog : SOMAXCONN) < 0)
    return refused(listener, "listen", fault);
  return 0;
}

int listener_open(struct listener *listener, const struct listener_options *options,
                  struct fault *fault) {
  listener_init(listener);
  int r = take_handed_over(listener, fault);
  if (r == 0 && listener->fd >= 0)
    r = check_asked(listener, options, fault);
  if (r < 0)
    listener_close(listener);
  if (r < 0 || listener->fd >= 0)
    return r;
  r = choose_path(listener, options->path, fault);
  if (r == 0)
    r = need_folder(listener->path, options->path == NULL, fault);
  if (r == 0)
    r = check_kind(listener, fault);
  if (r == 0)
    r = lock_file_take(listener->path, &listener->lock_fd, fault);
  if (r == 0)
    r = clear_stale(listener, fault);
  if (r == 0)
    r = bind_and_listen(listener, options, fault);
  if (r < 0)
    listener_close(listener);
  return r;
}

/* An inode of 0 is none: nothing was bound. */
static bool is_ours(const struct listener *listener, const struct stat *st) {
  return listener->inode != 0 && st->st_dev == listener->device && st->st_ino == listener->inode;
}

/* Takes the lock again where its file is no longer ours. */
static int restore_lock(struct listener *listener, struct fault *fault) {
  int fd;
  if (lock_file_is_held(listener->path, listener->lock_fd))
    return 0;
  int r = lock_file_take(listener->path, &fd, fault);
  if (r < 0)
    return r;
  close_fd(&listener->lock_fd); /* of a file that has no name any more */
  listener->lock_fd = fd;
  return 0;
}

int listener_restore(struct listener *listener, const struct listener_options *options,
                     struct fault *fault) {
  struct stat st;
  if (listener->lock_fd < 0 || listener->handed_over)
    return 0;
  bool there = lstat(listener->path, &st) == 0;
  if (!there && errno != ENOENT && errno != ENOTDIR)
    return 0; /* nobody can tell, and a client neither */
  if (there && is_ours(listener, &st)) {
    (void)restore_lock(listener, fault); /* one that starts has it, and finds us: soon again */
    return 0;
  }
  int r = need_folder(listener->path, options->path == NULL, fault);
  if (r == 0)
    r = restore_lock(listener, fault);
  if (r == 0)
    r = clear_stale(listener, fault);
  if (r < 0)
    return r;
  struct listener fresh = *listener;
  fresh.fd = -1;
  fresh.inode = 0;
  r = bind_and_listen(&fresh, options, fault);
  if (r < 0) {
    listener_end(&fresh);
    return r;
  }
  *listener = fresh;
  return 1;
}

void listener_end(struct listener *listener) {
  struct stat st;
  if (listener->lock_fd >= 0 && lstat(listener->path, &st) == 0 && is_ours(listener, &st))
    (void)unlink(listener->path); /* at worst a stale file stays: the next start replaces it */
  close_fd(&listener->fd);
  listener->inode = 0;
}

void listener_close(struct listener *listener) {
  listener_end(listener);
  lock_file_release(listener->path, &listener->lock_fd);
}
