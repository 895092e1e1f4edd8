/* trace_lines.h - a trace file as its readers see it: whole lines of JSON, with
 * exactly the fields of docs/trace.md, in their order. */
#ifndef FC_TESTS_TRACE_LINES_H
#define FC_TESTS_TRACE_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct trace_line {  /* texts are borrowed for the length of a callback */
  const char *probe; /* NULL: none */
  const char *view, *prompt_hash, *op, *name_space, *client;
  long long top_k;
  double ts, wall_ms;
  bool hit;
};

/* Calls `fn` (which may be NULL) for each line of the file in turn; returns how many there are. A
 * line that is not whole or not valid ends the test, and so does a file that is not there. */
size_t trace_lines_read(const char *path, void (*fn)(void *arg, const struct trace_line *line),
                        void *arg);

/* Fills `path` with that of a new file in memory, for a trace of which no line may be lost: a disk
 * that stalls for a second costs lines. It is there as long as the test's process. */
#define TRACE_PATH_SIZE 64
void trace_in_memory(char path[TRACE_PATH_SIZE]);

#endif
