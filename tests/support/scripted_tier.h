/* scripted_tier.h - a tier that only reports: for the tests of the requests that read the reports.
 * The test sets the fields, and passes scripted_tier_source to the dispatcher. */
#ifndef FC_TESTS_SCRIPTED_TIER_H
#define FC_TESTS_SCRIPTED_TIER_H

#include "daemon/fleet/fleet_report.h"

struct scripted_tier {
  struct tier_report report;
  struct tier_server_report server; /* all servers are like it, but for serial and address */
  uint32_t n_servers;               /* with the addresses "10.0.0.1:0", "10.0.0.1:1", ... */
  uint64_t now_ns;                  /* of the latest report */
};

/* Makes a tier without servers, whose texts are those of a small configuration. */
void scripted_tier_init(struct scripted_tier *tier);

/* Returns the source, which borrows the tier. */
struct tier_source scripted_tier_source(struct scripted_tier *tier);

#endif
