/* fcachectl run */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/commands/stats_fetch.h"
#include "client/ctl/print/stats_json.h"
#include "client/ctl/print/stats_text.h"
#include "client/ctl/report.h"
#include "client/ctl/run/foreground.h"
#include "client/ctl/run/private_daemon.h"

static struct {
  const char *max_bytes, *trace, *name_space;
  bool no_stats, json;
  char **command; /* NULL: none */
} args;

enum { KEY_NO_STATS = 256 };

static const struct argp_option options[] = {
    {"max-bytes", 'm', "SIZE", 0, "Memory for entries, such as 512M (default 256M)", 0},
    {"trace", 't', "FILE", 0, "Append a JSON line per lookup to FILE", 0},
    {"namespace", 'n', "NAME", 0, "The namespace of CMD (default: a fresh name)", 0},
    {"no-stats", KEY_NO_STATS, NULL, 0, "No stats at the end", 0},
    {"json", 'j', NULL, 0, "The stats as JSON", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'm':
    args.max_bytes = arg;
    return 0;
  case 't':
    args.trace = arg;
    return 0;
  case 'n':
    args.name_space = argument_name(state, "namespace", arg);
    return 0;
  case KEY_NO_STATS:
    args.no_stats = true;
    return 0;
  case 'j':
    args.json = true;
    return 0;
  case ARGP_KEY_ARG:
    args.command = &state->argv[state->next - 1];
    state->next = state->argc; /* the rest are CMD's */
    return 0;
  case ARGP_KEY_END:
    if (!args.command)
      argument_error(state,
                     "no command to run: give it behind --, as in fcachectl run -- ./worker");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Sets the environment that leads CMD to the daemon. Returns 0 or a negative errno. */
static int set_environment(const struct private_daemon *daemon) {
  char fresh[64];
  uint64_t random = 0;

  if (!args.name_space) {
    /* A pid alone would repeat. */
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
      return -errno;
    (void)snprintf(fresh, sizeof fresh, "run-%d-%016" PRIx64, (int)getpid(), random);
  }
  if (setenv("FCACHE_SOCKET", daemon->socket, 1) < 0 ||
      setenv("FCACHE_NAMESPACE", args.name_space ? args.name_space : fresh, 1) < 0)
    return -errno;
  return 0;
}

/* Prints to stderr, as stdout is CMD's. A failure is reported and has no other effect. */
static void print_stats(const struct private_daemon *daemon) {
  struct stats_snapshot snapshot;
  struct admin *admin;

  if (command_connect(daemon->socket, &admin) != CTL_DONE)
    return;
  stats_snapshot_init(&snapshot);
  if (stats_fetch(admin, NULL, &snapshot) == CTL_DONE &&
      (args.json ? stats_json_print(stderr, &snapshot) : stats_text_all(stderr, &snapshot)) < 0)
    (void)report_error("run: out of memory for the stats");
  stats_snapshot_deinit(&snapshot);
  admin_close(admin);
}

static int run_beside(const struct private_daemon *daemon, struct signals *signals, bool *ran) {
  int error = set_environment(daemon);

  if (error < 0)
    return report_error("run: cannot set CMD's environment: %s", strerror(-error));
  return foreground_run(args.command, signals, ran);
}

/* Runs CMD after fcached did not start, which is reported already. A missing cache must not stop
 * CMD. A missing trace does: the user asked for it. */
static int run_without(struct private_daemon *daemon, struct signals *signals) {
  bool ran;

  if (args.trace)
    return report_error(
        "run: CMD was not run: there is no trace without fcached: leave --trace out "
        "to run it without a cache");
  private_daemon_stop(daemon); /* it may be slow to start */
  (void)report_error("run: running CMD without a cache: it computes everything itself");
  if (setenv("FCACHE_DISABLE", "1", 1) < 0)
    return report_error("run: cannot set CMD's environment: %s", strerror(errno));
  return run_beside(daemon, signals, &ran);
}

static int run_with(const struct private_daemon_options *settings, struct signals *signals) {
  struct private_daemon daemon;
  bool ran = false;
  int status;

  private_daemon_init(&daemon);
  status = private_daemon_start(&daemon, settings, signals);
  if (status == -CTL_USAGE)
    status = CTL_USAGE;
  else if (status < 0)
    status = run_without(&daemon, signals);
  else if (status > 0)
    status += 128; /* the signal came before CMD ran */
  else
    status = run_beside(&daemon, signals, &ran);
  if (ran && !args.no_stats)
    print_stats(&daemon);
  private_daemon_stop(&daemon);
  return status;
}

/* Returns `path` made absolute, so that it means the same to the daemon. The caller frees it. NULL
 * after a reported error. */
static char *make_absolute(const char *path) {
  char *directory, *absolute = NULL;

  if (path[0] == '/') {
    absolute = strdup(path);
  } else {
    directory = getcwd(NULL, 0);
    if (directory && asprintf(&absolute, "%s/%s", directory, path) < 0)
      absolute = NULL;
    free(directory);
  }
  if (!absolute)
    (void)report_error("run: cannot make %s absolute: %s", path, strerror(errno));
  return absolute;
}

static int run_alone(void) {
  struct private_daemon_options settings = {.max_bytes = args.max_bytes};
  struct signals signals;
  char *trace = NULL;
  int result;

  if (args.trace) {
    trace = make_absolute(args.trace);
    if (!trace)
      return CTL_FAILED;
  }
  settings.trace = trace;
  result = signals_block(&signals);
  if (result < 0) {
    result = report_error("run: cannot watch for signals: %s", strerror(-result));
  } else {
    result = run_with(&settings, &signals);
    signals_restore(&signals);
  }
  free(trace);
  return result;
}

const struct command run_command = {
    .name = "run",
    .arguments = "-- CMD [ARG...]",
    .summary = "run CMD with a private fcached",
    .purpose = COMMAND_RUN,
    .doc = "Run CMD with a private fcached, which stops when CMD ends. $FCACHE_SOCKET and "
           "$FCACHE_NAMESPACE lead CMD to it. The stats go to stderr at the end."
           "\v"
           "Examples:\n"
           "  fcachectl run -- python probe.py\n"
           "  fcachectl run --trace lookups.jsonl --max-bytes 1G -- ./probe-all\n"
           "\n"
           "fcached is $FCACHED, else the one beside fcachectl, else the one in PATH.\n"
           "\n"
           "If fcached cannot be started, CMD runs without a cache and a line on stderr gives the "
           "reason. With --trace, CMD does not run.\n"
           "\n"
           "Exit status: that of CMD; 128 + N if signal N killed it; 127 if CMD is not found, 126 "
           "if it cannot be executed; 1 if the trace is not possible; 2 for wrong usage.",
    .options = options,
    .parse = parse,
    .run_alone = run_alone,
    .no_socket = "run creates a private socket",
    .in_order = true};
