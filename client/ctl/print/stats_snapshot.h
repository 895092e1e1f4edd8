/* stats_snapshot.h - one reading of a daemon's stats, kept to be shown. The daemon may
 * be older or newer than this program: names that are absent read as 0, names
 * that are not known are kept like the others. Owns its strings. */
#ifndef FC_CTL_FIGURES_H
#define FC_CTL_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fcache.h"

struct figure {
  char *name;
  enum fcache_stat_kind kind;
  uint64_t integer; /* COUNT, BYTES */
  double real;      /* SECONDS, RATIO */
  char *text;       /* TEXT; else NULL */
};

struct figure_group {
  char *name_space; /* NULL: the whole daemon */
  struct figure *figures;
  size_t n, capacity;
};

struct figures {
  struct figure_group daemon;
  struct figure_group *namespaces;
  size_t n, capacity;
  bool failed; /* out of memory: incomplete */
};

void figures_init(struct figures *figures);
void figures_deinit(struct figures *figures); /* idempotent */

/* Adds one figure (copied) to its group; `arg` is the struct figures. The
 * figures of one namespace come together. As fcache_stat_fn wants it. */
void figures_add(void *arg, const struct fcache_stat *stat);

/* NULL where there is none. */
const struct figure *figures_find(const struct figure_group *group, const char *name);
const struct figure_group *figures_namespace(const struct figures *figures, const char *name_space);

/* 0 where there is none, or it is of another kind. */
uint64_t figures_integer(const struct figure_group *group, const char *name);
double figures_real(const struct figure_group *group, const char *name);

/* "" where there is none; valid as long as `group`. */
const char *figures_text(const struct figure_group *group, const char *name);

#endif
