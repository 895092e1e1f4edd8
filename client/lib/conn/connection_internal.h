/* connection_internal.h - what the files of the connection share: options, handshake and reopening.
 */
#ifndef FC_CLIENT_CONNECTION_INTERNAL_H
#define FC_CLIENT_CONNECTION_INTERNAL_H

#include "client/lib/conn/connection.h"

/* Sets the client's name to "PROGRAM-PID", or "worker-PID" if the program's name is invalid. */
void connection_set_default_name(struct connection *connection);

/* Checks and copies the options. Returns as connection_init. */
int connection_copy_options(struct connection *connection,
                            const struct connection_options *options);

/* Connects to the first path with a trusted daemon and sends hello: the state is then
 * CONNECTION_HANDSHAKE. If every daemon's queue of connections is full, waits until `until_ns`, or
 * not at all if that is 0. Returns 0, or FC_EUNAVAILABLE with the connection closed. */
int connection_send_hello(struct connection *connection, uint64_t until_ns);

/* Receives the reply to hello: the state is then CONNECTION_UP. With `wait` false, returns
 * FC_ETIMEDOUT if the reply has not come yet. Otherwise returns 0, or FC_EUNAVAILABLE or the
 * daemon's code with the connection closed. */
int connection_receive_welcome(struct connection *connection, bool wait);

/* Logs connection->error as the reason why sharing is off, the first time. */
void connection_log_off(struct connection *connection);

/* Calls connection_reopen for one deadline or CONNECTION_REOPEN_NS, whichever is shorter, whatever
 * signals come. */
int connection_reopen_in_deadline(struct connection *connection);

#endif
