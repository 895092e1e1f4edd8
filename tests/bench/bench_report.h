/* bench_report.h - prints the tables and the requirements. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "tests/bench/bench_results.h"

#include <stdbool.h>
#include <stddef.h>

/* Prints a table for the rows with times that are `unpinned` or not, under `title`. */
void report_table(const char *title, const struct bench_result *results, size_t n, bool unpinned);

/* Prints the metrics that are in neither table, one a line. */
void report_more(const struct bench_result *results, size_t n);

/* Prints a line for each requirement whose rows were measured. */
void report_requirements(const struct bench_result *results, size_t n);

#endif
