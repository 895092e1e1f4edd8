#include "tests/bench/noise.h"

#include "tests/bench/measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SPINS = 20, SPIN_STEPS = 50000, TEXT_BYTES = 1 << 16, CPU_STATES = 8, STEAL = 7 };

int noise_parse(const char *text, struct machine_counters *counters) {
  *counters = (struct machine_counters){0};
  if (strncmp(text, "cpu ", 4) != 0)
    return -1;
  const char *at = text + 4;
  /* The times behind that of `steal` are parts of earlier ones. */
  for (int state = 0; state < CPU_STATES; state++) {
    char *end;
    uint64_t ticks = strtoull(at, &end, 10);
    if (end == at)
      return -1;
    counters->cpu += ticks;
    if (state == STEAL)
      counters->stolen = ticks;
    at = end;
  }
  at = strstr(at, "\nctxt ");
  return at != NULL && sscanf(at, " ctxt %" SCNu64, &counters->switches) == 1 ? 0 : -1;
}

static int read_text(const char *path, char *text, size_t room) {
  FILE *file = fopen(path, "re");
  size_t n = file == NULL ? 0 : fread(text, 1, room - 1, file);
  if (file != NULL)
    (void)fclose(file); /* only read */
  text[n] = '\0';
  return n > 0 ? 0 : -1;
}

static int read_counters(struct machine_counters *counters) {
  char *text = malloc(TEXT_BYTES);
  int result = text == NULL ? -1 : read_text("/proc/stat", text, TEXT_BYTES);
  if (result == 0)
    result = noise_parse(text, counters);
  free(text);
  if (result != 0)
    fprintf(stderr, "bench: /proc/stat does not have the machine's counters\n");
  return result;
}

int noise_begin(struct noise *noise) {
  char text[128];
  *noise = (struct noise){.load = NAN, .start_ns = measure_now_ns()};
  if (read_text("/proc/loadavg", text, sizeof(text)) == 0)
    noise->load = strtod(text, NULL);
  return read_counters(&noise->before);
}

static uint64_t preemptions(void) {
  struct rusage usage;
  return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

/* A chain of dependent steps, which reads no memory. */
static void spin(void) {
  static volatile uint32_t sink; /* so that the compiler keeps the work */
  uint32_t work = sink;
  for (uint32_t i = 0; i < SPIN_STEPS; i++)
    work = work * 1664525u + 1013904223u;
  sink = work;
}

int noise_spin(struct noise *noise) {
  uint64_t before = preemptions();
  uint64_t last_ns = measure_now_ns();
  for (int i = 0; i < SPINS; i++) {
    spin();
    uint64_t now_ns = measure_now_ns();
    if (samples_add(&noise->spins, now_ns - last_ns) != 0)
      return -1;
    last_ns = now_ns;
  }
  noise->preempted += preemptions() - before;
  return 0;
}

struct noise_summary noise_sum_up(const struct noise *noise, const struct machine_counters *after,
                                  double seconds) {
  struct noise_summary summary = {.spins = noise->spins.n,
                                  .spin_us = NAN,
                                  .p99 = NAN,
                                  .worst = NAN,
                                  .preempted = NAN,
                                  .load = noise->load};
  if (summary.spins > 0) {
    summary.spin_us = samples_percentile_us(&noise->spins, 0.5);
    summary.p99 = samples_percentile_us(&noise->spins, 0.99) / summary.spin_us;
    summary.worst = samples_percentile_us(&noise->spins, 1) / summary.spin_us;
    summary.preempted = (double)noise->preempted / (double)summary.spins;
  }
  summary.stolen =
      (double)(after->stolen - noise->before.stolen) / (double)(after->cpu - noise->before.cpu);
  summary.switches_per_s = (double)(after->switches - noise->before.switches) / seconds;
  return summary;
}

struct noise_summary noise_end(struct noise *noise) {
  struct machine_counters after;
  samples_sort(&noise->spins);
  if (read_counters(&after) != 0)
    after = noise->before; /* a share of 0 out of 0 is NAN */
  return noise_sum_up(noise, &after, (double)(measure_now_ns() - noise->start_ns) / 1e9);
}

void noise_print(const struct noise_summary *summary) {
  printf(
      "\nNoise: a spin of %.0f us took %.2f times that at p99 and %.1f times at worst (%zu spins, "
      "%.2f%% preempted); steal %.1f%% of the CPU time; %.0f context switches a second; load "
      "%.1f at the start.\n",
      summary->spin_us, summary->p99, summary->worst, summary->spins, summary->preempted * 100,
      summary->stolen * 100, summary->switches_per_s, summary->load);
}

void noise_deinit(struct noise *noise) {
  samples_deinit(&noise->spins);
}
