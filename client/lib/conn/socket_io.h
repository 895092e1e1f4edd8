/* socket_io.h - a connected socket and its deadlines: sends pieces, receives frames.
 * It knows neither messages nor reconnection (that is connection.h).
 *
 * A send starts a deadline, which bounds it and all receives that follow. The
 * ordinary exchange is one send and one blocking receive, which the socket's own
 * timeout bounds; only what is cut or interrupted polls for the time that is left.
 * Errors are FC_ETIMEDOUT, FC_EUNAVAILABLE (the peer closed, or the socket
 * failed), FC_EPROTOCOL, FC_EFRAME, FC_ENOMEM. One thread. */
#ifndef FC_CLIENT_CHANNEL_H
#define FC_CLIENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "client/lib/shm/fd_passing.h"
#include "client/lib/util/fd_identity.h"

struct channel {
  struct own_fd socket; /* none: closed */
  uint64_t deadline_ns; /* how long an exchange may take */
  uint64_t end_ns;      /* when the one under way must have ended */
  bool started;         /* it has taken time: the socket's own timeout would be too long now */
  bool overtime;        /* the one read past its end was made */
  bool cut;             /* a message was sent in part, and the rest never will be */
  uint8_t *in;
  size_t in_size, in_capacity;
  size_t taken;           /* bytes of `in` that the last frame used */
  bool takes_descriptors; /* that come beside what is received; else the kernel drops them */
  struct passed passed;
};

void channel_init(struct channel *channel, uint64_t deadline_ns);
void channel_deinit(struct channel *channel);

/* Connects. 0 or -errno; -EAGAIN where something listens there, and accepts connections no faster
 * than they come (its queue is full). Then waits for a place in the queue until `until_ns`; 0: does
 * not wait. */
int channel_connect(struct channel *channel, const char *path, uint64_t until_ns);

/* Closes, unless the application has closed our descriptor and uses its number
 * for something else: that is left alone. Idempotent. */
void channel_close(struct channel *channel);

/* Ends the use of the channel, as channel_close does, but leaves the socket open: it is the
 * caller's from now on. */
struct own_fd channel_part(struct channel *channel);

/* Is the descriptor still the socket that we opened? A system call (fstat). */
bool channel_is_ours(const struct channel *channel);

/* Starts a deadline for the receives that follow; a send does so by itself. */
void channel_renew(struct channel *channel);
/* The deadline that runs ends at `end_ns`, if that is sooner. */
void channel_limit(struct channel *channel, uint64_t end_ns);

/* Sends all pieces, which it may modify. */
int channel_send(struct channel *channel, struct iovec *pieces, size_t n);

/* Sends what there is room for at once. False where that was not all of it, or where a send was cut
 * before: the other side then has half a message, and nothing more makes sense to it. */
bool channel_send_now(struct channel *channel, const void *data, size_t size);

/* Waits until there is something to receive, or the other side has closed, at most until `until_ns`
 * (FC_ETIMEDOUT); looks once at least. What is received then has a deadline of its own. A signal
 * that comes meanwhile ends the wait: CHANNEL_INTERRUPTED. */
#define CHANNEL_INTERRUPTED 1
int channel_await(const struct channel *channel, uint64_t until_ns);

/* Asked when the beginning of a large frame is there: returns room for all of its body from *offset
 * on, which then goes there straight and not through the channel's buffer; or NULL. Of the body,
 * `have` bytes are there. */
typedef void *channel_place_fn(void *arg, const uint8_t *body, size_t have, uint32_t body_size,
                               size_t *offset);
#define CHANNEL_LARGE_BYTES 131072u /* a body over this is large */

/* The next frame's body, borrowed until the next call. `wait` false: only what has
 * arrived, without a deadline; FC_ETIMEDOUT if that is not a whole frame. */
int channel_receive(struct channel *channel, uint32_t max_body, bool wait, const uint8_t **body,
                    uint32_t *body_size);

/* The same, waiting, with a place for the end of a large frame (NULL: none): where that was taken,
 * the body is only what stands before it, and *body_size its size. */
int channel_receive_placed(struct channel *channel, uint32_t max_body, channel_place_fn *place,
                           void *arg, const uint8_t **body, uint32_t *body_size);

uint64_t channel_clock_ns(void); /* CLOCK_MONOTONIC */

#endif
