/* ctl.h - what fcachectl's commands share: their shape, the way to the daemon,
 * and how a failure is told. */
#ifndef FC_CTL_CTL_H
#define FC_CTL_CTL_H

#include <argp.h>
#include <stdbool.h>

#include "client/lib/admin/admin.h"

enum ctl_status {
  CTL_DONE = 0,
  CTL_FAILED = 1,
  CTL_USAGE = 2,     /* argp's exit status for it, too */
  CTL_NO_DAEMON = 3, /* or none that answers */
};

struct ctl {
  const char *socket; /* --socket; NULL: the default places. Borrowed from argv. */
};

/* Runs one command: argv[0] is its name for messages ("fcachectl stats"). Returns
 * main's status. Wrong usage and --help end the process in argp. */
typedef int ctl_command_fn(struct ctl *ctl, int argc, char **argv);

ctl_command_fn stats_command, list_command, leases_command, clients_command, namespaces_command,
    clear_command, trace_command, ping_command, kill_command, shutdown_command, run_command;

/* --socket and -h, for the `children` of every command's parser, whose input starts with
 * a `struct ctl *` and whose function begins with CTL_PARSE. */
extern const struct argp_child ctl_children[];
#define CTL_PARSE(key, state)                                                                      \
  do {                                                                                             \
    if ((key) == ARGP_KEY_INIT)                                                                    \
      (state)->child_inputs[0] = *(struct ctl **)(state)->input;                                   \
  } while (0)

/* Ends the process for wrong usage, with one line on stderr, without control
 * characters, and argp's hint at --help. Every text that repeats an argument goes
 * this way, not by argp_error. */
void ctl_usage(const struct argp_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* `arg` if it is a valid name; else ends the process: wrong usage of `option`. */
const char *ctl_name(struct argp_state *state, const char *option, const char *arg);

/* A whole number in [min, max]; else likewise. */
unsigned long ctl_number(struct argp_state *state, const char *option, const char *arg,
                         unsigned long min, unsigned long max);

/* Connects. CTL_DONE with *admin the caller's; else *admin is NULL, and stderr has been told. */
int ctl_open(const struct ctl *ctl, const char *name_space, struct admin **admin);

/* CTL_DONE for 0; else says admin_error() on stderr, and returns the status for it. */
int ctl_result(struct admin *admin, int result);

/* One line on stderr, "fcachectl: ...", without control characters. Returns CTL_FAILED. */
int ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `path` made absolute (the caller's to free), so that it means the same to the
 * daemon; NULL where that fails, which it says on stderr. */
char *ctl_absolute(const char *path);

#endif
