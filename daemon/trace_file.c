#include "daemon/trace_file.h"

#include "proto/errors.h"
#include "proto/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p of what comes before the last slash. `path` is as it was at the end. */
static int make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int r = mkdir(path, 0755);
    int error = errno;
    *slash = '/';
    if (r < 0 && error != EEXIST) {
      errno = error;
      return -1;
    }
  }
  return 0;
}

static int open_append(char *path) {
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = open(path, flags, 0640);
  if (fd < 0 && errno == ENOENT && make_folders(path) == 0)
    fd = open(path, flags, 0640);
  return fd;
}

/* The size of a file that ends within a line; 0 for any other. We may only append, so the last
 * byte is read through a second descriptor. Where that is not allowed the end counts as whole. */
static off_t torn_size(const struct trace_file *file) {
  if (!file->regular)
    return 0;
  int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return 0;
  struct stat st;
  char last = '\n';
  bool same = fstat(fd, &st) == 0 && st.st_dev == file->device && st.st_ino == file->inode;
  bool torn = same && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
  (void)close(fd); /* only read from */
  return torn ? st.st_size : 0;
}

static int failed(struct trace_file *file, const char *what, struct fault *fault) {
  int error = errno;
  fault_set(fault, FC_ETRACE, "the trace file %s cannot be %s: %s: give another path", file->path,
            what, strerror(error));
  (void)trace_file_deinit(file); /* nothing was written */
  return FC_ETRACE;
}

int trace_file_open(struct trace_file *file, struct fc_str path, struct fault *fault) {
  struct stat st;
  *file = (struct trace_file){.fd = -1};
  if (path.size == 0 || path.size > FC_PATH_MAX || memchr(path.data, '\0', path.size) != NULL)
    return fault_set(fault, FC_ETRACE,
                     "the trace file's path has %u bytes: give one of 1 to %u bytes without NUL",
                     (unsigned)path.size, FC_PATH_MAX);
  file->path = strndup(path.data, path.size);
  if (file->path == NULL)
    return fault_set(fault, FC_ENOMEM, "out of memory: the trace file was not opened");
  file->fd = open_append(file->path);
  if (file->fd < 0)
    return failed(file, "opened to append", fault);
  if (fstat(file->fd, &st) < 0)
    return failed(file, "examined", fault);
  file->device = st.st_dev;
  file->inode = st.st_ino;
  file->regular = S_ISREG(st.st_mode);
  return 0;
}

void trace_file_look_at_end(struct trace_file *file) {
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

/* Takes back the last `tail` bytes that we wrote, if they are the file's last. */
static bool cut_tail(const struct trace_file *file, size_t tail) {
  struct stat st;
  if (!file->regular || fstat(file->fd, &st) < 0)
    return false;
  /* Appending leaves the position behind our own bytes; another size: not alone */
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
      return EIO; /* not of a file: and never for ever */
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

/* Ends the line that the file ended within. A file of another size has changed since: its end is
 * the affair of another writer. 0 or an errno. */
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
