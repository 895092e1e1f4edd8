/* trace_fixture.h - a trace with its loop, log and directory, for the unit tests of the trace. One
 * at a time: trace_fixture_start makes it. */
#ifndef FC_TESTS_TRACE_FIXTURE_H
#define FC_TESTS_TRACE_FIXTURE_H

#include "daemon/trace/trace.h"

struct trace_fixture {
  char dir[64], path[96]; /* a temporary directory, and a file in it */
  uv_loop_t loop;
  struct trace trace;       /* off */
  struct error_text reason; /* of trace_fixture_on */
  struct log log;
  int log_fd;
  bool was_closed, was_flushed;
};
extern struct trace_fixture tf;

void trace_fixture_start(void);
void trace_fixture_end(void); /* closes the trace if that was not done, and leaves nothing behind */

/* Traces to the file at `path`. Returns what trace_on does. */
int trace_fixture_on(const char *path);

/* Closes the trace, and runs the loop until it is closed. */
void trace_fixture_close(void);

/* Writes lines with top_k first, first + 1, ... */
void trace_fixture_write(unsigned first, unsigned n);

/* Writes lines until three quarters of the room for unwritten ones are used. The loop does not run.
 */
void trace_fixture_fall_behind(void);

/* Runs the loop until nothing is unwritten. Returns false after `ms`. */
bool trace_fixture_run(unsigned ms);

/* Checks that the file has whole lines only, with top_k first, first + 1, ... Returns how many. */
unsigned trace_fixture_check_lines(const char *path, unsigned first);

/* Returns how often the log has `part`. */
unsigned trace_fixture_logged(const char *part);

/* Makes a FIFO in the directory, and opens it to read. Returns the reader's descriptor. */
int trace_fixture_make_fifo(char path[96]);

/* Returns the whole file as an allocated text. */
char *trace_fixture_read(const char *path);

#endif
