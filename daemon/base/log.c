#include "daemon/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/utf8.h"

#define LINE_SIZE 1024 /* below PIPE_BUF: a pipe writes it whole or not at all */

void log_init(struct log *log, int fd, bool verbose) {
  *log = (struct log){.fd = fd, .verbose = verbose};
  const char *journal = getenv("JOURNAL_STREAM");
  struct stat st;
  if (journal == NULL || fstat(fd, &st) < 0)
    return;
  /* "DEVICE:INODE". */
  char *end;
  uint64_t device = strtoull(journal, &end, 10);
  if (*end != ':')
    return;
  uint64_t inode = strtoull(end + 1, &end, 10);
  log->prefixed = *end == '\0' && st.st_dev == device && st.st_ino == inode;
}

/* Writes without blocking. Other programs may share the descriptor, so O_NONBLOCK cannot be set: a
 * socket gets MSG_DONTWAIT, any other file is polled first. Returns false if not all was written.
 */
static bool write_now(int fd, const char *line, size_t size) {
  ssize_t n = send(fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno == ENOTSOCK) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0)
      return false;
    n = write(fd, line, size);
  }
  return n == (ssize_t)size;
}

static size_t start_line(const struct log *log, enum log_level level, char *line) {
  int n = log->prefixed ? snprintf(line, LINE_SIZE, "<%d>fcached: ", (int)level)
                        : snprintf(line, LINE_SIZE, "fcached: ");
  return n < 0 ? 0 : (size_t)n;
}

static bool write_dropped(struct log *log) {
  char line[LINE_SIZE];
  size_t used = start_line(log, LOG_LEVEL_WARNING, line);
  int n = snprintf(line + used, LINE_SIZE - used,
                   "%" PRIu64 " lines were dropped: stderr was full\n", log->dropped);
  if (n < 0 || !write_now(log->fd, line, used + (size_t)n))
    return false;
  log->dropped = 0;
  return true;
}

static void line_v(struct log *log, enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void line_v(struct log *log, enum log_level level, const char *format, va_list args) {
  if (log == NULL || (level == LOG_LEVEL_DEBUG && !log->verbose))
    return;
  char line[LINE_SIZE];
  size_t start = start_line(log, level, line), size = start;
  int n = vsnprintf(line + start, LINE_SIZE - start, format, args);
  if (n > 0)
    size += (size_t)n;
  if (size > LINE_SIZE - 1)
    size = LINE_SIZE - 1;
  /* A name from a client must not begin a new line or control a terminal. */
  size = start + fc_utf8_clean(line + start, size - start);
  line[size++] = '\n'; /* overwrites the NUL */
  if ((log->dropped > 0 && !write_dropped(log)) || !write_now(log->fd, line, size))
    log->dropped++;
}

void log_line(struct log *log, enum log_level level, const char *format, ...) {
  va_list args;
  va_start(args, format);
  line_v(log, level, format, args);
  va_end(args);
}

void log_once(struct log *log, bool *logged, enum log_level level, const char *format, ...) {
  if (*logged)
    return;
  *logged = true;
  va_list args;
  va_start(args, format);
  line_v(log, level, format, args);
  va_end(args);
}
