/* fcachectl ping */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"

#define COUNT_DEFAULT 1000u
#define COUNT_MAX 10000000u

static struct {
  unsigned long count;
  bool json;
} args = {.count = COUNT_DEFAULT};

static const struct argp_option options[] = {
    {"count", 'c', "N", 0, "Number of round trips, one after the other (default 1000)", 0},
    {"json", 'j', NULL, 0, "A JSON object", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'c':
    args.count = argument_number(state, "count", arg, 1, COUNT_MAX);
    return 0;
  case 'j':
    args.json = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int compare_times(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

/* Returns the smallest time that at least `permille` of all do not exceed, in microseconds. */
static double quantile_us(const uint64_t *sorted_ns, unsigned long permille) {
  unsigned long rank = (args.count * permille + 999) / 1000;

  return (double)sorted_ns[rank ? rank - 1 : 0] / 1e3;
}

static void print_result(const char *server, uint64_t *rtt_ns) {
  static const struct {
    unsigned long permille;
    const char *text, *json;
  } quantiles[] = {{0, "min", "min"},
                   {500, "p50", "p50"},
                   {990, "p99", "p99"},
                   {999, "p99.9", "p999"},
                   {1000, "max", "max"}};

  qsort(rtt_ns, args.count, sizeof *rtt_ns, compare_times);
  if (args.json)
    (void)printf("{\"count\": %lu", args.count);
  else
    (void)printf("%s: %lu round trip%s\n", server, args.count, units_plural(args.count));
  for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
    double us = quantile_us(rtt_ns, quantiles[i].permille);

    if (args.json)
      (void)printf(", \"%s_us\": %.1f", quantiles[i].json, us);
    else
      (void)printf("%s%s %.1f us", i > 0 ? ", " : "", quantiles[i].text, us);
  }
  (void)puts(args.json ? "}" : "");
}

static int run(struct admin *admin) {
  uint64_t *rtt_ns = calloc(args.count, sizeof *rtt_ns);
  int status = CTL_DONE;

  if (!rtt_ns)
    return report_error("out of memory for %lu round trips", args.count);
  for (unsigned long i = 0; status == CTL_DONE && i < args.count; i++)
    status = report_result(admin, admin_ping(admin, &rtt_ns[i]));
  if (status == CTL_DONE)
    print_result(admin_server(admin), rtt_ns);
  free(rtt_ns);
  return status;
}

const struct command ping_command = {.name = "ping",
                                     .summary = "measure round trips to fcached",
                                     .doc = "Measure round trips to fcached."
                                            "\v"
                                            "Example:\n"
                                            "  fcachectl ping --count 10000",
                                     .options = options,
                                     .parse = parse,
                                     .run = run};
