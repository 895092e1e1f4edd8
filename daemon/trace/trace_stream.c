#include "daemon/trace/trace_stream.h"

#include "daemon/base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- buffers ---- */

#define FIRST_BYTES (64u << 10)
#define KEEP_BYTES (1u << 20) /* a larger buffer is freed when no more lines come */

static void check_buffer(const struct trace *trace, const struct trace_buffer *buffer) {
  check_le(buffer->start, buffer->size);
  check_le(buffer->size, buffer->capacity);
  check_le(buffer->capacity, trace->buffer_bytes);
  check_le(trace_buffer_left(buffer), trace->unwritten_bytes);
  check_le(trace->buffer_bytes, TRACE_BUFFERS_MAX);
  check_le(trace->unwritten_bytes, TRACE_UNWRITTEN_MAX);
  check_le(trace->lost, trace->events);
}

void trace_buffer_free(struct trace *trace, struct trace_buffer *buffer) {
  check_le(buffer->capacity, trace->buffer_bytes);
  free(buffer->data);
  trace->buffer_bytes -= buffer->capacity;
  *buffer = (struct trace_buffer){0};
}

void trace_buffer_reset(struct trace *trace, struct trace_buffer *buffer) {
  buffer->start = buffer->size = 0;
  if (buffer->capacity > KEEP_BYTES)
    trace_buffer_free(trace, buffer);
}

static bool resize(struct trace *trace, struct trace_buffer *buffer, size_t capacity) {
  size_t others = trace->buffer_bytes - buffer->capacity;
  char *data = capacity > TRACE_BUFFERS_MAX - others ? NULL : realloc(buffer->data, capacity);
  if (data == NULL)
    return false;
  buffer->data = data;
  buffer->capacity = capacity;
  trace->buffer_bytes = others + capacity;
  check_buffer(trace, buffer);
  return true;
}

bool trace_buffer_reserve(struct trace *trace, struct trace_buffer *buffer) {
  check_buffer(trace, buffer);
  if (buffer->capacity - buffer->size >= TRACE_LINE_MAX)
    return true;
  size_t capacity = buffer->capacity == 0 ? FIRST_BYTES : buffer->capacity * 2;
  if (capacity > TRACE_BUFFER_MAX)
    capacity = TRACE_BUFFER_MAX;
  return capacity - buffer->size >= TRACE_LINE_MAX && resize(trace, buffer, capacity);
}

