/* configured_daemon.h - a daemon with a configuration file, which tests change while it runs. A
 * function that cannot do its work fails the test. */
#ifndef FC_TESTS_CONFIGURED_DAEMON_H
#define FC_TESTS_CONFIGURED_DAEMON_H

#include <stdint.h>

#include "tests/support/harness.h"

extern struct daemon configured_daemon;
extern char configured_dir[HARNESS_PATH_SIZE];       /* of the file */
extern char configured_path[HARNESS_PATH_SIZE + 16]; /* the file */

/* Starts a daemon whose configuration file, in a new directory, has the text. fcachectl finds it by
 * $FCACHE_SOCKET. `extra`: an option of the command line, or NULL. */
void configured_start(const char *text, const char *extra);

/* Stops it. Its exit status must be 0. */
void configured_stop(void);

/* Replaces the text of the file. The daemon reads it at the next reload. */
void configured_write(const char *text);

/* Checks that the daemon's log contains the text. */
void configured_expect_log(const char *text);

/* Requests and returns one counter of the daemon, as a client of its own. */
uint64_t configured_stat(const char *name);

#endif
