#include "daemon/os/lock_file.h"

#include "proto/errors.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_TRIES 100

struct lock_path {
  char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
};

static struct lock_path lock_path_of(const char *socket_path) {
  struct lock_path path;
  (void)snprintf(path.text, sizeof path.text, "%s.lock", socket_path); /* fits: a socket's path */
  return path;
}

/* Formats the holder that the lock file names: "pid 42". */
static void describe_holder(int fd, char *text, size_t size) {
  char content[32];
  ssize_t n = pread(fd, content, sizeof content - 1, 0);
  content[n > 0 ? n : 0] = '\0';
  char *end;
  long pid = strtol(content, &end, 10);
  if (content[0] >= '1' && content[0] <= '9' && *end == '\n' && pid > 0)
    (void)snprintf(text, size, "pid %ld", pid);
  else
    (void)snprintf(text, size, "unknown pid");
}

static int busy(const char *socket_path, int fd, struct error_text *error) {
  char holder[64];
  struct stat st;
  describe_holder(fd, holder, sizeof holder);
  /* The holder has not bound yet, or writes its trace at the end, or its socket was removed. */
  if (lstat(socket_path, &st) < 0 && errno == ENOENT)
    return error_text_set(error, FC_EBUSY,
                          "already running: another fcached (%s) holds the lock of %s, but that "
                          "socket is missing: it is starting or "
                          "stopping: try again in a second, stop it, or give another --socket",
                          holder, socket_path);
  return error_text_set(
      error, FC_EBUSY,
      "already running: another fcached (%s) serves %s: use that one, stop it, or "
      "give another --socket",
      holder, socket_path);
}

/* Returns true if `path` is still the file of `fd`: the former holder may have unlinked it between
 * open and flock. */
static bool same_file(int fd, const char *path) {
  struct stat held, named;
  return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

/* Writes the pid for the text "already running". On a full disk or at a limit on file sizes the
 * file stays empty: a cut number would name a wrong process. */
static void record_pid(int fd) {
  char text[32];
  int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
    (void)!ftruncate(fd, 0); /* succeeded a moment ago */
}

static int refused(const char *path, const char *why, struct error_text *error) {
  return error_text_set(
      error, FC_EREFUSED,
      "cannot lock %s: %s: remove it if no fcached uses it, or give another --socket", path, why);
}

static int not_opened(const char *path, struct error_text *error) {
  int code = errno;
  struct stat st;
  if (lstat(path, &st) == 0)
    return refused(path, strerror(code), error);
  return error_text_set(
      error, FC_EREFUSED,
      "cannot create %s, the lock file of the socket: %s: give a --socket in a writable "
      "directory",
      path, strerror(code));
}

/* Returns 0 if locked, 1 if the file was removed before the lock, or an error. */
static int try_lock(const char *path, const char *socket_path, int fd, struct error_text *error) {
  struct stat st;
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
    return refused(path, "it is not a regular file", error);
  if (flock(fd, LOCK_EX | LOCK_NB) < 0)
    return errno == EWOULDBLOCK ? busy(socket_path, fd, error)
                                : refused(path, strerror(errno), error);
  if (!same_file(fd, path))
    return 1;
  record_pid(fd);
  return 0;
}

int lock_file_acquire(const char *socket_path, int *lock_fd, struct error_text *error) {
  struct lock_path path = lock_path_of(socket_path);
  for (int tries = 0; tries < LOCK_TRIES; tries++) {
    /* O_NONBLOCK: a FIFO of that name must not block the start. */
    int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
      return not_opened(path.text, error);
    int r = try_lock(path.text, socket_path, fd, error);
    if (r == 0) {
      *lock_fd = fd;
      return 0;
    }
    (void)close(fd); /* nothing to flush */
    if (r < 0)
      return r;
  }
  return refused(path.text, "another process keeps removing it", error);
}

bool lock_file_is_held(const char *socket_path, int lock_fd) {
  assert(lock_fd >= 0);
  return same_file(lock_fd, lock_path_of(socket_path).text);
}

void lock_file_release(const char *socket_path, int *lock_fd) {
  struct lock_path path = lock_path_of(socket_path);
  if (*lock_fd < 0)
    return;
  if (same_file(*lock_fd, path.text)) /* another process's file may have the name */
    (void)unlink(path.text);          /* a left lock file is harmless, as after a crash */
  (void)close(*lock_fd);              /* releases the lock */
  *lock_fd = -1;
}
