/* traced.h - a trace with its own loop and file, for tests of code that writes to one. */
#ifndef FC_TESTS_TRACED_H
#define FC_TESTS_TRACED_H

#include "daemon/trace/trace.h"

struct traced {
  struct trace trace; /* on */
  struct log log;     /* to /dev/null */
  uv_loop_t loop;
  char dir[64], path[96]; /* a temporary directory, and the file in it */
  char *text;
  size_t size; /* of `text` */
};

void traced_start(struct traced *traced);
void traced_end(struct traced *traced); /* leaves nothing behind */

/* Adds lines of client "filler" until the trace is behind, or until it is full. It stays so until
 * one of the calls below. */
void traced_fall_behind(struct traced *traced);
void traced_fill(struct traced *traced);

/* Waits until everything is in the file. */
void traced_write_out(struct traced *traced);

/* Does the same, and returns the file without the lines of "filler". Valid until the next call. */
const char *traced_text(struct traced *traced);
/* Returns how often `part` occurs in that text. */
unsigned traced_count(struct traced *traced, const char *part);

#endif
