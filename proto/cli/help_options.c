#include "proto/cli/help_options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/cli/completion.h"
#include "proto/cli/usage_error.h"

enum { KEY_USAGE = 0x1000, KEY_COMPLETION }; /* above the keys of other options */

static const struct argp_option options[] = {
    {"help", 'h', NULL, 0, "Print this help", -1},
    {NULL, '?', NULL, OPTION_HIDDEN, NULL, -1},
    {"usage", KEY_USAGE, NULL, 0, "Print the options in short", -1},
    {"version", 'V', NULL, 0, "Print the version", -1},
    {"completion", KEY_COMPLETION, "SHELL", OPTION_HIDDEN, NULL, -1},
    {0}};

/* Exits with status 0. */
static void print_completion(const char *shell, const struct argp_state *state) {
  const struct fc_completion_command program = {.name = "", .argp = state->root_argp};

  if (!fc_completion_print(state->out_stream, shell, state->name, &program, 1))
    fc_usage_error(state->name, "--completion \"%s\": give bash or zsh", shell);
  exit(fflush(state->out_stream) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'h':
  case '?':
    argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); /* exits */
    return 0;
  case KEY_USAGE:
    argp_state_help(state, state->out_stream, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK); /* exits */
    return 0;
  case 'V':
    (void)fprintf(state->out_stream, "%s\n", argp_program_version);
    exit(EXIT_SUCCESS);
  case KEY_COMPLETION:
    print_completion(arg, state);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

const struct argp fc_help_argp = {.options = options, .parser = parse};

char *fc_help_filter(int key, const char *text, void *input) {
  (void)input;
  return key == ARGP_KEY_HELP_DUP_ARGS_NOTE ? NULL : (char *)(uintptr_t)text;
}
