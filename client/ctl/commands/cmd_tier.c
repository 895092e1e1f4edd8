/* fcachectl tier */
#include <stdio.h>
#include <time.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/tier_print.h"
#include "client/ctl/print/tier_watch.h"
#include "client/ctl/report.h"

#define HEADER_EVERY 20u /* lines of --watch */

static struct {
  bool json;
  unsigned long watch_s; /* 0: print once */
  unsigned long count;   /* lines, or 0 for no end */
} args;

enum { KEY_WATCH = 256 };

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "JSON, with every figure and all buckets of the times", 0},
    {"watch", KEY_WATCH, "SECONDS", OPTION_ARG_OPTIONAL,
     "A line of rates every SECONDS (default 1), until interrupted", 0},
    COMMAND_NO_TRUNC,
    {"count", 'c', "N", 0, "With --watch: stop after N lines", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'j':
    args.json = true;
    return 0;
  case KEY_WATCH:
    args.watch_s = arg ? argument_number(state, "watch", arg, 1, 86400) : 1;
    return 0;
  case 'c':
    args.count = argument_number(state, "count", arg, 1, 1000000000);
    return 0;
  case ARGP_KEY_END:
    if (args.json && args.watch_s)
      argument_error(state, "--watch excludes --json: call tier --json repeatedly instead");
    if (args.count && !args.watch_s)
      argument_error(state, "--count needs --watch");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Reads the tier into an empty reading, or reports the error. */
static int fetch(struct admin *admin, struct tier_reading *reading) {
  int status = report_result(admin, tier_reading_fetch(admin, reading));

  return status == CTL_DONE && reading->failed ? report_error("out of memory") : status;
}

static void print_none(void) {
  (void)fputs("no tier: the daemon shares with this machine alone. To share with other nodes, set "
              "tier = redis://HOST:PORT\nin fcached.conf, and restart fcached. fcached.conf(5) has "
              "the other options.\n",
              stdout); /* main checks the stream at the end */
}

static int print_reading(const struct tier_reading *reading) {
  if (args.json) {
    if (!json_value_print(stdout, tier_print_json(reading), JSON_INDENT(2) | JSON_ENCODE_ANY))
      return report_error("out of memory");
    (void)putchar('\n'); /* main checks the stream at the end */
    return CTL_DONE;
  }
  if (!reading->has_tier) {
    print_none();
    return CTL_DONE;
  }
  return tier_print_text(stdout, reading) == 0 ? CTL_DONE : report_error("out of memory");
}

static int print_once(struct admin *admin) {
  struct tier_reading reading = {0};
  int status = fetch(admin, &reading);

  if (status == CTL_DONE)
    status = print_reading(&reading);
  tier_reading_deinit(&reading);
  return status;
}

/* ---- --watch ---- */

static double now_s(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Prints the line for the time since *before, which becomes the new reading. */
static int print_next(struct admin *admin, struct tier_reading *before, double *before_s) {
  struct tier_reading now = {0};
  int status = fetch(admin, &now);
  double time_s = now_s();

  if (status == CTL_DONE)
    tier_watch_print_line(stdout, before, &now, time_s - *before_s);
  tier_reading_deinit(before);
  *before = now;
  *before_s = time_s;
  if (status == CTL_DONE && fflush(stdout) != 0)
    status = CTL_FAILED; /* main reports it */
  return status;
}

static int watch(struct admin *admin) {
  struct timespec pause = {.tv_sec = (time_t)args.watch_s};
  struct tier_reading before = {0};
  double before_s = now_s();
  int status = fetch(admin, &before);
  bool has_tier = before.has_tier;

  if (status == CTL_DONE && !has_tier)
    print_none();
  for (unsigned long line = 0; status == CTL_DONE && has_tier && (!args.count || line < args.count);
       line++) {
    if (line % HEADER_EVERY == 0)
      tier_watch_print_header(stdout);
    (void)fflush(stdout);          /* the header; print_next reports a failure */
    (void)nanosleep(&pause, NULL); /* if interrupted: an early line, with true rates */
    status = print_next(admin, &before, &before_s);
  }
  tier_reading_deinit(&before);
  return status;
}

static int run(struct admin *admin) {
  return args.watch_s ? watch(admin) : print_once(admin);
}

const struct command tier_command = {
    .name = "tier",
    .summary = "show the tier that the fleet shares, and its servers",
    .doc = "Show the tier through which the daemons of a fleet share their results: its "
           "configuration, fills and fleet leases, the write queue, and for each server of the "
           "tier its breakers, times and counters. Counters are since the daemon's start."
           "\v"
           "Examples:\n"
           "  fcachectl tier\n"
           "  fcachectl tier --watch=5\n"
           "  fcachectl tier --json | jq '.servers[] | select(.read.state != \"closed\")'",
    .purpose = COMMAND_LOOK,
    .options = options,
    .parse = parse,
    .run = run};
