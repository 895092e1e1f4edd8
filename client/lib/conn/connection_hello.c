/* The handshake: finds a daemon, sends hello, receives the welcome. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/lib/conn/connection_internal.h"
#include "client/lib/conn/request.h"
#include "client/lib/conn/start_advice.h"
#include "proto/errors.h"

#define REASON_SIZE 192u /* of the text why a path has no usable daemon */

/* Formats why no daemon was reached at connection->path. The name of a group may come from another
 * machine, so it is looked up only for a tool, or until the worker has logged it. */
static void set_reason(const struct connection *connection, int rc, char *reason, size_t size) {
  char advice[START_ADVICE_SIZE];
  const char *more = "";
  if (rc == -ECONNREFUSED)
    more = ": its daemon has ended";
  else if (rc == -EACCES)
    more = ": join the socket's group";
  if (rc == -EACCES && (!connection->logged_off || connection->name_space[0] == '\0'))
    (void)snprintf(reason, size, "%s: %s", strerror(-rc),
                   start_advice_denied(connection->path, advice));
  else
    (void)snprintf(reason, size, "%s%s", strerror(-rc), more);
}

/* Connects to connection->path if a trusted user's daemon listens there. Returns 0, or -errno with
 * `reason`. */
static int connect_to(struct connection *connection, uint64_t until_ns, char *reason, size_t size) {
  int rc = socket_io_connect(&connection->io, connection->path, until_ns);
  if (rc < 0) {
    set_reason(connection, rc, reason, size);
    return rc;
  }
  if (daemon_user_is_trusted(&connection->daemon_user, connection->io.socket.fd, connection->path,
                             reason, size))
    return 0;
  socket_io_close(&connection->io);
  return -EACCES;
}

static int set_busy_error(struct connection *connection, uint64_t until_ns) {
  if (until_ns == 0)
    return connection_set_error(connection, FC_EUNAVAILABLE,
                                "fcached at %s is busy: its queue of new connections is full",
                                connection->path);
  return connection_set_error(
      connection, FC_EUNAVAILABLE,
      "fcached at %s is busy: its queue of new connections was full for %llu ms", connection->path,
      (unsigned long long)(connection->io.deadline_ns / CLOCK_MS_NS));
}

/* Waits for room in the queue of the daemon at `path`. */
static int connect_to_busy(struct connection *connection, const char *path, uint64_t until_ns) {
  char reason[REASON_SIZE];
  connection->path = path;
  int rc = until_ns == 0 ? -EAGAIN : connect_to(connection, until_ns, reason, sizeof reason);
  if (rc == -EACCES)
    return connection_set_error(connection, FC_EUNAVAILABLE,
                                "no daemon could be reached at %s (%s)", path, reason);
  return rc == 0 ? 0 : set_busy_error(connection, until_ns);
}

/* Connects to the first path with a usable daemon. If there is none, but one with a full queue,
 * waits for that one until `until_ns`. */
static int find_daemon(struct connection *connection, uint64_t until_ns) {
  char tried[FCACHE_ERROR_TEXT_SIZE - 48], reason[REASON_SIZE], advice[START_ADVICE_SIZE];
  size_t used = 0;
  bool denied = false;
  const char *busy = NULL;
  tried[0] = '\0';
  for (size_t i = 0; i < connection->socket_paths.n; i++) {
    connection->path = connection->socket_paths.paths[i];
    int rc = connect_to(connection, 0, reason, sizeof reason);
    if (rc == 0)
      return 0;
    if (rc == -EAGAIN && busy == NULL)
      busy = connection->path;
    int n = snprintf(tried + used, sizeof tried - used, "%s%s (%s)", i > 0 ? ", " : "",
                     connection->path, reason);
    used += n > 0 && (size_t)n < sizeof tried - used ? (size_t)n : 0;
    denied = denied || rc == -EACCES;
  }
  if (busy != NULL)
    return connect_to_busy(connection, busy, until_ns);
  if (denied)
    return connection_set_error(connection, FC_EUNAVAILABLE, "no daemon could be reached at %s",
                                tried);
  return connection_set_error(connection, FC_EUNAVAILABLE, "no daemon at %s: %s", tried,
                              start_advice(&connection->socket_paths, advice));
}

