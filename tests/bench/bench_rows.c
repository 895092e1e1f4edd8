#include "tests/bench/bench_rows.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LARGE_BYTES = 100000 };

/* Operations that several lines of the table use. */
#define OVER_SOCKET .loads = LOADS_SOCKET, .phases = PHASE_BOTH
#define PUT .loads = LOADS_PUT, .phases = PHASE_BOTH
#define IN_MEMORY .loads = LOADS_MEMORY, .phases = PHASE_BOTH, .fast = true
#define MANY_KEYS(n) .loads = LOADS_##n, .phases = PHASE_PINNED, .fast = true
#define OPERATION(id, what) .peer = PEER_##id, .operation = OPERATION_##what
#define SCENE(id, where)                                                                           \
  .kind = KIND_SCENE, .scene = SCENE_##id, .loads = LOADS_SCENE, .phases = PHASE_##where,          \
  .fast = true
#define FOOTPRINT(id) .kind = KIND_FOOTPRINT, .peer = PEER_##id
#define HERD(id) .kind = KIND_HERD, .peer = PEER_##id

/* Rows that are compared are neighbours behind the row of fcached: see bench_order.h. */
const struct bench_row bench_rows[] = {
    {.label = "hit_region", OPERATION(REGION, GET), IN_MEMORY, .ours = "hit_region"},
    {.label = "lmdb_get", OPERATION(LMDB, GET), IN_MEMORY, .ours = "hit_region"},
    {.label = "memcpy", OPERATION(MEMCPY, GET), IN_MEMORY, .ours = "hit_region"},
    {.label = "hit_socket", OPERATION(SOCKET, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "memcached_get", OPERATION(MEMCACHED, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "redis_get", OPERATION(REDIS, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "socket_rtt", OPERATION(ECHO, GET), OVER_SOCKET, .ours = "hit_socket"},
    {.label = "put", OPERATION(SOCKET, SET), PUT, .ours = "put"},
    {.label = "memcached_set", OPERATION(MEMCACHED, SET), PUT, .ours = "put"},
    {.label = "redis_set", OPERATION(REDIS, SET), PUT, .ours = "put"},
    {.label = "hit_many64", OPERATION(SOCKET, GET_MANY), OVER_SOCKET, .ours = "hit_many64"},
    {.label = "memcached_get_many64",
     OPERATION(MEMCACHED, GET_MANY),
     OVER_SOCKET,
     .ours = "hit_many64"},
    {.label = "redis_get_many64", OPERATION(REDIS, GET_MANY), OVER_SOCKET, .ours = "hit_many64"},
    {.label = "hit_region_20k",
     OPERATION(REGION_20K, GET),
     MANY_KEYS(20K),
     .ours = "hit_region_20k"},
    {.label = "lmdb_get_20k", OPERATION(LMDB_20K, GET), MANY_KEYS(20K), .ours = "hit_region_20k"},
    {.label = "hit_region_200k",
     OPERATION(REGION_200K, GET),
     MANY_KEYS(200K),
     .ours = "hit_region_200k"},
    {.label = "lmdb_get_200k",
     OPERATION(LMDB_200K, GET),
     MANY_KEYS(200K),
     .ours = "hit_region_200k"},
    {.label = "hit_region_1m", OPERATION(REGION_1M, GET), MANY_KEYS(1M), .ours = "hit_region_1m"},
    {.label = "lmdb_get_1m", OPERATION(LMDB_1M, GET), MANY_KEYS(1M), .ours = "hit_region_1m"},
    {.label = "hit_region_2proc", SCENE(TWO_READERS, UNPINNED)},
    {.label = "hit_region_churn", SCENE(CHURN, UNPINNED)},
    {.label = "hit_region_traced", SCENE(TRACED, UNPINNED)},
    {.label = "hit_region_watched", SCENE(WATCHED_HITS, PINNED)},
    {.label = "put_watched", SCENE(WATCHED_PUTS, PINNED)},
    {.label = "hit_region_tier", SCENE(TIER, PINNED)},
    {.label = "hit_region_tier_hung", SCENE(TIER_HUNG, PINNED)},
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
    [SET_64] = {.size = 64, .n = 1000},         [SET_3100_MANY] = {.size = 3100, .n = 1000},
    [SET_3100] = {.size = 3100, .n = 1000},     [SET_100000] = {.size = 100000, .n = 256},
    [SET_1000000] = {.size = 1000000, .n = 64}, [SET_3100_20K] = {.size = 3100, .n = 20000},
    [SET_64_200K] = {.size = 64, .n = 200000},  [SET_64_1M] = {.size = 64, .n = 1000000},
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

static const char separators[] = ", "; /* of patterns */

/* Copies the pattern at `at`, and returns its end. Returns NULL at the end of the list. A pattern
 * that is longer than all names selects none, also without its end. */
static const char *next_pattern(const char *at, char pattern[BENCH_NAME_BYTES]) {
  at += strspn(at, separators);
  size_t n = strcspn(at, separators);
  if (n == 0)
    return NULL;
  (void)snprintf(pattern, BENCH_NAME_BYTES, "%.*s", (int)n, at);
  return at + n;
}

bool bench_row_wanted(const char *name, const char *patterns) {
  char pattern[BENCH_NAME_BYTES];
  const char *at = patterns == NULL ? NULL : next_pattern(patterns, pattern);
  if (at == NULL)
    return true;
  for (; at != NULL; at = next_pattern(at, pattern)) {
    if (matches(name, pattern))
      return true;
  }
  return false;
}

/* Calls `fn` for the names of a row that has rounds. */
static void names_with_rounds(const struct bench_row *row, bench_name_fn *fn, void *arg) {
  char name[BENCH_NAME_BYTES];
  for (size_t load = 0; load < bench_n_loads; load++) {
    if ((row->loads >> load & 1) == 0)
      continue;
    for (unsigned phase = PHASE_PINNED; phase <= PHASE_UNPINNED; phase++) {
      if ((row->phases & phase) == 0)
        continue;
      bench_row_name(row, bench_loads[load].size, phase == PHASE_UNPINNED, name);
      fn(arg, name);
    }
  }
}

void bench_row_names(bench_name_fn *fn, void *arg) {
  for (size_t i = 0; i < bench_n_rows; i++) {
    if (bench_rows[i].phases != 0)
      names_with_rounds(&bench_rows[i], fn, arg);
    else
      fn(arg, bench_rows[i].label);
  }
}

struct search {
  const char *pattern;
  bool found;
};

static void search_name(void *arg, const char *name) {
  struct search *search = arg;
  search->found |= matches(name, search->pattern);
}

bool bench_patterns_ok(const char *patterns, const char *others) {
  char pattern[BENCH_NAME_BYTES];
  char other[BENCH_NAME_BYTES];
  const char *at = patterns == NULL ? NULL : next_pattern(patterns, pattern);
  for (; at != NULL; at = next_pattern(at, pattern)) {
    struct search search = {.pattern = pattern};
    bench_row_names(search_name, &search);
    const char *name = others == NULL ? NULL : next_pattern(others, other);
    for (; name != NULL; name = next_pattern(name, other))
      search_name(&search, other);
    if (!search.found) {
      fprintf(stderr, "bench: no row has a name like '%s': build/bench --list prints all\n",
              pattern);
      return false;
    }
  }
  return true;
}
