/* descriptors.h - the descriptors of the process at start: the standard three, the limit, and
 * whether there are enough for the event loop, and watched. */
#ifndef FC_DAEMON_DESCRIPTORS_H
#define FC_DAEMON_DESCRIPTORS_H

#include "daemon/base/error_text.h"
#include "daemon/base/log.h"

/* Opens /dev/null where 0, 1 or 2 are closed, so that no socket gets one of these numbers: libuv
 * aborts when it closes one, and a library that prints would write into a connection. What is
 * opened so fails reads of 0 and writes to 1 and 2, as a closed one does. 0, or FC_EREFUSED where
 * there is no /dev/null to open. Before anything else opens a descriptor. */
int descriptors_fill_standard(void);

/* Raises the soft limit, as far as the hard one allows, to what `max_clients` take, and `reserved`
 * connections more; where that is not enough, it says so. */
void descriptors_raise_limit(unsigned max_clients, unsigned reserved, struct log *log);

/* Are there the descriptors that libuv opens, and the places in an epoll that it takes, without a
 * way to report a failure (it aborts)? 0, or FC_EREFUSED with a text. Holds none afterwards: call
 * it right before uv_loop_init. */
int descriptors_prove(struct fault *fault);

#endif
