/* lives.h - a cache that outlives its daemons, in one process: each life is a store that adopts the
 * memory of the one before. A life ends as a kill ends it: nothing is called. A failure ends the
 * test. Only then do the functions use Check's messages, so a process that is killed may call them.
 */
#ifndef FC_TESTS_LIVES_H
#define FC_TESTS_LIVES_H

#include "daemon/store/adopt.h"
#include "daemon/store/namespace_table.h"
#include "daemon/store/store.h"

#define LIVES_FDS_MAX 600u
#define LIVES_VALUE_MAX (1u << 20)

struct life {
  struct catalog catalog;
  struct region region;
  struct store store;
  struct namespace_table table;
  struct adopt_report report;
};

/* What a service manager keeps. */
struct lives {
  uint64_t max_bytes;
  uint32_t max_namespaces;
  uint64_t boot_id;
  int catalog_fd; /* -1: none yet */
  int fds[LIVES_FDS_MAX];
  size_t n_fds;
};

void lives_open(struct lives *lives, uint64_t max_bytes);
void lives_close(struct lives *lives);

/* Makes region and catalog of the next life, and keeps their descriptors. */
void lives_prepare(struct lives *lives, struct life *life);
/* Makes its store, and adopts what the last life left. */
void lives_start(struct lives *lives, struct life *life);
/* Does both. */
void lives_begin(struct lives *lives, struct life *life);

/* Keeps the descriptors of the region that a life has now, after a resize. */
void lives_keep(struct lives *lives, const struct life *life);

/* Migrates until nothing is left. */
void lives_migrate(struct life *life);

/* Frees what a kill would free: the memory of the process. The files remain. */
void lives_kill(struct life *life);

struct namespace *lives_namespace(struct life *life, const char *name);
/* Puts `size` bytes that follow from the seed. Returns the outcome. */
int lives_put(struct life *life, struct namespace *ns, const struct fc_key *key, uint64_t seed,
              uint32_t size);
/* Returns whether the entry has the bytes of that put. */
bool lives_has_value(const struct entry *entry, uint64_t seed, uint32_t size);

#endif
