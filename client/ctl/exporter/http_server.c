#include "client/ctl/exporter/http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/lib/util/clock.h"

#define IDLE_S 10u /* without a byte; libmicrohttpd's own timeout */

struct http_server {
  struct http_server_options options;
  struct MHD_Daemon *daemon;
  /* Connections by number. The server's thread adds and removes them, and the other one shuts them
   * down: libmicrohttpd closes a descriptor only after it was removed here. */
  pthread_mutex_t mutex;
  struct {
    struct MHD_Connection *connection; /* NULL: free */
    int fd;
    uint64_t started_ns;
  } connections[HTTP_CONNECTIONS_MAX];
};

/* ---- deadlines ---- */

static int fd_of(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

  return info ? info->connect_fd : -1;
}

/* Called by libmicrohttpd when a connection begins, and before it is closed. */
static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
  struct http_server *server = arg;
  bool starts = code == MHD_CONNECTION_NOTIFY_STARTED;

  (void)context;
  (void)pthread_mutex_lock(&server->mutex); /* cannot fail: a plain mutex */
  for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
    if (server->connections[i].connection != (starts ? NULL : connection))
      continue;
    server->connections[i].connection = starts ? connection : NULL;
    server->connections[i].fd = fd_of(connection);
    server->connections[i].started_ns = clock_now_ns();
    break;
  }
  (void)pthread_mutex_unlock(&server->mutex);
}

void http_server_check_deadlines(struct http_server *server) {
  uint64_t now_ns;

  (void)pthread_mutex_lock(&server->mutex);
  now_ns = clock_now_ns();
  for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
    if (server->connections[i].connection && server->connections[i].fd >= 0 &&
        now_ns - server->connections[i].started_ns > server->options.deadline_ns) {
      (void)shutdown(server->connections[i].fd, SHUT_RDWR); /* it may have ended just now */
      server->connections[i].fd = -1;
      server->options.log("ended a connection that was open for too long");
    }
  (void)pthread_mutex_unlock(&server->mutex);
}

/* ---- requests ---- */

/* libmicrohttpd's texts may contain the page that it sent, and end with a newline. */
__attribute__((format(printf, 2, 0))) static void log_line(void *arg, const char *format,
                                                           va_list args) {
  const struct http_server *server = arg;
  char line[512];

  (void)vsnprintf(line, sizeof line, format, args);
  line[strcspn(line, "'<\r\n")] = '\0';
  server->options.log(line);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct http_reply *reply) {
  static char none[] = "";
  struct MHD_Response *response =
      reply->body ? MHD_create_response_from_buffer(reply->size, reply->body, MHD_RESPMEM_MUST_FREE)
                  : MHD_create_response_from_buffer(0, none, MHD_RESPMEM_PERSISTENT);
  enum MHD_Result result = MHD_NO;

  if (!response) {
    free(reply->body);
    return MHD_NO;
  }
  if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
      MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type) ==
          MHD_YES &&
      MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
      (!reply->allow ||
       MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow) == MHD_YES))
    result = MHD_queue_response(connection, reply->status, response);
  MHD_destroy_response(response);
  return result;
}

/* Called when the headers of a request are complete. MHD_NO closes the connection. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **context) {
  const struct http_server *server = arg;
  const struct http_request request = {
      .method = method,
      .path = path,
      .host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)};
  struct http_reply reply;

  (void)version, (void)data, (void)data_size, (void)context;
  http_request_reply(&request, server->options.loopback, server->options.metrics,
                     server->options.arg, &reply);
  return send_reply(connection, &reply);
}

/* ---- life ---- */

struct http_server *http_server_start(const struct http_server_options *options) {
  struct http_server *server = calloc(1, sizeof *server);

  if (!server) {
    (void)close(options->listen_fd);
    errno = ENOMEM;
    return NULL;
  }
  server->options = *options;
  (void)pthread_mutex_init(&server->mutex, NULL); /* cannot fail with glibc */
  errno = 0;
  server->daemon = MHD_start_daemon(
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
      server, MHD_OPTION_EXTERNAL_LOGGER, log_line, server, MHD_OPTION_LISTEN_SOCKET,
      options->listen_fd, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
      MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_BYTES_MAX,
      MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
  if (!server->daemon) {
    int code = errno ? errno : EINVAL;

    (void)close(options->listen_fd); /* libmicrohttpd closes it only after a start */
    http_server_stop(server);
    errno = code;
    return NULL;
  }
  return server;
}

void http_server_stop(struct http_server *server) {
  if (!server)
    return;
  if (server->daemon)
    MHD_stop_daemon(server->daemon);
  (void)pthread_mutex_destroy(&server->mutex);
  free(server);
}
