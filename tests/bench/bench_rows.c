#include "tests/bench/bench_rows.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LARGE_BYTES = 100000 };

/* Operations that several lines of the table use. */
#define OVER_SOCKET .loads = LOADS_SOCKET, .phases = PHASE_BOTH
#define IN_MEMORY .loads = LOADS_MEMORY, .phases = PHASE_BOTH, .fast = true
#define MILLION .loads = LOADS_MILLION, .phases = PHASE_PINNED, .fast = true
#define OPERATION(id, what) .peer = PEER_##id, .operation = OPERATION_##what
#define SCENE(id)                                                                                  \
  .kind = KIND_SCENE, .scene = SCENE_##id, .loads = LOADS_SCENE, .phases = PHASE_UNPINNED,         \
  .fast = true
#define FOOTPRINT(id) .kind = KIND_FOOTPRINT, .peer = PEER_##id
#define HERD(id) .kind = KIND_HERD, .peer = PEER_##id

/* Rows that are compared are neighbours, because they are measured one after the other. */
const struct bench_row bench_rows[] = {
    {.label = "hit_region", OPERATION(REGION, GET), IN_MEMORY, .ours = "hit_region"},
    {.label = "lmdb_get", OPERATION(LMDB, GET), IN_MEMORY, .ours = "hit_region"},
    {.label = "memcpy", OPERATION(MEMCPY, GET), IN_MEMORY, .ours = "hit_region"},
    {.label = "hit_socket", OPERATION(SOCKET, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "memcached_get", OPERATION(MEMCACHED, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "redis_get", OPERATION(REDIS, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "socket_rtt", OPERATION(ECHO, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "put", OPERATION(SOCKET, SET), OVER_SOCKET, .ours = "put"},
    {.label = "memcached_set", OPERATION(MEMCACHED, SET), OVER_SOCKET, .ours = "put"},
    {.label = "redis_set", OPERATION(REDIS, SET), OVER_SOCKET, .ours = "put"},
    {.label = "hit_many64", OPERATION(SOCKET, GET_MANY), OVER_SOCKET, .ours = "hit_many64"},
    {.label = "memcached_get_many64",
     OPERATION(MEMCACHED, GET_MANY),
     OVER_SOCKET,
     .ours = "hit_many64"},
    {.label = "redis_get_many64", OPERATION(REDIS, GET_MANY), OVER_SOCKET, .ours = "hit_many64"},
    {.label = "hit_region_1m", OPERATION(REGION_1M, GET), MILLION, .ours = "hit_region_1m"},
    {.label = "lmdb_get_1m", OPERATION(LMDB_1M, GET), MILLION, .ours = "hit_region_1m"},
    {.label = "hit_region_2proc", SCENE(TWO_READERS)},
    {.label = "hit_region_churn", SCENE(CHURN)},
    {.label = "hit_region_traced", SCENE(TRACED)},
    {.label = "hit_region_watched", SCENE(WATCHED_HITS)},
    {.label = "put_watched", SCENE(WATCHED_PUTS)},
    {.label = "hit_region_tier", SCENE(TIER)},
    {.label = "hit_region_tier_hung", SCENE(TIER_HUNG)},
    {.label = "bytes_per_entry/fcached", FOOTPRINT(REGION)},
    {.label = "bytes_per_entry/memcached", FOOTPRINT(MEMCACHED)},
    {.label = "bytes_per_entry/redis", FOOTPRINT(REDIS)},
    {.label = "herd8/fcached", HERD(REGION)},
    {.label = "herd8/memcached", HERD(MEMCACHED)},
    {.label = "herd8/redis", HERD(REDIS)},
    {.label = "herd8_staggered/fcached", HERD(REGION), .staggered = true},
    {.label = "herd8_staggered/memcached", HERD(MEMCACHED), .staggered = true},
    {.label = "herd8_staggered/redis", HERD(REDIS), .staggered = true},
    {.label = "fresh_node", .kind = KIND_FRESH_NODE},
};
const size_t bench_n_rows = sizeof(bench_rows) / sizeof(bench_rows[0]);

const struct bench_load bench_loads[] = {
    [SET_64] = {.size = 64, .n = 1000},
    [SET_3100] = {.size = 3100, .n = 1000},
    [SET_3100_MANY] = {.size = 3100, .n = 1000},
    [SET_1000000] = {.size = 1000000, .n = 64},
    [SET_MILLION_KEYS] = {.size = 64, .n = 1000000},
};
const size_t bench_n_loads = sizeof(bench_loads) / sizeof(bench_loads[0]);

uint32_t bench_row_units(const struct bench_row *row) {
  return row->operation == OPERATION_GET_MANY ? WORKLOAD_BATCH : 1;
}

bool bench_row_blocks(const struct bench_row *row, uint32_t size) {
  return row->fast && size < LARGE_BYTES;
}

void bench_row_name(const struct bench_row *row, uint32_t size, bool unpinned,
                    char name[BENCH_NAME_BYTES]) {
  const char *suffix = unpinned && (row->phases & PHASE_PINNED) != 0 ? "/unpinned" : "";
  /* Labels are short: see the table. */
  if (row->kind != KIND_OPERATION && row->kind != KIND_SCENE)
    (void)snprintf(name, BENCH_NAME_BYTES, "%s", row->label);
  else
    (void)snprintf(name, BENCH_NAME_BYTES, "%s/%" PRIu32 "%s", row->label, size, suffix);
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
