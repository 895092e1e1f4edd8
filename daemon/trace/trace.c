#include "daemon/trace/trace.h"

#include "daemon/trace/trace_file.h"
#include "proto/errors.h"
#include "proto/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (1u << 20) /* so many do not wait for the timer */
#define FIRST_BYTES (64u << 10)
#define KEEP_BYTES (1u << 20) /* a larger buffer is given back once all is written */
#define BUFFER_MAX (TRACE_UNWRITTEN_MAX + TRACE_LINE_MAX)
#define BUFFERS_MAX                                                                                \
  (2 * BUFFER_MAX)           /* of all files together: one that fills, one that is written */
#define CLOSE_FILES_MS 1000u /* of TRACE_CLOSE_MAX_MS: the pool may have to wait for a CPU */

/* Lines from `start` to `size`; where `start` is within a line, its beginning is in
 * the file already and its rest has to follow. */
struct lines {
  char *data;
  size_t start, size, capacity;
};

struct trace_stream {
  struct trace *trace;
  struct trace_stream *next;
  struct trace_file file;
  struct lines filling; /* the loop appends here */
  struct lines flying;  /* the batch that is written, or that has to be tried again */
  uv_work_t work;
  bool in_flight;       /* the pool has `file` and `flying` */
  uint64_t flight_ms;   /* uv_now, when it got them */
  bool failing;         /* the last write failed, and got nothing into the file */
  uint64_t failing_ms;  /* uv_now, when that began */
  bool retired;         /* close when drained */
  bool ending;          /* the pool closes the file */
  uint64_t lost_before; /* of the trace, when the batch went to the pool */
  size_t written;       /* what the pool says of its batch, */
  uint64_t n_written;   /* and how many lines of it are whole now */
  int error;
};

/* ---- lines -------------------------------------------------------------- */

static size_t lines_left(const struct lines *lines) {
  return lines->size - lines->start;
}

static void lines_free(struct trace *trace, struct lines *lines) {
  free(lines->data);
  trace->buffer_bytes -= lines->capacity;
  *lines = (struct lines){0};
}

static void lines_reset(struct trace *trace, struct lines *lines) {
  lines->start = lines->size = 0;
  if (lines->capacity > KEEP_BYTES)
    lines_free(trace, lines);
}

/* False: no memory, or no more is allowed. */
static bool lines_resize(struct trace *trace, struct lines *lines, size_t capacity) {
  size_t others = trace->buffer_bytes - lines->capacity;
  char *data = capacity > BUFFERS_MAX - others ? NULL : realloc(lines->data, capacity);
  if (data == NULL)
    return false;
  lines->data = data;
  lines->capacity = capacity;
  trace->buffer_bytes = others + capacity;
  return true;
}

/* Room for one more line at data + size. */
static bool lines_reserve(struct trace *trace, struct lines *lines) {
  if (lines->capacity - lines->size >= TRACE_LINE_MAX)
    return true;
  size_t capacity = lines->capacity == 0 ? FIRST_BYTES : lines->capacity * 2;
  if (capacity > BUFFER_MAX)
    capacity = BUFFER_MAX;
  return capacity - lines->size >= TRACE_LINE_MAX && lines_resize(trace, lines, capacity);
}

