#include "tests/bench/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { REPLY_SECONDS = 5 };

int wire_init(struct wire *wire, const char *name, int fd) {
  *wire = (struct wire){.fd = fd, .name = name};
  struct timeval bound = {.tv_sec = REPLY_SECONDS};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)) == 0 &&
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound)) == 0)
    return 0;
  fprintf(stderr, "bench: cannot bound the replies of %s: %s\n", name, strerror(errno));
  wire_deinit(wire);
  return -1;
}

void wire_deinit(struct wire *wire) {
  if (wire->name != NULL)
    (void)close(wire->fd); /* nothing unsent matters */
  free(wire->reply);
  *wire = (struct wire){0};
}

int wire_send(struct wire *wire, struct iovec *iov, int n) {
  struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)n};
  while (message.msg_iovlen > 0) {
    ssize_t sent = sendmsg(wire->fd, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      fprintf(stderr, "bench: cannot send to %s: %s\n", wire->name, strerror(errno));
      return -1;
    }
    while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
      sent -= (ssize_t)message.msg_iov->iov_len;
      message.msg_iov++;
      message.msg_iovlen--;
    }
    if (message.msg_iovlen > 0) {
      message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + sent;
      message.msg_iov->iov_len -= (size_t)sent;
    }
  }
  return 0;
}

int wire_receive(struct wire *wire, size_t size) {
  return wire_receive_rest(wire, 0, size);
}

int wire_receive_rest(struct wire *wire, size_t have, size_t size) {
  size += have;
  if (size > wire->capacity) {
    uint8_t *grown = realloc(wire->reply, size);
    if (grown == NULL) {
      fprintf(stderr, "bench: out of memory for a reply of %zu bytes\n", size);
      return -1;
    }
    wire->reply = grown;
    wire->capacity = size;
  }
  for (size_t got = have; got < size;) {
    ssize_t n = recv(wire->fd, wire->reply + got, size - got, 0);
    if (n <= 0) {
      fprintf(stderr, "bench: %s sent %zu of %zu bytes, then: %s\n", wire->name, got, size,
              n == 0 ? "end of stream" : strerror(errno));
      if (got > 0)
        fprintf(stderr, "  the reply begins: %.*s\n", got < 64 ? (int)got : 64,
                (const char *)wire->reply);
      return -1;
    }
    got += (size_t)n;
  }
  return 0;
}

int wire_unexpected(const struct wire *wire, const char *what) {
  fprintf(stderr, "bench: %s did not answer with %s\n", wire->name, what);
  return -1;
}
