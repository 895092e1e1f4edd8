/* fcachectl top */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/top/top_run.h"
#include "proto/nearest.h"

#define PAUSE_LEAST_S 0.1
#define PAUSE_MOST_S 86400.0

static struct top_settings settings = {.options = {.by = TOP_NAMESPACE, .sort = TOP_SAVED},
                                       .pause_s = 2};

enum { KEY_BY = 256, KEY_SORT, KEY_FILTER, KEY_REVERSE, KEY_TOTALS };

static const struct argp_option options[] = {
    {"by", KEY_BY, "WHAT", 0, "Rows: namespace (default), op, view, client or probe", 0},
    {"sort", KEY_SORT, "COLUMN", 0,
     "Order: name, hits, misses, rate, saved (default), computed, put or stored", 0},
    {"reverse", KEY_REVERSE, NULL, 0, "Reverse the order", 0},
    {"filter", KEY_FILTER, "TEXT", 0, "Only names that contain TEXT", 0},
    KEY_FILTER_NAMESPACE,
    {"totals", KEY_TOTALS, NULL, 0, "Totals since the daemon's start, and not rates", 0},
    {"interval", 'i', "SECONDS", 0, "Refresh every SECONDS (default 2; 0.1 to 86400)", 0},
    {"count", 'c', "N", 0, "Stop after N refreshes", 0},
    {"batch", 'b', NULL, 0,
     "Print blocks of text. Without a terminal that can move a cursor, it always does", 0},
    {"json", 'j', NULL, 0, "A line of JSON for each refresh, with whole names", 0},
    {0}};

/* Returns the index of `arg` in a list of names. */
static int choice(struct argp_state *state, const char *option, const char *arg,
                  const char *(*name_of)(int i), int n) {
  const char *names[TOP_COLUMNS], *nearest;
  char all[128] = "";
  size_t size = 0;

  for (int i = 0; i < n; i++) {
    names[i] = name_of(i);
    if (strcmp(arg, names[i]) == 0)
      return i;
    size += (size_t)snprintf(all + size, sizeof all - size, "%s%s",
                             i == 0      ? ""
                             : i + 1 < n ? ", "
                                         : " or ",
                             names[i]); /* the names are short */
  }
  nearest = fc_nearest(arg, names, (size_t)n);
  if (nearest)
    argument_error(state, "--%s \"%s\": did you mean %s? Give %s", option, arg, nearest, all);
  else
    argument_error(state, "--%s \"%s\": give %s", option, arg, all);
  return 0;
}

static const char *by_name(int i) {
  return top_by_name((enum top_by)i);
}

static const char *column_name(int i) {
  return top_column_name((enum top_column)i);
}

static double parse_pause(struct argp_state *state, const char *arg) {
  char *end;
  double pause_s = strtod(arg, &end);

  if (end == arg || *end != '\0' || !isfinite(pause_s) || pause_s < PAUSE_LEAST_S ||
      pause_s > PAUSE_MOST_S)
    argument_error(state, "--interval takes a number of seconds from 0.1 to 86400");
  return pause_s;
}

static void set_filter(struct argp_state *state, const char *arg) {
  if (strlen(arg) >= TOP_FILTER_SIZE)
    argument_error(state, "--filter takes at most %u bytes", TOP_FILTER_SIZE - 1);
  else
    memcpy(settings.options.filter, arg, strlen(arg) + 1);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case KEY_BY:
    settings.options.by = (enum top_by)choice(state, "by", arg, by_name, TOP_BYS);
    return 0;
  case KEY_SORT:
    settings.options.sort = (enum top_column)choice(state, "sort", arg, column_name, TOP_COLUMNS);
    return 0;
  case KEY_REVERSE:
    settings.options.reversed = true;
    return 0;
  case KEY_FILTER:
    set_filter(state, arg);
    return 0;
  case 'n':
    settings.name_space = argument_name(state, "namespace", arg);
    return 0;
  case KEY_TOTALS:
    settings.options.totals = true;
    return 0;
  case 'i':
    settings.pause_s = parse_pause(state, arg);
    return 0;
  case 'c':
    settings.count = argument_number(state, "count", arg, 1, 1000000000);
    return 0;
  case 'b':
    settings.batch = true;
    return 0;
  case 'j':
    settings.json = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int run(struct admin *admin) {
  return top_run(admin, &settings);
}

const struct command top_command = {
    .name = "top",
    .summary = "show live hits and time saved by namespace, op, view, client",
    .doc = "Show live hits, misses, time saved, time computed and bytes, by "
           "namespace, op, view, client or probe. h shows the keys."
           "\v"
           "Examples:\n"
           "  fcachectl top --by op\n"
           "  fcachectl top --by client --sort misses --interval 5\n"
           "  fcachectl top --batch --totals --count 1",
    .purpose = COMMAND_LOOK,
    .options = options,
    .parse = parse,
    .run = run};
