/* clear.h - the request that removes entries. */
#ifndef FC_CLIENT_CLEAR_H
#define FC_CLIENT_CLEAR_H

#include "client/lib/conn/connection.h"

/* Removes the selected entries, and waits until that is complete. Returns 0 with their number in
 * *removed, or a code as request_call. A daemon older than `local` has no fleet. */
int clear_request(struct connection *connection, const struct fc_clear *clear, uint64_t *removed);

#endif
