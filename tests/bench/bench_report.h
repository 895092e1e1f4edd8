/* bench_report.h - the tables, the requirements and the file of figures. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "tests/bench/bench_run.h"

#include <stddef.h>

/* Prints a table of 80 columns for the rows with times that are `unpinned` or not, under `title`.
 */
void report_table(const char *title, const struct bench_result *results, size_t n, bool unpinned);

/* Prints the figures that are in neither table: one a line. */
void report_more(const struct bench_result *results, size_t n);

/* Prints a line for every requirement whose rows were measured. */
void report_requirements(const struct bench_result *results, size_t n);

/* Writes one JSON object with a member per row. 0, or -1 after saying why on stderr. */
int report_json(const char *path, const struct bench_result *results, size_t n);

#endif
