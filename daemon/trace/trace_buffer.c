#include "daemon/trace/trace_buffer.h"

#include "daemon/base/check.h"
#include "daemon/trace/trace.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES (64u << 10)
#define KEEP_BYTES (1u << 20) /* a larger buffer is freed when all is written */

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
  trace->lost += trace_buffer_count_lines(buffer->data + buffer->start + rest, left - rest);
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
  trace->lost++;
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