uint64_t trace_buffer_count_lines(const char *data, size_t size) {
  uint64_t n = 0;
  for (const char *at = data, *end = data + size;
       at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
    n++;
  return n;
}

/* Returns the size of the rest of a line whose beginning is written, or 0. */
static size_t begun_size(const struct trace_buffer *buffer) {
  size_t left = trace_buffer_left(buffer);
  if (left == 0 || buffer->start == 0 || buffer->data[buffer->start - 1] == '\n')
    return 0;
  const char *from = buffer->data + buffer->start;
  return (size_t)((const char *)memchr(from, '\n', left) - from) + 1; /* each line has a newline */
}

void trace_buffer_drop(struct trace *trace, struct trace_buffer *buffer, bool keep_begun) {
  size_t left = trace_buffer_left(buffer), rest = keep_begun ? begun_size(buffer) : 0;
  if (left == 0)
    return;
  check_buffer(trace, buffer);
  trace_count_lost(trace,
                   trace_buffer_count_lines(buffer->data + buffer->start + rest, left - rest));
  trace->unwritten_bytes -= left - rest;
  buffer->size = buffer->start + rest;
  if (rest == 0)
    trace_buffer_reset(trace, buffer);
  check_buffer(trace, buffer);
}

void trace_buffer_drop_begun(struct trace *trace, struct trace_buffer *buffer) {
  size_t rest = begun_size(buffer);
  if (rest == 0)
    return;
  buffer->start += rest;
  trace_count_lost(trace, 1);
  trace->unwritten_bytes -= rest;
  check_buffer(trace, buffer);
}

void trace_buffer_prepend(struct trace *trace, struct trace_buffer *to, struct trace_buffer *from) {
  size_t moved = trace_buffer_left(from), kept = trace_buffer_left(to);
  if (moved == 0)
    return;
  memmove(from->data, from->data + from->start, moved);
  from->start = 0;
  from->size = moved;
  if (from->capacity < moved + kept + TRACE_LINE_MAX &&
      !resize(trace, from, moved + kept + TRACE_LINE_MAX))
    return;
  if (kept > 0)
    memcpy(from->data + moved, to->data + to->start, kept);
  from->size += kept;
  trace_buffer_free(trace, to);
  *to = *from;
  *from = (struct trace_buffer){0};
  check_buffer(trace, to);
}

void trace_stream_shrink(struct trace_stream *stream, bool idle) {
  struct trace_buffer *filling = &stream->filling, *writing = &stream->writing;
  if (filling->capacity <= KEEP_BYTES && writing->capacity <= KEEP_BYTES)
    return;
  if (!idle) {
    trace_start_timer(stream->trace);
  } else if (!stream->in_pool && trace_buffer_left(filling) + trace_buffer_left(writing) == 0) {
    trace_buffer_reset(stream->trace, filling);
    trace_buffer_reset(stream->trace, writing);
  }
}

/* ---- writing ---- */

static void pool_write(uv_work_t *work) {
  struct trace_stream *stream = work->data;
  const struct trace_buffer *lines = &stream->writing;
  stream->error = trace_file_write(&stream->file, lines->data + lines->start,
                                   trace_buffer_left(lines), &stream->written);
  stream->n_written = trace_buffer_count_lines(lines->data + lines->start, stream->written);
}

static bool is_temporary(const struct trace_stream *stream) {
  return stream->error == EAGAIN ||
         (stream->file.regular && (stream->error == ENOSPC || stream->error == EDQUOT));
}

bool trace_stream_hangs(const struct trace_stream *stream) {
  return stream->in_pool && uv_now(stream->trace->loop) > stream->pool_ms + TRACE_HANG_MS;
}

/* A former file that does not take its lines is not waited for: it would stay open, and a full disk
 * would not get its space back. A pipe gets some time, because its reader may be slow. */
static bool is_hopeless(const struct trace_stream *stream) {
  uint64_t since_ms = uv_now(stream->trace->loop) - stream->failing_ms;
  return trace_stream_hangs(stream) || (!stream->in_pool && stream->failing &&
                                        (stream->error != EAGAIN || since_ms >= TRACE_HANG_MS));
}

/* Moves the lines of a former file to the current one, or loses them if there is none. The pool
 * keeps its batch. */
static void abandon(struct trace_stream *stream) {
  struct trace *trace = stream->trace;
  struct trace_buffer *buffers[] = {&stream->filling, stream->in_pool ? NULL : &stream->writing};
  uint64_t lost_before = trace->lost;
  size_t size = 0;
  /* The older lines come last, because each batch is moved to the front. */
  for (size_t i = 0; i < 2 && buffers[i] != NULL; i++) {
    trace_buffer_drop_begun(trace, buffers[i]);
    size += trace_buffer_left(buffers[i]);
    if (trace->current != NULL)
      trace_buffer_prepend(trace, &trace->current->filling, buffers[i]);
    trace_buffer_drop(trace, buffers[i], false);
  }
  if (size == 0 && trace->lost == lost_before)
    return;
  log_line(trace->log, LOG_LEVEL_WARNING,
           "trace file %s is closed with unwritten lines: %s%s: %" PRIu64 " lines are lost",
           stream->file.path, trace->current != NULL ? "they go to " : "there is no other file",
           trace->current != NULL ? trace->current->file.path : "", trace->lost - lost_before);
  if (trace->current != NULL)
    trace_start_timer(trace);
}

static void settle_failure(struct trace_stream *stream) {
  struct trace *trace = stream->trace;
  if (stream->retired && !trace->closing && is_temporary(stream) && is_hopeless(stream)) {
    abandon(stream);
    return;
  }
  bool give_up = !is_temporary(stream) || (trace->closing && stream->error != EAGAIN);
  if (stream->error != EAGAIN)
    log_once(
        trace->log, &trace->logged_failed, LOG_LEVEL_WARNING,
        "the trace cannot be written to %s: %s: %s", stream->file.path, strerror(stream->error),
        is_temporary(stream) ? "lines wait until there is room" : "lines are lost and counted");
  if (!give_up) {
    trace_start_timer(trace);
    return;
  }
  trace_buffer_drop(trace, &stream->writing, !trace->closing);
  if (trace->closing)
    trace_buffer_drop(trace, &stream->filling, false);
  else if (trace_buffer_left(&stream->writing) > 0)
    trace_start_timer(trace);
}

static void settle_success(struct trace_stream *stream) {
  struct trace *trace = stream->trace;
  stream->writing.start = stream->writing.size = 0;
  trace_stream_shrink(stream, stream->retired);
  if (!trace->logged_failed && !trace->logged_full)
    return;
  /* A disk that is only a little too slow takes a batch now and then. That ends no episode. */
  if (trace->unwritten_bytes > 0 || trace->lost > stream->lost_before)
    return;
  trace->logged_failed = trace->logged_full = false;
  log_line(trace->log, LOG_LEVEL_INFO, "the trace is written again: %" PRIu64 " lines were lost",
           trace->lost);
}

static void after_write(uv_work_t *work, int status) {
  struct trace_stream *stream = work->data;
  struct trace *trace = stream->trace;
  (void)status; /* never cancelled: it would be UV_ECANCELED */
  stream->in_pool = false;
  if (trace->closed)
    return; /* the time is over, and the process ends by _exit */
  stream->writing.start += stream->written;
  trace->unwritten_bytes -= stream->written;
  trace_count_written(trace, stream->n_written);
  /* A full pipe is no failure as long as its reader takes something. */
  bool failing = stream->error != 0 && !(stream->error == EAGAIN && stream->written > 0);
  if (failing && !stream->failing)
    stream->failing_ms = uv_now(trace->loop);
  stream->failing = failing;
  if (stream->error != 0)
    settle_failure(stream);
  else
    settle_success(stream);
  /* A batch that failed is tried again by the timer. */
  if (trace_buffer_left(&stream->writing) == 0)
    trace_stream_advance(stream);
}

static void pool_close(uv_work_t *work) {
  struct trace_stream *stream = work->data;
  stream->error = trace_file_deinit(&stream->file);
}

static void after_close(uv_work_t *work, int status) {
  struct trace_stream *stream = work->data;
  struct trace *trace = stream->trace;
  (void)status; /* never cancelled */
  if (trace->closed)
    return;
  if (stream->error != 0)
    log_line(trace->log, LOG_LEVEL_WARNING, "closing a trace file failed: %s: lines may be missing",
             strerror(stream->error));
  struct trace_stream **link = &trace->files;
  while (*link != stream)
    link = &(*link)->next;
  *link = stream->next;
  trace_buffer_free(trace, &stream->filling);
  trace_buffer_free(trace, &stream->writing);
  free(stream);
  trace_finish_if_done(trace);
}

static void submit(struct trace_stream *stream, uv_work_cb work, uv_after_work_cb after) {
  stream->in_pool = true;
  stream->pool_ms = uv_now(stream->trace->loop);
  stream->work.data = stream;
  (void)uv_queue_work(stream->trace->loop, &stream->work, work,
                      after); /* fails only without `work` */
}

void trace_stream_advance(struct trace_stream *stream) {
  if (stream->in_pool)
    return;
  if (trace_buffer_left(&stream->writing) == 0 && trace_buffer_left(&stream->filling) > 0) {
    struct trace_buffer empty = stream->writing;
    stream->writing = stream->filling;
    stream->filling = empty;
  }
  if (trace_buffer_left(&stream->writing) > 0) {
    stream->lost_before = stream->trace->lost;
    submit(stream, pool_write, after_write);
  } else if (stream->retired) {
    stream->closing = true;
    submit(stream, pool_close, after_close);
  }
}

void trace_stream_retire(struct trace_stream *stream) {
  stream->retired = true;
  trace_stream_shrink(stream, true);
  if (is_hopeless(stream))
    abandon(stream);
  if (trace_buffer_left(&stream->writing) == 0)
    trace_stream_advance(stream); /* otherwise the timer tries that batch again first */
}
