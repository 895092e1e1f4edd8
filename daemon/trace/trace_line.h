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

/* Its strings are borrowed for the length of a call. They are valid names (fc_name_valid); `probe`
 * may be none. */
struct trace_event {
  uint64_t ts_ns; /* CLOCK_REALTIME */
  struct fc_str probe, view;
  struct fc_hash prompt;
  uint32_t top_k;
  struct fc_str op;
  uint64_t wall_ns;
  bool hit;
  struct fc_str name_space, client;
};

/* the longest line: five escaped names and the rest */
#define TRACE_LINE_MAX 4608u

/* Writes the line with its newline, without a NUL; returns its size in bytes. */
size_t trace_line_format(char line[TRACE_LINE_MAX], const struct trace_event *event);

#endif
