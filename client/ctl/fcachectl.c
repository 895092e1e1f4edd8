/* fcachectl - finds the command and runs it with the arguments after its name. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/report.h"
#include "proto/cli/option_check.h"
#include "proto/nearest.h"

static const struct command *const commands[] = {
    &stats_command,   &ping_command,       &list_command,     &leases_command,
    &clients_command, &namespaces_command, &clear_command,    &trace_command,
    &kill_command,    &snapshot_command,   &set_command,      &export_command,
    &import_command,  &image_command,      &shutdown_command, &run_command,
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

/* ---- options before the command ---- */

struct arguments {
  const char *socket;
  int command; /* index into argv */
};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = state->input;

  (void)arg;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &arguments->socket;
    return 0;
  case ARGP_KEY_ARG:
    arguments->command = state->next - 1;
    state->next = state->argc; /* the rest are the command's */
    return 0;
  case ARGP_KEY_NO_ARGS:
    argument_error(state, "no command: give one of those in --help");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Prints the name, the arguments and, from column 18, the summary: on a line of its own after a
 * long name. */
static void print_summary(FILE *out, const struct command *command) {
  const char *arguments = command->arguments ? command->arguments : "";
  int width = fprintf(out, "  %s%s", command->name, *arguments ? " " : "");

  for (; *arguments; arguments++, width++)
    (void)fputc(*arguments == '\n' ? '|' : *arguments, out); /* each form is a line */
  if (width > 16)
    width = fprintf(out, "\n") - 1;
  (void)fprintf(out, "%*s%s\n", 18 - width, "", command->summary);
}

/* Inserts the list of commands into --help. */
static char *filter_help(int key, const char *text, void *input) {
  char *help = NULL;
  size_t size;
  FILE *out;

  (void)input;
  out = key == ARGP_KEY_HELP_POST_DOC ? open_memstream(&help, &size) : NULL;
  if (!out)
    return (char *)(uintptr_t)text;
  (void)fputs("Commands (fcachectl COMMAND --help shows their options):\n", out);
  for (size_t i = 0; i < N_COMMANDS; i++)
    print_summary(out, commands[i]);
  (void)fprintf(out, "  %-16shelp of fcachectl or of COMMAND\n\n%s", "help [COMMAND]", text);
  (void)fclose(out);
  return help;
}

static const struct argp_child children[] = {{&command_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .parser = parse,
    .args_doc = "COMMAND [ARG...]",
    .doc = "Inspect and control a running fcached, or run a command with a private one."
           "\v"
           "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon answers. run exits with the "
           "status of CMD.",
    .children = children,
    .help_filter = filter_help};

static void print_version(FILE *out, struct argp_state *state) {
  (void)state;
  (void)fprintf(out, "fcachectl %s\n", FC_VERSION);
}

/* ---- commands ---- */

/* Reports a name that no command has. Returns CTL_USAGE. */
static int report_unknown(const char *name) {
  const char *names[N_COMMANDS + 1] = {"help"}, *nearest;

  for (size_t i = 0; i < N_COMMANDS; i++)
    names[i + 1] = commands[i]->name;
  nearest = fc_nearest(name, names, N_COMMANDS + 1);
  if (nearest)
    (void)report_error("there is no command \"%s\": did you mean %s? fcachectl help lists them all",
                       name, nearest);
  else
    (void)report_error("there is no command \"%s\": fcachectl help lists them all", name);
  return CTL_USAGE;
}

static int run(const char *socket, int argc, char **argv) {
  for (size_t i = 0; i < N_COMMANDS; i++)
    if (strcmp(argv[0], commands[i]->name) == 0)
      return command_run(commands[i], socket, argc, argv);
  return report_unknown(argv[0]);
}

/* Prints the help of fcachectl or of one command, by --help, which exits. argv[0] is "help". */
static int run_help(int argc, char **argv) {
  char program[] = "fcachectl", option[] = "--help";
  bool whole = argc == 1 || argv[1][0] == '-' || strcmp(argv[1], "help") == 0;
  char *words[] = {whole ? program : argv[1], option, NULL};
  struct arguments arguments = {0};

  if (argc <= 2 && whole)
    (void)argp_parse(&argp, 2, words, ARGP_IN_ORDER, NULL, &arguments);
  else if (argc <= 2)
    return run(NULL, 2, words);
  (void)report_error("help takes one command: see fcachectl --help");
  return CTL_USAGE;
}

/* Opens /dev/null as each of 0, 1 and 2 that is closed, or the connection would get the number and
 * a print would go into it. Reads of such a 0 and writes to such a 1 or 2 fail, as if closed. */
static void fill_standard(void) {
  int fd;

  do { /* open() returns the lowest free number */
    fd = open("/dev/null", O_RDONLY);
    if (fd == STDIN_FILENO) {
      (void)close(fd);
      fd = open("/dev/null", O_WRONLY);
    }
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    (void)close(fd);
}

int main(int argc, char **argv) {
  static char name[] = "fcachectl";
  struct arguments arguments = {0};
  int status;

  argv[0] = name; /* for argp's messages */
  fill_standard();
  argp_err_exit_status = CTL_USAGE;
  argp_program_version_hook = print_version;
  (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for the widths of names */
  fc_option_check(&argp, argc, argv, true);
  if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments) != 0)
    return CTL_USAGE;
  argc -= arguments.command;
  argv += arguments.command;
  status = strcmp(argv[0], "help") == 0 ? run_help(argc, argv) : run(arguments.socket, argc, argv);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    (void)report_error("cannot write to stdout");
    return status == CTL_DONE ? CTL_FAILED : status;
  }
  return status;
}
