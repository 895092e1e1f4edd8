/* wire.h - the leanest client there is: send a request, read its whole reply.
 *
 * One writev for a request, and as few reads as the socket allows for a reply
 * whose length is known beforehand. Nothing is allocated or parsed here, so no
 * peer is slowed by its client. Functions return -1 after saying why on stderr.
 */
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

/* Takes `fd` over, also when it fails. A reply that takes over 5 seconds fails. */
int wire_init(struct wire *wire, const char *name, int fd);
void wire_deinit(struct wire *wire);

/* Sends all of `iov` (which it may change). */
int wire_send(struct wire *wire, struct iovec *iov, int n);

/* Reads exactly `size` bytes to wire->reply. */
int wire_receive(struct wire *wire, size_t size);

/* Reads as many bytes behind the `have` ones there. */
int wire_receive_rest(struct wire *wire, size_t have, size_t size);

/* -1, saying that the reply was not what it had to be. */
int wire_unexpected(const struct wire *wire, const char *what);

#endif
