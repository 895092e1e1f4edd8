#include "client/lib/conn/request.h"

#include <assert.h>

#include "proto/errors.h"

#define COPY_MAX_BYTES 8192u /* up to here a copy costs less than a second piece to send */

uint32_t request_begin(struct connection *connection, enum fc_type type) {
  connection->destination = NULL;
  fc_buf_reset(&connection->request);
  connection->expected = FC_REPLY | type;
  return connection_next_request_id(connection);
}

void request_set_destination(struct connection *connection, request_destination_fn *destination,
                             void *arg) {
  connection->destination = destination;
  connection->destination_arg = arg;
}

/* Handles an error reply. One that belongs to no request is the daemon's last message. */
static int handle_error(struct connection *connection, const struct fc_reply *reply) {
  const struct fc_error_reply *error = &reply->error;
  if (reply->id != 0)
    return connection_set_error(connection, error->code, "%.*s", (int)error->text.size,
                                error->text.data);
  (void)connection_set_error(connection, error->code, "fcached at %s closed the connection: %.*s",
                             connection->path, (int)error->text.size, error->text.data);
  connection->lost = error->code == FC_ESHUTDOWN; /* it may be a restart */
  return connection_close(connection);
}

/* Returns the index of `id` in the list, or `n`. */
static uint32_t index_of(uint32_t id, const uint32_t *ids, uint32_t n) {
  uint32_t i = 0;
  while (i < n && ids[i] != id)
    i++;
  return i;
}

/* A reply whose value may be received directly into its destination. */
struct incoming {
  struct connection *connection;
  const uint32_t *ids; /* of the pending requests */
  uint32_t n;
  struct fc_reply *reply;
  bool placed; /* the reply is decoded, and its value has a destination */
};

static void *find_destination(void *arg, const uint8_t *body, size_t have, uint32_t body_size,
                              size_t *offset) {
  struct incoming *incoming = arg;
  struct connection *connection = incoming->connection;
  struct fc_reply *reply = incoming->reply;
  uint32_t size;
  if (!fc_decode_reply_head(body, have, body_size, reply, offset, &size) ||
      index_of(reply->id, incoming->ids, incoming->n) == incoming->n ||
      reply->type != connection->expected)
    return NULL;
  void *to = connection->destination(connection->destination_arg, reply, size);
  incoming->placed = to != NULL;
  if (reply->type == (FC_REPLY | FC_GET)) {
    reply->get.value = to;
    reply->get.value_size = size;
  } else {
    reply->get_many.values = (struct fc_bins){.at = NULL, .size = size, .n = 1};
  }
  return to;
}

static int receive_one(struct connection *connection, const uint32_t *ids, uint32_t n,
                       uint32_t *which, struct fc_reply *reply) {
  const uint8_t *body;
  uint32_t size;
  struct incoming incoming = {.connection = connection, .ids = ids, .n = n, .reply = reply};
  assert(connection->state == CONNECTION_UP);
  *which = n;
  int rc = socket_io_receive_into(&connection->io, connection->max_frame,
                                  connection->destination != NULL ? find_destination : NULL,
                                  &incoming, &body, &size);
  if (rc == 0 && !incoming.placed)
    rc = fc_decode_reply(body, size, reply);
  if (rc < 0)
    return connection_fail(connection, rc);
  uint32_t found = index_of(reply->id, ids, n);
  if (reply->type == FC_ERROR && (found < n || reply->id == 0)) {
    *which = found;
    return handle_error(connection, reply);
  }
  if (found < n && reply->type != connection->expected)
    return connection_fail(connection, FC_EPROTOCOL);
  *which = found;
  return 0;
}

int request_receive(struct connection *connection, const uint32_t *ids, uint32_t n, uint32_t *which,
                    struct fc_reply *reply) {
  *which = n;
  connection_check_fd(connection); /* the program may have closed it during a long wait */
  if (connection->state != CONNECTION_UP)
    return FC_EUNAVAILABLE;
  socket_io_start_deadline(&connection->io);
  return receive_one(connection, ids, n, which, reply);
}

static int receive_reply(struct connection *connection, uint32_t id, struct fc_reply *reply) {
  uint32_t which;
  int rc;
  do
    rc = receive_one(connection, &id, 1, &which, reply);
  while (rc == 0 && which > 0);
  return rc;
}

int request_next_reply(struct connection *connection, uint32_t id, struct fc_reply *reply) {
  socket_io_start_deadline(&connection->io);
  return receive_reply(connection, id, reply);
}

static int send_pieces(struct connection *connection, struct iovec *pieces, size_t n) {
  if (connection->request.failed)
    return connection_set_error(connection, FC_ENOMEM, "out of memory for the request");
  int rc = socket_io_send(&connection->io, pieces, n);
  if (rc < 0 && rc != FC_EUNAVAILABLE) /* a daemon that closed may have sent an error before */
    return connection_fail(connection, rc);
  return 0;
}

int request_call_pieces(struct connection *connection, uint32_t id, struct iovec *pieces, size_t n,
                        struct fc_reply *reply) {
  int rc = send_pieces(connection, pieces, n);
  return rc < 0 ? rc : receive_reply(connection, id, reply);
}

int request_send(struct connection *connection) {
  struct iovec piece = {connection->request.data, connection->request.size};
  return send_pieces(connection, &piece, 1);
}

int request_call(struct connection *connection, uint32_t id, const void *value, size_t size,
                 struct fc_reply *reply) {
  if (size > 0 && size <= COPY_MAX_BYTES && fc_buf_append(&connection->request, value, size) == 0)
    size = 0;
  struct iovec pieces[2] = {{connection->request.data, connection->request.size},
                            /* struct iovec has no const; sending changes nothing */
                            {(void *)(uintptr_t)value, size}};
  return request_call_pieces(connection, id, pieces, size > 0 ? 2 : 1, reply);
}

/* ---- single requests ---- */

int request_ping(struct connection *connection) {
  if (!fd_identity_matches(&connection->io.socket))
    return FC_EUNAVAILABLE;
  fc_buf_reset(&connection->request);
  int rc = fc_encode_simple(&connection->request, FC_PING, connection_next_request_id(connection));
  struct iovec piece = {connection->request.data, connection->request.size};
  return rc < 0 ? rc : socket_io_send(&connection->io, &piece, 1);
}

int request_call_ping(struct connection *connection) {
  struct fc_reply reply;
  uint32_t id = request_begin(connection, FC_PING);
  (void)fc_encode_simple(&connection->request, FC_PING, id); /* request_call checks `failed` */
  return request_call(connection, id, NULL, 0, &reply);
}

int request_call_ring(struct connection *connection, uint32_t want_slots) {
  struct fc_ring_request request = {.region_layout = FC_REGION_LAYOUT, .want_slots = want_slots};
  struct fc_reply reply;
  uint32_t id = request_begin(connection, FC_RING);
  (void)fc_encode_ring(&connection->request, id, &request); /* request_call checks `failed` */
  shm_ring_requested(&connection->shm);
  connection->io.takes_descriptors = true;
  int rc = request_call(connection, id, NULL, 0, &reply);
  if (rc == 0)
    shm_ring_received(&connection->shm, &reply.ring, &connection->io.received);
  else if (connection->state == CONNECTION_UP) /* else the daemon may use the new ring already */
    shm_ring_refused(&connection->shm);
  fd_passing_close(&connection->io.received); /* a mapping needs no descriptor */
  connection->io.takes_descriptors = false;
  return rc;
}
