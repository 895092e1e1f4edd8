#include "daemon/trace/trace_file.h"

#include "proto/errors.h"
#include "proto/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns the descriptor, or FC_ETRACE with a text. */
static int open_append(const struct trace_dir *dir, char *path, struct error_text *reason) {
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  if (dir != NULL)
    return trace_dir_open_file(dir, path, flags, reason);
  int fd = open(path, flags, 0640);
  if (fd < 0 && errno == ENOENT && trace_dir_make_parents(path) == 0)
    fd = open(path, flags, 0640);
  if (fd >= 0)
    return fd;
  return error_text_set(reason, FC_ETRACE,
                        "the trace file %s cannot be opened to append: %s: give another "
                        "path",
                        path, strerror(errno));
}

static int open_to_read(const struct trace_file *file) {
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  struct error_text reason; /* ignored: the file need not be readable */
  if (file->dir != NULL)
    return trace_dir_open_file(file->dir, file->path, flags, &reason);
  return open(file->path, flags);
}

/* Returns the size of a file that ends within a line, or 0. The file is open to append only, so its
 * last byte is read through a second descriptor. If that is not allowed, the end counts as whole.
 */
static off_t torn_size(const struct trace_file *file) {
  if (!file->regular)
    return 0;
  int fd = open_to_read(file);
  if (fd < 0)
    return 0;
  struct stat st;
  char last = '\n';
  bool same = fstat(fd, &st) == 0 && st.st_dev == file->device && st.st_ino == file->inode;
  bool torn = same && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
  (void)close(fd); /* only read from */
  return torn ? st.st_size : 0;
}

static int check_path(struct fc_str path, struct error_text *reason) {
  if (path.size > 0 && path.size <= FC_PATH_MAX && memchr(path.data, '\0', path.size) == NULL)
    return 0;
  return error_text_set(reason, FC_ETRACE,
                        "the trace file's path has %u bytes: give one of 1 to %u bytes without NUL",
                        (unsigned)path.size, FC_PATH_MAX);
}

static int resolve_path(struct trace_file *file, struct fc_str path, struct error_text *reason) {
  int rc = FC_ENOMEM;
  if (file->dir != NULL) {
    file->path = trace_dir_resolve(file->dir, path, &rc, reason);
  } else {
    file->path = strndup(path.data, path.size);
    if (file->path == NULL)
      error_text_set(reason, rc, "out of memory: the trace file was not opened");
  }
  return file->path == NULL ? rc : 0;
}

static int open_named(struct trace_file *file, struct fc_str path, struct error_text *reason) {
  int rc = check_path(path, reason);
  if (rc == 0)
    rc = resolve_path(file, path, reason);
  if (rc < 0)
    return rc;
  file->fd = open_append(file->dir, file->path, reason);
  return file->fd < 0 ? FC_ETRACE : 0;
}

int trace_file_open(struct trace_file *file, const struct trace_dir *dir, struct fc_str path,
                    struct error_text *reason) {
  struct stat st;
  *file = (struct trace_file){.fd = -1, .dir = dir};
  int rc = open_named(file, path, reason);
  if (rc == 0 && fstat(file->fd, &st) == 0) {
    file->device = st.st_dev;
    file->inode = st.st_ino;
    file->regular = S_ISREG(st.st_mode);
    return 0;
  }
  if (rc == 0)
    rc = error_text_set(reason, FC_ETRACE,
                        "the trace file %s cannot be examined: %s: give another path", file->path,
                        strerror(errno));
  (void)trace_file_deinit(file); /* nothing was written */
  return rc;
}

void trace_file_find_torn_line(struct trace_file *file) {
  file->torn_bytes = torn_size(file);
}

int trace_file_deinit(struct trace_file *file) {
  int error = 0;
  if (file->fd >= 0 && close(file->fd) < 0)
    error = errno;
  file->fd = -1;
  free(file->path);
  file->path = NULL;
  return error;
}

/* Cuts off the last `tail` bytes that we wrote, if they are the last of the file. */
static bool cut_tail(const struct trace_file *file, size_t tail) {
  struct stat st;
  if (!file->regular || fstat(file->fd, &st) < 0)
    return false;
  /* Appending leaves the position behind our bytes. Another size: another process has appended. */
  off_t end = lseek(file->fd, 0, SEEK_CUR);
  return end == st.st_size && end >= (off_t)tail && ftruncate(file->fd, end - (off_t)tail) == 0;
}

static int write_all(int fd, const char *data, size_t size, size_t *written) {
  *written = 0;
  while (*written < size) {
    ssize_t n = write(fd, data + *written, size - *written);
    if (n > 0)
      *written += (size_t)n;
    else if (n == 0)
      return EIO; /* files never return 0. Do not loop */
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

/* Ends the line within which the file ended. A file of another size has another writer, which is
 * responsible for its end. Returns 0 or an errno. */
static int end_line(struct trace_file *file) {
  struct stat st;
  size_t written;
  int error = 0;
  if (file->torn_bytes > 0 && fstat(file->fd, &st) == 0 && st.st_size == file->torn_bytes)
    error = write_all(file->fd, "\n", 1, &written);
  if (error == 0)
    file->torn_bytes = 0;
  return error;
}

int trace_file_write(struct trace_file *file, const char *data, size_t size, size_t *written) {
  *written = 0;
  int error = end_line(file);
  if (error != 0)
    return error;
  error = write_all(file->fd, data, size, written);
  if (error == 0 || *written == 0 || data[*written - 1] == '\n')
    return error;
  const char *newline = memrchr(data, '\n', *written);
  size_t whole = newline == NULL ? 0 : (size_t)(newline - data) + 1;
  if (cut_tail(file, *written - whole))
    *written = whole;
  return error;
}
