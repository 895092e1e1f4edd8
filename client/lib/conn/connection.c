#include "client/lib/conn/connection.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "client/lib/conn/connection_internal.h"
#include "proto/errors.h"
#include "proto/utf8.h"

int connection_set_error(struct connection *connection, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(connection->error, sizeof connection->error, format, args); /* may cut the text */
  va_end(args);
  size_t size = fc_utf8_clean(connection->error, strlen(connection->error));
  connection->error[size] = '\0';
  return code;
}

int connection_check_supported(struct connection *connection, enum connection_feature feature,
                               const char *what) {
  if (connection_has(connection, feature))
    return 0;
  return connection_set_error(
      connection, FC_EVERSION,
      "the daemon at %s is %s, which has no %s: restart it with the new version", connection->path,
      connection->server, what);
}

uint32_t connection_next_request_id(struct connection *connection) {
  if (++connection->last_id == 0)
    connection->last_id = 1;
  return connection->last_id;
}

/* Early in the boot of a machine the kernel has no random numbers yet: then there is no handle. */
static void draw_handle(struct connection *connection) {
  struct fc_hash *handle = &connection->handle;
  connection->has_handle =
      getrandom(handle, sizeof *handle, GRND_NONBLOCK) == (ssize_t)sizeof *handle;
}

int connection_init(struct connection *connection, const struct connection_options *options) {
  memset(connection, 0, sizeof *connection);
  socket_io_init(&connection->io, options->deadline_ns);
  shm_init(&connection->shm);
  backoff_reset(&connection->backoff);
  draw_handle(connection);
  int rc = connection_copy_options(connection, options);
  if (rc < 0)
    return rc;
  connection->fork_check = fork_check_new();
  if (connection->fork_check == NULL)
    return connection_set_error(connection, FC_ENOMEM, "out of memory for the fork check");
  return 0;
}

void connection_deinit(struct connection *connection) {
  if (connection->fork_check != NULL) /* else it was never connected */
    (void)connection_leave_parent(connection);
  socket_io_deinit(&connection->io); /* the daemon then reads the rest of the ring */
  shm_deinit(&connection->shm);
  fork_check_free(connection->fork_check);
  connection->fork_check = NULL;
  fc_buf_free(&connection->request);
  fc_buf_free(&connection->unsent);
  free(connection->manifest);
  connection->manifest = NULL;
}

/* ---- log lines ---- */

/* Logs connection->error between `before` and `after`. */
static void log_error(struct connection *connection, const char *before, const char *after) {
  char line[FCACHE_ERROR_TEXT_SIZE + 128];
  (void)snprintf(line, sizeof line, "fcache: %s: %s%s", before, connection->error, after);
  if (connection->log != NULL)
    connection->log(connection->log_arg, line);
  else
    fcache_log_stderr(line);
}

void connection_log_off(struct connection *connection) {
  if (connection->logged_off || connection->disabled)
    return;
  connection->logged_off = true;
  log_error(connection, "sharing is off", "; results are computed here and not shared");
}

int connection_value_too_big(struct connection *connection, size_t size) {
  if (size > connection->max_value)
    (void)connection_set_error(
        connection, FC_ETOOBIG,
        "a value of %zu bytes is over the limit of fcached at %s, %u bytes: raise its --max-value",
        size, connection->path, connection->max_value);
  else
    (void)connection_set_error(
        connection, FC_ETOOBIG,
        "a value of %zu bytes is larger than the whole cache of fcached at %s or of its namespace: "
        "raise --max-bytes, or the namespace's max_bytes",
        size, connection->path);
  if (!connection->logged_too_big) {
    connection->logged_too_big = true;
    log_error(connection, "not shared", "");
  }
  return FC_ETOOBIG;
}

/* ---- the end of a connection ---- */

int connection_close(struct connection *connection) {
  if (connection->state == CONNECTION_UP && connection->io.socket.fd >= 0) /* it does not linger */
    shm_connection_ended(&connection->shm);
  socket_io_close(&connection->io);
  connection->state = CONNECTION_OFF;
  if (connection->lost) /* connection_reopen decides */
    return FC_EUNAVAILABLE;
  backoff_fail(&connection->backoff, clock_now_ns());
  connection_log_off(connection);
  return FC_EUNAVAILABLE;
}

void connection_send_later(struct connection *connection, const struct fc_buf *messages) {
  struct fc_buf *unsent = &connection->unsent;
  if (!messages->failed && unsent->size + messages->size <= CONNECTION_UNSENT_MAX)
    (void)fc_buf_append(unsent, messages->data, messages->size); /* or they are dropped */
}

