/* trace_counts.h - the lines of the trace, over all daemons of a cache (daemon/store/totals.h). In
 * base/, because the trace counts them and the store keeps them. */
#ifndef FC_DAEMON_TRACE_COUNTS_H
#define FC_DAEMON_TRACE_COUNTS_H

#include <stdint.h>

struct trace_counts {
  uint64_t events;  /* lines, */
  uint64_t lost;    /* of them those that were lost, */
  uint64_t written; /* and those that are in a file */
};

#endif
