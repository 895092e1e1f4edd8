/* fcachectl: finds the command that was asked for, and hands it the rest. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/ctl.h"

static const struct {
  const char *name;
  ctl_command_fn *run;
} commands[] = {
    {"stats", stats_command},     {"ping", ping_command},
    {"list", list_command},       {"leases", leases_command},
    {"clients", clients_command}, {"namespaces", namespaces_command},
    {"clear", clear_command},     {"trace", trace_command},
    {"kill", kill_command},       {"shutdown", shutdown_command},
    {"run", run_command},
};

static const char doc[] =
    "Look into a running fcached and steer it; or run a command with one of its own."
    "\v"
    "Commands (fcachectl COMMAND --help has their options):\n"
    "  stats               what the daemon and its namespaces did and hold\n"
    "  ping                round trips to the daemon, measured\n"
    "  list                the entries, most recently used first\n"
    "  leases              what is being computed, by whom, and for how many\n"
    "  clients             the connected clients by user, with their leases and waits\n"
    "  namespaces          which caches there are, and what goes into each\n"
    "  clear               remove entries\n"
    "  trace on FILE|off|status\n"
    "                      a JSON line per lookup\n"
    "  kill CLIENT         close a client's connection\n"
    "  shutdown            let the daemon finish, and end\n"
    "  run -- CMD ARGS     a private daemon for the life of CMD\n"
    "  help [COMMAND]      this text, or that of COMMAND\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon that answers; of run, "
    "that of CMD.";

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
  int command;     /* index into argv; 0: none yet */
};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  (void)arg;
  CTL_PARSE(key, state);
  switch (key) {
  case ARGP_KEY_ARG:
    args->command = state->next - 1;
    state->next = state->argc; /* the rest is the command's */
    return 0;
  case ARGP_KEY_NO_ARGS:
    ctl_usage(state, "which command?");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {
    .parser = parse, .args_doc = "COMMAND [ARG...]", .doc = doc, .children = ctl_children};

static void print_version(FILE *out, struct argp_state *state) {
  (void)state;
  (void)fprintf(out, "fcachectl %s\n", FC_VERSION);
}

static int run(struct ctl *ctl, int argc, char **argv) {
  char name[64];

  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(argv[0], commands[i].name) != 0)
      continue;
    snprintf(name, sizeof name, "fcachectl %s", commands[i].name);
    argv[0] = name; /* for the command's messages */
    return commands[i].run(ctl, argc, argv);
  }
  (void)ctl_error("there is no command \"%s\": see fcachectl --help", argv[0]);
  return CTL_USAGE;
}

/* A closed 0, 1 or 2 must not become a connection that something prints into. What is opened here
 * fails like a closed one: 0 cannot be read from, 1 and 2 cannot be written to. */
static void fill_standard(void) {
  int fd;

  do { /* the lowest free number each time */
    fd = open("/dev/null", O_RDONLY);
    if (fd == STDIN_FILENO) {
      (void)close(fd);
      fd = open("/dev/null", O_WRONLY);
    }
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) /* else there is no /dev/null, and nothing better to be done */
    (void)close(fd);
}

/* argv[0] is "help". Good usage ends the process: --help does so, of fcachectl or of a command. */
static int help(struct ctl *ctl, int argc, char **argv) {
  char program[] = "fcachectl", option[] = "--help";
  bool whole = argc == 1 || argv[1][0] == '-' || strcmp(argv[1], "help") == 0;
  char *asked[] = {whole ? program : argv[1], option, NULL};
  struct args args = {.ctl = ctl};

  if (argc <= 2 && whole)
    (void)argp_parse(&argp, 2, asked, ARGP_IN_ORDER, NULL, &args);
  else if (argc <= 2)
    return run(ctl, 2, asked);
  (void)ctl_error("help takes one command: see fcachectl --help");
  return CTL_USAGE;
}

int main(int argc, char **argv) {
  struct ctl ctl = {0};
  struct args args = {.ctl = &ctl};
  int status;

  fill_standard();
  argp_err_exit_status = CTL_USAGE;
  argp_program_version_hook = print_version;
  (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for the widths of names, which are UTF-8 */
  if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args) != 0)
    return CTL_USAGE;
  argc -= args.command;
  argv += args.command;
  status = strcmp(argv[0], "help") == 0 ? help(&ctl, argc, argv) : run(&ctl, argc, argv);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    (void)ctl_error("cannot write to stdout");
    return status == CTL_DONE ? CTL_FAILED : status;
  }
  return status;
}
