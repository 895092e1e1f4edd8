/* trace_buffer.h - lines in memory, waiting to be written. All buffers of a trace together have at
 * most TRACE_BUFFERS_MAX bytes of memory and TRACE_UNWRITTEN_MAX bytes of unwritten lines, which
 * the trace counts. Loop thread only, except where trace_stream.h says otherwise. */
#ifndef FC_DAEMON_TRACE_BUFFER_H
#define FC_DAEMON_TRACE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace;

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

#endif
