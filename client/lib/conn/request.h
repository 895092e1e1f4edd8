/* request.h - requests and their replies over a connection that is up (connection.h): one at a
 * time, or several with deferred replies.
 *
 * A late reply never passes for that of another request: ids are unique while a reply is pending,
 * and a connection that missed a deadline is never read again. Every reply that is returned has the
 * type that belongs to the request. One thread.
 *
 * Unless noted, functions return 0; the code of the daemon's error reply; FC_ENOMEM with nothing
 * sent; or FC_EUNAVAILABLE if the connection failed, which is closed then. connection->error has
 * the text. */
#ifndef FC_CLIENT_REQUEST_H
#define FC_CLIENT_REQUEST_H

#include "client/lib/conn/connection.h"

/* Empties connection->request, into which the caller encodes a request of this type. Returns its
 * id. */
uint32_t request_begin(struct connection *connection, enum fc_type type);

/* Sets the destination of large values for the request that was begun last, and for those that the
 * caller appends to it with connection_next_request_id. */
void request_set_destination(struct connection *connection, request_destination_fn *destination,
                             void *arg);

/* Sends connection->request and then `value`, and receives the reply to `id`. What the reply
 * borrows is valid until the next call. */
int request_call(struct connection *connection, uint32_t id, const void *value, size_t size,
                 struct fc_reply *reply);

/* Like request_call, sends the pieces instead. Modifies the list. */
int request_call_pieces(struct connection *connection, uint32_t id, struct iovec *pieces, size_t n,
                        struct fc_reply *reply);

/* Sends a ping and receives its reply. */
int request_call_ping(struct connection *connection);

/* Requests another ring (fc_ring_request), and uses it if the daemon has one. In any case the
 * daemon has read the current ring, as before every reply. */
int request_call_ring(struct connection *connection, uint32_t want_slots);

/* Receives one more reply to the same request (the parts of a get_many), with a deadline of its
 * own. */
int request_next_reply(struct connection *connection, uint32_t id, struct fc_reply *reply);

/* Sends connection->request, whose replies are deferred (wait.h). Returns 0 also if the daemon has
 * closed: the next receive then reports it. */
int request_send(struct connection *connection);

/* Receives one message, with a deadline of its own. *which becomes the index of the request in
 * `ids` that it replies to, `n` for another message. An error with *which < n is the reply to that
 * request; with `n` the connection has ended. */
int request_receive(struct connection *connection, const uint32_t *ids, uint32_t n, uint32_t *which,
                    struct fc_reply *reply);

/* Sends a ping and does not wait for its reply, which request_receive reports as another message.
 * Returns 0 or an error of socket_io.h. Does not close the connection. */
int request_ping(struct connection *connection);

#endif
