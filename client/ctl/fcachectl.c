/* fcachectl - finds the command and runs it with the arguments after its name. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/command_list.h"
#include "client/ctl/report.h"
#include "proto/cli/help_options.h"
#include "proto/cli/option_check.h"

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
    argument_error(state, "no command: give one, such as stats");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Inserts the list of commands into --help. */
static char *filter_help(int key, const char *text, void *input) {
  char *help = NULL;
  size_t size;
  FILE *out;

  out = key == ARGP_KEY_HELP_POST_DOC ? open_memstream(&help, &size) : NULL;
  if (!out)
    return fc_help_filter(key, text, input);
  command_list_print(out);
  (void)fprintf(out, "\n%s", text);
  (void)fclose(out);
  return help;
}

static const struct argp_child children[] = {
    {&command_common_argp, 0, NULL, 0}, {&fc_help_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .parser = parse,
    .args_doc = "COMMAND [ARG...]",
    .doc = "Inspect and control a running fcached, or run a command with a private one."
           "\v"
           "fcachectl help COMMAND, or fcachectl COMMAND -h, shows its options and examples.\n\n"
           "Example: fcachectl stats --namespace gpt2\n\n"
           "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon answers. run exits with the "
           "status of CMD.",
    .children = children,
    .help_filter = filter_help};

const char *argp_program_version = "fcachectl " FC_VERSION;

/* ---- commands ---- */

static int run(const char *socket, int argc, char **argv) {
  const struct command *command = command_list_find(argv[0]);
  const char *nearest;

  if (command)
    return command_run(command, socket, argc, argv);
  nearest = command_list_nearest(argv[0]);
  if (nearest)
    (void)report_error("there is no command \"%s\": did you mean %s? See fcachectl help", argv[0],
                       nearest);
  else
    (void)report_error("there is no command \"%s\": see fcachectl help", argv[0]);
  return CTL_USAGE;
}

/* Prints the help of fcachectl or of one command, by --help, which exits. argv[0] is "help". */
static int run_help(int argc, char **argv) {
  char program[] = "fcachectl", option[] = "--help";
  bool whole = argc == 1 || argv[1][0] == '-' || strcmp(argv[1], "help") == 0;
  char *words[] = {whole ? program : argv[1], option, NULL};
  struct arguments arguments = {0};

  if (argc <= 2 && whole)
    (void)argp_parse(&argp, 2, words, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &arguments);
  else if (argc <= 2)
    return run(NULL, 2, words);
  (void)report_error("help takes one command: see fcachectl help");
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
  (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for the widths of names */
  fc_option_check(&argp, argc, argv, true);
  if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &arguments) != 0)
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
