#include "daemon/os/listener.h"

#include "daemon/os/lock_file.h"
#include "daemon/os/socket_activation.h"
#include "proto/errors.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void listener_init(struct listener *listener) {
  *listener = (struct listener){.fd = -1, .lock_fd = -1};
}

static void close_fd(int *fd) {
  if (*fd >= 0)
    (void)close(*fd); /* sockets and a lock have nothing to flush */
  *fd = -1;
}

/* ---- a socket of the service manager ----------------------------------- */

static void read_path(struct listener *listener) {
  struct sockaddr_un address = {0};
  socklen_t size = sizeof address;
  if (getsockname(listener->fd, (struct sockaddr *)&address, &size) == 0 &&
      size > offsetof(struct sockaddr_un, sun_path) && size <= sizeof address)
    memcpy(listener->path, address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
}

static bool is_same_file(const char *one, const char *other) {
  struct stat a, b;
  return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Checks --socket and --socket-group against the passed socket: the service manager decides, so an
 * option that differs would have no effect. */
static int check_options(const struct listener *listener, const struct listener_options *options,
                         struct error_text *error) {
  const char *path = listener->path[0] != '\0' ? listener->path : "a socket without a path";
  struct stat st;
  if (options->path != NULL && strcmp(options->path, path) != 0 &&
      !is_same_file(options->path, path))
    return error_text_set(error, FC_EINVAL,
                          "--socket %s: the service manager passed another socket, %s: leave "
                          "--socket out, or set ListenStream= of the .socket unit",
                          options->path, path);
  if (options->has_group && (stat(path, &st) < 0 || st.st_gid != options->group))
    return error_text_set(
        error, FC_EINVAL,
        "--socket-group: the socket that the service manager passed, %s, has another "
        "group than %ld: leave --socket-group out, or set SocketGroup= of the .socket unit",
        path, (long)options->group);
  return 0;
}

/* ---- which path --------------------------------------------------------- */

static int choose_path(struct listener *listener, const char *option, struct error_text *error) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
  char path[8192];
  int n;
  if (option != NULL)
    n = snprintf(path, sizeof path, "%s", option);
  else if (runtime != NULL && runtime[0] == '/')
    n = snprintf(path, sizeof path, "%s/fcached.sock", runtime);
  else
    n = snprintf(path, sizeof path, "%s", LISTEN_DEFAULT_PATH);
  if (n <= 0)
    return error_text_set(error, FC_EINVAL, "the socket's path is empty: give --socket PATH");
  if ((size_t)n > most)
    return error_text_set(
        error, FC_EINVAL,
        "the socket's path is too long: %d bytes, and the system takes %zu: give a "
        "shorter --socket (%s)",
        n, most, option != NULL ? option : runtime);
  memcpy(listener->path, path, (size_t)n + 1);
  return 0;
}

/* Checks that the directory of `path` exists. Creates its last component if `make`: /run and
 * $XDG_RUNTIME_DIR are the system's. */
static int ensure_directory(const char *path, bool make, struct error_text *error) {
  char directory[sizeof(((struct listener *)0)->path)];
  (void)snprintf(directory, sizeof directory, "%s", path); /* fits */
  char *slash = strrchr(directory, '/');
  if (slash == NULL || slash == directory)
    return 0;
  *slash = '\0';
  struct stat st;
  if (stat(directory, &st) == 0) {
    if (S_ISDIR(st.st_mode))
      return 0;
    return error_text_set(error, FC_EINVAL,
                          "cannot listen on %s: %s is not a directory: give another --socket", path,
                          directory);
  }
  if (make && errno == ENOENT && (mkdir(directory, 0755) == 0 || errno == EEXIST))
    return 0;
  return error_text_set(error, FC_EREFUSED,
                        "cannot listen on %s: directory %s: %s: make it, or give another --socket",
                        path, directory, strerror(errno));
}

/* ---- the socket file ---------------------------------------------------- */

static int refused(const struct listener *listener, const char *what, struct error_text *error) {
  return error_text_set(error, FC_EREFUSED, "cannot listen on %s: %s: %s: give another --socket",
                        listener->path, what, strerror(errno));
}

static void fill_address(const struct listener *listener, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, listener->path,
         sizeof address->sun_path); /* one byte less than `path` */
}

/* Refuses a path that is not a socket. The caller checks before it creates the lock file, so that a
 * mistaken path leaves none behind. */
static int check_kind(const struct listener *listener, struct error_text *error) {
  struct stat st;
  if (lstat(listener->path, &st) < 0)
    return errno == ENOENT ? 0 : refused(listener, "stat", error);
  if (S_ISSOCK(st.st_mode))
    return 0;
  return error_text_set(error, FC_EINVAL,
                        "cannot listen on %s: the file exists and is not a socket: remove it, or "
                        "give another --socket",
                        listener->path);
}

/* Checks that no program without the lock listens on the path: connect() must say so. Any other
 * error is a refusal, because the other program may be alive. */