static uint64_t count_lines(const char *data, size_t size) {
  uint64_t n = 0;
  for (const char *at = data, *end = data + size;
       at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
    n++;
  return n;
}

/* Gives up the lines, but, where `keep_begun`, for the rest of one that stands in the
 * file already: without it the next line would be joined to it. */
static void lines_drop(struct trace *trace, struct lines *lines, bool keep_begun) {
  size_t left = lines_left(lines), rest = 0;
  if (left == 0)
    return;
  char *from = lines->data + lines->start;
  if (keep_begun && lines->start > 0 && from[-1] != '\n')
    rest = (size_t)((char *)memchr(from, '\n', left) - from) + 1; /* lines end so */
  trace->lost += count_lines(from + rest, left - rest);
  trace->unwritten_bytes -= left - rest;
  lines->size = lines->start + rest;
  if (rest == 0)
    lines_reset(trace, lines);
}

/* Gives up the rest of a line whose beginning is in a file that is not written any more. */
static void lines_drop_begun(struct trace *trace, struct lines *lines) {
  size_t left = lines_left(lines);
  if (left == 0 || lines->start == 0 || lines->data[lines->start - 1] == '\n')
    return;
  char *from = lines->data + lines->start;
  size_t rest = (size_t)((char *)memchr(from, '\n', left) - from) + 1; /* lines end so */
  lines->start += rest;
  trace->lost++;
  trace->unwritten_bytes -= rest;
}

/* Puts the lines of `from`, which are whole, before those of `to`, of which no byte is written.
 * Without memory they stay where they are. */
static void lines_move(struct trace *trace, struct lines *to, struct lines *from) {
  size_t moved = lines_left(from), kept = lines_left(to), least = moved + kept + TRACE_LINE_MAX;
  if (moved == 0)
    return;
  memmove(from->data, from->data + from->start, moved);
  from->start = 0;
  from->size = moved;
  if (from->capacity < least && !lines_resize(trace, from, least))
    return;
  if (kept > 0)
    memcpy(from->data + moved, to->data + to->start, kept);
  from->size += kept;
  lines_free(trace, to);
  *to = *from;
  *from = (struct lines){0};
}

/* ---- writing ------------------------------------------------------------ */

static void stream_advance(struct trace_stream *stream);
static void on_timer(uv_timer_t *timer);
static void finish_if_done(struct trace *trace);

static void start_timer(struct trace *trace) {
  if (!trace->closed && !uv_is_active((uv_handle_t *)&trace->timer))
    (void)uv_timer_start(&trace->timer, on_timer, TRACE_DELAY_MS, 0); /* not closing: cannot fail */
}

static void pool_write(uv_work_t *work) {
  struct trace_stream *stream = work->data;
  const struct lines *lines = &stream->flying;
  stream->error = trace_file_write(&stream->file, lines->data + lines->start, lines_left(lines),
                                   &stream->written);
  stream->n_written = count_lines(lines->data + lines->start, stream->written);
}

static bool may_pass(const struct trace_stream *stream) {
  return stream->error == EAGAIN ||
         (stream->file.regular && (stream->error == ENOSPC || stream->error == EDQUOT));
}

static bool hangs(const struct trace_stream *stream) {
  return stream->in_flight && uv_now(stream->trace->loop) > stream->flight_ms + TRACE_HANG_MS;
}

/* A former file that does not take its lines is not waited for: it would stay open, and a full disk
 * would not get its room back. A pipe has a while, as its reader may be slow. */
static bool is_hopeless(const struct trace_stream *stream) {
  uint64_t since_ms = uv_now(stream->trace->loop) - stream->failing_ms;
  return hangs(stream) || (!stream->in_flight && stream->failing &&
                           (stream->error != EAGAIN || since_ms >= TRACE_HANG_MS));
}

/* The current file gets the lines of a former one; where there is none, they are lost at once. What
 * the pool has stays there. */
static void abandon(struct trace_stream *stream) {
  struct trace *trace = stream->trace;
  struct lines *parts[] = {&stream->filling, stream->in_flight ? NULL : &stream->flying};
  uint64_t lost_before = trace->lost;
  size_t size = 0;
  for (size_t i = 0; i < 2 && parts[i] != NULL;
       i++) { /* the older lines last: each goes in front */
    lines_drop_begun(trace, parts[i]);
    size += lines_left(parts[i]);
    if (trace->current != NULL)
      lines_move(trace, &trace->current->filling, parts[i]);
    lines_drop(trace, parts[i], false);
  }
  if (size == 0 && trace->lost == lost_before)
    return;
  log_line(trace->log, LOG_LEVEL_WARNING,
           "%s does not take its last lines, and is closed: %s%s; %" PRIu64 " lines are lost",
           stream->file.path, trace->current != NULL ? "they go to " : "there is no other file",
           trace->current != NULL ? trace->current->file.path : "", trace->lost - lost_before);
  if (trace->current != NULL)
    start_timer(trace);
}

static void settle_failure(struct trace_stream *stream) {
  struct trace *trace = stream->trace;
  if (stream->retired && !trace->closing && may_pass(stream) && is_hopeless(stream)) {
    abandon(stream);
    return;
  }
  bool give_up = !may_pass(stream) || (trace->closing && stream->error != EAGAIN);
  if (stream->error != EAGAIN)
    log_once(trace->log, &trace->said_failed, LOG_LEVEL_WARNING,
             "the trace cannot be written to %s: %s: %s", stream->file.path,
             strerror(stream->error),
             may_pass(stream) ? "lines wait until there is room" : "lines are lost and counted");
  if (!give_up) {
    start_timer(trace);
    return;
  }
  lines_drop(trace, &stream->flying, !trace->closing);
  if (trace->closing)
    lines_drop(trace, &stream->filling, false);
  else if (lines_left(&stream->flying) > 0)
    start_timer(trace);
}

static void settle_success(struct trace_stream *stream) {
  struct trace *trace = stream->trace;
  stream->flying.start = stream->flying.size = 0;
  if (lines_left(&stream->filling) == 0) { /* else both are soon full again */
    lines_reset(trace, &stream->flying);
    lines_reset(trace, &stream->filling);
  }
  if (!trace->said_failed && !trace->said_full)
    return;
  /* A disk that is a little too slow takes a batch now and then: that ends no episode. */
  if (trace->unwritten_bytes > 0 || trace->lost > stream->lost_before)
    return;
  trace->said_failed = trace->said_full = false;
  log_line(trace->log, LOG_LEVEL_INFO, "the trace is written again; %" PRIu64 " lines are lost",
           trace->lost);
}

static void after_write(uv_work_t *work, int status) {
  struct trace_stream *stream = work->data;
  struct trace *trace = stream->trace;
  (void)status; /* never cancelled: it would be UV_ECANCELED */
  stream->in_flight = false;
  if (trace->closed)
    return; /* the bound has passed; whoever closed is leaving by _exit */
  stream->flying.start += stream->written;
  trace->unwritten_bytes -= stream->written;
  trace->written += stream->n_written;
  /* A pipe that is full for now is no failure as long as somebody reads from it. */
  bool failing = stream->error != 0 && !(stream->error == EAGAIN && stream->written > 0);
  if (failing && !stream->failing)
    stream->failing_ms = uv_now(trace->loop);
  stream->failing = failing;
  if (stream->error != 0)
    settle_failure(stream);
  else
    settle_success(stream);
  /* A batch that has to wait for the timer goes when that is due. */
  if (lines_left(&stream->flying) == 0)
    stream_advance(stream);
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
  lines_free(trace, &stream->filling);
  lines_free(trace, &stream->flying);
  free(stream);
  finish_if_done(trace);
}

static void to_pool(struct trace_stream *stream, uv_work_cb work, uv_after_work_cb after) {
  stream->in_flight = true;
  stream->flight_ms = uv_now(stream->trace->loop);
  stream->work.data = stream;
  (void)uv_queue_work(stream->trace->loop, &stream->work, work,
                      after); /* fails only without `work` */
}

/* The next step of a stream that the pool does not have: write, close, or nothing. */
static void stream_advance(struct trace_stream *stream) {
  if (stream->in_flight)
    return;
  if (lines_left(&stream->flying) == 0 && lines_left(&stream->filling) > 0) {
    struct lines empty = stream->flying;
    stream->flying = stream->filling;
    stream->filling = empty;
  }
  if (lines_left(&stream->flying) > 0) {
    stream->lost_before = stream->trace->lost;
    to_pool(stream, pool_write, after_write);
  } else if (stream->retired) {
    stream->ending = true;
    to_pool(stream, pool_close, after_close);
  }
}

static void on_timer(uv_timer_t *timer) {
  struct trace *trace = timer->data;
  bool late = trace->closing && uv_now(trace->loop) >= trace->close_by_ms;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    if (late && !stream->in_flight) {
      lines_drop(trace, &stream->flying, false);
      lines_drop(trace, &stream->filling, false);
    }
    stream_advance(stream);
  }
  if (trace->closing) {
    /* After the bound on writing, the pool still has to close the files. */
    if (uv_now(trace->loop) >= trace->close_by_ms + CLOSE_FILES_MS)
      trace->closed = true;
    else
      start_timer(trace);
    finish_if_done(trace);
  }
}

