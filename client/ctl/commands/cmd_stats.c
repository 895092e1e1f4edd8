/* fcachectl stats */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/ctl/commands/cmd_stats.h"
#include "client/ctl/ctl.h"
#include "client/ctl/print/dead_region_list.h"
#include "client/ctl/print/stats_json.h"
#include "client/ctl/print/stats_snapshot.h"
#include "client/ctl/print/stats_text.h"

#define HEADER_EVERY 20u /* lines of the view that goes on */

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
  const char *name_space;
  bool json;
  unsigned long watch_s; /* 0: once */
  unsigned long count;   /* lines; 0: without end */
};

enum { KEY_WATCH = 256, KEY_COUNT };

static const struct argp_option options[] = {
    {"namespace", 'n', "NAME", 0, "Only this namespace, in full", 0},
    {"json", 'j', NULL, 0, "JSON, with every figure", 0},
    {"watch", KEY_WATCH, "SECONDS", OPTION_ARG_OPTIONAL,
     "A line of what happened every SECONDS (1), until interrupted", 0},
    {"count", KEY_COUNT, "N", 0, "With --watch: N lines, then end", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  CTL_PARSE(key, state);
  switch (key) {
  case 'n':
    args->name_space = ctl_name(state, "namespace", arg);
    return 0;
  case 'j':
    args->json = true;
    return 0;
  case KEY_WATCH:
    args->watch_s = arg ? ctl_number(state, "watch", arg, 1, 86400) : 1;
    return 0;
  case KEY_COUNT:
    args->count = ctl_number(state, "count", arg, 1, 1000000000);
    return 0;
  case ARGP_KEY_ARG:
    ctl_usage(state, "stats takes no \"%s\"", arg);
    return 0;
  case ARGP_KEY_END:
    if (args->json && args->watch_s)
      ctl_usage(state, "--watch has no --json: call stats --json again and again instead");
    if (args->count && !args->watch_s)
      ctl_usage(state, "--count goes with --watch");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {.options = options,
                                 .parser = parse,
                                 .doc = "Show what the daemon and its namespaces did and hold.",
                                 .children = ctl_children};

int stats_read(struct admin *admin, const char *name_space, struct figures *figures) {
  int status = ctl_result(admin, admin_stats(admin, name_space, figures_add, figures));

  if (status == CTL_DONE && figures->failed)
    status = ctl_error("out of memory over the stats");
  return status;
}

int stats_has_namespace(struct admin *admin, const char *name_space, bool *has) {
  struct figures figures;
  int status;

  figures_init(&figures);
  status = stats_read(admin, name_space, &figures);
  *has = figures_namespace(&figures, name_space) != NULL;
  figures_deinit(&figures);
  return status;
}

/* The group that was asked for; NULL where there is none, which it says. */
static const struct figure_group *group_of(const struct figures *figures, const char *name_space) {
  const struct figure_group *group =
      name_space ? figures_namespace(figures, name_space) : &figures->daemon;

  if (!group)
    (void)ctl_error(STATS_NO_NAMESPACE, name_space);
  return group;
}

static int print_once(const struct args *args, struct admin *admin) {
  const struct figure_group *group;
  struct figures figures;
  int status;

  figures_init(&figures);
  status = stats_read(admin, args->name_space, &figures);
  if (status == CTL_DONE) {
    dead_regions_add(&figures);
    group = group_of(&figures, args->name_space);
    if (!group)
      status = CTL_FAILED;
    else if (args->json)
      status = stats_json_print(stdout, &figures) == 0 ? CTL_DONE : ctl_error("out of memory");
    else if (args->name_space)
      stats_text_group(stdout, group);
    else
      stats_text_all(stdout, &figures);
  }
  figures_deinit(&figures);
  return status;
}

/* ---- the view that goes on ---- */

static double now_s(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One line for the time since `before`, which becomes the present reading. */
static int print_next(const struct args *args, struct admin *admin, struct figures *before,
                      double *before_s) {
  const struct figure_group *group;
  struct figures now;
  double time_s;
  int status;

  figures_init(&now);
  status = stats_read(admin, args->name_space, &now);
  time_s = now_s();
  group = status == CTL_DONE ? group_of(&now, args->name_space) : NULL;
  if (!group) {
    figures_deinit(&now);
    return status == CTL_DONE ? CTL_FAILED : status;
  }
  stats_text_watch_line(stdout, group_of(before, args->name_space), group, time_s - *before_s);
  figures_deinit(before);
  *before = now;
  *before_s = time_s;
  return fflush(stdout) == 0 ? CTL_DONE : ctl_error("cannot write to stdout");
}

static int watch(const struct args *args, struct admin *admin) {
  struct timespec pause = {.tv_sec = (time_t)args->watch_s};
  struct figures before;
  double before_s = now_s();
  int status;

  figures_init(&before);
  status = stats_read(admin, args->name_space, &before);
  if (status == CTL_DONE && !group_of(&before, args->name_space))
    status = CTL_FAILED;
  for (unsigned long line = 0; status == CTL_DONE && (!args->count || line < args->count); line++) {
    if (line % HEADER_EVERY == 0)
      stats_text_watch_header(stdout);
    (void)fflush(stdout);          /* the header; a failure shows at the next line */
    (void)nanosleep(&pause, NULL); /* cut short: an earlier line, with its true rates */
    status = print_next(args, admin, &before, &before_s);
  }
  figures_deinit(&before);
  return status;
}

int stats_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl};
  struct admin *admin;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  status = ctl_open(ctl, NULL, &admin);
  if (status != CTL_DONE)
    return status;
  status = args.watch_s ? watch(&args, admin) : print_once(&args, admin);
  admin_close(admin);
  return status;
}
