/* trace_stream.h - one open trace file with its unwritten lines. The thread pool writes and closes
 * the file; the loop thread appends lines and decides what becomes of those that were not written.
 *
 * Private to trace.c: struct trace owns the streams, one for each inode. */
#ifndef FC_DAEMON_TRACE_STREAM_H
#define FC_DAEMON_TRACE_STREAM_H

#include "daemon/trace/trace.h"
#include "daemon/trace/trace_buffer.h"
#include "daemon/trace/trace_file.h"

struct trace_stream {
  struct trace *trace;
  struct trace_stream *next;
  struct trace_file file;
  struct trace_buffer filling; /* the loop appends here */
  struct trace_buffer writing; /* the batch that is written, or that must be tried again */
  uv_work_t work;
  bool in_pool;         /* the pool has `file` and `writing` */
  uint64_t pool_ms;     /* uv_now, when it got them */
  bool failing;         /* the last write failed, and wrote nothing */
  uint64_t failing_ms;  /* uv_now, when that began */
  bool retired;         /* a former file: close it when everything is written */
  bool closing;         /* the pool closes the file */
  uint64_t lost_before; /* lines lost, when the pool got the batch */
  size_t written;       /* the pool's result: bytes, */
  uint64_t n_written;   /* whole lines, */
  int error;            /* and an errno */
};

/* Makes the next step of a stream that the pool does not have: a write, a close, or none. */
void trace_stream_advance(struct trace_stream *stream);

/* Makes a former file of the stream. One that does not take its lines is given up at once. */
void trace_stream_retire(struct trace_stream *stream);

/* Returns whether a write has taken longer than TRACE_HANG_MS. */
bool trace_stream_hangs(const struct trace_stream *stream);

/* ---- trace.c ---- */

/* Starts the timer, unless it runs. */
void trace_start_timer(struct trace *trace);

/* Ends trace_close if all files are closed. */
void trace_finish_if_done(struct trace *trace);

#endif
