/* trace_stream.h - one open trace file and the buffers with its unwritten lines. The thread pool
 * writes and closes the file. The loop thread appends lines, and decides which lines are lost.
 *
 * All buffers of a trace together have at most TRACE_BUFFERS_MAX bytes of memory and
 * TRACE_UNWRITTEN_MAX bytes of unwritten lines, which the trace counts. Private to trace.c: struct
 * trace owns the streams, one for each inode. Loop thread only, except where a comment says so. */
#ifndef FC_DAEMON_TRACE_STREAM_H
#define FC_DAEMON_TRACE_STREAM_H

#include "daemon/trace/trace.h"
#include "daemon/trace/trace_file.h"

/* ---- buffers ---- */

#define TRACE_BUFFER_MAX (TRACE_UNWRITTEN_MAX + TRACE_LINE_MAX)
#define TRACE_BUFFERS_MAX (2 * TRACE_BUFFER_MAX) /* one that fills, and one that is written */

/* The unwritten bytes are data[start..size). If `start` is within a line, the beginning of that
 * line is in the file, and its rest must follow. */
struct trace_buffer {
  char *data; /* owned */
  size_t start, size, capacity;
};

static inline size_t trace_buffer_left(const struct trace_buffer *buffer) {
  return buffer->size - buffer->start;
}

/* Makes room for one more line at data + size. Returns false if memory is out, or at the bound. */
bool trace_buffer_reserve(struct trace *trace, struct trace_buffer *buffer);

/* Empties the buffer after its bytes were written or lost. Frees a large one. */
void trace_buffer_reset(struct trace *trace, struct trace_buffer *buffer);
void trace_buffer_free(struct trace *trace, struct trace_buffer *buffer);

/* Loses the lines, and counts them as lost. `keep_begun`: except for the rest of a line whose
 * beginning is in the file, which the next line would be joined to. */
void trace_buffer_drop(struct trace *trace, struct trace_buffer *buffer, bool keep_begun);

/* Loses the rest of a line whose beginning is in a file that is not written any more. */
void trace_buffer_drop_begun(struct trace *trace, struct trace_buffer *buffer);

/* Moves the lines of `from`, all whole, before those of `to`, of which no byte is written. If
 * memory is out, they stay in `from`. */
void trace_buffer_prepend(struct trace *trace, struct trace_buffer *to, struct trace_buffer *from);

/* Returns the number of newlines. Any thread. */
uint64_t trace_buffer_count_lines(const char *data, size_t size);

/* ---- streams ---- */

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

/* Frees large buffers that have no lines. If the stream is not idle, the timer does it later: to
 * get their memory anew for each batch would take a sixth of the time of a line. */
void trace_stream_shrink(struct trace_stream *stream, bool idle);

/* Returns whether a write has taken longer than TRACE_HANG_MS. */
bool trace_stream_hangs(const struct trace_stream *stream);

/* ---- trace.c ---- */

/* Starts the timer, unless it runs. */
void trace_start_timer(struct trace *trace);

/* Ends trace_close if all files are closed. */
void trace_finish_if_done(struct trace *trace);

#endif
