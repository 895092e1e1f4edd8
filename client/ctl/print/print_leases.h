/* print_leases.h - leases, one by one as they come: see print_rows.h. */
#ifndef FC_CTL_LEASES_PRINT_H
#define FC_CTL_LEASES_PRINT_H

#include "client/ctl/print/print_rows.h"

/* One lease, the first below its header; `arg` is the struct rows. As admin_leases wants it. */
void leases_print_lease(void *arg, const struct fc_lease_entry *lease);

#endif
