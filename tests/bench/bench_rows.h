/* bench_rows.h - the rows of the bench.
 *
 * To measure another operation, add a line to the table in bench_rows.c. For another server, also
 * add a peer_X.c. For more than one client, add a scene_X.c. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "tests/bench/bench_peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_peer_id {
  PEER_SOCKET,
  PEER_REGION,
  PEER_REGION_20K, /* with many keys: a daemon or a file of their own */
  PEER_REGION_200K,
  PEER_REGION_1M,
  PEER_LMDB,
  PEER_LMDB_20K,
  PEER_LMDB_200K,
  PEER_LMDB_1M,
  PEER_MEMCPY,
  PEER_MEMCACHED,
  PEER_REDIS,
  PEER_ECHO,
  PEERS
};
enum bench_scene_id {
  SCENE_TWO_READERS,
  SCENE_CHURN,
  SCENE_TRACED,
  SCENE_WATCHED_HITS,
  SCENE_WATCHED_PUTS,
  SCENE_TIER,
  SCENE_TIER_HUNG,
  SCENES
};
enum bench_operation { OPERATION_GET, OPERATION_SET, OPERATION_GET_MANY };

/* The source of a row's metrics. */
enum bench_kind {
  KIND_OPERATION, /* an operation of a peer, repeated */
  KIND_SCENE,
  KIND_FOOTPRINT,  /* the memory of a peer's server, outside of the phases: see footprint.h */
  KIND_HERD,       /* workers that miss together, outside of the phases: see herd.h */
  KIND_FRESH_NODE, /* a node of a fleet, outside of the phases: see fresh_node.h */
};

/* Sets of keys and values, by their place in bench_loads. Rows of 3,100 bytes in memory are
 * compared with rows over the socket, so they are neighbours. */
enum {
  SET_64,
  SET_3100_MANY,
  SET_3100,
  SET_100000,
  SET_1000000,
  SET_3100_20K,
  SET_64_200K,
  SET_64_1M
};
/* Bits: the sets of a row. */
enum {
  /* fits the processor's cache, which does not matter for a round trip */
  LOADS_SOCKET = 1 << SET_64 | 1 << SET_3100 | 1 << SET_1000000,
  LOADS_PUT = LOADS_SOCKET | 1 << SET_100000,
  /* exceeds the processor's cache, which matters for a hit in memory */
  LOADS_MEMORY = 1 << SET_64 | 1 << SET_3100_MANY | 1 << SET_1000000,
  LOADS_SCENE = 1 << SET_3100_MANY,
  LOADS_20K = 1 << SET_3100_20K,
  LOADS_200K = 1 << SET_64_200K,
  LOADS_1M = 1 << SET_64_1M
};
/* Bits: the phases of a row. */
enum { PHASE_PINNED = 1, PHASE_UNPINNED = 2, PHASE_BOTH = PHASE_PINNED | PHASE_UNPINNED };

struct bench_row {
  const char *label; /* the name, followed by "/SIZE" except for rows outside of the phases */
  enum bench_kind kind;
  enum bench_peer_id peer;        /* if it is not a scene */
  enum bench_operation operation; /* of an operation */
  enum bench_scene_id scene;      /* of a scene */
  bool staggered;                 /* of a herd: each worker begins elsewhere in the list */
  unsigned loads, phases;
  /* With a small value it takes less than a microsecond: see measure.h. */
  bool fast;
  const char
      *ours; /* label of the row of fcached to compare with, its own for such a row; NULL: none */
};

struct bench_load {
  uint32_t size, n; /* bytes of a value; number of keys */
};

extern const struct bench_row bench_rows[];
extern const size_t bench_n_rows;
extern const struct bench_load bench_loads[];
extern const size_t bench_n_loads;

/* Returns the operations of one call: the keys of a batch, else 1. */
uint32_t bench_row_units(const struct bench_row *row);

/* Returns true if it is timed in blocks, with values of `size` bytes. */
bool bench_row_blocks(const struct bench_row *row, uint32_t size);

enum { BENCH_NAME_BYTES = 80 };

/* Writes "LABEL/SIZE" or "LABEL", followed by "/unpinned" if the row has a pinned result too and
 * this is not it. */
void bench_row_name(const struct bench_row *row, uint32_t size, bool unpinned,
                    char name[BENCH_NAME_BYTES]);

/* Returns true if `name` was selected. `patterns` is a list, separated by commas or spaces, of
 * shell patterns or parts of names; NULL or "" selects all. */
bool bench_row_wanted(const char *name, const char *patterns);

/* Calls `fn` for the full name of each row. */
typedef void bench_name_fn(void *arg, const char *name);
void bench_row_names(bench_name_fn *fn, void *arg);

/* Returns true if each pattern selects a row, or one of `others`, which are names separated by
 * spaces, or NULL. Else prints the first pattern that does not. */
bool bench_patterns_ok(const char *patterns, const char *others);

#endif
