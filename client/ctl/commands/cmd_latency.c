/* fcachectl latency */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/print/intrinsic.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/latency_report.h"
#include "client/ctl/report.h"
#include "client/lib/admin/times.h"

#define HEADER_EVERY 24u /* lines of --interval, about a screen */
#define INTRINSIC_DEFAULT_S 10u
#define NS_PER_S UINT64_C(1000000000)

static struct {
  bool json, reset;
  unsigned long interval_s;  /* 0: print once */
  unsigned long count;       /* intervals, or 0 for no end */
  unsigned long intrinsic_s; /* 0: ask the daemon */
} args;

enum { KEY_RESET = 256, KEY_INTRINSIC };

static const struct argp_option options[] = {
    {"interval", 'i', "SECONDS", 0,
     "Print the times of the last SECONDS, again and again, until interrupted", 0},
    {"count", 'c', "N", 0, "With --interval: stop after N intervals", 0},
    {"intrinsic", KEY_INTRINSIC, "SECONDS", OPTION_ARG_OPTIONAL,
     "Measure the machine instead, for SECONDS (default 10): how long a process that only reads "
     "the clock is kept from running. Needs no daemon",
     0},
    {"reset", KEY_RESET, NULL, 0, "Empty the times, also of slowest, after they are printed", 0},
    {"json", 'j', NULL, 0, "JSON, with all buckets. With --interval: an object a line", 0},
    {0}};

static error_t check(const struct argp_state *state) {
  if (args.intrinsic_s && (args.interval_s || args.reset))
    argument_error(state, "--intrinsic measures the machine: it excludes --interval and --reset");
  if (args.reset && args.interval_s)
    argument_error(state, "--reset excludes --interval, which needs no reset");
  if (args.count && !args.interval_s)
    argument_error(state, "--count needs --interval");
  return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'j':
    args.json = true;
    return 0;
  case KEY_RESET:
    args.reset = true;
    return 0;
  case 'i':
    args.interval_s = argument_number(state, "interval", arg, 1, 86400);
    return 0;
  case 'c':
    args.count = argument_number(state, "count", arg, 1, 1000000000);
    return 0;
  case KEY_INTRINSIC:
    args.intrinsic_s =
        arg ? argument_number(state, "intrinsic", arg, 1, 86400) : INTRINSIC_DEFAULT_S;
    return 0;
  case ARGP_KEY_END:
    return check(state);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Prints an object and frees it. NULL: out of memory. */
static int print_json(json_t *object, size_t flags) {
  if (!json_value_print(stdout, object, flags))
    return report_error("out of memory");
  (void)putchar('\n'); /* main checks the stream at the end */
  return CTL_DONE;
}

/* ---- the daemon ---- */

static int fetch(struct admin *admin, struct latency_report *report) {
  report->n = 0;
  return report_result(
      admin, admin_latency(admin, args.reset, &report->period_ns, latency_report_add, report));
}

static int print_once(struct admin *admin) {
  static struct latency_report report;
  int status = fetch(admin, &report);

  if (status != CTL_DONE)
    return status;
  if (args.json)
    return print_json(latency_report_json(&report), JSON_INDENT(2));
  return latency_report_table(stdout, &report) == 0 ? CTL_DONE : report_error("out of memory");
}

/* Prints the times since `before`. Returns the lines. */
static unsigned long print_interval(const struct latency_report *now,
                                    const struct latency_report *before, int *status) {
  static struct latency_report since;
  struct tm wall;
  char text[16] = "";
  time_t seconds = time(NULL);
  unsigned long lines = 0;

  since = *now;
  latency_report_subtract(&since, before);
  if (args.json) {
    *status = print_json(latency_report_json(&since), JSON_COMPACT);
    return 0;
  }
  if (localtime_r(&seconds, &wall))
    (void)strftime(text, sizeof text, "%H:%M:%S", &wall);
  latency_report_print_lines(stdout, &since, text);
  for (uint32_t i = 0; i < since.n; i++)
    lines += since.rows[i].histogram.count > 0;
  return lines;
}

static int print_intervals(struct admin *admin) {
  static struct latency_report readings[2];
  struct timespec pause = {.tv_sec = (time_t)args.interval_s};
  unsigned long lines = HEADER_EVERY;
  int status = fetch(admin, &readings[0]);

  for (unsigned long n = 0; status == CTL_DONE && (!args.count || n < args.count); n++) {
    (void)nanosleep(&pause, NULL); /* if interrupted: an early line, which is true for its time */
    status = fetch(admin, &readings[(n + 1) % 2]);
    if (status != CTL_DONE)
      break;
    if (lines >= HEADER_EVERY && !args.json) {
      latency_report_print_header(stdout);
      lines = 0;
    }
    lines += print_interval(&readings[(n + 1) % 2], &readings[n % 2], &status);
    if (fflush(stdout) != 0)
      break; /* main reports it */
  }
  return status;
}

/* ---- the machine ---- */

static volatile int interrupted;

static void on_interrupt(int number) {
  (void)number;
  interrupted = 1;
}

static int measure_machine(void) {
  static struct intrinsic intrinsic;
  struct sigaction action = {.sa_handler = on_interrupt};

  (void)sigemptyset(&action.sa_mask); /* these fail only for invalid arguments */
  (void)sigaction(SIGINT, &action, NULL);
  intrinsic_measure(&intrinsic, args.intrinsic_s * NS_PER_S, &interrupted);
  if (args.json)
    return print_json(intrinsic_json(&intrinsic), JSON_INDENT(2));
  intrinsic_print(stdout, &intrinsic);
  return CTL_DONE;
}

static int run_at(const char *socket) {
  struct admin *admin;
  int status;

  if (args.intrinsic_s)
    return measure_machine();
  status = command_connect(socket, &admin);
  if (status == CTL_DONE)
    status = args.interval_s ? print_intervals(admin) : print_once(admin);
  admin_close(admin);
  return status;
}

const struct command latency_command = {
    .name = "latency",
    .summary = "show how long requests take, by percentiles",
    .purpose = COMMAND_LOOK,
    .doc =
        "Show how long requests take, by percentiles: hits from shared memory as clients measure "
        "them, requests over the socket as the daemon measures them, and the daemon's own parts. "
        "The daemon measures always, from its start or the last --reset on."
        "\v"
        "Examples:\n"
        "  fcachectl latency\n"
        "  fcachectl latency --interval 1\n"
        "  fcachectl latency --intrinsic=30",
    .options = options,
    .parse = parse,
    .run_at = run_at};
