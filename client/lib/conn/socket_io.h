/* socket_io.h - a connected socket with deadlines: sends pieces, receives frames. It knows neither
 * messages nor reconnection (connection.h).
 *
 * A send starts a deadline, which also bounds the receives that follow it. A usual request is one
 * send and one blocking receive, bounded by the socket's own timeout (SO_RCVTIMEO), so it needs no
 * poll. After a partial or interrupted call the code polls for the rest of the time.
 *
 * Errors: FC_ETIMEDOUT, FC_EUNAVAILABLE (the peer closed, or the socket failed), FC_EPROTOCOL,
 * FC_EFRAME, FC_ENOMEM. Times are of clock_now_ns. One thread. */
#ifndef FC_CLIENT_SOCKET_IO_H
#define FC_CLIENT_SOCKET_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "client/lib/shm/fd_passing.h"
#include "client/lib/util/fd_identity.h"

struct socket_io {
  struct fd_identity socket; /* fd -1: closed */
  uint64_t deadline_ns;      /* length of a deadline */
  uint64_t end_ns;           /* end of the current deadline */
  bool started;     /* time of the deadline is used up: the socket's timeout would be too long */
  bool extra_read;  /* the one read after the deadline was made */
  bool message_cut; /* a message was sent in part: the peer understands nothing more */
  uint8_t *in;      /* receive buffer */
  size_t in_size, in_capacity;
  size_t consumed;        /* bytes of `in` that belong to the latest frame */
  bool takes_descriptors; /* receive descriptors; else the kernel drops them */
  struct received_fds received;
};

void socket_io_init(struct socket_io *io, uint64_t deadline_ns);
void socket_io_deinit(struct socket_io *io);

/* Connects to the socket at `path`. Returns 0 or -errno: -EAGAIN if its queue of connections is
 * full. Waits for room in the queue until `until_ns`, or not at all if that is 0. */
int socket_io_connect(struct socket_io *io, const char *path, uint64_t until_ns);

/* Closes the socket, unless the program has closed or replaced the descriptor. Idempotent. */
void socket_io_close(struct socket_io *io);

/* Like socket_io_close, but leaves the socket open and returns it: the caller owns it. */
struct fd_identity socket_io_detach(struct socket_io *io);

/* Starts a deadline for the receives that follow. A send does so itself. */
void socket_io_start_deadline(struct socket_io *io);

/* Ends the current deadline at `end_ns` if that is earlier. */
void socket_io_limit_deadline(struct socket_io *io, uint64_t end_ns);

/* Sends all pieces. Modifies the list. Returns 0 or an error. */
int socket_io_send(struct socket_io *io, struct iovec *pieces, size_t n);

/* Sends without waiting. Returns false if not all was sent, or if an earlier message was cut. */
bool socket_io_send_now(struct socket_io *io, const void *data, size_t size);

/* Waits until the socket is readable or the peer has closed, at most until `until_ns`. Polls at
 * least once. Starts no deadline. Returns 0, FC_ETIMEDOUT, FC_EUNAVAILABLE, or
 * SOCKET_IO_INTERRUPTED after a signal. */
#define SOCKET_IO_INTERRUPTED 1
int socket_io_wait_readable(const struct socket_io *io, uint64_t until_ns);

/* Called with the first `have` bytes of the body of a large frame. Returns room for the bytes from
 * *offset to the end of the body, which are then received there directly; or NULL. */
typedef void *socket_io_destination_fn(void *arg, const uint8_t *body, size_t have,
                                       uint32_t body_size, size_t *offset);
#define SOCKET_IO_LARGE_BYTES 131072u /* a body over this is large */

/* Receives the body of the next frame. It is valid until the next call. With `wait` false, only
 * from bytes that have arrived, without a deadline: FC_ETIMEDOUT if they are no whole frame.
 * Returns 0 or an error. */
int socket_io_receive(struct socket_io *io, uint32_t max_body, bool wait, const uint8_t **body,
                      uint32_t *body_size);

/* Like socket_io_receive with `wait`, and asks `destination` (NULL: none) for room for the end of a
 * large frame. If it gave room, *body has only the bytes before *offset, *body_size of them. */
int socket_io_receive_into(struct socket_io *io, uint32_t max_body,
                           socket_io_destination_fn *destination, void *arg, const uint8_t **body,
                           uint32_t *body_size);

#endif
