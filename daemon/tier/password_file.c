#include "daemon/tier/password_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"

static int refuse(struct error_text *error, const char *path, const char *why) {
  return error_text_set(error, FC_EINVAL, "tier-password-file: cannot read %s: %s", path, why);
}

/* Reads up to the limit or the end. Returns the number of bytes, or -1 with errno. */
static ssize_t read_all(int fd, char *room, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = read(fd, room + done, size - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += (size_t)n;
  }
  return (ssize_t)done;
}

int password_file_read(const char *path, char password[PASSWORD_BYTES_MAX], size_t *size,
                       struct error_text *error) {
  struct stat file;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return refuse(error, path, strerror(errno));
  ssize_t n = -1;
  const char *why = "it is no regular file";
  if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
    n = read_all(fd, password, PASSWORD_BYTES_MAX);
    why = n < 0 ? strerror(errno) : NULL;
  }
  (void)close(fd); /* nothing was written */
  if (n < 0)
    return refuse(error, path, why);
  if (n == PASSWORD_BYTES_MAX)
    return refuse(error, path, "it is too long for a password");
  while (n > 0 && (password[n - 1] == '\n' || password[n - 1] == '\r'))
    n--;
  if (n == 0)
    return refuse(error, path, "it is empty");
  *size = (size_t)n;
  return 0;
}
