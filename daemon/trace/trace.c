#include "daemon/trace/trace.h"

#include "daemon/base/check.h"
#include "daemon/trace/trace_stream.h"
#include "proto/errors.h"
#include "proto/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (1u << 20) /* so many do not wait for the timer */
#define CLOSE_FILES_MS 1000u   /* of TRACE_CLOSE_MAX_MS: the pool may have to wait for a CPU */

static void on_timer(uv_timer_t *timer);

void trace_start_timer(struct trace *trace) {
  if (!trace->closed && !uv_is_active((uv_handle_t *)&trace->timer))
    (void)uv_timer_start(&trace->timer, on_timer, TRACE_DELAY_MS, 0); /* not closing: cannot fail */
}

static void on_timer(uv_timer_t *timer) {
  struct trace *trace = timer->data;
  bool late = trace->closing && uv_now(trace->loop) >= trace->close_by_ms;
  bool idle = trace->events == trace->timer_events;
  trace->timer_events = trace->events;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    if (late && !stream->in_pool) {
      trace_buffer_drop(trace, &stream->writing, false);
      trace_buffer_drop(trace, &stream->filling, false);
    }
    trace_stream_advance(stream);
    trace_stream_shrink(stream, idle);
  }
  if (trace->closing) {
    /* After the time for writing, the pool still has to close the files. */
    if (uv_now(trace->loop) >= trace->close_by_ms + CLOSE_FILES_MS)
      trace->closed = true;
    else
      trace_start_timer(trace);
    trace_finish_if_done(trace);
  }
}

bool trace_fell_behind(const struct trace *trace) {
  const struct trace_stream *stream = trace->current;
  check_le(trace->unwritten_bytes, TRACE_UNWRITTEN_MAX);
  size_t own = trace_buffer_left(&stream->filling) + trace_buffer_left(&stream->writing);
  size_t others = trace->unwritten_bytes - own; /* of former files, which may never be written */
  return own > (TRACE_UNWRITTEN_MAX - others) / 2 && !stream->failing &&
         !trace_stream_hangs(stream);
}

void trace_append(struct trace *trace, struct trace_template *template,
                  const struct trace_event *event) {
  struct trace_stream *stream = trace->current;
  struct trace_buffer *lines = &stream->filling;
  trace_count_event(trace);
  if (trace->unwritten_bytes + TRACE_LINE_MAX > TRACE_UNWRITTEN_MAX ||
      !trace_buffer_reserve(trace, lines)) {
    trace_count_lost(trace, 1);
    log_once(trace->log, &trace->logged_full, LOG_LEVEL_WARNING,
             "%s is too slow for the trace: lines are lost and counted", stream->file.path);
    return;
  }
  size_t size = trace_template_line(template, lines->data + lines->size, event);
  check_le(size, TRACE_LINE_MAX);
  lines->size += size;
  trace->unwritten_bytes += size;
  check_le(lines->size, lines->capacity);
  check_le(trace->unwritten_bytes, TRACE_UNWRITTEN_MAX);
  if (lines->size >= BATCH_BYTES && trace_buffer_left(&stream->writing) == 0)
    trace_stream_advance(stream);
  else
    trace_start_timer(trace);
}

void trace_write(struct trace *trace, const struct trace_context *context,
                 const struct trace_event *event) {
  struct trace_template template; /* large: it stays uninitialised while off */
  if (trace->current == NULL)
    return;
  trace_template_init(&template, context);
  trace_append(trace, &template, event);
}

/* ---- on, off, reopen ---- */

size_t trace_bytes_max(void) {
  return TRACE_BUFFERS_MAX + TRACE_FILES_MAX * (sizeof(struct trace_stream) + FC_PATH_MAX + 1);
}

int trace_init(struct trace *trace, uv_loop_t *loop, struct log *log) {
  *trace = (struct trace){.loop = loop, .log = log};
  trace_dir_init(&trace->dir);
  if (uv_timer_init(loop, &trace->timer) < 0)
    return FC_ENOMEM;
  trace->timer.data = trace;
  return 0;
}

const char *trace_path(const struct trace *trace) {
  return trace->current == NULL ? NULL : trace->current->file.path;
}

/* Returns the stream that has the same file open, or NULL, so that no two write to one file. */
static struct trace_stream *find_same(const struct trace *trace, const struct trace_file *file,
                                      unsigned *n_open) {
  *n_open = 0;
  struct trace_stream *found = NULL;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    ++*n_open;
    if (!stream->closing && stream->file.device == file->device &&
        stream->file.inode == file->inode)
      found = stream;
  }
  return found;
}

static void make_current(struct trace *trace, struct trace_stream *stream) {
  struct trace_stream *former = trace->current;
  trace->current = stream;
  if (stream != NULL)
    stream->retired = false;
  if (former != NULL && former != stream)
    trace_stream_retire(former);
}

/* Gives the stream the path by which its file was opened again. The pool does not use the path, so
 * it may change during a write. */
