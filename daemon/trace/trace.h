/* trace.h - the trace: gathers lines in memory, and writes them in batches by the thread pool. A
 * line is in the file at most 100 ms later, and the file has whole lines only.
 *
 * Tracing never blocks service. At most TRACE_UNWRITTEN_MAX bytes wait to be written. Further lines
 * are lost and counted, with one log line for each episode. On a full disk the lines of the current
 * file wait, because the disk may get space again. Any other failed write loses its batch, which is
 * counted and logged too. A former file (after trace_off, trace_on with another path, or
 * trace_reopen) is written out and closed. If its disk is full, or it takes nothing for
 * TRACE_HANG_MS, its lines go to the current file, or are lost if there is none, and it is closed.
 *
 * Loop thread only. The pool touches only the batch that it writes. */
#ifndef FC_DAEMON_TRACE_H
#define FC_DAEMON_TRACE_H

#include "daemon/base/error_text.h"
#include "daemon/base/log.h"
#include "daemon/base/trace_counts.h"
#include "daemon/trace/trace_dir.h"
#include "daemon/trace/trace_line.h"

#include <uv.h>

#define TRACE_UNWRITTEN_MAX (8u << 20)
#define TRACE_DELAY_MS 50u
#define TRACE_CLOSE_MAX_MS 5000u
#define TRACE_HANG_MS 1000u /* a write that takes longer counts as one that failed */
#define TRACE_FILES_MAX                                                                            \
  8u /* open at once: the current one, and former ones that are written out                        \
      */

struct trace;
/* `flushed`: all writes have ended, and the struct may be freed. False: a write hangs in the kernel
 * and uses its memory, so end the process with _exit(2). */
typedef void trace_closed_fn(struct trace *trace, void *arg, bool flushed);

struct trace_stream;

struct trace {
  uv_loop_t *loop;
  struct log *log;
  uv_timer_t timer;                /* due when the first unwritten line is TRACE_DELAY_MS old */
  struct trace_stream *current;    /* NULL: off */
  struct trace_stream *files;      /* all that are open: the current one and former ones */
  size_t unwritten_bytes;          /* over all files */
  size_t buffer_bytes;             /* memory of the buffers, over all files */
  uint64_t events;                 /* lines since the start, */
  uint64_t lost;                   /* of them those that were lost, */
  uint64_t written;                /* and those that are in a file */
  uint64_t timer_events;           /* `events`, when the timer was last due */
  struct trace_counts *totals;     /* count them too, over all daemons; borrowed; or NULL */
  struct trace_dir dir;            /* below which clients may name files */
  bool logged_full, logged_failed; /* logged in this episode */
  const struct error_text
      *no_pool; /* why there is no thread pool (thread_pool.h); NULL: there is one */
  bool closing, closed;
  uint64_t close_by_ms; /* uv_now */
  trace_closed_fn *on_closed;
  void *on_closed_arg;
};

/* Makes a trace that is off. `log` may be NULL. It and the loop outlive the trace, and the struct
 * must not move until trace_close is done. Returns 0 or FC_ENOMEM. */
int trace_init(struct trace *trace, uv_loop_t *loop, struct log *log);

/* Opens `path` to append (0640), makes its directory if it is missing, and traces to it from now
 * on. Earlier lines still go to the former file. trace_on takes any path, for the command line.
 * trace_on_below takes a file below the trace directory (trace_dir.h), for a client. Returns 0,
 * FC_ENOMEM, or FC_ETRACE with a text, and then the former state stays. */
int trace_on(struct trace *trace, struct fc_str path, struct error_text *reason);
int trace_on_below(struct trace *trace, struct fc_str path, bool make_folders,
                   struct error_text *reason);

/* Makes `path` the trace directory, below which clients may name files. There is none at first.
 * Returns 0, FC_ENOMEM or FC_ETRACE. trace_set_dir_beside takes the directory of the current file
 * (trace_dir_open_beside). */
int trace_set_dir(struct trace *trace, const char *path, struct error_text *reason);
void trace_set_dir_beside(struct trace *trace);

/* Takes an open directory, or none, in place of the former one. */
void trace_take_dir(struct trace *trace, const struct trace_dir *dir);

/* Count lines in the trace and in its totals. */
static inline void trace_count_event(struct trace *trace) {
  trace->events++;
  if (trace->totals != NULL)
    trace->totals->events++;
}
static inline void trace_count_lost(struct trace *trace, uint64_t n) {
  trace->lost += n;
  if (trace->totals != NULL)
    trace->totals->lost += n;
}
static inline void trace_count_written(struct trace *trace, uint64_t n) {
  trace->written += n;
  if (trace->totals != NULL)
    trace->totals->written += n;
}

/* Ends the trace. Lines that were accepted are still written. */
void trace_off(struct trace *trace);
/* Opens the path again after a rotation, as it was opened before. Earlier lines go to the old file.
 * A failure is logged, and the old file stays in use. Does nothing while off. */
void trace_reopen(struct trace *trace);

/* Returns the most memory that a trace takes, files included. */
size_t trace_bytes_max(void);

static inline bool trace_is_on(const struct trace *trace) {
  return trace->current != NULL;
}
/* Returns the path, or NULL while off. Valid until the next call that changes it. */
const char *trace_path(const struct trace *trace);
/* Returns the lines that are in a file or wait to be written. */
static inline uint64_t trace_lines(const struct trace *trace) {
  return trace->events - trace->lost;
}
/* Returns the lines that wait to be written. */
static inline uint64_t trace_waiting(const struct trace *trace) {
  return trace->events - trace->lost - trace->written;
}

/* Returns whether more than half of the room for unwritten lines is used, and the disk takes lines.
 * A caller that waits while the trace is behind loses no line. Returns false if the last write
 * failed or hangs, because waiting would not help. */
bool trace_fell_behind(const struct trace *trace);
static inline bool trace_is_behind(const struct trace *trace) {
  return __builtin_expect(trace->current != NULL &&
                              trace->unwritten_bytes > TRACE_UNWRITTEN_MAX / 2 &&
                              trace_fell_behind(trace),
                          0);
}

/* Appends the line of an event. Does nothing while off. */
void trace_write(struct trace *trace, const struct trace_context *context,
                 const struct trace_event *event);

/* Appends the line of an event in the template's context. The trace must be on. */
void trace_append(struct trace *trace, struct trace_template *template,
                  const struct trace_event *event);

/* Ends the trace, writes out accepted lines, closes the files, and calls `closed` once, from the
 * loop, within TRACE_CLOSE_MAX_MS. Lines that could not be written are counted and logged. Call it
 * once. */
void trace_close(struct trace *trace, trace_closed_fn *closed, void *arg);

#endif
