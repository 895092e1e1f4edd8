/* usage.h - counts lookups by namespace, by op and view, and by probe, since the daemon's start.
 *
 * A row is one name of a kind. There are at most USAGE_ROWS_MAX rows. A name for which there is no
 * row takes the place of a row that has not been counted since the search last passed it. The
 * counts of that row move to `others` of its kind, so the sums of all kinds stay equal. Only rows
 * of the same user give way, or those of a user that holds more rows, so a client that makes up
 * names loses its own. The rows of a user are charged to it (USER_USAGE_ROWS).
 *
 * A row has copies of its names, and outlives its namespace and its client. Sums of times saturate.
 * One thread. */
#ifndef FC_DAEMON_USAGE_H
#define FC_DAEMON_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"

#define USAGE_ROWS_MAX 2048u
#define USAGE_BUCKETS 2048u     /* a power of two */
#define USAGE_OTHERS_BITS 4096u /* a power of two */

struct user;
struct usage_row;

enum usage_kind {
  USAGE_NAMESPACE,
  USAGE_KEY,   /* an op and a view of a namespace */
  USAGE_PROBE, /* of a namespace, or none */
  USAGE_KINDS
};

struct usage_counts {
  uint64_t hits, misses;
  uint64_t saved_ns;    /* time that the computation of the hit entries took */
  uint64_t computed_ns; /* time of the forward passes, as client_time charged it */
  uint64_t put_bytes;   /* size of the stored values */
};

/* What one request or one label of a ring names. All are valid names, and `probe` may be none. */
struct usage_names {
  struct fc_str name_space, op, view, probe;
};

/* The names that have no row, as one. */
struct usage_others {
  struct usage_counts counts;
  uint64_t seen[USAGE_OTHERS_BITS / 64]; /* a bit for each hash of a name */
};

struct usage {
  uint64_t seed; /* of the hashes: no client can find it out */
  uint32_t n;
  uint32_t n_unknown; /* rows of no known user */
  size_t bytes;       /* of the rows */
  uint64_t last_serial;
  struct usage_row *first, *last; /* by serial */
  struct usage_row *hand;         /* the next to give way, perhaps; NULL: the first */
  struct usage_row *buckets[USAGE_BUCKETS];
  struct usage_others others[USAGE_KINDS];
};

/* Returns the most memory that the rows take. */
size_t usage_bytes_max(void);

/* `seed` is random. */
void usage_init(struct usage *usage, uint64_t seed);

/* Frees the rows and ends their charges. Idempotent. */
void usage_deinit(struct usage *usage);

/* Adds `more` to the rows of the names, one of each kind. New rows are charged to `user` (NULL: not
 * known). Does not fail: what has no row counts in `others`. */
void usage_add(struct usage *usage, struct user *user, const struct usage_names *names,
               const struct usage_counts *more);

/* Adds two counts. */
void usage_counts_add(struct usage_counts *counts, const struct usage_counts *more);

/* A row, for listings. Its names are borrowed until the next usage_add. */
struct usage_item {
  uint64_t serial;
  struct fc_str name_space;
  struct fc_str op, view; /* of USAGE_KEY */
  struct fc_str probe;    /* of USAGE_PROBE; none: lookups without a probe */
  const struct usage_counts *counts;
};

/* Gives the first row of the kind whose serial is higher than `after`. Returns false if there is
 * none. A walk: start with *place NULL, which the call moves. It ends with the next usage_add. */
bool usage_next(const struct usage *usage, enum usage_kind kind, uint64_t after,
                const struct usage_row **place, struct usage_item *item);

/* Returns the counts of a namespace, or NULL if it has no row. */
const struct usage_counts *usage_of_namespace(const struct usage *usage, struct fc_str name_space);

/* Returns about how many names of the kind are in `others`: exact within a few percent up to
 * 10,000, and never more than 40,000. */
uint64_t usage_n_others(const struct usage *usage, enum usage_kind kind);

#endif
