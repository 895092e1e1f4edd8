/* session.h - one worker's lookups: asks the cache, computes what it misses,
 * counts, and keeps every result in a file to be compared afterwards.
 *
 * This is where the demo uses <fcache.h>, as any program would. */
#ifndef DEMO_SESSION_H
#define DEMO_SESSION_H

#include <stdio.h>

#include "client/demo/ops.h"

/* What a worker writes to its progress descriptor, a byte per lookup. */
#define PROGRESS_CACHED 'h'
#define PROGRESS_COMPUTED 'c'

struct session {
  struct fcache *cache; /* all borrowed */
  const struct model *model;
  FILE *results; /* a record per lookup: see session_record in the .c and compare.h */
  int progress;  /* a descriptor; -1: nobody watches */
  uint64_t lookups;
  uint64_t computed; /* forward passes that this worker really ran */
};

/* One lookup through fcache_cached. 0 with the value, or a negative code after
 * a line on stderr. */
int session_cached(struct session *session, const char *op, const char *view,
                   struct fcache_bytes prompt, uint32_t top_k, struct fcache_value *value);

/* `n` lookups through fcache_cached_batch; values[0..n) likewise. */
int session_batch(struct session *session, const char *op, const char *view,
                  const struct fcache_bytes *prompts, size_t n, uint32_t top_k,
                  struct fcache_value *values);

#endif