bool trace_fell_behind(const struct trace *trace) {
  const struct trace_stream *stream = trace->current;
  size_t own = lines_left(&stream->filling) + lines_left(&stream->flying);
  size_t others = trace->unwritten_bytes - own; /* of former files, which may never move on */
  return own > (TRACE_UNWRITTEN_MAX - others) / 2 && !stream->failing && !hangs(stream);
}

void trace_append(struct trace *trace, const struct trace_event *event) {
  struct trace_stream *stream = trace->current;
  struct lines *lines = &stream->filling;
  trace->events++;
  if (trace->unwritten_bytes + TRACE_LINE_MAX > TRACE_UNWRITTEN_MAX ||
      !lines_reserve(trace, lines)) {
    trace->lost++;
    log_once(trace->log, &trace->said_full, LOG_LEVEL_WARNING,
             "%s does not take the trace as fast as it comes: lines are lost and counted",
             stream->file.path);
    return;
  }
  size_t size = trace_line_format(lines->data + lines->size, event);
  lines->size += size;
  trace->unwritten_bytes += size;
  if (lines->size >= BATCH_BYTES && lines_left(&stream->flying) == 0)
    stream_advance(stream);
  else
    start_timer(trace);
}

/* ---- on, off, reopen ---------------------------------------------------- */

