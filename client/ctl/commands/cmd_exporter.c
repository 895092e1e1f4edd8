/* fcachectl exporter */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/exporter/listen_address.h"
#include "client/ctl/run/sibling.h"

static struct { const char *listen; } args = {.listen = "127.0.0.1:9121"};

#define KEY_LISTEN 256

static const struct argp_option options[] = {
    {"listen", KEY_LISTEN, "HOST:PORT", 0,
     "Serve there (default 127.0.0.1:9121). [HOST] for an IPv6 address, :PORT for all addresses, "
     "port 0 for any free one",
     0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  char error[LISTEN_TEXT_SIZE];
  struct listen_address address;

  if (key != KEY_LISTEN)
    return ARGP_ERR_UNKNOWN;
  if (!listen_address_parse(arg, &address, error))
    argument_error(state, "--listen: %s", error);
  args.listen = arg;
  return 0;
}

/* Becomes the program that serves, in the same process: a service manager knows its id. */
static int run_at(const char *socket) {
  char program[SIBLING_SIZE];
  const char *const argv[] = {program, args.listen, socket, NULL};

  if (!sibling_find("fcachectl-exporter", program))
    return report_error("fcachectl-exporter is missing: it should be beside fcachectl, or in "
                        "../libexec/fcached. Install it with fcachectl");
  (void)execv(program, (char *const *)(uintptr_t)argv);
  return report_error("cannot start %s: %s", program, strerror(errno));
}

const struct command exporter_command = {
    .name = "exporter",
    .summary = "serve the metrics over HTTP, for Prometheus",
    .doc = "Serve the metrics of the daemon over HTTP, for Prometheus, until SIGTERM or SIGINT. A "
           "daemon that is absent or restarts is fcached_up 0, and the exporter connects again by "
           "itself."
           "\v"
           "Examples:\n"
           "  fcachectl exporter\n"
           "  fcachectl exporter --listen [::1]:9121",
    .purpose = COMMAND_RUN,
    .options = options,
    .parse = parse,
    .run_at = run_at};
