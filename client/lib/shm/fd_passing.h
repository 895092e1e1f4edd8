/* fd_passing.h - descriptors that come beside a message (SCM_RIGHTS).
 *
 * They are the receiver's from the moment it reads: whatever is not wanted, surplus, or
 * there alone because no descriptor was left for the other (MSG_CTRUNC) has to be
 * closed, and that is done here. */
#ifndef FC_CLIENT_PASSED_H
#define FC_CLIENT_PASSED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/lib/util/fd_identity.h"

#define PASSED_WANTED 2u /* the region's and the ring's, in this order */

/* Zero to start. */
struct passed {
  unsigned n;  /* of `fds` */
  bool broken; /* some were lost, or more came: none of them is of use */
  struct own_fd fds[PASSED_WANTED];
};

/* Like recv, and adds what comes beside it, closed on exec; where the program runs without standard
 * streams, its output cannot get into what comes. */
ssize_t passed_receive(struct passed *passed, int fd, void *to, size_t room, int flags);

/* All that were wanted, and no more? */
bool passed_is_whole(const struct passed *passed);

/* Closes what came, and starts anew. */
void passed_close(struct passed *passed);

#endif
