/* log.h - the daemon's log: whole lines on stderr, "fcached: ...". Where stderr is the journal, the
 * priority comes first ("<4>").
 *
 * Logging never blocks the daemon. A line that stderr does not accept at once is dropped, and the
 * next line that gets through is preceded by the number of dropped ones. The caller ignores
 * SIGPIPE. One thread. */
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
  bool prefixed;    /* stderr is the journal */
  bool verbose;     /* also log LOG_LEVEL_DEBUG */
  uint64_t dropped; /* lines since the last one that got through */
};

/* Logs to `fd`, usually STDERR_FILENO. It is the journal if its device and inode match
 * $JOURNAL_STREAM. Nothing to deinit. */
void log_init(struct log *log, int fd, bool verbose);

/* Logs one line; `format` ends without a newline. Control characters become '?', and about 1,000
 * bytes are kept. `log` NULL: no effect. */
void log_line(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Logs one line if *logged is false, and sets *logged. The owner of *logged clears it when the
 * episode is over. */
void log_once(struct log *log, bool *logged, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
