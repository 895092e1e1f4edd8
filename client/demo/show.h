/* show.h - what the demo prints between its runs, at most 80 columns wide. */
#ifndef DEMO_SHOW_H
#define DEMO_SHOW_H

#include "client/demo/text.h"
#include "client/demo/verdict.h"

/* What is about to happen. */
void show_plan(const struct corpus *corpus);

/* The probes' numbers, a row each and a column per worker. */
void show_probes(const struct run_outcome *outcome);

/* A text file as it is, indented by nothing. 0, or -1 after a line on stderr. */
int show_file(const char *path);

/* The first `n` lines of a trace, folded to the width, and its length in *lines
 * (whole lines). 0, or -1 after a line on stderr. */
int show_trace(const char *path, unsigned n, uint64_t *lines);

/* Both runs' times, and how much of the hits was sharing. */
void show_times(const struct run_outcome *shared, const struct run_outcome *plain);

#endif
