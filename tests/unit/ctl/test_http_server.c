/* The HTTP server of the exporter: bounds of its connections. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/ctl/exporter/http_server.h"
#include "client/ctl/exporter/listen_address.h"
#include "tests/support/http_client.h"
#include "tests/support/runner.h"

static struct http_server *server;
static uint16_t port;
static unsigned n_logged;

static char *metrics_of_test(void *arg, size_t *size) {
  (void)arg;
  *size = 4;
  return strdup("m 1\n");
}

static void log_of_test(const char *line) {
  (void)line;
  __atomic_fetch_add(&n_logged, 1, __ATOMIC_RELAXED);
}

static void start(uint64_t deadline_ns) {
  char error[LISTEN_TEXT_SIZE];
  struct listen_address address;
  struct listener listener;
  ck_assert(listen_address_parse("127.0.0.1:0", &address, error));
  ck_assert(listen_address_open(&address, &listener, error));
  port = (uint16_t)strtoul(strrchr(listener.name, ':') + 1, NULL, 10);
  server = http_server_start(&(struct http_server_options){.listen_fd = listener.fd,
                                                           .deadline_ns = deadline_ns,
                                                           .loopback = true,
                                                           .metrics = metrics_of_test,
                                                           .log = log_of_test});
  ck_assert_ptr_nonnull(server);
}

static void send_text(int fd, const char *text) {
  ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Sends the rest of a request and checks the reply. */
static void finish(int fd) {
  char reply[1024] = "";
  send_text(fd, "\r\n");
  ck_assert_int_gt(recv(fd, reply, sizeof reply - 1, 0), 0);
  ck_assert_msg(strncmp(reply, "HTTP/1.1 200 ", 13) == 0, "%s", reply);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(slow_connection_ends_at_its_deadline) {
  char byte;
  start(1);
  int fd = http_client_connect(port);
  struct pollfd end = {.fd = fd, .events = POLLIN};
  send_text(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n");
  for (int i = 0; i < 3000 && poll(&end, 1, 10) == 0; i++)
    http_server_check_deadlines(server); /* the server may not have accepted it yet */
  ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
  http_server_stop(server);
  ck_assert_uint_ge(n_logged, 1); /* libmicrohttpd may add its own line */
  ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(connection_in_time_is_served) {
  start(60000000000u);
  int fd = http_client_connect(port);
  send_text(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n");
  http_server_check_deadlines(server);
  finish(fd);
  http_server_stop(server);
}
END_TEST

/* The 17th connection waits until one of the 16 ends. */
START_TEST(connections_beyond_the_limit_wait) {
  int fds[HTTP_CONNECTIONS_MAX + 1];
  start(60000000000u);
  for (size_t i = 0; i <= HTTP_CONNECTIONS_MAX; i++) {
    fds[i] = http_client_connect(port);
    send_text(fds[i], "GET /metrics HTTP/1.1\r\nHost: localhost\r\n");
  }
  struct pollfd last = {.fd = fds[HTTP_CONNECTIONS_MAX], .events = POLLIN};
  send_text(last.fd, "\r\n");
  finish(fds[0]); /* the server works, and the 17th came before */
  ck_assert_int_eq(poll(&last, 1, 30000), 1);
  for (size_t i = 1; i < HTTP_CONNECTIONS_MAX; i++)
    finish(fds[i]);
  ck_assert_int_eq(close(last.fd), 0);
  http_server_stop(server);
}
END_TEST

static const struct {
  const char *request, *reply;
} wrong[] = {
    {"GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "}, /* HTTP/1.1 needs a Host */
    {"GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1."},
    {"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx",
     "HTTP/1.1 405 "},
    {"garbage\r\n\r\n", ""},
};

START_TEST(wrong_request_is_refused_and_the_next_is_served) {
  start(60000000000u);
  char *reply = http_client_send(port, wrong[_i].request);
  ck_assert_msg(strncmp(reply, wrong[_i].reply, strlen(wrong[_i].reply)) == 0, "%s", reply);
  free(reply);
  reply = http_client_get(port, "/metrics", 200);
  ck_assert_str_eq(reply, "m 1\n");
  free(reply);
  http_server_stop(server);
}
END_TEST

START_TEST(large_headers_are_status_431) {
  static char request[2 * HTTP_HEADER_BYTES_MAX];
  start(60000000000u);
  int size = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
  memset(request + size, 'x', sizeof request - (size_t)size - 5);
  memcpy(request + sizeof request - 5, "\r\n\r\n", 5);
  char *reply = http_client_send(port, request);
  ck_assert_msg(*reply == '\0' || strncmp(reply, "HTTP/1.1 431 ", 13) == 0, "%s", reply);
  free(reply);
  ck_assert_uint_ge(n_logged, 1);
  http_server_stop(server);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_server");
  TCase *tests = tcase_create("http_server");

  tcase_add_test(tests, slow_connection_ends_at_its_deadline);
  tcase_add_test(tests, connection_in_time_is_served);
  tcase_add_test(tests, connections_beyond_the_limit_wait);
  tcase_add_loop_test(tests, wrong_request_is_refused_and_the_next_is_served, 0,
                      sizeof wrong / sizeof wrong[0]);
  tcase_add_test(tests, large_headers_are_status_431);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
