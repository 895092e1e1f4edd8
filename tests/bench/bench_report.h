/* bench_report.h - prints tables and requirements, and writes the file of results. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "tests/bench/bench_run.h"

#include <stddef.h>

/* Prints a table of 80 columns for the rows with times that are `unpinned` or not, under `title`.
 */
void report_table(const char *title, const struct bench_result *results, size_t n, bool unpinned);

/* Prints the metrics that are in neither table, one a line. */
void report_more(const struct bench_result *results, size_t n);

/* Prints a line for each requirement whose rows were measured. */
void report_requirements(const struct bench_result *results, size_t n);

/* Writes one JSON object with a member for each row. Returns 0, or -1 with the reason on stderr. */
int report_json(const char *path, const struct bench_result *results, size_t n);

#endif
