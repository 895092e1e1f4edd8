/* demo_outcome.h - the outcome of one run of the demo's workers, and the comparison of such
 * outcomes. */
#ifndef EXAMPLES_DEMO_OUTCOME_H
#define EXAMPLES_DEMO_OUTCOME_H

#include <stddef.h>
#include <stdint.h>

#include "client/examples/demo_worker.h"

struct outcome {
  uint64_t wall_ns;
  uint64_t hits, forward_passes, shared_hits, coalesced_hits; /* as the daemon counted them */
  uint64_t tier_hits; /* of `hits`: came from the tier, so another node computed them */
  struct worker_outcome workers[WORKERS];
};

/* Compares the outcomes in `n` files, each of four workers with a daemon of their own, with the
 * outcome in the file `plain_path`, of four workers without a daemon. With several files, the
 * daemons share a tier. `trace_lines` is the number of lines of all daemons together. Prints the
 * last lines of the demo. Returns its exit status, 1 if a claim is not true. */
int demo_compare(uint64_t trace_lines, const char *plain_path, char **shared_paths, size_t n);

#endif
