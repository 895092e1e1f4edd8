/* tier_print.h - a reading of the tier as text for people, and as JSON. */
#ifndef FC_CTL_TIER_PRINT_H
#define FC_CTL_TIER_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "client/ctl/print/tier_reading.h"

/* Prints a reading with a tier: the fleet as lines, and its servers as two tables. Returns 0, or -1
 * if out of memory. */
int tier_print_text(FILE *out, const struct tier_reading *reading);

/* Returns an object with all figures, or null without a tier. NULL: out of memory. */
json_t *tier_print_json(const struct tier_reading *reading);

#endif
