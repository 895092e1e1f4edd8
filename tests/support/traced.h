/* traced.h - a trace with a loop and a file of its own, for the tests of what writes to one. */
#ifndef FC_TESTS_TRACED_H
#define FC_TESTS_TRACED_H

#include "daemon/trace/trace.h"

struct traced {
  struct trace trace; /* on */
  struct log log;     /* to nowhere */
  uv_loop_t loop;
  char folder[64], path[96];
  char *text;
  size_t size; /* of `text` */
};

void traced_start(struct traced *traced);
void traced_end(struct traced *traced); /* leaves nothing behind */

/* Fills it with lines (of client "filler") until it is behind; it stays so until the next call
 * below. */
void traced_fall_behind(struct traced *traced);

/* Waits until everything is in the file. */
void traced_write_out(struct traced *traced);

/* The same; then the file without the lines of "filler"; valid until the next call. */
const char *traced_text(struct traced *traced);
unsigned traced_count(struct traced *traced, const char *part); /* of `part` in that text */

#endif
