/* command.h - a command of fcachectl, and its run: parse the arguments, connect, run, close. A new
 * command is one file in commands/, one line in command_list.c and a manual page. */
#ifndef FC_CTL_COMMAND_H
#define FC_CTL_COMMAND_H

#include <argp.h>
#include <stdbool.h>

#include "client/ctl/report.h"
#include "client/lib/admin/admin.h"

/* The groups of --help, in this order. */
enum command_purpose {
  COMMAND_LOOK,
  COMMAND_CHANGE,
  COMMAND_DATA,
  COMMAND_RUN,
};

#define COMMAND_SUMMARY_MAX 60 /* characters */
#define COMMAND_HELP_SUMMARY "print this list, or the help of a COMMAND"

/* A process runs one command, so a command may keep its arguments in static variables. Exactly one
 * of `run`, `run_at` and `run_alone` is set. */
struct command {
  const char *name;
  const char *arguments; /* for --help, one form a line; NULL: the command has options only */
  const char *summary;   /* one line in the list of commands, of COMMAND_SUMMARY_MAX at most */
  const char *doc;       /* the text of --help; behind "\v" is one example or more */
  enum command_purpose purpose;
  const struct argp_option *options;
  argp_parser_t parse; /* the options, arguments and ARGP_KEY_END, or NULL */
  /* Runs with a connection, which stays the caller's. Returns an exit status. */
  int (*run)(struct admin *admin);
  int (*run_at)(const char *socket); /* connects itself, or not. NULL: the default places */
  int (*run_alone)(void);            /* runs without a connection */
  const char *no_socket;             /* with run_alone: why --socket is not allowed */
  bool in_order; /* the first word and all that follow are arguments, not options */
};

extern const struct command stats_command, ping_command, list_command, leases_command,
    clients_command, namespaces_command, clear_command, trace_command, kill_command,
    shutdown_command, run_command, snapshot_command, set_command, export_command, import_command,
    image_command, metrics_command, exporter_command, latency_command, slowest_command,
    delete_command, watch_command, completion_command, complete_values_command, reload_command,
    settings_command, doctor_command;

extern const struct command top_command, tier_command;

/* --no-trunc, for the options of a command that prints tables. command_run handles it. */
#define COMMAND_KEY_NO_TRUNC 0x2000
#define COMMAND_NO_TRUNC                                                                           \
  { "no-trunc", COMMAND_KEY_NO_TRUNC, NULL, 0, "Cut no name or hash to the terminal's width", 0 }

/* --socket, for argp parsers whose child input is a `const char *` for the socket. */
extern const struct argp command_common_argp;

/* Runs a command. argv[0] is its name. `socket` NULL: the default places. Returns an exit status.
 * argp ends the process for wrong usage and for --help. */
int command_run(const struct command *command, const char *socket, int argc, char **argv);

/* Connects. Returns CTL_DONE, and *admin is the caller's; else reports the error and returns its
 * status, and *admin is NULL. */
int command_connect(const char *socket, struct admin **admin);

#endif
