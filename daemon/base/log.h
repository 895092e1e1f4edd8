/* log.h - the daemon's own messages: whole lines on stderr, "fcached: ..." with
 * the priority in front ("<4>") where stderr is the journal.
 *
 * Logging never blocks service: a line that stderr does not take at once is
 * dropped, and the next one that gets through says how many were. The caller has
 * SIGPIPE ignored. One thread. */
#ifndef FC_DAEMON_LOG_H
#define FC_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* as in syslog(3) and sd-daemon(3) */
enum log_level {
  LOG_LEVEL_ERROR = 3,
  LOG_LEVEL_WARNING = 4,
  LOG_LEVEL_INFO = 6,
  LOG_LEVEL_DEBUG = 7
};

struct log {
  int fd;           /* not owned */
  bool prefixed;    /* the journal reads it */
  bool verbose;     /* also LOG_LEVEL_DEBUG */
  uint64_t dropped; /* lines, since the last that got through */
};

/* For `fd`, normally STDERR_FILENO; $JOURNAL_STREAM says whether it is the journal
 * (its device and inode must match). Nothing to deinit. */
void log_init(struct log *log, int fd, bool verbose);

/* One line, printf-like, without a newline at the end; control characters become
 * '?', what is longer than about 1,000 bytes is cut. `log` may be NULL: silent. */
void log_line(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, the first time only: where *said is false, which it then sets. Whoever
 * owns *said clears it when the episode is over. */
void log_once(struct log *log, bool *said, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
