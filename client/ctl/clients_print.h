/* clients_print.h - the daemon's clients, one by one as they come: see rows.h. For people each
 * is a row, and below it what it computes, or what it waits for and whose that is. */
#ifndef FC_CTL_CLIENTS_PRINT_H
#define FC_CTL_CLIENTS_PRINT_H

#include "client/ctl/rows.h"

/* One client, the first below its header; `arg` is the struct rows. As admin_clients wants it. */
void clients_print_client(void *arg, const struct fc_client_entry *client);

#endif
