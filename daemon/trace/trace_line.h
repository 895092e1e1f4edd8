/* trace_line.h - formats one line of the trace: JSON with the fields ts, probe, view_id,
 * prompt_hash, top_k, op, wall_ms, hit, namespace, client, in this order. It is ASCII, as Python's
 * json.dumps writes it: any other character is \uXXXX. Each traced hit calls it, so it neither
 * allocates nor uses printf. */
#ifndef FC_DAEMON_TRACE_LINE_H
#define FC_DAEMON_TRACE_LINE_H

#include "proto/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What many lines have in common. The strings are borrowed for the length of a call. They are valid
 * names (fc_name_valid); `probe` may be none. */
struct trace_context {
  struct fc_str probe, view, op, name_space, client;
  bool hit;
};

/* What each line has of its own. */
struct trace_event {
  uint64_t ts_ns; /* CLOCK_REALTIME */
  uint64_t wall_ns;
  struct fc_hash prompt;
  uint32_t top_k;
};

/* the longest line: five escaped names and the rest */
#define TRACE_LINE_MAX 4608u

/* A rendered context, in three parts. The numbers of a line come between them. It borrows nothing.
 */
struct trace_template {
  size_t op, hit, end; /* in `text`: where the parts behind the first begin, and the end */
  uint64_t seconds;    /* of the latest line: rendered in `time` */
  size_t time_size;    /* 0: no line yet */
  char time[32];
  char text[TRACE_LINE_MAX];
};

void trace_template_init(struct trace_template *template, const struct trace_context *context);

/* Writes the line of an event in the template's context, with its newline and without a NUL. Bytes
 * of `line` behind it may change too. Returns its size. */
size_t trace_template_line(struct trace_template *template, char line[TRACE_LINE_MAX],
                           const struct trace_event *event);

#endif
