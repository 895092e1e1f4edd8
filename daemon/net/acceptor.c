#include "daemon/net/acceptor.h"

#include <poll.h>

#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

/* Pending connections; further clients wait in connect. A longer queue delays clients behind one
 * that connects all the time. */
#define BACKLOG 128

static uv_stream_t *stream_of(struct acceptor_socket *socket) {
  return (uv_stream_t *)&socket->pipe;
}

static void on_closed(uv_handle_t *handle) {
  ((struct acceptor_socket *)handle)->used = false;
}

static void close_socket(struct acceptor_socket *socket) {
  if (socket->used && !uv_is_closing((uv_handle_t *)&socket->pipe))
    uv_close((uv_handle_t *)&socket->pipe, on_closed);
}

/* Listens on listener->fd, which the loop then owns. */
static int start_socket(struct acceptor *acceptor, uv_loop_t *loop,
                        struct acceptor_socket *socket) {
  if (uv_pipe_init(loop, &socket->pipe, 0) < 0)
    return FC_EREFUSED;
  socket->used = true;
  socket->pipe.data = acceptor->arg;
  if (uv_pipe_open(&socket->pipe, acceptor->listener->fd) < 0)
    return FC_EREFUSED;
  acceptor->listener->fd = -1;
  if (uv_listen(stream_of(socket), BACKLOG, acceptor->on_connection) < 0)
    return FC_EREFUSED;
  return epoll_watch_add((uv_handle_t *)&socket->pipe);
}

/* Returns true if no client that connected before the file was removed is still pending. */
static bool is_drained(const struct acceptor *acceptor, struct acceptor_socket *socket) {
  uv_os_fd_t fd;
  struct pollfd waiting = {.events = POLLIN};
  if (conns_is_unaccepted(acceptor->conns, stream_of(socket)))
    return false;
  if (uv_fileno((uv_handle_t *)&socket->pipe, &fd) < 0)
    return true;
  waiting.fd = fd;
  return poll(&waiting, 1, 0) <= 0;
}

static void log_failure(struct acceptor *acceptor, const char *text) {
  log_once(acceptor->log, &acceptor->failure_logged, LOG_LEVEL_WARNING,
           "new clients do not find this daemon, as its socket is gone; it serves those that are "
           "connected, and tries to make it again: %s",
           text);
  acceptor->pause = ACCEPTOR_PAUSE;
}

static void restore(struct acceptor *acceptor, struct acceptor_socket *socket) {
  struct error_text error;
  int r = listener_restore(acceptor->listener, &acceptor->options, &error);
  if (r < 0)
    log_failure(acceptor, error.text);
  if (r <= 0)
    return;
  uv_loop_t *loop = acceptor->check.poll.loop;
  if (start_socket(acceptor, loop, socket) < 0) {
    close_socket(socket);
    listener_end(acceptor->listener); /* no socket would accept there */
    log_failure(acceptor, "out of descriptors, memory or fs.epoll.max_user_watches");
    return;
  }
  acceptor->current = !acceptor->current;
  acceptor->failure_logged = false;
  log_line(acceptor->log, LOG_LEVEL_WARNING,
           "the file of the socket %s was removed: it is made again; new clients did not find this "
           "daemon for a moment",
           acceptor->listener->path);
}

static void on_check(void *arg) {
  struct acceptor *acceptor = arg;
  struct acceptor_socket *former = &acceptor->sockets[!acceptor->current];
  if (former->used) {
    if (is_drained(acceptor, former))
      close_socket(former);
  } else if (acceptor->pause > 0) {
    acceptor->pause--;
  } else {
    restore(acceptor, former);
  }
}

int acceptor_start(struct acceptor *acceptor, const struct acceptor_config *config) {
  *acceptor = (struct acceptor){.listener = config->listener,
                                .options = *config->options,
                                .conns = config->conns,
                                .log = config->log,
                                .on_connection = config->on_connection,
                                .arg = config->arg};
  int r = ticker_init(&acceptor->check, config->loop, on_check, acceptor);
  if (r == 0)
    r = start_socket(acceptor, config->loop, &acceptor->sockets[0]);
  if (r == 0 && !acceptor->listener->handed_over)
    ticker_start(&acceptor->check, ACCEPTOR_CHECK_MS);
  return r;
}

void acceptor_close(struct acceptor *acceptor) {
  ticker_close(&acceptor->check);
  for (unsigned i = 0; i < 2; i++)
    close_socket(&acceptor->sockets[i]);
}
