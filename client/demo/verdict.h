/* verdict.h - both runs brought together: did sharing hold what it promises? */
#ifndef DEMO_VERDICT_H
#define DEMO_VERDICT_H

#include "client/demo/gang.h"
#include "client/demo/report.h"

/* What one run left: the workers' reports and the summary. */
struct run_outcome {
  struct worker_report reports[GANG_WORKERS];
  struct gang_summary summary;
  uint64_t lookups, computed, hits; /* sums over the workers */
};

/* Reads a run's files. 0, or -1 after a line on stderr. */
int outcome_read(struct run_outcome *outcome, const char *folder, bool plain);

/* Compares all that can be compared, says each thing that does not hold on stderr,
 * and prints the demo's last line. `trace_lines` is the length of the shared run's
 * trace. 0 where everything holds, else 1. */
int verdict_give(const struct run_outcome *shared, const struct run_outcome *plain,
                 const char *folder, uint64_t trace_lines);

#endif
