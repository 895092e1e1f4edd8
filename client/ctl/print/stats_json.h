/* stats_json.h - a reading of the stats for programs. */
#ifndef FC_CTL_STATS_JSON_H
#define FC_CTL_STATS_JSON_H

#include <stdio.h>

#include "client/ctl/print/stats_snapshot.h"

/* {"daemon": {NAME: value, ...}, "namespaces": [{"namespace": NAME, ...}, ...]},
 * indented, with a newline at the end: every figure under its own name, numbers as
 * numbers. 0 or FCACHE_ENOMEM. */
int stats_json_print(FILE *out, const struct figures *figures);

#endif
