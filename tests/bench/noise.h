/* noise.h - how much other load disturbed the run.
 *
 * A fixed piece of work is timed between the bursts. On a quiet machine it always takes the same
 * time. The kernel's counters have the rest. */
#ifndef BENCH_NOISE_H
#define BENCH_NOISE_H

#include "tests/bench/samples.h"

#include <stdint.h>

/* Counters of the whole machine since its start, as in /proc/stat. Times in ticks. */
struct machine_counters {
  uint64_t cpu, stolen; /* time of all CPUs in all states; of it, given to other virtual machines */
  uint64_t switches;    /* from one thread to another */
};

/* Parses the text of /proc/stat. Returns 0, or -1 if it lacks a counter. */
int noise_parse(const char *text, struct machine_counters *counters);

/* Zero it to start, and call noise_deinit at the end. */
struct noise {
  struct samples spins;
  uint64_t preempted; /* spins during which another thread took the CPU */
  struct machine_counters before;
  double load; /* average of the minute before the start */
  uint64_t start_ns;
};

struct noise_summary {
  size_t spins;
  double spin_us;        /* median */
  double p99, worst;     /* over the median */
  double preempted;      /* share of the spins */
  double stolen;         /* share of the machine's CPU time */
  double switches_per_s; /* the rows' own are most of them */
  double load;
};

/* Reads the counters. Returns 0, or -1 with the reason on stderr. */
int noise_begin(struct noise *noise);

/* Times some spins: 2 ms on an idle CPU. Returns 0, or -1 with the reason on stderr. */
int noise_spin(struct noise *noise);

/* Sums up since noise_begin. Unknown values are NAN. */
struct noise_summary noise_end(struct noise *noise);

/* Computes the summary of sorted spins and of two readings of the counters, `seconds` apart. */
struct noise_summary noise_sum_up(const struct noise *noise, const struct machine_counters *after,
                                  double seconds);

/* Prints it as one line. */
void noise_print(const struct noise_summary *summary);

void noise_deinit(struct noise *noise);

#endif
