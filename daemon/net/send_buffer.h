/* send_buffer.h - the kernel's memory for replies that peers have not read yet.
 *
 * A control group charges it to the daemon, so it is bounded. Each socket has a small send buffer,
 * which takes an ordinary reply at once. A pool lends larger buffers to sockets that need them. A
 * lent buffer stays with its socket until another socket needs it and its peer has read everything.
 * Peers that read slowly keep theirs. So that the others get some too, large buffers may take half
 * of the pool. The rest is for medium ones, and its last quarter for large replies alone. Without a
 * larger buffer a reply takes more turns of the loop; nothing waits for a buffer.
 *
 * Each socket returns its buffer before it is closed. One thread. */
#ifndef FC_DAEMON_SEND_BUFFER_H
#define FC_DAEMON_SEND_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#define SEND_BUFFER_SMALL 8192u /* requested from the kernel, which doubles it */
/* The largest request. The system may have a lower bound, and a 16th of the pool may be less. */
#define SEND_BUFFER_LARGE (1u << 20)
#define SEND_BUFFER_MEDIUM (64u << 10)
#define SEND_BUFFER_SMALL_BYTES 20480u     /* memory of a small one, with overhead */
#define SEND_BUFFER_OVER_BYTES (32u << 10) /* of a lent one, above its reported size */
#define SEND_BUFFER_REPLY 12288u           /* a reply above this uses a lent buffer */

/* Of one socket. Zero except `fd` while nothing is lent. */
struct send_buffer {
  struct send_buffer *next, *prev; /* in the pool, least recently used first */
  size_t bytes;                    /* charged to the pool; 0: not lent */
  int fd;                          /* borrowed */
};

struct send_buffers {
  size_t limit_bytes, used_bytes;
  size_t large_bytes;      /* requested for a large buffer */
  struct send_buffer lent; /* head of the ring */
};

void send_buffers_init(struct send_buffers *pool, size_t limit_bytes);
void send_buffers_deinit(struct send_buffers *pool); /* asserts that nothing is lent */

/* Sets the socket's small buffer. */
void send_buffer_init(struct send_buffer *buffer, int fd);

/* Lends the socket a larger buffer if it has none: the largest available for a large reply, a
 * medium one for many small replies. It becomes the most recently used. Returns false if the socket
 * keeps its small buffer. */
bool send_buffer_enlarge(struct send_buffers *pool, struct send_buffer *buffer, bool large_reply);

/* Returns a lent buffer, before its socket is closed. Idempotent. */
void send_buffer_return(struct send_buffers *pool, struct send_buffer *buffer);

/* Returns the bytes in the socket that the peer has not read, with the kernel's overhead; 0 if
 * unknown. */
size_t send_buffer_unread(int fd);

#endif
