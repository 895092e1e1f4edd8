/* traced_daemon.h - a daemon whose trace is read, for system tests. One at a time. */
#ifndef FC_TESTS_TRACED_DAEMON_H
#define FC_TESTS_TRACED_DAEMON_H

#include "tests/support/harness.h"

struct fcache;

#define TRACED_TIMEOUT_MS 20000u
#define TRACED_LONG_PUTS 400u /* of one traced_put_long */

extern struct daemon traced_daemon;
extern char traced_dir[HARNESS_PATH_SIZE]; /* a temporary directory */

struct traced_path {
  char text[HARNESS_PATH_SIZE + 64];
};

/* Fixtures: make the directory; stop the daemon, which must exit with 0. */
void traced_set_up(void);
void traced_tear_down(void);

/* Returns the path of `name` in the directory. */
struct traced_path traced_path(const char *name);

/* Puts a value with top_k `number`. */
void traced_put(struct fcache *cache, unsigned number);

/* Puts TRACED_LONG_PUTS values with the longest names: a trace line of more than a kilobyte each.
 */
void traced_put_long(struct fcache *cache);

/* Puts and gets a value. */
void traced_check_served(struct fcache *cache);

/* Returns how often the daemon's log has `text`. */
unsigned traced_logged(const char *text);

/* Returns the number of newlines. */
size_t traced_count_lines(const char *text, size_t size);

struct traced_growth {
  const char *path;
  size_t lines;  /* expected; more fail the test */
  bool in_parts; /* a write of several pages may be visible before it is done */
};

/* For harness_wait_until: whether the file (NULL: with 0 lines) has that many lines, all whole. */
bool traced_has_lines(void *growth);

/* For harness_wait_until: writes lines and returns whether some were lost. */
bool traced_has_lost(void *cache);

bool traced_exists(void *path);

#endif
