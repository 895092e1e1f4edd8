/* descriptors.h - file descriptors at start: the standard three, the limit on their number, and
 * the ones that libuv needs. */
#ifndef FC_DAEMON_DESCRIPTORS_H
#define FC_DAEMON_DESCRIPTORS_H

#include "daemon/base/error_text.h"
#include "daemon/base/log.h"

/* Opens /dev/null as each of 0, 1 and 2 that is closed, so that no socket gets one of these
 * numbers: libuv aborts when it closes one, and a library that prints would write into a
 * connection. Reads of such a 0 and writes to such a 1 or 2 fail, as on a closed descriptor. Call
 * before any other descriptor is opened. Returns 0, or FC_EREFUSED if /dev/null cannot be opened.
 */
int descriptors_fill_standard(void);

/* What the daemon needs descriptors for. */
struct descriptors_need {
  unsigned max_clients;
  unsigned reserved;   /* connections beside them */
  unsigned memory;     /* files of shared memory that are open at start */
  unsigned memory_max; /* while earlier memory is taken over */
  unsigned passed;     /* sent to one client, which may not have received them yet */
};

/* Raises the soft limit as far as the need goes, but not above the hard limit. The kernel compares
 * the limit with the open descriptors, and with those that clients have not received yet. Logs a
 * warning if the limit is too low for the open ones. */
void descriptors_raise_limit(const struct descriptors_need *need, struct log *log);

/* Checks that libuv can open the descriptors of an event loop and watch them: it aborts where that
 * fails. Returns 0, or FC_EREFUSED with a text. Keeps none open: call it right before
 * uv_loop_init. */
int descriptors_check(struct error_text *error);

#endif
