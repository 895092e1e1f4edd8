/* trace_line.h - one line of the trace: JSON with exactly these fields, in this
 * order: ts, probe, view_id, prompt_hash, top_k, op, wall_ms, hit, namespace,
 * client. ASCII, as Python's json.dumps writes it: any other character is \uXXXX.
 * A pure function, and on the way of every hit: no allocation, no printf. */
#ifndef FC_DAEMON_TRACE_LINE_H
#define FC_DAEMON_TRACE_LINE_H

#include "proto/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrows all of its strings, for the length of a call. They are valid names (see
 * fc_name_valid); `probe` may be none. */
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

/* no line is longer: five names, escaped, and the rest */
#define TRACE_LINE_MAX 4608u

/* Writes the line with its newline, without a NUL; returns its size in bytes. */
size_t trace_line_format(char line[TRACE_LINE_MAX], const struct trace_event *event);

#endif
