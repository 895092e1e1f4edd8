/* fcachectl completion */
#include <stdio.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/command_list.h"
#include "client/ctl/report.h"
#include "proto/cli/completion.h"
#include "proto/cli/help_options.h"

#define COMMANDS_MAX 64

static struct { const char *shell; } args;

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case ARGP_KEY_ARG:
    if (strcmp(arg, "bash") != 0 && strcmp(arg, "zsh") != 0)
      argument_error(state, "there is no script for \"%s\": give bash or zsh", arg);
    argument_only(state, &args.shell, arg, "completion takes one shell");
    return 0;
  case ARGP_KEY_END:
    if (!args.shell)
      argument_error(state, "no shell: give bash or zsh");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Adds a command with its options and those that command_run adds. */
static void add(struct fc_completion_command *to, struct argp *argp,
                const struct command *command) {
  static const struct argp_child children[] = {
      {&command_common_argp, 0, NULL, 0}, {&fc_help_argp, 0, NULL, 0}, {0}};

  *argp = (struct argp){.options = command->options,
                        .children = command->run_alone ? &children[1] : children};
  *to = (struct fc_completion_command){command->name, command->summary, command->arguments, argp};
}

static int run_alone(void) {
  static const struct command before = {.name = ""},
                              help = {.name = "help", .summary = COMMAND_HELP_SUMMARY};
  struct fc_completion_command commands[COMMANDS_MAX];
  struct argp argps[COMMANDS_MAX] = {{0}};
  size_t n = 0;

  add(&commands[n], &argps[n], &before);
  n++;
  for (size_t i = 0; command_list[i] && n + 1 < COMMANDS_MAX; i++, n++)
    add(&commands[n], &argps[n], command_list[i]);
  add(&commands[n], &argps[n], &help);
  (void)fc_completion_print(stdout, args.shell, "fcachectl", commands, n + 1);
  return CTL_DONE;
}

const struct command completion_command = {
    .name = "completion",
    .arguments = "bash|zsh",
    .summary = "print the completion script of a shell",
    .purpose = COMMAND_RUN,
    .doc = "Print a script by which bash or zsh completes commands, options and names that the "
           "daemon knows. The installation has it already. Without one, load it in the "
           "shell's start file."
           "\v"
           "Examples:\n"
           "  source <(fcachectl completion bash)\n"
           "  fcachectl completion zsh > ~/.zfunc/_fcachectl",
    .parse = parse,
    .run_alone = run_alone,
    .no_socket = "completion needs no fcached"};
