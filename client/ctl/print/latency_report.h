/* latency_report.h - one reading of the daemon's times, as fcachectl latency prints it. */
#ifndef FC_CTL_LATENCY_REPORT_H
#define FC_CTL_LATENCY_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/wire/message.h"

#define LATENCY_REPORT_ROWS_MAX 64u /* a daemon with more shows the first ones */
#define LATENCY_REPORT_NAME_SIZE 32u

struct latency_row {
  char path[LATENCY_REPORT_NAME_SIZE], operation[LATENCY_REPORT_NAME_SIZE];
  struct fc_histogram histogram;
};

/* Zeroed: empty. Plain data, and large: keep it static. */
struct latency_report {
  uint64_t period_ns; /* that it covers */
  uint32_t n;
  struct latency_row rows[LATENCY_REPORT_ROWS_MAX];
};

/* Adds a row; a callback of admin_latency. `arg` is the report. */
void latency_report_add(void *arg, const struct fc_latency_entry *kind);

/* Subtracts an earlier reading from `now`, which becomes that of the time between. A kind that was
 * reset in between stays as it is. */
void latency_report_subtract(struct latency_report *now, const struct latency_report *before);

/* Prints the kinds that have durations, as a table, or one line that there are none. Returns 0, or
 * -1 if out of memory. */
int latency_report_table(FILE *out, const struct latency_report *report);

/* Print the same as lines of a fixed width, each behind `time`, for a list that goes on. */
void latency_report_print_header(FILE *out);
void latency_report_print_lines(FILE *out, const struct latency_report *report, const char *time);

/* Returns an object with all kinds, or NULL if out of memory. */
json_t *latency_report_json(const struct latency_report *report);

/* Adds the members count, sum_s, p50_s, ..., max_s and buckets of a histogram to an object. Returns
 * the object, or NULL if out of memory: then it is freed. */
json_t *latency_report_histogram_json(json_t *object, const struct fc_histogram *histogram);

/* The percentiles that are shown, of 10,000, and their number. */
#define LATENCY_REPORT_QUANTILES 4
extern const uint32_t latency_report_quantiles[LATENCY_REPORT_QUANTILES];

#endif
