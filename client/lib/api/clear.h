/* clear.h - removes entries, and waits until that is done. */
#ifndef FC_CLIENT_CLEAR_H
#define FC_CLIENT_CLEAR_H

#include "client/lib/conn/connection.h"

/* 0 with *removed, or a code as link_exchange. */
int clear_ask(struct link *link, const struct fc_select *select, uint64_t *removed);

#endif
