/* gang.h - starts the worker processes of one run all at once, shows how they get
 * on, and gathers what they and the daemon say at the end.
 *
 * It is run in a process of its own (`demo --gang`): for the shared run inside
 * `fcachectl run`, whose environment leads the workers to the daemon. */
#ifndef DEMO_GANG_H
#define DEMO_GANG_H

#include <stdbool.h>
#include <stdint.h>

#include "client/demo/util.h"

#define GANG_WORKERS 4u

struct gang_options {
  const char *folder; /* of the run's files; exists */
  const char *worker; /* path of demo-worker */
  const char *ctl;    /* path of fcachectl */
  bool plain;         /* without a daemon */
};

/* What is known of a run beyond the workers' reports. The counts are the
 * daemon's own, of the run's namespace; 0 without a daemon. */
struct gang_summary {
  uint64_t wall_ns; /* from the common start until the last worker was done */
  uint64_t hits, misses, forward_passes;
  uint64_t shared_hits;    /* on what another worker had put */
  uint64_t coalesced_hits; /* of these, the ones that waited while the other computed */
};

/* Runs the gang. In the folder, with "shared" or "plain" for RUN, it leaves
 * RUN.I and RUN.I.report of worker I, RUN.summary, and of a shared run stats.txt,
 * the output of `fcachectl stats`. 0, or -1 after a line on stderr. */
int gang_run(const struct gang_options *options);

/* Reads RUN.summary. 0, or -1 after a line on stderr. */
int gang_read_summary(struct gang_summary *summary, const char *folder, bool plain);

/* The path of worker `index`'s results (`suffix` "") or report (".report"). */
void gang_path(char path[DEMO_PATH_SIZE], const char *folder, bool plain, unsigned index,
               const char *suffix);

#endif
