/* fcachectl ping */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/ctl.h"

#define COUNT_DEFAULT 1000u
#define COUNT_MAX 10000000u

struct args {
  struct ctl *ctl; /* first: see CTL_PARSE */
  unsigned long count;
  bool json;
};

static const struct argp_option options[] = {
    {"count", 'c', "N", 0, "N round trips, one after the other (1000)", 0},
    {"json", 'j', NULL, 0, "A JSON object", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *args = state->input;

  CTL_PARSE(key, state);
  switch (key) {
  case 'c':
    args->count = ctl_number(state, "count", arg, 1, COUNT_MAX);
    return 0;
  case 'j':
    args->json = true;
    return 0;
  case ARGP_KEY_ARG:
    ctl_usage(state, "ping takes no \"%s\"", arg);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp argp = {.options = options,
                                 .parser = parse,
                                 .doc = "Measure round trips to the daemon.",
                                 .children = ctl_children};

static int by_time(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

/* The smallest time that at least `permille` of all do not exceed, in microseconds. */
static double quantile_us(const uint64_t *sorted_ns, unsigned long n, unsigned long permille) {
  unsigned long rank = (n * permille + 999) / 1000;

  return (double)sorted_ns[rank ? rank - 1 : 0] / 1e3;
}

static void print_result(const struct args *args, const char *server, uint64_t *rtt_ns) {
  unsigned long n = args->count;
  double min_us, p50_us, p99_us, p999_us, max_us;

  qsort(rtt_ns, n, sizeof *rtt_ns, by_time);
  min_us = quantile_us(rtt_ns, n, 0);
  p50_us = quantile_us(rtt_ns, n, 500);
  p99_us = quantile_us(rtt_ns, n, 990);
  p999_us = quantile_us(rtt_ns, n, 999);
  max_us = quantile_us(rtt_ns, n, 1000);
  if (args->json)
    (void)printf("{\"count\": %lu, \"min_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
                 "\"p999_us\": %.1f, \"max_us\": %.1f}\n",
                 n, min_us, p50_us, p99_us, p999_us, max_us);
  else
    (void)printf("%s: %lu %s\nmin %.1f us, p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n",
                 server, n, n == 1 ? "round trip" : "round trips", min_us, p50_us, p99_us, p999_us,
                 max_us);
}

int ping_command(struct ctl *ctl, int argc, char **argv) {
  struct args args = {.ctl = ctl, .count = COUNT_DEFAULT};
  struct admin *admin;
  uint64_t *rtt_ns;
  int status;

  if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
    return CTL_USAGE;
  rtt_ns = calloc(args.count, sizeof *rtt_ns);
  if (!rtt_ns)
    return ctl_error("out of memory for %lu round trips", args.count);
  status = ctl_open(ctl, NULL, &admin);
  if (status == CTL_DONE) {
    for (unsigned long i = 0; status == CTL_DONE && i < args.count; i++)
      status = ctl_result(admin, admin_ping(admin, &rtt_ns[i]));
    if (status == CTL_DONE)
      print_result(&args, admin_server(admin), rtt_ns);
    admin_close(admin);
  }
  free(rtt_ns);
  return status;
}