static int check_dead(const struct listener *listener, struct error_text *error) {
  struct sockaddr_un address;
  fill_address(listener, &address);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return refused(listener, "socket", error);
  bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  int code = errno;
  close_fd(&fd);
  if (connected || code == EAGAIN) /* EAGAIN: the backlog is full */
    return error_text_set(
        error, FC_EBUSY,
        "already running: another program listens on %s: use that one, stop it, or "
        "give another --socket",
        listener->path);
  errno = code;
  return code == ECONNREFUSED || code == ENOENT
             ? 0
             : refused(listener, "connect to test for another listener", error);
}

/* Removes the socket file of a crashed daemon. The caller holds the lock. */
static int remove_stale(const struct listener *listener, struct error_text *error) {
  assert(listener->lock_fd >= 0);
  int r = check_kind(listener, error);
  if (r == 0)
    r = check_dead(listener, error);
  if (r == 0 && unlink(listener->path) < 0 && errno != ENOENT)
    return refused(listener, "removing the stale socket file", error);
  return r;
}

/* The umask gives the file its mode at once. Clients cannot connect before listen(). */
static int bind_and_listen(struct listener *listener, const struct listener_options *options,
                           struct error_text *error) {
  struct sockaddr_un address;
  struct stat st;
  fill_address(listener, &address);
  listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0)
    return refused(listener, "socket", error);
  mode_t before = umask(0117);
  int bound = bind(listener->fd, (struct sockaddr *)&address, sizeof address);
  int code = errno;
  (void)umask(before); /* cannot fail */
  errno = code;
  if (bound < 0)
    return refused(listener, "bind", error);
  if (lstat(listener->path, &st) < 0)
    return refused(listener, "stat", error);
  listener->device = st.st_dev;
  listener->inode = st.st_ino;
  if (options->has_group && lchown(listener->path, (uid_t)-1, options->group) < 0)
    return error_text_set(
        error, FC_EREFUSED,
        "cannot give %s to group %ld: %s: run as a member of the group or as root, or "
        "leave --socket-group out",
        listener->path, (long)options->group, strerror(errno));
  if (listen(listener->fd, options->backlog > 0 ? options->backlog : SOMAXCONN) < 0)
    return refused(listener, "listen", error);
  return 0;
}

int listener_open(struct listener *listener, const struct listener_options *options,
                  struct error_text *error) {
  listener_init(listener);
  int r = 0;
  if (options->passed != NULL)
    r = socket_activation_receive(options->passed, &listener->fd, error);
  listener->handed_over = listener->fd >= 0;
  if (listener->handed_over)
    read_path(listener);
  if (r == 0 && listener->fd >= 0)
    r = check_options(listener, options, error);
  if (r < 0)
    listener_close(listener);
  if (r < 0 || listener->fd >= 0)
    return r;
  r = choose_path(listener, options->path, error);
  if (r == 0)
    r = ensure_directory(listener->path, options->path == NULL, error);
  if (r == 0)
    r = check_kind(listener, error);
  if (r == 0)
    r = lock_file_acquire(listener->path, &listener->lock_fd, error);
  if (r == 0)
    r = remove_stale(listener, error);
  if (r == 0)
    r = bind_and_listen(listener, options, error);
  if (r < 0)
    listener_close(listener);
  return r;
}

static bool is_ours(const struct listener *listener, const struct stat *st) {
  return listener->inode != 0 && st->st_dev == listener->device && st->st_ino == listener->inode;
}

/* Locks again if the lock file was removed or replaced. */
static int restore_lock(struct listener *listener, struct error_text *error) {
  int fd;
  if (lock_file_is_held(listener->path, listener->lock_fd))
    return 0;
  int r = lock_file_acquire(listener->path, &fd, error);
  if (r < 0)
    return r;
  close_fd(&listener->lock_fd); /* its file has no name any more */
  listener->lock_fd = fd;
  return 0;
}

int listener_restore(struct listener *listener, const struct listener_options *options,
                     struct error_text *error) {
  struct stat st;
  if (listener->lock_fd < 0 || listener->handed_over)
    return 0;
  bool there = lstat(listener->path, &st) == 0;
  if (!there && errno != ENOENT && errno != ENOTDIR)
    return 0; /* unknown: clients cannot reach it either */
  if (there && is_ours(listener, &st)) {
    (void)restore_lock(
        listener,
        error); /* a starting daemon may hold it for a moment: the next call tries again */
    return 0;
  }
  int r = ensure_directory(listener->path, options->path == NULL, error);
  if (r == 0)
    r = restore_lock(listener, error);
  if (r == 0)
    r = remove_stale(listener, error);
  if (r < 0)
    return r;
  struct listener fresh = *listener;
  fresh.fd = -1;
  fresh.inode = 0;
  r = bind_and_listen(&fresh, options, error);
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
    (void)unlink(listener->path); /* a stale file is harmless: the next start replaces it */
  close_fd(&listener->fd);
  listener->inode = 0;
}

void listener_close(struct listener *listener) {
  listener_end(listener);
  lock_file_release(listener->path, &listener->lock_fd);
}
