#include "daemon/config/command_line.h"

#include "daemon/config/option_value.h"
#include "daemon/config/options_set.h"
#include "proto/cli/help_options.h"
#include "proto/cli/option_check.h"
#include "proto/cli/usage_error.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *argp_program_version = "fcached " FC_VERSION;

#define FLAG_GIVEN "yes" /* a flag without a value */

enum { KEY_FIRST_LONG = 256, KEY_CONFIG = 512, KEY_CHECK_CONFIG, KEYS_OF_FILES = 2 };
enum { SECTION_FILES = 5 };

static int key_of(size_t index) {
  const struct option_row *row = &option_table[index];
  return row->letter != 0 ? row->letter : KEY_FIRST_LONG + (int)index;
}

static const struct option_row *find_key(int key) {
  for (size_t i = 0; i < option_count; i++)
    if (key_of(i) == key)
      return &option_table[i];
  return NULL;
}

/* Checks the value now, as it is wrong whatever the files contain. */
static void take_option(struct argp_state *state, const struct option_row *row, const char *value) {
  struct command_line *command_line = state->input;
  struct options scratch;
  struct error_text error;
  if (value == NULL)
    value = FLAG_GIVEN;
  options_init(&scratch);
  int rc = option_set(&scratch, row, value, &error);
  options_deinit(&scratch);
  if (rc < 0)
    fc_usage_error(state->name, "--%s", error.text);
  command_line->values[option_index(row)] = value;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct command_line *command_line = state->input;
  if (key == ARGP_KEY_ARG && strcmp(arg, "help") == 0)
    argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); /* exits */
  if (key == ARGP_KEY_ARG) {
    fc_usage_error(state->name, "unexpected argument \"%s\": fcached takes only options", arg);
    return 0;
  }
  if (key == KEY_CONFIG) {
    command_line->config = arg;
    return 0;
  }
  if (key == KEY_CHECK_CONFIG) {
    command_line->check_config = true;
    return 0;
  }
  const struct option_row *row = find_key(key);
  if (row == NULL)
    return ARGP_ERR_UNKNOWN;
  take_option(state, row, arg);
  return 0;
}

/* Returns the texts before and behind the options of --help, allocated, or NULL if out of memory.
 */
static char *help_text(void) {
  char *path = config_default_path(), *text = NULL;
  if (path != NULL &&
      asprintf(&text,
               "Share expensive results between the processes of this machine, and with other "
               "machines through a Valkey or Redis (--tier)."
               "\vExamples:\n"
               "  fcached --max-bytes 4G --state ~/.cache/fcached\n"
               "  fcached --tier redis://fleet@10.0.0.5 --tier-password-file ~/.tier-password\n\n"
               "Options are also keys of the configuration files, which fcached.conf(5) "
               "describes. Here fcached reads %s and %s.d/*.conf. An option of the command line "
               "is stronger.\n\n"
               "Sizes take K, M, G or T (binary): 512M, 1.5G. Exit status: 0 after a clean stop, "
               "1 when it cannot start or go on, 2 for wrong usage or a wrong configuration.",
               path, path) < 0)
    text = NULL;
  free(path);
  return text;
}

static void fill_options(struct argp_option options[OPTIONS_MAX + KEYS_OF_FILES + 1]) {
  struct argp_option *next = options;
  for (size_t i = 0; i < option_count; i++) {
    const struct option_row *row = &option_table[i];
    *next++ = (struct argp_option){.name = row->name,
                                   .key = key_of(i),
                                   .arg = row->argument,
                                   .flags = row->kind == OPTION_FLAG ? OPTION_ARG_OPTIONAL : 0,
                                   .doc = row->help,
                                   .group = row->section};
  }
  *next++ = (struct argp_option){
      .name = "config",
      .key = KEY_CONFIG,
      .arg = "FILE",
      .doc = "Read FILE and FILE.d/*.conf, and no other files (\"" OPTION_NONE "\": no file)",
      .group = SECTION_FILES};
  *next = (struct argp_option){.name = "check-config",
                               .key = KEY_CHECK_CONFIG,
                               .doc = "Check the files and the options, say what is wrong, and "
                                      "exit: 0 if all is well, else 2",
                               .group = SECTION_FILES};
}

void command_line_parse(int argc, char **argv, struct command_line *command_line) {
  struct argp_option options[OPTIONS_MAX + KEYS_OF_FILES + 1] = {{0}};
  const struct argp_child children[] = {{&fc_help_argp, 0, NULL, 0}, {0}};
  char *help = help_text();
  struct argp argp = {.options = options,
                      .parser = parse,
                      .doc = help,
                      .children = children,
                      .help_filter = fc_help_filter};
  *command_line = (struct command_line){0};
  fill_options(options);
  argp_err_exit_status = 2;
  fc_option_check(&argp, argc, argv, false);
  error_t code = argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, command_line);
  free(help);
  if (code != 0) { /* out of memory: any other error has exited */
    argp_failure(NULL, 1, code, "cannot read the options");
    exit(1);
  }
}
