/* bench_json.h - writes the file of results. */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include "tests/bench/bench_results.h"
#include "tests/bench/noise.h"

#include <stddef.h>

/* Writes one JSON object with a member for each row, with its metrics and the ratio of its p50 to
 * ours; a list "requirements"; and an object "noise". Returns 0, or -1 with the reason on stderr.
 */
int bench_json_write(const char *path, const struct bench_result *results, size_t n,
                     const struct noise_summary *noise);

#endif
