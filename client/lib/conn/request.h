/* request.h - requests and their replies over a link that is up (connection.h): one at a time, or
 * several whose replies take their time.
 *
 * A late reply is never taken for another's: ids do not repeat while a reply is awaited, and a
 * connection that missed a deadline is never read again. Every reply that is returned is of the
 * type that answers the request. One thread. */
#ifndef FC_CLIENT_EXCHANGE_H
#define FC_CLIENT_EXCHANGE_H

#include "client/lib/conn/connection.h"

/* Sends link->request and then `value`, and waits for the reply with that id:
 * borrowed until the next call. 0; the code of an error reply; FC_ENOMEM, with
 * nothing sent; or FC_EUNAVAILABLE where the daemon is gone (the link is then off).
 * link->error says more. The link must be ready. */
int link_exchange(struct link *link, uint32_t id, const void *value, size_t size,
                  struct fc_reply *reply);

/* The same for pieces, which it may modify. */
int link_exchange_pieces(struct link *link, uint32_t id, struct iovec *pieces, size_t n,
                         struct fc_reply *reply);

/* One more reply to the same request (the parts of a get_many), with a deadline of its own. */
int link_next_reply(struct link *link, uint32_t id, struct fc_reply *reply);

/* Asks for another ring (fc_ring_request), which is in use when it returns, if there was one to be
 * had. What the ring held is taken in any case, as with each request. Codes as of link_exchange. */
int link_exchange_ring(struct link *link, uint32_t want_slots);

/* Requests whose replies take their time are sent apart from receiving (wait.h).
 *
 * Sends link->request. 0, also where the daemon hung up, as receiving will tell; else as
 * link_exchange. */
int link_send(struct link *link);

/* One message from the daemon, with a deadline of its own. *which is the index of the one of the
 * `n` requests `ids` that it replies to, and `n` for any other message. Codes as of link_exchange:
 * with *which < n the daemon's word on that request, with `n` the end of the connection. */
int link_receive(struct link *link, const uint32_t *ids, uint32_t n, uint32_t *which,
                 struct fc_reply *reply);

/* Sends a ping without awaiting its reply, which answers none of what is awaited. 0 or an error of
 * socket_io.h: it closes nothing. */
int link_ping(struct link *link);

#endif
