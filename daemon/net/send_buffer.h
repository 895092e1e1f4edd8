/* send_buffer.h - the kernel's memory for replies that peers have not read yet.
 *
 * A control group charges it to the daemon, so it is bounded: each socket has a small send buffer,
 * which takes an ordinary reply at once, and a pool lends larger ones to sockets that need them.
 * One that is lent stays with its socket until another needs it, and then goes if it is empty.
 * Peers that read slowly, or not at all, keep theirs, and must not leave the others with small
 * ones: so large ones have half of the pool, the rest is for medium ones, of which there are many,
 * and the last quarter is for large replies alone. Where none can be had, a large reply takes more
 * turns of the loop, and nothing waits for a buffer.
 *
 * One thread. Each socket returns its buffer before it is closed. */
#ifndef FC_DAEMON_SEND_BUFFER_H
#define FC_DAEMON_SEND_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#define SEND_BUFFER_SMALL 8192u /* asked of the kernel, which doubles it */
/* A large one, at most: likewise, and the system may have a lower bound. A 16th of the pool where
 * that is less. */
#define SEND_BUFFER_LARGE (1u << 20)
#define SEND_BUFFER_MEDIUM (64u << 10) /* likewise */
#define SEND_BUFFER_SMALL_BYTES 20480u /* what the small one takes at most, overheads included */
#define SEND_BUFFER_OVER_BYTES (32u << 10) /* one that is lent, beyond what the kernel says */
#define SEND_BUFFER_REPLY 12288u /* a reply over this is better off with one that is lent */

/* A socket's part. Zero but for `fd` while nothing is lent. */
struct send_buffer {
  struct send_buffer *next, *prev; /* in the pool, the one that was of use longest ago first */
  size_t bytes;                    /* charged to the pool; 0: not lent */
  int fd;                          /* borrowed */
};

struct send_buffers {
  size_t limit_bytes, used_bytes;
  size_t large_bytes;      /* asked of the kernel for a large one */
  struct send_buffer lent; /* head of the ring */
};

void send_buffers_init(struct send_buffers *pool, size_t limit_bytes);
void send_buffers_deinit(struct send_buffers *pool); /* asserts that nothing is lent */

/* Gives the socket its small buffer. */
void send_buffer_init(struct send_buffer *buffer, int fd);

/* Sees that the socket has a larger buffer, the largest that can be had now for a large reply, a
 * medium one for many small ones; and that it is the last to go. False: it has its small one. */
bool send_buffer_enlarge(struct send_buffers *pool, struct send_buffer *buffer, bool large_reply);

/* Its socket is about to be closed. Idempotent. */
void send_buffer_return(struct send_buffers *pool, struct send_buffer *buffer);

/* Of the bytes that the kernel has for the socket, overheads included, those that the peer has not
 * read. 0 where that is unknown. */
size_t send_buffer_unread(int fd);

#endif
