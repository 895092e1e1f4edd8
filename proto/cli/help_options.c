#include "proto/cli/help_options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_USAGE = 0x1000 }; /* above the keys of other options */

static const struct argp_option options[] = {
    {"help", 'h', NULL, 0, "Print this help", -1},
    {NULL, '?', NULL, OPTION_HIDDEN, NULL, -1},
    {"usage", KEY_USAGE, NULL, 0, "Print the options in short", -1},
    {"version", 'V', NULL, 0, "Print the version", -1},
    {0}};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state) {
  (void)arg;
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
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

const struct argp fc_help_argp = {.options = options, .parser = parse};

char *fc_help_filter(int key, const char *text, void *input) {
  (void)input;
  return key == ARGP_KEY_HELP_DUP_ARGS_NOTE ? NULL : (char *)(uintptr_t)text;
}
