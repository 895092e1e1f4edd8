/* http_server.h - serves HTTP with libmicrohttpd, in one thread of its own.
 *
 * A connection ends after one reply. At most HTTP_CONNECTIONS_MAX are served at a time, and more
 * wait in the kernel's queue. A request line with its headers has HTTP_HEADER_BYTES_MAX at most,
 * else the reply is 431 or 414. A whole connection takes `deadline_ns` at most. A request's body is
 * not read. */
#ifndef FC_CTL_HTTP_SERVER_H
#define FC_CTL_HTTP_SERVER_H

#include <stdint.h>

#include "client/ctl/exporter/http_request.h"

#define HTTP_CONNECTIONS_MAX 16u
#define HTTP_HEADER_BYTES_MAX 16384u

struct http_server;

struct http_server_options {
  int listen_fd;            /* the server closes it, also if it cannot be started */
  uint64_t deadline_ns;     /* from the accept to the end of a connection */
  bool loopback;            /* see http_request_reply */
  http_metrics_fn *metrics; /* called in the server's thread */
  void *arg;
  void (*log)(const char *line); /* why a connection was refused; in the server's thread */
};

/* Starts the thread, with the caller's mask of signals. Returns NULL, with errno, if it fails. */
struct http_server *http_server_start(const struct http_server_options *options);

/* Ends connections that have passed their deadline. Call it every second or so. */
void http_server_check_deadlines(struct http_server *server);

/* Ends the thread after the request that it replies to, and frees. NULL is allowed. */
void http_server_stop(struct http_server *server);

#endif
