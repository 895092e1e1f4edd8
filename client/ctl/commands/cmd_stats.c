/* fcachectl stats */
#include <stdio.h>
#include <time.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/commands/stats_fetch.h"
#include "client/ctl/print/dead_region_stats.h"
#include "client/ctl/print/stats_json.h"
#include "client/ctl/print/stats_text.h"
#include "client/ctl/print/stats_watch.h"
#include "client/ctl/report.h"
#include "proto/errors.h"

#define HEADER_EVERY 20u  /* lines of --watch */
#define RESTART_MS 10000u /* that --watch waits for the next daemon */
#define RECONNECT_MS 100u /* between two attempts */

static struct {
  const char *name_space;
  bool json;
  unsigned long watch_s; /* 0: print once */
  unsigned long count;   /* lines, or 0 for no end */
} args;

enum { KEY_WATCH = 256 };

static const struct argp_option options[] = {
    {"namespace", 'n', "NAME", 0, "Only this namespace, in full", 0},
    {"json", 'j', NULL, 0, "JSON, with every item", 0},
    {"watch", KEY_WATCH, "SECONDS", OPTION_ARG_OPTIONAL,
     "A line of rates every SECONDS (default 1), until interrupted. Waits 10 s for a daemon that "
     "restarts",
     0},
    COMMAND_NO_TRUNC,
    {"count", 'c', "N", 0, "With --watch: stop after N lines", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'n':
    args.name_space = argument_name(state, "namespace", arg);
    return 0;
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
      argument_error(state, "--watch excludes --json: call stats --json repeatedly instead");
    if (args.count && !args.watch_s)
      argument_error(state, "--count needs --watch");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Returns the group of --namespace. Reports a missing one and returns NULL. */
static const struct stats_group *find_group(struct admin *admin,
                                            const struct stats_snapshot *snapshot) {
  const struct stats_group *group =
      args.name_space ? stats_snapshot_namespace(snapshot, args.name_space) : &snapshot->daemon;

  if (!group)
    (void)stats_fetch_report_missing(admin, args.name_space);
  return group;
}

static int print(struct admin *admin, struct stats_snapshot *snapshot) {
  const struct stats_group *group;
  int result;

  dead_region_stats_add(snapshot);
  group = find_group(admin, snapshot);
  if (!group)
    return CTL_FAILED;
  if (args.json)
    result = stats_json_print(stdout, snapshot);
  else if (args.name_space)
    result = stats_text_group(stdout, group);
  else
    result = stats_text_all(stdout, snapshot);
  return result == 0 ? CTL_DONE : report_error("out of memory");
}

static int print_once(struct admin *admin) {
  struct stats_snapshot snapshot;
  int status;

  stats_snapshot_init(&snapshot);
  status = stats_fetch(admin, args.name_space, &snapshot);
  if (status == CTL_DONE)
    status = print(admin, &snapshot);
  stats_snapshot_deinit(&snapshot);
  return status;
}

/* ---- --watch ---- */

static double now_s(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* If the daemon has gone, waits for the next one, which has its counters. */
static int connect_again(struct admin *admin) {
  struct timespec pause = {.tv_nsec = RECONNECT_MS * 1000000L};
  uint64_t rtt_ns;
  int result = admin_ping(admin, &rtt_ns);

  for (unsigned ms = 0; result == FC_EUNAVAILABLE && ms < RESTART_MS; ms += RECONNECT_MS) {
    (void)nanosleep(&pause, NULL); /* if interrupted: an early attempt */
    result = admin_reconnect(admin);
  }
  return report_result(admin, result);
}

/* Prints the line for the time since *before, which becomes the new reading. */
static int print_next(struct admin *admin, struct stats_snapshot *before, double *before_s) {
  const struct stats_group *group;
  struct stats_snapshot now;
  double time_s;
  int status;

  stats_snapshot_init(&now);
  status = connect_again(admin);
  if (status == CTL_DONE)
    status = stats_fetch(admin, args.name_space, &now);
  time_s = now_s();
  group = status == CTL_DONE ? find_group(admin, &now) : NULL;
  if (!group) {
    stats_snapshot_deinit(&now);
    return status == CTL_DONE ? CTL_FAILED : status;
  }
  stats_watch_print_line(stdout, find_group(admin, before), group, time_s - *before_s);
  stats_snapshot_deinit(before);
  *before = now;
  *before_s = time_s;
  return fflush(stdout) == 0 ? CTL_DONE : CTL_FAILED; /* main reports it */
}

static int watch(struct admin *admin) {
  struct timespec pause = {.tv_sec = (time_t)args.watch_s};
  struct stats_snapshot before;
  double before_s = now_s();
  int status;

  stats_snapshot_init(&before);
  status = stats_fetch(admin, args.name_space, &before);
  if (status == CTL_DONE && !find_group(admin, &before))
    status = CTL_FAILED;
  for (unsigned long line = 0; status == CTL_DONE && (!args.count || line < args.count); line++) {
    if (line % HEADER_EVERY == 0)
      stats_watch_print_header(stdout);
    (void)fflush(stdout);          /* the header; print_next reports a failure */
    (void)nanosleep(&pause, NULL); /* if interrupted: an early line, with true rates */
    status = print_next(admin, &before, &before_s);
  }
  stats_snapshot_deinit(&before);
  return status;
}

static int run(struct admin *admin) {
  return args.watch_s ? watch(admin) : print_once(admin);
}

const struct command stats_command = {
    .name = "stats",
    .summary = "show counters and sizes of fcached and its namespaces",
    .doc = "Show counters and sizes of fcached and its namespaces."
           "\v"
           "Examples:\n"
           "  fcachectl stats\n"
           "  fcachectl stats --namespace gpt2 --watch=5",
    .options = options,
    .parse = parse,
    .run = run};
