/* acceptor.h - accepts connections from the listener's socket, and makes that socket again where
 * its file is removed: a cleaner of /tmp must not leave a daemon that nobody finds.
 *
 * The file is looked at once in ACCEPTOR_CHECK_MS: two or three system calls. Not where the socket
 * was handed over: that one is the service manager's. Loop thread only. */
#ifndef FC_DAEMON_ACCEPTOR_H
#define FC_DAEMON_ACCEPTOR_H

#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/net/conns.h"
#include "daemon/net/ticker.h"
#include "daemon/os/listener.h"

#define ACCEPTOR_CHECK_MS 1000u
#define ACCEPTOR_PAUSE 10u /* checks that are left out after one that failed */

struct acceptor_socket {
  uv_pipe_t pipe; /* first: a handle is found by it */
  bool used;      /* until the loop has closed it */
};

struct acceptor {
  struct listener *listener; /* borrowed, as all that follows */
  struct listener_options where;
  const struct conns *conns;
  struct log *log;
  uv_connection_cb on_connection;
  void *arg;
  struct acceptor_socket
      sockets[2]; /* one, and the former one while connections wait in its queue */
  unsigned current;
  struct ticker check;
  unsigned pause; /* checks that are left out yet */
  bool said;      /* that the socket could not be made again */
};

struct acceptor_config {
  uv_loop_t *loop;
  struct listener *listener;            /* open; its descriptor goes over to the loop */
  const struct listener_options *where; /* as listener_open had them; copied */
  const struct conns *conns;            /* which may have a connection that is not accepted yet */
  struct log *log;
  uv_connection_cb on_connection; /* for each connection, as of uv_listen; stream->data is `arg` */
  void *arg;
};

/* Accepts from now on. 0, or FC_EREFUSED: out of descriptors. Then and later, acceptor_close ends
 * it; the struct must stay in place until the loop has closed its handles. */
int acceptor_start(struct acceptor *acceptor, const struct acceptor_config *config);

/* Idempotent. Connections that wait in the queues are closed by the kernel. */
void acceptor_close(struct acceptor *acceptor);

#endif
