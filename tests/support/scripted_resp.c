#include "tests/support/scripted_resp.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct scripted_conn {
  uv_tcp_t tcp;
  struct scripted_resp *server;
  struct scripted_conn *next;
  struct resp_reader reader;
  bool closing;
  char bytes[65536];
};

struct sent {
  uv_write_t write;
  char bytes[];
};

static void on_closed(uv_handle_t *handle) {
  struct scripted_conn *conn = handle->data;
  resp_reader_deinit(&conn->reader);
  free(conn);
}

static void close_conn(struct scripted_conn *conn) {
  if (uv_is_closing((uv_handle_t *)&conn->tcp))
    return;
  for (struct scripted_conn **at = &conn->server->first; *at != NULL; at = &(*at)->next)
    if (*at == conn) {
      *at = conn->next;
      break;
    }
  uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

static void on_written(uv_write_t *write, int status) {
  (void)status; /* the peer may have gone */
  struct scripted_conn *conn = write->handle->data;
  if (conn->closing && uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp) == 0)
    close_conn(conn);
  free(write);
}

void scripted_resp_send(struct scripted_conn *conn, const void *bytes, size_t size) {
  struct sent *sent = malloc(sizeof *sent + size);
  memcpy(sent->bytes, bytes, size);
  uv_buf_t piece = uv_buf_init(sent->bytes, (unsigned)size);
  if (uv_write(&sent->write, (uv_stream_t *)&conn->tcp, &piece, 1, on_written) < 0)
    free(sent);
}

void scripted_resp_send_text(struct scripted_conn *conn, const char *text) {
  scripted_resp_send(conn, text, strlen(text));
}

void scripted_resp_close(struct scripted_conn *conn) {
  conn->closing = true;
  resp_reader_stop(&conn->reader);
  scripted_resp_send(conn, "", 0);
}

static void on_reply(void *arg, const struct resp_reply *command) {
  struct scripted_conn *conn = arg;
  conn->server->commands++;
  conn->server->on_command(conn, command, conn->server->arg);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  struct scripted_conn *conn = handle->data;
  *buf = uv_buf_init(conn->bytes, sizeof conn->bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct scripted_conn *conn = stream->data;
  if (n < 0)
    close_conn(conn);
  else
    ck_assert_int_eq(resp_reader_feed(&conn->reader, buf->base, (size_t)n), 0);
}

static void on_connection(uv_stream_t *listener, int status) {
  struct scripted_resp *server = listener->data;
  struct scripted_conn *conn = calloc(1, sizeof *conn);
  ck_assert_int_eq(status, 0);
  conn->server = server;
  conn->tcp.data = conn;
  ck_assert_int_eq(uv_tcp_init(listener->loop, &conn->tcp), 0);
  conn->tcp.data = conn;
  ck_assert_int_eq(resp_reader_init(&conn->reader, on_reply, conn), 0);
  conn->reader.limit = 64u * 1024u * 1024u;
  ck_assert_int_eq(uv_accept(listener, (uv_stream_t *)&conn->tcp), 0);
  ck_assert_int_eq(uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read), 0);
  conn->next = server->first;
  server->first = conn;
  server->connections++;
}

void scripted_resp_start(struct scripted_resp *server, uv_loop_t *loop,
                         void (*on_command)(struct scripted_conn *conn,
                                            const struct resp_reply *command, void *arg),
                         void *arg) {
  struct sockaddr_in address;
  int size = sizeof address;
  memset(server, 0, sizeof *server);
  server->on_command = on_command;
  server->arg = arg;
  ck_assert_int_eq(uv_tcp_init(loop, &server->listener), 0);
  server->listener.data = server;
  ck_assert_int_eq(uv_ip4_addr("127.0.0.1", 0, &address), 0);
  ck_assert_int_eq(uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0), 0);
  ck_assert_int_eq(uv_listen((uv_stream_t *)&server->listener, 16, on_connection), 0);
  ck_assert_int_eq(uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &size), 0);
  server->port = ntohs(address.sin_port);
  (void)snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%u", server->port);
}

void scripted_resp_stop(struct scripted_resp *server) {
  while (server->first != NULL)
    close_conn(server->first);
  if (!uv_is_closing((uv_handle_t *)&server->listener))
    uv_close((uv_handle_t *)&server->listener, NULL);
}

bool scripted_resp_is(const struct resp_reply *command, const char *word) {
  return command->n > 1 && command->items[1].size == strlen(word) &&
         strncasecmp(command->items[1].text, word, strlen(word)) == 0;
}

bool scripted_resp_greet(struct scripted_conn *conn, const struct resp_reply *command) {
  if (scripted_resp_is(command, "CLIENT"))
    scripted_resp_send_text(conn, "+OK\r\n");
  else if (scripted_resp_is(command, "CLUSTER"))
    scripted_resp_send_text(conn, "-ERR This instance has cluster support disabled\r\n");
  else
    return false;
  return true;
}
