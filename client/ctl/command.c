#include "client/ctl/command.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/print/text.h"
#include "client/ctl/report.h"
#include "client/lib/util/socket_paths.h"
#include "proto/cli/help_options.h"
#include "proto/cli/option_check.h"

/* Longer than a worker's, as a person waits. Short enough not to hang on a stopped daemon. */
#define DEADLINE_MS 3000u

/* ---- common options ---- */

static const struct argp_option common_options[] = {
    {"socket", 'S', "PATH", 0,
     "Connect to the daemon at PATH (default: $FCACHE_SOCKET if set, else "
     "$XDG_RUNTIME_DIR/fcached.sock, else /run/fcached/fcached.sock)",
     0},
    {0}};
static const struct argp_option hidden_options[] = {
    {"socket", 'S', "PATH", OPTION_HIDDEN, NULL, 0}, /* refused with the reason */
    {0}};

static void check_socket(const struct argp_state *state, const char *path) {
  size_t size = strlen(path);

  if (size == 0)
    argument_error(state, "--socket is empty: give the path of the daemon's socket");
  if (size >= SOCKET_PATH_MAX)
    argument_error(state,
                   "--socket is %zu bytes long: give a path of at most %u bytes, which may "
                   "be relative",
                   size, SOCKET_PATH_MAX - 1);
}

static error_t parse_common(int key, char *arg, struct argp_state *state) {
  if (key != 'S')
    return ARGP_ERR_UNKNOWN;
  check_socket(state, arg);
  *(const char **)state->input = arg;
  return 0;
}

const struct argp command_common_argp = {.options = common_options, .parser = parse_common};
static const struct argp hidden_argp = {.options = hidden_options, .parser = parse_common};

/* ---- one command ---- */

struct invocation {
  const struct command *command;
  const char *socket;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct invocation *invocation = state->input;
  const struct command *command = invocation->command;

  if (key == ARGP_KEY_INIT)
    state->child_inputs[0] = &invocation->socket;
  if (key == ARGP_KEY_END && command->run_alone && invocation->socket)
    argument_error(state, "--socket is not allowed: %s", command->no_socket);
  if (key == ARGP_KEY_ARG && !command->arguments) {
    argument_error(state, "unexpected argument \"%s\": %s takes options only", arg, command->name);
    return 0;
  }
  if (key == COMMAND_KEY_NO_TRUNC) {
    text_force_columns(TEXT_UNLIMITED);
    return 0;
  }
  return command->parse ? command->parse(key, arg, state) : ARGP_ERR_UNKNOWN;
}

int command_connect(const char *socket, struct admin **admin) {
  struct fcache_error error = {0};

  return report_code(admin_open(socket, NULL, DEADLINE_MS, admin, &error), error.text);
}

int command_run(const struct command *command, const char *socket, int argc, char **argv) {
  const struct argp_child children[] = {
      {command->run_alone ? &hidden_argp : &command_common_argp, 0, NULL, 0},
      {&fc_help_argp, 0, NULL, 0},
      {0}};
  const struct argp argp = {.options = command->options,
                            .parser = parse,
                            .args_doc = command->arguments,
                            .doc = command->doc,
                            .children = children,
                            .help_filter = fc_help_filter};
  struct invocation invocation = {.command = command, .socket = socket};
  struct admin *admin;
  char name[64];
  int status;

  assert(!!command->run + !!command->run_at + !!command->run_alone == 1);
  assert(!command->run_alone == !command->no_socket);
  (void)snprintf(name, sizeof name, "fcachectl %s", command->name);
  argv[0] = name; /* for argp's messages */
  fc_option_check(&argp, argc, argv, command->in_order);
  if (argp_parse(&argp, argc, argv, ARGP_NO_HELP | (command->in_order ? ARGP_IN_ORDER : 0), NULL,
                 &invocation) != 0)
    return CTL_USAGE;
  if (command->run_alone)
    return command->run_alone();
  if (command->run_at)
    return command->run_at(invocation.socket);
  status = command_connect(invocation.socket, &admin);
  if (status == CTL_DONE)
    status = command->run(admin);
  admin_close(admin);
  return status;
}
