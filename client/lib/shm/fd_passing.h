/* fd_passing.h - receives file descriptors that come with a message (SCM_RIGHTS).
 *
 * Descriptors belong to the receiver as soon as it reads the message. This module closes surplus
 * ones, and marks a set of which the kernel dropped a part (MSG_CTRUNC). One thread. */
#ifndef FC_CLIENT_FD_PASSING_H
#define FC_CLIENT_FD_PASSING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/lib/util/fd_identity.h"
#include "proto/shm/region_layout.h"

#define FD_PASSING_MAX                                                                             \
  FC_REGION_PASSED_MAX    /* the index, its segments, and the ring, in this order */
#define FD_PASSING_MIN 3u /* with one segment */

/* Zero to start. */
struct received_fds {
  unsigned n;      /* of `fds` */
  bool incomplete; /* some were lost, or surplus ones came: use none */
  struct fd_identity fds[FD_PASSING_MAX];
};

/* Like recv(2), and adds the descriptors that come with the bytes, close-on-exec. They never get
 * the numbers 0 to 2, to which a program without standard streams may print. */
ssize_t fd_passing_receive(struct received_fds *received, int fd, void *to, size_t room, int flags);

/* Returns whether all descriptors have come that were sent, and as many as a region and a ring can
 * have. The header of the region says how many it has. */
bool fd_passing_is_complete(const struct received_fds *received);

/* Closes what came, and starts anew. Idempotent. */
void fd_passing_close(struct received_fds *received);

#endif
