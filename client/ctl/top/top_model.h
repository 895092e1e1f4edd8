/* top_model.h - the data of fcachectl top: readings of the daemon's usage, their rates, and the
 * rows of one grouping, sorted and filtered. Knows neither daemon nor terminal.
 *
 * A reading has the counts of all groupings since the daemon's start. The model owns the latest one
 * and the one before. A rate is their difference over the time between them. A row without an
 * earlier count has no rate if nothing was read before, and begins at 0 otherwise: the name is new.
 * A count that fell (the daemon gave the name's row away) has the rate of its new value. */
#ifndef FC_CTL_TOP_MODEL_H
#define FC_CTL_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"

enum top_by { TOP_NAMESPACE, TOP_OP, TOP_VIEW, TOP_CLIENT, TOP_PROBE, TOP_BYS };

enum top_column {
  TOP_NAME,
  TOP_HITS,
  TOP_MISSES,
  TOP_HIT_RATE,
  TOP_SAVED,    /* seconds */
  TOP_COMPUTED, /* seconds */
  TOP_PUT,      /* bytes */
  TOP_STORED,   /* bytes now, of a namespace */
  TOP_COLUMNS
};

struct top_counts {
  uint64_t hits, misses, saved_ns, computed_ns, put_bytes, stored_bytes;
};

/* One name of a grouping. Only clients have an id, a pid and a namespace. */
struct top_row {
  uint64_t others;  /* 0: one name. More: about so many names without a row of their own */
  char *name;       /* owned; NULL: none: lookups without a probe, or the others */
  char *name_space; /* owned; NULL: none */
  uint64_t id;
  int64_t pid;
  struct top_counts counts;
  bool has_rates; /* set by the model */
  struct top_counts growth;
};

struct top_rows {
  struct top_row *at;
  size_t n, capacity;
};

/* Figures of the whole daemon. */
struct top_summary {
  char version[32];
  uint64_t pid, clients, clients_max, entries, bytes, max_bytes, memory_used, memory_bound;
  uint64_t hits, misses; /* of the cache's life, as saved_s */
  double uptime_s, saved_s;
};

struct top_reading {
  uint64_t time_ns; /* CLOCK_MONOTONIC */
  struct top_summary summary;
  struct top_rows rows[TOP_BYS];
  bool failed; /* out of memory: rows are missing */
};

#define TOP_FILTER_SIZE 128u

struct top_options {
  enum top_by by;
  enum top_column sort;
  bool reversed;                /* of the order with the largest, or the first name, on top */
  bool totals;                  /* since the daemon's start, and not rates */
  char filter[TOP_FILTER_SIZE]; /* a part of a name, in any case; "": all */
};

struct top_model {
  struct top_options options;
  struct top_reading now, before;
  bool has_now, has_before;
  const struct top_row **shown; /* owned: rows of `now`, in order. The others come last */
  size_t n_shown;
};

void top_model_init(struct top_model *model, const struct top_options *options);
void top_model_deinit(struct top_model *model); /* idempotent */

/* Starts an empty reading. */
void top_reading_init(struct top_reading *reading);
void top_reading_deinit(struct top_reading *reading); /* idempotent */

/* Adds counts to a name of a grouping. Rows of the same name become one in top_model_read. The
 * strings of `row` are borrowed and copied. */
void top_reading_add(struct top_reading *reading, enum top_by by, const struct top_row *row);

/* Takes the reading over, and sorts. Returns false if out of memory: then the reading is freed, and
 * the model is as before. */
bool top_model_read(struct top_model *model, struct top_reading *reading);

/* Forgets the earlier readings, for another daemon: its counts start anew. */
void top_model_restart(struct top_model *model);

/* Sorts and filters again, after the options changed. Returns false if out of memory. */
bool top_model_arrange(struct top_model *model);

/* Returns the time between the two readings in seconds, or 0 if there is only one. */
double top_model_interval_s(const struct top_model *model);

/* Returns the value of a cell, as a rate or in total: lookups, a percentage, seconds or bytes.
 * Negative: there is none. */
double top_model_value(const struct top_model *model, const struct top_row *row,
                       enum top_column column);

/* Returns the growth of the whole daemon in that time, as far as it is known. */
struct top_counts top_model_growth(const struct top_model *model);

/* Static strings: "namespace", "op", ... and "name", "hits", ... */
const char *top_by_name(enum top_by by);
const char *top_column_name(enum top_column column);

#endif
