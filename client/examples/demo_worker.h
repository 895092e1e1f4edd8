/* demo_worker.h - one worker of the demo: its lookups, and its report of them. */
#ifndef EXAMPLES_DEMO_WORKER_H
#define EXAMPLES_DEMO_WORKER_H

#include <fcache.h>

#include "client/examples/byte_model.h"

enum {
  WORKERS = 4,
  CONTEXTS = 60, /* of one worker; the next worker's begin CONTEXTS_APART later */
  CONTEXTS_APART = 12,
  PASSAGES = 20,
  PASSAGES_APART = 4,
  PASSAGE_BYTES = 48,
  COMPLETION_BYTES = 16, /* the end of a passage, for logprob_of */
  TOP_K = 5,
};
enum { N_VIEWS = 3, LOOKUPS = N_VIEWS * (CONTEXTS + 2 * PASSAGES) };

/* One lookup: the hash of its key and that of the value it returned. */
struct record {
  struct fcache_hash key, value;
};

struct worker_outcome {
  uint64_t computed; /* calls of the model */
  struct fcache_counters counters;
  double accuracy[N_VIEWS], perplexity[N_VIEWS], completion[N_VIEWS];
  size_t n_records;
  struct record records[LOOKUPS];
};

struct worker {
  const struct byte_model *model;
  const uint8_t *held_out; /* text that no view has read */
  size_t held_out_size;
  unsigned index;
  struct fcache *cache;
  struct worker_outcome *out;
};

/* The views of the model that each worker probes. */
extern const char *const demo_views[N_VIEWS];

/* Opens a handle, runs the probes through the cache and fills worker->out. Ends the process where
 * anything fails. */
void worker_run(struct worker *worker);

/* Prints "demo: WHAT: WHY" to stderr and exits with 1. */
_Noreturn void die(const char *what, const char *why);

#endif
