/* rows.h - what is measured, and what is required of it.
 *
 * To measure another operation, add a line to the table in rows.c (and, for
 * another server, a peer_X.c): a row is an operation of a peer, and it is
 * measured at every size.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "tests/bench/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_peer_id { PEER_FCACHED, PEER_MEMCACHED, PEER_REDIS, PEER_ECHO, PEERS };
enum bench_operation { OPERATION_GET, OPERATION_SET, OPERATION_GET_MANY };

struct bench_row {
  const char *label; /* the name, with "/SIZE" after it */
  enum bench_peer_id peer;
  enum bench_operation operation;
  const char *ours; /* label of the row of ours to compare with; its own where it is ours */
};

/* A bound on one row's figure over another's, pinned on one CPU. */
struct bench_requirement {
  const char *row, *against; /* labels */
  uint32_t size;
  enum bench_figure { FIGURE_P50, FIGURE_PER_S } figure;
  double bound; /* p50: at most this ratio; per_s: at least */
};

extern const struct bench_row bench_rows[];
extern const size_t bench_n_rows;
extern const uint32_t bench_sizes[];
extern const size_t bench_n_sizes;
extern const struct bench_requirement bench_requirements[];
extern const size_t bench_n_requirements;

/* Operations that one call stands for: the keys of a batch, else 1. */
uint32_t bench_row_units(const struct bench_row *row);

enum { BENCH_NAME_BYTES = 80 };

/* "LABEL/SIZE", with "/unpinned" after it if so. */
void bench_row_name(const struct bench_row *row, uint32_t size, bool unpinned,
                    char name[BENCH_NAME_BYTES]);

/* Whether `name` is asked for: `patterns` is a list, by commas or spaces, of
 * shell patterns or parts of names; NULL or "" asks for all. */
bool bench_row_wanted(const char *name, const char *patterns);

#endif
