/* clear_names.h - says which names exist, after a clear that matched nothing. */
#ifndef FC_CTL_CLEAR_NAMES_H
#define FC_CTL_CLEAR_NAMES_H

#include <stdbool.h>

#include "client/ctl/key_filter.h"
#include "client/lib/admin/admin.h"

/* Prints lines about the first wrong name of the filter: a near name that exists, and those that
 * there are. `has_namespace`: the filter's namespace exists. Prints nothing if it cannot read them,
 * or if all names exist. */
void clear_names_print(struct admin *admin, const struct key_filter *filter, bool has_namespace);

#endif
