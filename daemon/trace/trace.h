/* trace.h - the trace file: lines gathered in memory, written in batches by the
 * thread pool, in the file at most 100 ms later, whole lines only.
 *
 * Tracing never holds up service. At most TRACE_UNWRITTEN_MAX bytes wait to be
 * written, whatever happens; past it lines are lost, and counted, and that is said
 * once per episode. A disk that is full keeps the lines of the current file waiting, as
 * it may get room again; any other failure of a write loses that batch, counted and said
 * alike. A former file (trace_off, trace_on with another, trace_reopen) is written out and
 * closed; once its disk is full, or it takes nothing for TRACE_HANG_MS, its lines go to the
 * current file, or are lost and counted where there is none, and it is closed.
 *
 * Loop thread only; the pool touches only the batch that it writes. */
#ifndef FC_DAEMON_TRACE_H
#define FC_DAEMON_TRACE_H

#include "daemon/base/error_text.h"
#include "daemon/base/log.h"
#include "daemon/trace/trace_dir.h"
#include "daemon/trace/trace_line.h"

#include <uv.h>

#define TRACE_UNWRITTEN_MAX (8u << 20)
#define TRACE_DELAY_MS 50u
#define TRACE_CLOSE_MAX_MS 5000u
#define TRACE_HANG_MS 1000u /* a write that takes longer counts as one that failed */
#define TRACE_FILES_MAX 8u  /* open at once: the current one, and those that are still draining */

struct trace;
/* `flushed`: everything is settled and the struct may go. False: a write is stuck
 * in the kernel past the bound; its memory must stay, so end with _exit(2). */
typedef void trace_closed_fn(struct trace *trace, void *arg, bool flushed);

struct trace_stream; /* an open file with its unwritten lines; one per inode */

struct trace {
  uv_loop_t *loop;
  struct log *log;
  uv_timer_t timer;             /* due when the first unwritten line is TRACE_DELAY_MS old */
  struct trace_stream *current; /* NULL: off */
  struct trace_stream *files;   /* all that are open, also draining ones */
  size_t unwritten_bytes;       /* over all files */
  size_t buffer_bytes;          /* of the memory that lines have, over all files */
  uint64_t events;              /* lines accepted or lost since the start */
  uint64_t lost;                /* of them, those that will never be in a file, */
  uint64_t written;             /* and those that are in one */
  struct trace_dir dir;         /* below which clients may name files */
  bool said_full, said_failed;
  const struct error_text
      *no_pool; /* why there are no threads to write with (thread_pool.h); NULL: there are */
  bool closing, closed;
  uint64_t close_by_ms; /* uv_now */
  trace_closed_fn *on_closed;
  void *on_closed_arg;
};

/* Off. `log` may be NULL; both outlive the trace. 0 or FC_ENOMEM. The struct must
 * stay in place until trace_close is done. */
int trace_init(struct trace *trace, uv_loop_t *loop, struct log *log);

/* Opens `path` to append (0640), makes its directory where missing, and traces to it
 * from now on; what went before still reaches the former file. Opens on the spot, to
 * say at once what is wrong: FC_ETRACE with a text, also where there are no threads. Then the
 * former state stays. The first takes whatever the path names, for a path of the command line; the
 * second a file below the folder for traces, for a client's (trace_dir.h). */
int trace_on(struct trace *trace, struct fc_str path, struct error_text *fault);
int trace_on_below(struct trace *trace, struct fc_str path, struct error_text *fault);

/* Makes `path` the folder below which clients may name files: there is none before. 0, FC_ENOMEM or
 * FC_ETRACE. The second makes it that of the current file (trace_dir_open_beside). */
int trace_set_dir(struct trace *trace, const char *path, struct error_text *fault);
void trace_set_dir_beside(struct trace *trace);
/* No more lines; what was accepted is still written, where the file takes it. */
void trace_off(struct trace *trace);
/* After rotation: opens the path anew, as it was opened before, and the old file gets what was
 * meant for it, if it can. Where that fails, it is logged and the old file stays in use. Nothing
 * while off. */
void trace_reopen(struct trace *trace);

/* Memory that a trace may take, files included. */
size_t trace_bytes_max(void);

static inline bool trace_is_on(const struct trace *trace) {
  return trace->current != NULL;
}
/* The path, or NULL while off; valid until the next call that changes it. */
const char *trace_path(const struct trace *trace);
/* Lines that are in a file or on their way into it. */
static inline uint64_t trace_lines(const struct trace *trace) {
  return trace->events - trace->lost;
}
/* Of these, the ones that are in no file yet. */
static inline uint64_t trace_waiting(const struct trace *trace) {
  return trace->events - trace->lost - trace->written;
}

/* Is more than half of what may wait waiting for a disk that takes it? Who can wait before it adds
 * more loses no line. False where the last write failed or hangs: there waiting is of no use. */
bool trace_fell_behind(const struct trace *trace);
static inline bool trace_is_behind(const struct trace *trace) {
  return __builtin_expect(trace->current != NULL &&
                              trace->unwritten_bytes > TRACE_UNWRITTEN_MAX / 2 &&
                              trace_fell_behind(trace),
                          0);
}

/* Does nothing while off: one branch. */
void trace_append(struct trace *trace, const struct trace_event *event);
static inline void trace_write(struct trace *trace, const struct trace_event *event) {
  if (__builtin_expect(trace->current != NULL, 0))
    trace_append(trace, event);
}

/* Turns tracing off, writes out what was accepted, closes the files, and calls
 * `closed` once, from the loop, within TRACE_CLOSE_MAX_MS. What could not be written
 * is counted and logged. Call once. */
void trace_close(struct trace *trace, trace_closed_fn *closed, void *arg);

#endif
