/* options.h - the command line of fcached. */
#ifndef FC_DAEMON_OPTIONS_H
#define FC_DAEMON_OPTIONS_H

#include "daemon/base/error_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OPTIONS_CLIENT_BUDGET_DEFAULT (64u << 20)

/* Strings are borrowed from argv. Sizes are bytes. */
struct options {
  const char *socket; /* NULL: the default places, see listen.h */
  bool has_socket_group, has_admin_group;
  gid_t socket_group, admin_group; /* looked up: by name, or a number */
  uint64_t max_bytes;
  uint32_t max_value; /* 1..FC_VALUE_MAX_CEILING, and at most max_bytes */
  uint32_t max_clients;
  uint32_t max_namespaces;
  uint32_t user_share;       /* percent, 1 to 100: see users.h */
  uint64_t client_budget;    /* at least options_min_budget(max_value) */
  const char *trace;         /* NULL: off */
  const char *trace_dir;     /* NULL: the folder of `trace`, see trace_dir_open_beside */
  uint32_t hello_timeout_ms; /* 10 ms to 1 hour */
  uint32_t stall_timeout_ms; /* 10 ms to 1 hour */
  uint32_t lease_max_ms;     /* 10 ms to 1 hour: of any lease's term, and of any wait */
  uint32_t max_leases;       /* in all; waits likewise */
  bool no_region;
  bool verbose;
  /* which sizes were given: defaults adapt to the others in options_settle */
  bool has_max_value, has_client_budget;
};

/* The defaults. */
void options_init(struct options *options);

/* Two whole frames of the largest value: one that comes in, in its half of the budget, and one
 * that goes out, in the other. */
uint64_t options_min_budget(uint32_t max_value);

/* Sets one option by its long name ("max-bytes"). 0, or FC_EINVAL with a text that
 * names the option, the value and the range. `value` may be NULL for a flag. */
int options_set(struct options *options, const char *name, const char *value, struct fault *fault);

/* Checks the sizes against each other, once all are set. What was not given
 * follows what was: a small max_bytes lowers the default max_value, a large
 * max_value raises the default client_budget. 0 or FC_EINVAL. */
int options_settle(struct options *options, struct fault *fault);

/* All of the above from a command line. Prints and exits for --help, -h, help, --usage
 * and --version (status 0) and for wrong usage (status 2): returns only with good
 * options. Main thread, at start. */
void options_parse(int argc, char **argv, struct options *options);

#endif
