/* wire.h - the leanest client: sends a request and reads its whole reply.
 *
 * One writev for a request, and as few reads as the socket allows for a reply of known length. It
 * allocates and parses nothing, so no peer is slowed by its client. Functions return -1 with the
 * reason on stderr. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Owns the connection and a buffer for replies. Zero it to start. */
struct wire {
  int fd;
  const char *name; /* of the peer; borrowed */
  uint8_t *reply;
  size_t capacity;
};

/* Takes ownership of `fd`, also if it fails. A reply that takes over 5 seconds fails. */
int wire_init(struct wire *wire, const char *name, int fd);
void wire_deinit(struct wire *wire);

/* Sends all of `iov`, which it may change. */
int wire_send(struct wire *wire, struct iovec *iov, int n);

/* Reads exactly `size` bytes to wire->reply. */
int wire_receive(struct wire *wire, size_t size);

/* Reads as many bytes after the `have` ones there. */
int wire_receive_rest(struct wire *wire, size_t have, size_t size);

/* Prints that the reply was wrong, and returns -1. */
int wire_unexpected(const struct wire *wire, const char *what);

#endif