static int send_hello(struct connection *connection) {
  const char *name_space = connection->name_space;
  struct fc_hello hello = {
      .version_min = FC_PROTOCOL_VERSION_MIN,
      .version_max = FC_PROTOCOL_VERSION,
      .client = fc_str_of(connection->client),
      .name_space = name_space[0] != '\0' ? fc_str_of(name_space) : (struct fc_str){0},
      .has_max_entries = connection->has_max_entries,
      .max_entries = connection->max_entries,
      .region_layout = connection->wants_region ? FC_REGION_LAYOUT : 0,
      .manifest = fc_str_of(connection->manifest),
      .has_max_bytes = connection->max_bytes > 0,
      .max_bytes = connection->max_bytes,
      .has_handle = connection->has_handle,
      .handle = connection->handle,
  };
  uint32_t id = request_begin(connection, FC_HELLO);
  int rc = fc_encode_hello(&connection->request, id, &hello);
  if (rc < 0)
    return rc;
  struct iovec piece = {connection->request.data, connection->request.size};
  return socket_io_send(&connection->io, &piece, 1);
}

int connection_send_hello(struct connection *connection, uint64_t until_ns) {
  assert(connection->state == CONNECTION_OFF);
  int rc = find_daemon(connection, until_ns);
  if (rc < 0)
    return connection_close(connection);
  connection->io.takes_descriptors = connection->wants_region;
  rc = send_hello(connection);
  if (rc < 0 && rc != FC_EUNAVAILABLE) /* a daemon that closed may have sent an error before */
    return connection_fail(connection, rc);
  connection->state = CONNECTION_HANDSHAKE;
  return 0;
}

/* Rejects limits that the library could not divide by or allocate later. */
static bool is_plausible(const struct fc_welcome *welcome) {
  return welcome->version >= FC_PROTOCOL_VERSION_MIN && welcome->version <= FC_PROTOCOL_VERSION &&
         welcome->boot_id != 0 && welcome->max_frame >= FC_HELLO_FRAME_MAX &&
         welcome->max_value < welcome->max_frame;
}

static void apply_welcome(struct connection *connection, const struct fc_welcome *welcome) {
  assert(connection->state == CONNECTION_HANDSHAKE);
  shm_welcome(&connection->shm, welcome, &connection->io.received);
  fd_passing_close(&connection->io.received); /* a mapping needs no descriptor */
  connection->io.takes_descriptors = false;
  connection->state = CONNECTION_UP;
  connection->lost = false;
  backoff_reset(&connection->backoff);
  connection->connections++;
  connection->epoch = (struct fc_epoch){welcome->boot_id, welcome->clear_generation};
  connection->version = welcome->version;
  connection->max_value = welcome->max_value;
  connection->max_frame = welcome->max_frame;
  (void)snprintf(connection->server, sizeof connection->server, "%.*s", (int)welcome->server.size,
                 welcome->server.data); /* may cut the name */
}

/* Sends the messages that were kept for the next daemon, unless this is the one before: it has
 * ended the leases with the connection. A new socket has room. Returns 0, or FC_EUNAVAILABLE with
 * the connection closed. */
static int send_unsent(struct connection *connection, bool is_next) {
  struct fc_buf *unsent = &connection->unsent;
  bool sent = unsent->size == 0 || !is_next ||
              socket_io_send_now(&connection->io, unsent->data, unsent->size);
  fc_buf_free(unsent);
  return sent ? 0 : connection_fail(connection, FC_ETIMEDOUT);
}

int connection_receive_welcome(struct connection *connection, bool wait) {
  const uint8_t *body;
  uint32_t size;
  struct fc_reply reply = {0};
  int rc = socket_io_receive(&connection->io, FC_HELLO_FRAME_MAX, wait, &body, &size);
  if (rc == FC_ETIMEDOUT && !wait)
    return rc;
  if (rc == 0)
    rc = fc_decode_reply(body, size, &reply);
  if (rc == 0 && reply.type == (FC_REPLY | FC_HELLO) && is_plausible(&reply.welcome)) {
    bool is_next = reply.welcome.boot_id != connection->epoch.boot_id;
    apply_welcome(connection, &reply.welcome);
    return send_unsent(connection, is_next);
  }
  if (rc != FC_ETIMEDOUT && rc != FC_ENOMEM)
    shm_connection_rejected(&connection->shm);
  if (rc < 0)
    return connection_fail(connection, rc);
  if (reply.type != FC_ERROR)
    return connection_fail(connection, FC_EPROTOCOL);
  (void)connection_set_error(connection, reply.error.code, "fcached at %s refused: %.*s",
                             connection->path, (int)reply.error.text.size, reply.error.text.data);
  (void)connection_close(connection);
  return reply.error.code;
}
