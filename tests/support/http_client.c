#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define REPLY_MAX (1u << 20)
#define TIMEOUT_S 30

int http_client_connect(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  const struct timeval timeout = {.tv_sec = TIMEOUT_S};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
  ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

char *http_client_send(uint16_t port, const char *request) {
  char *reply = calloc(1, REPLY_MAX);
  size_t size = 0;
  ssize_t got;
  int fd = http_client_connect(port);
  ck_assert_ptr_nonnull(reply);
  (void)send(fd, request, strlen(request), MSG_NOSIGNAL); /* the server may refuse it half-way */
  while (size < REPLY_MAX - 1 && (got = recv(fd, reply + size, REPLY_MAX - 1 - size, 0)) > 0)
    size += (size_t)got;
  (void)close(fd);
  return reply;
}

char *http_client_get(uint16_t port, const char *path, unsigned status) {
  char request[512];
  unsigned got = 0;
  (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  char *reply = http_client_send(port, request);
  ck_assert_msg(sscanf(reply, "HTTP/1.1 %u ", &got) == 1 && got == status, "%s: %s", path, reply);
  char *body = strstr(reply, "\r\n\r\n");
  ck_assert_ptr_nonnull(body);
  memmove(reply, body + 4, strlen(body + 4) + 1);
  return reply;
}
