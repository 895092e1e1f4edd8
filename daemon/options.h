/* options.h - the command line of fcached. */
#ifndef FC_DAEMON_OPTIONS_H
#define FC_DAEMON_OPTIONS_H

#include "daemon/base/error_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Range of max_bytes and client_budget. */
#define OPTIONS_BYTES_MIN 4096u
#define OPTIONS_BYTES_MAX (UINT64_C(1) << 50)
#define OPTIONS_CLIENT_BUDGET_DEFAULT (64u << 20)

/* Strings are borrowed from argv. The table in options.c has the ranges and defaults. */
struct options {
  const char *socket; /* NULL: the default places, see listener.h */
  bool has_socket_group, has_admin_group;
  gid_t socket_group, admin_group;
  uint64_t max_bytes;
  uint32_t max_value; /* at most max_bytes */
  uint32_t max_clients;
  uint32_t max_namespaces;
  uint32_t user_share;       /* percent, see users.h */
  uint64_t client_budget;    /* at least options_min_budget(max_value) */
  const char *trace;         /* NULL: off */
  const char *trace_dir;     /* NULL: the directory of `trace`, see trace_dir_open_beside */
  uint32_t hello_timeout_ms; /* 10 ms to 1 hour, as the next two */
  uint32_t stall_timeout_ms;
  uint32_t lease_max_ms;         /* of a lease's time, and of a wait */
  uint32_t max_leases;           /* and of waits */
  const char *state;             /* directory of the snapshot; NULL: none */
  uint32_t snapshot_interval_ms; /* 0: no timer; else at least a second */
  bool no_region;
  bool verbose;
  /* Set by the command line: options_resolve adapts only the defaults. */
  bool has_max_value, has_client_budget;
};

/* Sets the defaults. */
void options_init(struct options *options);

/* Returns the size of two frames with the largest value: one half of the budget receives a frame,
 * the other half sends one. */
uint64_t options_min_budget(uint32_t max_value);

/* Sets one option by its long name ("max-bytes"). `value` may be NULL for a flag. Returns 0, or
 * FC_EINVAL with a text that names the option, the value and the range. */
int options_set(struct options *options, const char *name, const char *value,
                struct error_text *error);

/* Adapts the defaults to the given sizes: a small max_bytes lowers max_value, a large max_value
 * raises client_budget. Call after the last options_set. Returns 0, or FC_EINVAL if given sizes
 * contradict each other. */
int options_resolve(struct options *options, struct error_text *error);

/* Parses a command line. Prints and exits for --help, -h, help, --usage and --version (status 0)
 * and for wrong usage (status 2). Call on the main thread. */
void options_parse(int argc, char **argv, struct options *options);

#endif
