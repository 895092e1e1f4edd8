#include "daemon/store/delete_log.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/region/catalog.h"
#include "proto/errors.h"

int delete_log_init(struct delete_log *log, struct saved_deletes *saved) {
  *log = (struct delete_log){.sets = calloc(DELETE_LOG_SETS, sizeof *log->sets), .saved = saved};
  return log->sets == NULL ? FC_ENOMEM : 0;
}

void delete_log_deinit(struct delete_log *log) {
  free(log->sets);
  log->sets = NULL;
}

void delete_log_raise(struct delete_log *log, uint64_t generation) {
  if (log->floor < generation)
    log->floor = generation;
  if (log->newest < generation)
    log->newest = generation;
  if (log->saved->floor < generation)
    catalog_commit_u64(&log->saved->floor, generation);
}

static struct delete_set *set_of(const struct delete_log *log, uint64_t digest) {
  return &log->sets[digest & (DELETE_LOG_SETS - 1)];
}

static void add_to_set(struct delete_set *set, uint64_t generation, uint64_t digest) {
  unsigned place = 0;
  for (unsigned i = 0; i < DELETE_LOG_WAYS; i++) {
    if (set->keys[i].generation != 0 && set->keys[i].digest == digest) {
      if (set->keys[i].generation < generation)
        set->keys[i].generation = generation;
      return;
    }
    if (set->keys[i].generation < set->keys[place].generation)
      place = i; /* an unused one, or the oldest */
  }
  uint64_t forgotten = set->keys[place].generation;
  if (forgotten > generation) { /* in an adoption, whose order is that of the ring */
    set->floor = set->floor > generation ? set->floor : generation;
    return;
  }
  set->floor = set->floor > forgotten ? set->floor : forgotten;
  set->keys[place].digest = digest;
  set->keys[place].generation = generation;
}

void delete_log_adopt(struct delete_log *log, uint64_t generation) {
  struct saved_deletes *saved = log->saved;
  if (FC_CATALOG_MUTANT == 25)
    memset(saved, 0, sizeof *saved);
  bool damaged = saved->floor > generation;
  for (uint32_t i = 0; i < DELETE_LOG_SAVED; i++) {
    uint64_t one = saved->ring[i].generation;
    damaged |= one > generation;
    if (one == 0 || damaged)
      continue;
    add_to_set(set_of(log, saved->ring[i].digest), one, saved->ring[i].digest);
    if (log->newest < one) {
      log->newest = one;
      log->next = (i + 1) % DELETE_LOG_SAVED;
    }
  }
  if (damaged) {
    catalog_commit_u64(&saved->floor, generation);
    catalog_barrier();
    memset(saved->ring, 0, sizeof saved->ring);
  }
  delete_log_raise(log, saved->floor);
}

static void save(struct delete_log *log, uint64_t generation, uint64_t digest) {
  struct saved_deletes *saved = log->saved;
  uint32_t at = log->next;
  if (saved->ring[at].generation > saved->floor)
    catalog_commit_u64(&saved->floor, saved->ring[at].generation);
  catalog_barrier();
  catalog_commit_u64(&saved->ring[at].generation, 0);
  catalog_barrier();
  saved->ring[at].digest = digest;
  catalog_commit_u64(&saved->ring[at].generation, generation);
  log->next = (at + 1) % DELETE_LOG_SAVED;
}

void delete_log_add(struct delete_log *log, uint64_t generation, uint64_t digest) {
  check_lt(log->newest, generation);
  save(log, generation, digest);
  log->newest = generation;
  add_to_set(set_of(log, digest), generation, digest);
}

bool delete_log_stale(const struct delete_log *log, uint64_t generation, uint64_t digest) {
  if (generation >= log->newest)
    return false;
  const struct delete_set *set = set_of(log, digest);
  if (generation < log->floor || generation < set->floor)
    return true;
  for (unsigned i = 0; i < DELETE_LOG_WAYS; i++)
    if (set->keys[i].digest == digest && generation < set->keys[i].generation)
      return true;
  return false;
}
