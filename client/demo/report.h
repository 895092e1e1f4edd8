/* report.h - what a worker tells the demo at its end: a small text file, a line
 * per figure, "VALUE NAME", the probes' numbers in full precision. */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include "client/demo/probes.h"

struct worker_report {
  uint64_t lookups;  /* asked */
  uint64_t computed; /* times that the model ran */
  uint64_t hits;     /* as the library counted, and the next two */
  uint64_t forward_passes;
  uint64_t degraded;
  uint64_t tokens, words; /* the model: learned from, vocabulary */
  struct probe_report probes;
};

/* Both 0, or FCACHE_EINVAL after a line on stderr. */
int report_write(const struct worker_report *report, const char *path);
int report_read(struct worker_report *report, const char *path);

#endif
