/* stats_json.h - prints the stats as JSON. */
#ifndef FC_CTL_STATS_JSON_H
#define FC_CTL_STATS_JSON_H

#include <stdio.h>

#include "client/ctl/print/stats_snapshot.h"

/* Prints {"daemon": {NAME: value, ...}, "namespaces": [{"namespace": NAME, ...}, ...]}, indented,
 * with each item under its own name. Returns 0 or FCACHE_ENOMEM. */
int stats_json_print(FILE *out, const struct stats_snapshot *snapshot);

#endif
