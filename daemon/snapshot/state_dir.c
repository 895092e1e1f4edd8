#include "daemon/snapshot/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"

#define DIR_MODE 0700
#define FILE_MODE 0600

void state_dir_init(struct state_dir *dir) {
  *dir = (struct state_dir){.fd = -1, .lock_fd = -1};
}

void state_dir_close(struct state_dir *dir) {
  if (dir->lock_fd >= 0)
    (void)close(dir->lock_fd); /* nothing was written to it; this unlocks it */
  if (dir->fd >= 0)
    (void)close(dir->fd);
  free(dir->path);
  state_dir_init(dir);
}

/* Returns why other users could change the folder, or NULL. */
static const char *objection(const struct stat *status) {
  if (status->st_uid != geteuid())
    return "it belongs to another user than the daemon's: give a folder of its own";
  return (status->st_mode & 022) != 0 ? "other users can write to it: use chmod go-w" : NULL;
}

static int refuse(const char *path, int error, struct error_text *text) {
  return error_text_set(text, error == ENOMEM ? FC_ENOMEM : FC_EREFUSED,
                        "the state folder %s cannot be used: %s: give another with --state", path,
                        strerror(error));
}

static int lock(struct state_dir *dir, struct error_text *error) {
  dir->lock_fd = openat(dir->fd, STATE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                        FILE_MODE);
  if (dir->lock_fd < 0 && (errno == EROFS || errno == EACCES)) {
    dir->read_only = true;
    return 0;
  }
  if (dir->lock_fd < 0)
    return refuse(dir->path, errno, error);
  if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
    return 0;
  if (errno != EWOULDBLOCK)
    return refuse(dir->path, errno, error);
  return error_text_set(error, FC_EBUSY,
                        "another daemon uses the state folder %s: give each daemon its own",
                        dir->path);
}

static int open_checked(struct state_dir *dir, struct error_text *error) {
  struct stat status;
  dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir->fd < 0 && errno == ENOENT && mkdir(dir->path, DIR_MODE) == 0)
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir->fd < 0 || fstat(dir->fd, &status) < 0)
    return refuse(dir->path, errno, error);
  const char *wrong = objection(&status);
  if (wrong != NULL)
    return error_text_set(error, FC_EREFUSED, "the state folder %s is not used: %s", dir->path,
                          wrong);
  return lock(dir, error);
}

int state_dir_open(struct state_dir *dir, const char *path, struct error_text *error) {
  state_dir_init(dir);
  dir->path = strdup(path);
  if (dir->path == NULL)
    return refuse(path, ENOMEM, error);
  int rc = open_checked(dir, error);
  if (rc < 0)
    state_dir_close(dir);
  return rc;
}

int state_dir_open_file(const struct state_dir *dir, const char *name, int flags) {
  struct stat status;
  int fd = openat(dir->fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);
  if (fd < 0)
    return -1;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
      status.st_nlink == 1)
    return fd;
  (void)close(fd); /* nothing was written through it */
  errno = EPERM;
  return -1;
}

int state_dir_create(const struct state_dir *dir, const char *name) {
  int error = state_dir_remove(dir, name);
  if (error == 0)
    return state_dir_open_file(dir, name, O_RDWR | O_CREAT | O_EXCL);
  errno = error;
  return -1;
}

int state_dir_rename(const struct state_dir *dir, const char *from, const char *to) {
  return renameat(dir->fd, from, dir->fd, to) == 0 ? 0 : errno;
}

int state_dir_remove(const struct state_dir *dir, const char *name) {
  return unlinkat(dir->fd, name, 0) == 0 || errno == ENOENT ? 0 : errno;
}

int state_dir_sync(const struct state_dir *dir) {
  return fsync(dir->fd) == 0 ? 0 : errno;
}
