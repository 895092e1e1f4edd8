/* acceptor.h - accepts connections on the listener's socket, and recreates the socket if its file
 * is removed, as by a cleaner of /tmp. New clients could not find the daemon without it.
 *
 * It checks the file every ACCEPTOR_CHECK_MS, with two or three system calls. A socket that the
 * service manager passed in is not checked. Loop thread only. */
#ifndef FC_DAEMON_ACCEPTOR_H
#define FC_DAEMON_ACCEPTOR_H

#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/net/conns.h"
#include "daemon/os/listener.h"
#include "daemon/os/ticker.h"

#define ACCEPTOR_CHECK_MS 1000u
#define ACCEPTOR_PAUSE 10u /* checks skipped after a failure to recreate the socket */

struct acceptor_socket {
  uv_pipe_t pipe; /* first: close callbacks cast it */
  bool used;      /* until its close callback */
};

struct acceptor {
  struct listener *listener; /* borrowed, as the other pointers */
  struct listener_options options;
  const struct conns *conns;
  struct log *log;
  uv_connection_cb on_connection;
  void *arg;
  struct acceptor_socket
      sockets[2]; /* the current one, and the former one while it has connections to accept */
  unsigned current;
  struct ticker check;
  unsigned pause; /* checks still to skip */
  bool failure_logged;
};

struct acceptor_config {
  uv_loop_t *loop;
  struct listener *listener;              /* open; the loop takes its descriptor */
  const struct listener_options *options; /* those of listener_open; copied */
  const struct conns *conns;              /* may have a connection to accept later */
  struct log *log;
  uv_connection_cb on_connection; /* as for uv_listen; stream->data is `arg` */
  void *arg;
};

/* Starts accepting. Returns 0, or FC_EREFUSED if out of descriptors or watches. Close it in both
 * cases. The struct must not move until the loop has closed its handles. */
int acceptor_start(struct acceptor *acceptor, const struct acceptor_config *config);

/* Stops accepting. The kernel closes connections that are still pending. Idempotent. */
void acceptor_close(struct acceptor *acceptor);

#endif
