#include "tests/bench/rows.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rows that are compared stand together: they are measured one right after the other. */
const struct bench_row bench_rows[] = {
    {"hit_socket", PEER_FCACHED, OPERATION_GET, "hit_socket"},
    {"memcached_get", PEER_MEMCACHED, OPERATION_GET, "hit_socket"},
    {"redis_get", PEER_REDIS, OPERATION_GET, "hit_socket"},
    {"socket_rtt", PEER_ECHO, OPERATION_GET, "hit_socket"},
    {"put", PEER_FCACHED, OPERATION_SET, "put"},
    {"memcached_set", PEER_MEMCACHED, OPERATION_SET, "put"},
    {"redis_set", PEER_REDIS, OPERATION_SET, "put"},
    {"hit_many64", PEER_FCACHED, OPERATION_GET_MANY, "hit_many64"},
    {"memcached_get_many64", PEER_MEMCACHED, OPERATION_GET_MANY, "hit_many64"},
    {"redis_get_many64", PEER_REDIS, OPERATION_GET_MANY, "hit_many64"},
};
const size_t bench_n_rows = sizeof(bench_rows) / sizeof(bench_rows[0]);

const uint32_t bench_sizes[] = {64, 3100, 1000000};
const size_t bench_n_sizes = sizeof(bench_sizes) / sizeof(bench_sizes[0]);

const struct bench_requirement bench_requirements[] = {
    {"hit_socket", "memcached_get", 3100, FIGURE_P50, 1.05},
    {"put", "memcached_set", 3100, FIGURE_P50, 1.05},
    {"hit_many64", "memcached_get_many64", 64, FIGURE_PER_S, 1.0},
    {"hit_many64", "memcached_get_many64", 3100, FIGURE_PER_S, 1.0},
    {"hit_many64", "memcached_get_many64", 1000000, FIGURE_PER_S, 1.0},
};
const size_t bench_n_requirements = sizeof(bench_requirements) / sizeof(bench_requirements[0]);

uint32_t bench_row_units(const struct bench_row *row) {
  return row->operation == OPERATION_GET_MANY ? WORKLOAD_BATCH : 1;
}

void bench_row_name(const struct bench_row *row, uint32_t size, bool unpinned,
                    char name[BENCH_NAME_BYTES]) {
  /* Labels are short: see the table. */
  (void)snprintf(name, BENCH_NAME_BYTES, "%s/%" PRIu32 "%s", row->label, size,
                 unpinned ? "/unpinned" : "");
}

static bool matches(const char *name, const char *pattern) {
  if (strpbrk(pattern, "*?[") != NULL)
    return fnmatch(pattern, name, 0) == 0;
  return strstr(name, pattern) != NULL;
}

bool bench_row_wanted(const char *name, const char *patterns) {
  static const char separators[] = ", ";
  if (patterns == NULL || patterns[strspn(patterns, separators)] == '\0')
    return true;
  for (const char *at = patterns; *(at += strspn(at, separators)) != '\0';) {
    char pattern[BENCH_NAME_BYTES];
    size_t n = strcspn(at, separators);
    if (n < sizeof(pattern)) {
      memcpy(pattern, at, n);
      pattern[n] = '\0';
      if (matches(name, pattern))
        return true;
    }
    at += n;
  }
  return false;
}
