#include "daemon/os/lock_file.h"

#include "proto/errors.h"

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
  (void)snprintf(path.text, sizeof path.text, "%s.lock",
                 socket_path); /* a socket's path: it fits */
  return path;
}

/* What the lock file says of its holder: "pid 42", or that it does not say. */
static void describe_holder(int fd, char *text, size_t size) {
  char content[32];
  ssize_t n = pread(fd, content, sizeof content - 1, 0);
  content[n > 0 ? n : 0] = '\0';
  char *end;
  long pid = strtol(content, &end, 10);
  if (content[0] >= '1' && content[0] <= '9' && *end == '\n' && pid > 0)
    (void)snprintf(text, size, "pid %ld", pid);
  else
    (void)snprintf(text, size, "its pid is not recorded");
}

static int busy(const char *socket_path, int fd, struct fault *fault) {
  char holder[64];
  struct stat st;
  describe_holder(fd, holder, sizeof holder);
  /* Before it binds, while it writes its trace at the end, or after somebody removed the file. */
  if (lstat(socket_path, &st) < 0 && errno == ENOENT)
    return fault_set(
        fault, FC_EBUSY,
        "already running: another fcached (%s) holds the lock of %s, and that socket is "
        "not there at the moment: it is starting, ending or making it again: try in a "
        "second, stop it, or give another --socket",
        holder, socket_path);
  return fault_set(fault, FC_EBUSY,
                   "already running: another fcached (%s) serves %s: use that one, stop it, or "
                   "give another --socket",
                   holder, socket_path);
}

/* Is `path` still the file that we have open? Its holder may have removed it between
 * our open and our lock. */
static bool same_file(int fd, const char *path) {
  struct stat held, named;
  return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

/* For people, in "already running". A full disk, or a limit on file sizes, costs that number and
 * nothing else: the lock is what counts. A half-written number would be a wrong one. */
static void record_pid(int fd) {
  char text[32];
  int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
    (void)!ftruncate(fd, 0); /* it made the file shorter before */
}

static int refused(const char *path, const char *why, struct fault *fault) {
  return fault_set(fault, FC_EREFUSED,
                   "cannot lock %s: %s: remove it if no fcached uses it, or give another --socket",
                   path, why);
}

static int not_opened(const char *path, struct fault *fault) {
  int error = errno;
  struct stat st;
  if (lstat(path, &st) == 0)
    return refused(path, strerror(error), fault);
  return fault_set(fault, FC_EREFUSED,
                   "cannot make %s, the lock file of the socket: %s: give another --socket, where "
                   "files can be made",
                   path, strerror(error));
}

/* 0: we have it; 1: it has been removed meanwhile; or an error. */
static int try_lock(const char *path, const char *socket_path, int fd, struct fault *fault) {
  struct stat st;
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
    return refused(path, "it is not a regular file", fault);
  if (flock(fd, LOCK_EX | LOCK_NB) < 0)
    return errno == EWOULDBLOCK ? busy(socket_path, fd, fault)
                                : refused(path, strerror(errno), fault);
  if (!same_file(fd, path))
    return 1;
  record_pid(fd);
  return 0;
}

int lock_file_take(const char *socket_path, int *lock_fd, struct fault *fault) {
  struct lock_path path = lock_path_of(socket_path);
  for (int tries = 0; tries < LOCK_TRIES; tries++) {
    /* O_NONBLOCK: a FIFO in its place must not hold up the start. */
    int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
      return not_opened(path.text, fault);
    int r = try_lock(path.text, socket_path, fd, fault);
    if (r == 0) {
      *lock_fd = fd;
      return 0;
    }
    (void)close(fd); /* nothing unwritten to lose */
    if (r < 0)
      return r;
  }
  return refused(path.text, "it is removed all the time", fault);
}

bool lock_file_is_held(const char *socket_path, int lock_fd) {
  return same_file(lock_fd, lock_path_of(socket_path).text);
}

void lock_file_release(const char *socket_path, int *lock_fd) {
  struct lock_path path = lock_path_of(socket_path);
  if (*lock_fd < 0)
    return;
  if (same_file(*lock_fd, path.text)) /* else somebody removed it, and another may stand there */
    (void)unlink(path.text);          /* at worst it stays, as after a crash: that is harmless */
  (void)close(*lock_fd);              /* lets the lock go */
  *lock_fd = -1;
}
