/* fcachectl set */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"
#include "proto/errors.h"

#define USAGE "usage: fcachectl set max-bytes SIZE, such as fcachectl set max-bytes 512M"

static struct {
  const char *name, *value;
  bool json;
} args;

static const struct argp_option options[] = {{"json", 'j', NULL, 0, "A JSON object", 0}, {0}};

static void parse_word(const char *word, struct argp_state *state) {
  if (!args.name && !fc_name_valid(fc_str_of(word)))
    argument_error(state, "\"%s\" is no name of a setting: " USAGE, word);
  if (!args.name)
    args.name = word;
  else if (!args.value)
    args.value = word;
  else
    argument_error(state, "unexpected argument \"%s\": " USAGE, word);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'j':
    args.json = true;
    return 0;
  case ARGP_KEY_ARG:
    parse_word(arg, state);
    return 0;
  case ARGP_KEY_END:
    if (!args.value)
      argument_error(state, "missing argument: " USAGE);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Formats a setting: as bytes if its name says so. */
static const char *format(uint64_t value, char text[UNITS_SIZE]) {
  return strstr(args.name, "bytes") ? units_bytes(value, text) : units_count(value, text);
}

/* The name is the daemon's own, since it has accepted it: it needs no escapes. */
static int run(struct admin *admin) {
  struct fc_set_reply set;
  char before[UNITS_SIZE], now[UNITS_SIZE];
  int status = report_result(admin, admin_set(admin, args.name, args.value, &set));

  if (status != CTL_DONE)
    return status;
  if (args.json)
    (void)printf("{\"name\": \"%s\", \"before\": %" PRIu64 ", \"now\": %" PRIu64 "}\n", args.name,
                 set.before, set.now);
  else
    (void)printf("%s is %s now (before: %s)\n", args.name, format(set.now, now),
                 format(set.before, before));
  return CTL_DONE;
}

const struct command set_command = {
    .name = "set",
    .arguments = "max-bytes SIZE",
    .summary = "change a setting of the running fcached",
    .purpose = COMMAND_CHANGE,
    .doc =
        "Change a setting of the running fcached, until it stops. max-bytes SIZE: the memory for "
        "all entries, as a size such as 512M. fcached goes on serving while it evicts and moves "
        "entries, and gives freed memory back. fcachectl stats shows the progress. Allowed for "
        "fcached's own user, root and the admin group."
        "\v"
        "Example:\n"
        "  fcachectl set max-bytes 2G",
    .options = options,
    .parse = parse,
    .run = run};