size_t trace_bytes_max(void) {
  return BUFFERS_MAX + TRACE_FILES_MAX * (sizeof(struct trace_stream) + FC_PATH_MAX + 1);
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

/* The stream that has the same file open, so that no two write to one file. */
static struct trace_stream *find_same(const struct trace *trace, const struct trace_file *file,
                                      unsigned *n_open) {
  *n_open = 0;
  struct trace_stream *found = NULL;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    ++*n_open;
    if (!stream->ending && stream->file.device == file->device && stream->file.inode == file->inode)
      found = stream;
  }
  return found;
}

static void make_current(struct trace *trace, struct trace_stream *stream) {
  struct trace_stream *former = trace->current;
  trace->current = stream;
  if (stream != NULL)
    stream->retired = false;
  if (former != NULL && former != stream) {
    former->retired = true;
    if (is_hopeless(former))
      abandon(former);
    if (former->flying.start == former->flying.size)
      stream_advance(former); /* else the timer tries again first */
  }
}

/* The pool does not use file->path, so that may change under a write. */
static void adopt_path(struct trace_stream *stream, struct trace_file *file) {
  char *path = stream->file.path;
  stream->file.path = file->path;
  stream->file.dir = file->dir;
  file->path = path;
}

static int turn_on(struct trace *trace, const struct trace_dir *dir, struct fc_str path,
                   struct error_text *fault) {
  struct trace_file file;
  unsigned n_open;
  if (trace->closing)
    return error_text_set(fault, FC_ESHUTDOWN, "the daemon is shutting down: it traces no more");
  if (trace->no_pool != NULL)
    return error_text_set(fault, FC_ETRACE, "%s", trace->no_pool->text);
  int r = trace_file_open(&file, dir, path, fault);
  if (r < 0)
    return r;
  struct trace_stream *stream = find_same(trace, &file, &n_open);
  if (stream != NULL) {
    adopt_path(stream, &file);
    (void)trace_file_deinit(&file); /* nothing was written through this one */
    make_current(trace, stream);
    return 0;
  }
  trace_file_look_at_end(&file); /* only now: no stream of ours is writing to it */
  stream = n_open < TRACE_FILES_MAX ? calloc(1, sizeof *stream) : NULL;
  if (stream == NULL) {
    error_text_set(fault, FC_ETRACE,
                   "the trace file %s was not opened: %u former ones are still being written: try "
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

int trace_on(struct trace *trace, struct fc_str path, struct error_text *fault) {
  return turn_on(trace, NULL, path, fault);
}

int trace_on_below(struct trace *trace, struct fc_str path, struct error_text *fault) {
  return turn_on(trace, &trace->dir, path, fault);
}

int trace_set_dir(struct trace *trace, const char *path, struct error_text *fault) {
  return trace_dir_open(&trace->dir, path, fault);
}

void trace_set_dir_beside(struct trace *trace) {
  struct stat st;
  if (trace->current != NULL && fstat(trace->current->file.fd, &st) == 0)
    trace_dir_open_beside(&trace->dir, trace->current->file.path, &st);
}

void trace_off(struct trace *trace) {
  make_current(trace, NULL);
}

void trace_reopen(struct trace *trace) {
  struct error_text fault;
  if (trace->current == NULL)
    return;
  /* A copy: opening the same file again replaces the path that it was given. */
  char *path = strdup(trace->current->file.path);
  int r = path == NULL ? error_text_set(&fault, FC_ENOMEM, "out of memory")
                       : turn_on(trace, trace->current->file.dir, fc_str_of(path), &fault);
  free(path);
  if (r < 0)
    log_line(trace->log, LOG_LEVEL_WARNING, "the trace stays in its old file: %s", fault.text);
  else
    log_line(trace->log, LOG_LEVEL_INFO, "the trace was opened again: %s", trace_path(trace));
}

/* ---- the end ------------------------------------------------------------ */

static void after_timer_closed(uv_handle_t *handle) {
  struct trace *trace = handle->data;
  trace_dir_deinit(&trace->dir);
  trace->on_closed(trace, trace->on_closed_arg, trace->files == NULL);
}

static void finish_if_done(struct trace *trace) {
  if (!trace->closing || (trace->files != NULL && !trace->closed) ||
      uv_is_closing((uv_handle_t *)&trace->timer))
    return;
  trace->closed = true;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    lines_drop(trace, &stream->filling, false); /* `flying` is the pool's */
    log_line(trace->log, LOG_LEVEL_WARNING,
             "a write to the trace is stuck: what it has may be lost");
  }
  if (trace->lost > 0)
    log_line(trace->log, LOG_LEVEL_WARNING, "%" PRIu64 " of %" PRIu64 " trace lines were lost",
             trace->lost, trace->events);
  uv_close((uv_handle_t *)&trace->timer, after_timer_closed);
}

void trace_close(struct trace *trace, trace_closed_fn *closed, void *arg) {
  trace->current = NULL;
  trace->closing = true;
  trace->on_closed = closed;
  trace->on_closed_arg = arg;
  uv_update_time(trace->loop);
  trace->close_by_ms =
      uv_now(trace->loop) + TRACE_CLOSE_MAX_MS - CLOSE_FILES_MS - 2 * TRACE_DELAY_MS;
  for (struct trace_stream *stream = trace->files; stream != NULL; stream = stream->next) {
    stream->retired = true;
    stream_advance(stream);
  }
  (void)uv_timer_stop(&trace->timer); /* cannot fail */
  start_timer(trace);
  finish_if_done(trace);
}
