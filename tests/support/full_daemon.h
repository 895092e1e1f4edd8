/* full_daemon.h - a daemon that sends every statistic. */
#ifndef FC_TESTS_FULL_DAEMON_H
#define FC_TESTS_FULL_DAEMON_H

#include "tests/support/harness.h"

/* Starts a daemon with a state directory, a trace, a tier that is away, the namespace "ns" with
 * both limits and one entry, and a complete snapshot. Sets $FCACHE_SOCKET to its socket. */
void full_daemon_start(struct daemon *daemon);

#endif
