/* delete.h - the request that removes one entry. */
#ifndef FC_CLIENT_DELETE_H
#define FC_CLIENT_DELETE_H

#include "client/lib/conn/connection.h"

/* Removes the entry of a key. Returns 0 with *existed, FC_EVERSION if the daemon is too old, or a
 * code as request_call. A daemon that ignores `local` has no fleet. */
int delete_request(struct connection *connection, const struct fc_delete *request, bool *existed);

#endif
