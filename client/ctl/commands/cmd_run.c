/* fcachectl run */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "client/ctl/commands/cmd_stats.h"
#include "client/ctl/ctl.h"
#include "client/ctl/print/stats_json.h"
#include "client/ctl/print/stats_snapshot.h"
#include "client/ctl/print/stats_text.h"
#include "client/ctl/run/foreground.h"
#include "client/ctl/run/private_daemon.h"

struct args {
  struct ctl *ctl;
  const char *max_bytes, *trace, *name_space;
  bool no_stats, json;
  char **command; /* NULL: none */
};

enum { KEY_NO_STATS = 256 };

static const struct argp_option options[] = {
    {"max-bytes", 'm', "SIZE", 0, "What the cache may hold, as 512M (256M)", 0},
    {"trace", 't', "FILE", 0, "Append a JSON line per lookup to FILE", 0},
    {"namespace", 'n', "NAME", 0, "CMD's namespace, instead of a fresh name", 0},
    {"no-stats", KEY_NO_STATS, NULL, 0, "No stats at the end", 0},
    {"json", 'j', NULL, 0, "The stats as JSON", 0},
    {"socket", 'S', "PATH", OPTION_HIDDEN, NULL, 0}, /* refused, with the reason */
    {NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0},       /* as --help */
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  switch (key) {
  case 'm':
    args->max_bytes = arg;
    return 0;
  case 't':
    args->trace = arg;
    return 0;
  case 'n':
    args->name_space = ctl_name(state, "namespace", arg);
    return 0;
  case KEY_NO_STATS:
    args->no_stats = true;
    return 0;
  case 'j':
    args->json = true;
    return 0;
  case 'S':
    args->ctl->socket = arg;
    return 0;
  case 'h':
    argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); /* ends the process */
    return 0;
  case ARGP_KEY_ARG:
    args->command = &state->argv[state->next - 1];
    state->next = state->argc; /* the rest is CMD's */
    return 0;
  case ARGP_KEY_END:
    if (args->ctl->socket)
      ctl_usage(state, "run makes a socket of its own: --socket has no use here");
    if (!args->command)
      ctl_usage(state, "which command is to run?");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "-- CMD [ARG...]",
    .doc =
        "Run CMD with a fcached of its own, which ends with it: $FCACHE_SOCKET and "
        "$FCACHE_NAMESPACE tell CMD of it. The stats go to stderr at the end."
        "\v"
        "fcached is $FCACHED, else the one beside fcachectl, else the one in PATH.\n"
        "\n"
        "Where fcached cannot be started, CMD runs without a cache, and a line on stderr says why; "
        "with --trace it does not run.\n"
        "\n"
        "Exit status: that of CMD, 128 + N where signal N killed it, 127 where there is no such "
        "program, 126 where it cannot be executed; 1 where the trace that was asked for cannot be "
        "had, 2 for wrong usage."};

/* Tells CMD where to go. 0 or a negative errno. */
static int set_environment(const struct args *args, const struct private_daemon *daemon) {
  char fresh[64];
  uint64_t random = 0;

  if (!args->name_space) {
    /* With the pid alone, a fresh name would come again some day. */
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
      return -errno;
    (void)snprintf(fresh, sizeof fresh, "run-%d-%016" PRIx64, (int)getpid(), random);
  }
  if (setenv("FCACHE_SOCKET", daemon->socket, 1) < 0 ||
      setenv("FCACHE_NAMESPACE", args->name_space ? args->name_space : fresh, 1) < 0)
    return -errno;
  return 0;
}

/* On stderr: stdout is CMD's. A failure is told, and changes nothing else. */
static void print_stats(const struct args *args, const struct private_daemon *daemon) {
  struct ctl ctl = {.socket = daemon->socket};
  struct figures figures;
  struct admin *admin;

  if (ctl_open(&ctl, NULL, &admin) != CTL_DONE)
    return;
  figures_init(&figures);
  if (stats_read(admin, NULL, &figures) == CTL_DONE) {
    if (!args->json)
      stats_text_all(stderr, &figures);
    else if (stats_json_print(stderr, &figures) != 0)
      (void)ctl_error("run: out of memory over the stats");
  }
  figures_deinit(&figures);
  admin_close(admin);
}

static int run_beside(const struct args *args, const struct private_daemon *daemon,
                      struct signals *signals, bool *ran) {
  int error = set_environment(args, daemon);

  if (error < 0)
    return ctl_error("run: cannot set CMD's environment: %s", strerror(-error));
  return foreground_run(args->command, signals, ran);
}

/* fcached did not start, which stderr has been told. A cache must not keep CMD from its work; a
 * trace, though, was asked for by name, and nothing has been computed yet. */
static int run_without(const struct args *args, struct private_daemon *daemon,
                       struct signals *signals) {
  bool ran;

  if (args->trace)
    return ctl_error("run: CMD was not run: there is no trace without fcached: leave --trace out "
                     "to run it without a cache");
  private_daemon_stop(daemon); /* it may be there, and only slow */
  (void)ctl_error("run: running CMD without a cache: it computes everything itself");
  if (setenv("FCACHE_DISABLE", "1", 1) < 0)
    return ctl_error("run: cannot set CMD's environment: %s", strerror(errno));
  return run_beside(args, daemon, signals, &ran);
}

static int run_with(const struct args *args, const struct private_daemon_options *settings,
                    struct signals *signals) {
  struct private_daemon daemon;
  bool ran = false;
  int status;

  private_daemon_init(&daemon);
  status = private_daemon_start(&daemon, settings, signals);
  if (status == -CTL_USAGE)
    status = CTL_USAGE;
  else if (status < 0)
    status = run_without(args, &daemon, signals);
  else if (status > 0)
    status += 128; /* the signal came before CMD was there */
  else
    status = run_beside(args, &daemon, signals, &ran);
  if (ran && !args->no_stats)
    print_stats(args, &daemon);
  private_daemon_stop(&daemon);
  return status;
}

int run_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl};
  struct private_daemon_options settings = {0};
  struct signals signals;
  char *trace = NULL;
  int result;

  if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args) != 0)
    return CTL_USAGE;
  if (args.trace) {
    trace = ctl_absolute(args.trace);
    if (!trace)
      return CTL_FAILED;
  }
  settings.max_bytes = args.max_bytes;
  settings.trace = trace;
  result = signals_take(&signals);
  if (result < 0) {
    result = ctl_error("run: cannot watch for signals: %s", strerror(-result));
  } else {
    result = run_with(&args, &settings, &signals);
    signals_give_back(&signals);
  }
  free(trace);
  return result;
}