bool connection_give_up_all(struct connection *connection) {
  static const struct fc_give_up all = {0};
  struct fc_buf *request = &connection->request;
  if (!connection_has(connection, CONNECTION_LEASES))
    return true;
  fc_buf_reset(request);
  if (fc_encode_give_up(request, connection_next_request_id(connection), &all) < 0)
    return false;
  fc_buf_free(&connection->unsent);
  connection_send_later(connection, request); /* a daemon that ends now may not have read it */
  return socket_io_send_now(&connection->io, request->data, request->size);
}

int connection_fail(struct connection *connection, int rc) {
  switch (rc) {
  case FC_ETIMEDOUT:
    (void)connection_set_error(connection, rc, "fcached at %s did not answer within %llu ms",
                               connection->path,
                               (unsigned long long)(connection->io.deadline_ns / CLOCK_MS_NS));
    if (connection->state == CONNECTION_UP && shm_can_linger(&connection->shm) &&
        connection_give_up_all(connection))
      shm_linger(&connection->shm, socket_io_detach(&connection->io));
    break;
  case FC_EUNAVAILABLE:
    connection->lost = connection->lost || connection->state == CONNECTION_UP;
    (void)connection_set_error(connection, rc, "fcached at %s closed the connection",
                               connection->path);
    break;
  case FC_ENOMEM:
    (void)connection_set_error(connection, rc, "out of memory for a message of fcached at %s",
                               connection->path);
    break;
  default:
    (void)connection_set_error(connection, rc,
                               "the process at %s does not speak the protocol of fcached",
                               connection->path);
    break;
  }
  return connection_close(connection);
}

void connection_check_fd(struct connection *connection) {
  if (connection->state == CONNECTION_OFF || fd_identity_matches(&connection->io.socket))
    return;
  (void)connection_set_error(connection, FC_EUNAVAILABLE,
                             "the program closed the descriptor of the connection to fcached at %s",
                             connection->path);
  (void)connection_close(connection);
}

bool connection_leave_parent(struct connection *connection) {
  if (!fork_check_is_child(connection->fork_check))
    return false;
  fork_check_reset(connection->fork_check);
  socket_io_close(&connection->io); /* the child's copy of the descriptor */
  shm_forget(&connection->shm);
  fc_buf_free(&connection->unsent);
  draw_handle(connection);
  connection->child_opens = connection->state == CONNECTION_UP || connection->lost;
  connection->lost = false;
  connection->state = CONNECTION_OFF;
  connection->connections = 0;
  backoff_reset(&connection->backoff);
  if (connection->default_name)
    connection_set_default_name(connection);
  connection->forked = true;
  return true;
}

bool connection_forked(struct connection *connection) {
  bool forked = connection_leave_parent(connection) || connection->forked;
  connection->forked = false;
  return forked;
}

/* ---- connecting ---- */

int connection_open(struct connection *connection) {
  if (connection->disabled)
    return connection_set_error(connection, FC_EUNAVAILABLE,
                                "sharing is off: FCACHE_DISABLE is set");
  connection->child_opens = false;
  connection_check_fd(connection);
  if (connection->state == CONNECTION_UP)
    return 0;
  if (connection->lost)
    return connection_reopen_in_deadline(connection);
  uint64_t end_ns = clock_now_ns() + connection->io.deadline_ns;
  int rc = connection->state == CONNECTION_OFF ? connection_send_hello(connection, end_ns) : 0;
  if (rc < 0)
    return rc;
  socket_io_start_deadline(&connection->io);
  socket_io_limit_deadline(&connection->io, end_ns); /* one deadline for connect and welcome */
  return connection_receive_welcome(connection, true);
}

bool connection_ready(struct connection *connection) {
  if (connection->disabled)
    return false;
  connection_check_fd(connection);
  if (connection->state == CONNECTION_UP)
    return true;
  if (connection->child_opens || connection->lost)
    return connection_open(connection) == 0;
  if (connection->state == CONNECTION_OFF &&
      (!backoff_is_over(&connection->backoff, clock_now_ns()) ||
       connection_send_hello(connection, 0) < 0))
    return false;
  return connection_receive_welcome(connection, false) == 0;
}

bool connection_allows_hits(struct connection *connection, bool local) {
  struct shm *shm = &connection->shm;
  shm->unchecked = 0;
  if (shm_is_lingering(shm))
    return true;
  connection_check_fd(connection);
  if (connection->state == CONNECTION_UP) {
    if (fd_identity_is_connected(&connection->io.socket))
      return true;
    (void)connection_fail(connection, FC_EUNAVAILABLE);
  }
  if (shm->ring_read) /* the lingering connection has ended too */
    shm_connection_rejected(shm);
  /* A daemon that is alive may have closed the connection. It then accepts another one. */
  if (connection->state == CONNECTION_OFF && !local && connection_send_hello(connection, 0) == 0)
    return true;
  if (connection->state == CONNECTION_HANDSHAKE && clock_now_ns() < connection->io.end_ns)
    return !local;
  if (!local)
    shm_unmap_region(shm);
  return false;
}
