/* top_fetch.h - reads the daemon's usage and figures for fcachectl top. */
#ifndef FC_CTL_TOP_FETCH_H
#define FC_CTL_TOP_FETCH_H

#include "client/ctl/top/top_model.h"
#include "client/lib/admin/admin.h"

/* Fills an empty reading, which stays the caller's. `name_space` NULL: all. Returns 0 or a code, as
 * the functions of admin.h. */
int top_fetch(struct admin *admin, const char *name_space, struct top_reading *reading);

#endif