static void replace_path(struct trace_stream *stream, struct trace_file *file) {
  char *path = stream->file.path;
  stream->file.path = file->path;
  stream->file.dir = file->dir;
  file->path = path;
}

static int turn_on(struct trace *trace, const struct trace_dir *dir, struct fc_str path,
                   struct error_text *reason) {
  struct trace_file file;
  unsigned n_open;
  if (trace->closing)
    return error_text_set(reason, FC_ESHUTDOWN, "the daemon is shutting down: the trace stays off");
  if (trace->no_pool != NULL)
    return error_text_set(reason, FC_ETRACE, "%s", trace->no_pool->text);
  int r = trace_file_open(&file, dir, path, reason);
  if (r < 0)
    return r;
  struct trace_stream *stream = find_same(trace, &file, &n_open);
  if (stream != NULL) {
    replace_path(stream, &file);
    (void)trace_file_deinit(&file); /* nothing was written through this one */
    make_current(trace, stream);
    return 0;
  }
  trace_file_find_torn_line(&file); /* only now: no stream is writing to it */
  stream = n_open < TRACE_FILES_MAX ? calloc(1, sizeof *stream) : NULL;
  if (stream == NULL) {
    error_text_set(
        reason, FC_ETRACE,
        "the trace file %s was not opened: %u former trace files are still being written: try "
        "again later",
        file.path, n_open);
    (void)trace_file_deinit(&file); /* nothing was written */
    return FC_ETRACE;
  }
  stream->trace = trace;
  stream->file = file;
  stream->next = trace->files;
  trace->files = stream;
  make_current(trace, stream);
  return 0;
}

int trace_on(struct trace *trace, struct fc_str path, struct error_text *reason) {
  return turn_on(trace, NULL, path, reason);
}

int trace_on_below(struct trace *trace, struct fc_str path, bool make_folders,
                   struct error_text *reason) {
  int rc = make_folders ? 0 : trace_dir_check_folders(&trace->dir, path, reason);
  if (rc < 0)
    return rc;
  return turn_on(trace, &trace->dir, path, reason);
}

int trace_set_dir(struct trace *trace, const char *path, struct error_text *reason) {
  return trace_dir_open(&trace->dir, path, reason);
}

void trace_set_dir_beside(struct trace *trace) {
  struct stat st;
  if (trace->current != NULL && fstat(trace->current->file.fd, &st) == 0)
    trace_dir_open_beside(&trace->dir, trace->current->file.path, &st);
}

void trace_take_dir(struct trace *trace, const struct trace_dir *dir) {
  trace_dir_deinit(&trace->dir);
  trace->dir = *dir;
}

void trace_off(struct trace *trace) {
  make_current(trace, NULL);
}

void trace_reopen(struct trace *trace) {
  struct error_text reason;
  if (trace->current == NULL)
    return;
  /* A copy, because opening the same file again replaces its path. */
  char *path = strdup(trace->current->file.path);
  int r = path == NULL ? error_text_set(&reason, FC_ENOMEM, "out of memory")
                       : turn_on(trace, trace->current->file.dir, fc_str_of(path), &reason);
  free(path);
  if (r < 0)
    log_line(trace->log, LOG_LEVEL_WARNING, "the trace stays in its old file: %s", reason.text);
  else
    log_line(trace->log, LOG_LEVEL_INFO, "the trace was opened again: %s", trace_path(trace));
}

/* ---- close ---- */

static void after_timer_closed(uv_handle_t *handle) {
  struct trace *trace = handle->data;
  trace_dir_deinit(&trace->dir);
  trace->on_closed(trace, trace->on_closed_arg, trace->files == NULL);
}

void trace_finish_if_done(struct trace *trace) {
  if (!trace->closing || (trace->files != NULL && !trace->closed) ||
      uv_is_closing((uv_handle_t *)&trace->timer))
    return;
  trace->closed = true;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    trace_buffer_drop(trace, &stream->filling, false); /* the pool has `writing` */
    log_line(trace->log, LOG_LEVEL_WARNING, "a write to the trace hangs: its lines may be lost");
  }
  if (trace->lost > 0)
    log_line(trace->log, LOG_LEVEL_WARNING, "%" PRIu64 " of %" PRIu64 " trace lines were lost",
             trace->lost, trace->events);
  uv_close((uv_handle_t *)&trace->timer, after_timer_closed);
}

void trace_close(struct trace *trace, trace_closed_fn *closed, void *arg) {
  assert(!trace->closing);
  trace->current = NULL;
  trace->closing = true;
  trace->on_closed = closed;
  trace->on_closed_arg = arg;
  uv_update_time(trace->loop);
  trace->close_by_ms =
      uv_now(trace->loop) + TRACE_CLOSE_MAX_MS - CLOSE_FILES_MS - 2 * TRACE_DELAY_MS;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    stream->retired = true;
    trace_stream_advance(stream);
  }
  (void)uv_timer_stop(&trace->timer); /* cannot fail */
  trace_start_timer(trace);
  trace_finish_if_done(trace);
}
