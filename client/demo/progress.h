/* progress.h - one line that says how far the workers are: live on a terminal,
 * once at the end elsewhere. At most 79 columns. */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
  const char *title; /* borrowed; at most 16 characters */
  bool terminal;     /* stdout is one */
  uint64_t expected, computed, cached;
  uint64_t drawn_ns; /* of the elapsed time when it was last drawn; 0: never */
};

void progress_init(struct progress *progress, const char *title);
void progress_begin(struct progress *progress, uint64_t expected);

/* Takes a byte of session.h. */
void progress_count(struct progress *progress, char byte);

/* Draws the line again, on a terminal only and at most ten times a second. */
void progress_show(struct progress *progress, uint64_t elapsed_ns);

/* The last state, and a newline; nothing but a clean line where not `done`. */
void progress_end(const struct progress *progress, uint64_t elapsed_ns, bool done);

#endif
