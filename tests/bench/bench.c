/* bench - measures fcached beside memcached, redis-server and LMDB, and beside lower bounds. */
#include "tests/bench/bench_json.h"
#include "tests/bench/bench_report.h"
#include "tests/bench/bench_run.h"
#include "tests/bench/footprint.h"
#include "tests/bench/fresh_node.h"
#include "tests/bench/herd.h"
#include "tests/bench/scratch.h"

#include <argp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_RESULTS = 512, MAX_BURST_MS = 10000, MAX_KEYS = 50000, OPTION_ALSO = 256 };

struct arguments {
  const char *fcached, *peers, *json;
  const char *others; /* names of rows that other programs measure; NULL: none */
  struct bench_options options;
};

static const struct argp_option option_table[] = {
    {"rows", 'r', "PATTERNS", 0, "Only rows whose name has, or matches, one of these", 0},
    {"rounds", 'n', "N", 0, "Rounds to take the median of (9)", 0},
    {"burst", 'b', "MS", 0, "Length of one row's turn in a round (150)", 0},
    {"keys", 'k', "N", 0, "Keys of the hit_region/3100 rows and the rows beside them (1000)", 0},
    {"fcached", 'd', "PATH", 0, "Path of the daemon (build/fcached)", 0},
    {"peers", 'p', "DIR", 0, "Directory that fetch-peers.sh filled (build/peers)", 0},
    {"json", 'j', "FILE", 0, "Write the results to FILE (build/bench.json)", 0},
    {"also", OPTION_ALSO, "NAMES", 0, "Rows of other programs, which PATTERNS may select too", 0},
    {"list", 'l', NULL, 0, "Print the names of all rows", 0},
    {0}};

static unsigned long number(struct argp_state *state, const char *text, unsigned long most) {
  char *end;
  unsigned long value = strtoul(text, &end, 10);
  if (*end != '\0' || value == 0 || value > most)
    argp_error(state, "'%s' is not a number from 1 to %lu", text, most);
  return value;
}

static void print_name(void *arg, const char *name) {
  (void)arg;
  printf("%s\n", name);
}

static error_t parse(int key, char *text, struct argp_state *state) {
  struct arguments *arguments = state->input;
  switch (key) {
  case 'r':
    arguments->options.patterns = text;
    return 0;
  case 'n':
    arguments->options.rounds = (uint32_t)number(state, text, MEASURE_MAX_ROUNDS);
    return 0;
  case 'b':
    arguments->options.burst_ns = number(state, text, MAX_BURST_MS) * 1000000u;
    return 0;
  case 'k':
    arguments->options.keys = (uint32_t)number(state, text, MAX_KEYS);
    return 0;
  case 'd':
    arguments->fcached = text;
    return 0;
  case 'p':
    arguments->peers = text;
    return 0;
  case 'j':
    arguments->json = text;
    return 0;
  case OPTION_ALSO:
    arguments->others = text;
    return 0;
  case 'l':
    bench_row_names(print_name, NULL);
    exit(0);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

/* Returns the last CPU that this process may use, because the first often serves interrupts. */
static int pick_cpu(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return 0;
  int cpu = 0;
  for (int i = 0; i < CPU_SETSIZE; i++) {
    if (CPU_ISSET((size_t)i, &set))
      cpu = i;
  }
  return cpu;
}

/* Runs both phases, and then the rows outside of them. */
static int measure_all(const struct arguments *arguments, struct noise *noise,
                       struct bench_result *results, size_t *n) {
  char dir[SCRATCH_PATH_BYTES];
  if (scratch_make(dir) != 0)
    return -1;
  struct bench_env env = {
      .dir = dir, .fcached = arguments->fcached, .peers = arguments->peers, .cpu = pick_cpu()};
  int result = bench_run(&env, &arguments->options, noise, results, n);
  if (result == 0) {
    env.cpu = -1;
    result = bench_run(&env, &arguments->options, noise, results, n);
  }
  if (result == 0)
    result = footprint_run(&env, &arguments->options, results, n);
  if (result == 0)
    result = herd_run(&env, &arguments->options, results, n);
  if (result == 0)
    result = fresh_node_run(&env, &arguments->options, results, n);
  scratch_remove(dir);
  return result;
}

static int report_all(const struct arguments *arguments, const struct noise_summary *noise,
                      const struct bench_result *results, size_t n) {
  if (n == 0) /* all selected rows are of other programs */
    return 0;
  report_table("All processes on one CPU (these are judged)", results, n, false);
  report_table("Unpinned (/unpinned; this measures the scheduler as much)", results, n, true);
  printf("\nMedians of %u rounds (herd8 and fresh_node: one run). per s: operations; of the rows "
         "of 64, keys.\np50/ours: median and quartiles of the ratio in each round.\n",
         arguments->options.rounds);
  if (noise->spins > 0)
    noise_print(noise);
  report_more(results, n);
  report_requirements(results, n);
  return bench_json_write(arguments->json, results, n, noise);
}

int main(int argc, char **argv) {
  static const struct argp argp = {
      option_table,
      parse,
      NULL,
      "Measures fcached beside memcached, redis-server and LMDB, and beside the bare round "
      "trip and the bare copy.",
      NULL,
      NULL,
      NULL};
  struct arguments arguments = {.fcached = "build/fcached",
                                .peers = "build/peers",
                                .json = "build/bench.json",
                                .options = {.rounds = 9, .burst_ns = 150000000}};
  if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0)
    return 2;
  if (!bench_patterns_ok(arguments.options.patterns, arguments.others))
    return 2;

  /* Signals are checked between bursts, so that the peers are always stopped in order. */
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0)
    return 1;

  struct bench_result *results = calloc(MAX_RESULTS, sizeof(*results));
  struct noise noise = {0};
  size_t n = 0;
  int result = results == NULL || noise_begin(&noise) != 0 ? -1 : 0;
  if (result == 0)
    result = measure_all(&arguments, &noise, results, &n);
  if (result == 0) {
    struct noise_summary summary = noise_end(&noise);
    result = report_all(&arguments, &summary, results, n);
  }
  noise_deinit(&noise);
  results_deinit(results, n);
  free(results);
  return result == 0 ? 0 : 1;
}
