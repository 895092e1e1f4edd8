/* bench_rows.h - what is measured.
 *
 * To measure another operation, add a line to the table in bench_rows.c (and, for
 * another server, a peer_X.c; for what takes more than one client, a scene_X.c).
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "tests/bench/bench_peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_peer_id {
  PEER_SOCKET,
  PEER_REGION,
  PEER_REGION_1M,
  PEER_LMDB,
  PEER_LMDB_1M,
  PEER_MEMCPY,
  PEER_MEMCACHED,
  PEER_REDIS,
  PEER_ECHO,
  PEERS
};
enum bench_scene_id { SCENE_TWO_READERS, SCENE_CHURN, SCENE_TRACED, SCENES };
enum bench_operation { OPERATION_GET, OPERATION_SET, OPERATION_GET_MANY };

/* What a row's figures come from. */
enum bench_kind {
  KIND_OPERATION, /* an operation of a peer, again and again */
  KIND_SCENE,
  KIND_FOOTPRINT, /* the memory of a peer's server, in no phase: see footprint.h */
  KIND_HERD,      /* workers that miss together, in no phase: see herd.h */
};

/* The sets of keys and values, by their place in bench_loads. */
enum { SET_64, SET_3100, SET_3100_MANY, SET_1000000, SET_MILLION_KEYS };
/* Bits: the sets that a row is measured with. */
enum {
  /* small enough for the processor's cache: of a round trip it is nothing that counts */
  LOADS_SOCKET = 1 << SET_64 | 1 << SET_3100 | 1 << SET_1000000,
  /* larger, as a cache is larger than that: of a hit in memory this is what counts */
  LOADS_MEMORY = 1 << SET_64 | 1 << SET_3100_MANY | 1 << SET_1000000,
  LOADS_SCENE = 1 << SET_3100_MANY,
  LOADS_MILLION = 1 << SET_MILLION_KEYS
};
/* Bits: the phases that a row is measured in. */
enum { PHASE_PINNED = 1, PHASE_UNPINNED = 2, PHASE_BOTH = PHASE_PINNED | PHASE_UNPINNED };

struct bench_row {
  const char *label; /* the name, with "/SIZE" after it but for a footprint and a herd */
  enum bench_kind kind;
  enum bench_peer_id peer;        /* unless it is a scene */
  enum bench_operation operation; /* of an operation */
  enum bench_scene_id scene;      /* of a scene */
  bool staggered;                 /* of a herd: each begins elsewhere in the list */
  unsigned loads, phases;
  /* Of a small value, less than a microsecond: see measure.h. */
  bool fast;
  const char *ours; /* label of the row of ours to compare with: its own where it is ours; NULL:
                       none */
};

struct bench_load {
  uint32_t size, n; /* bytes of a value; keys */
};

extern const struct bench_row bench_rows[];
extern const size_t bench_n_rows;
extern const struct bench_load bench_loads[];
extern const size_t bench_n_loads;

/* Operations that one call stands for: the keys of a batch, else 1. */
uint32_t bench_row_units(const struct bench_row *row);

/* Whether it is to be timed in blocks, with values of `size` bytes. */
bool bench_row_blocks(const struct bench_row *row, uint32_t size);

enum { BENCH_NAME_BYTES = 80 };

/* "LABEL/SIZE" or "LABEL", with "/unpinned" after it where the row has a pinned figure too and
 * this is not it. */
void bench_row_name(const struct bench_row *row, uint32_t size, bool unpinned,
                    char name[BENCH_NAME_BYTES]);

/* Whether `name` is asked for: `patterns` is a list, by commas or spaces, of
 * shell patterns or parts of names; NULL or "" asks for all. */
bool bench_row_wanted(const char *name, const char *patterns);

#endif
