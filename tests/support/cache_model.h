/* cache_model.h - a model of the cache that is too simple to be wrong: a flat array of all possible
 * keys, searched from end to end. Tests compare a store or a daemon with it. Its user provides the
 * charge of each value. */
#ifndef FC_TESTS_CACHE_MODEL_H
#define FC_TESTS_CACHE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_SPACES 4u
#define MODEL_OPS 3u
#define MODEL_VIEWS 3u
#define MODEL_TOP_KS 2u
#define MODEL_PROMPTS 12u
#define MODEL_KEYS (MODEL_SPACES * MODEL_OPS * MODEL_VIEWS * MODEL_TOP_KS * MODEL_PROMPTS)
#define MODEL_CLEARS 4096u   /* of one namespace */
#define MODEL_ANY UINT32_MAX /* any namespace, view or op */

struct model_key {
  uint32_t space, op, view, top_k, prompt; /* indices */
};

/* The bytes follow from `seed`. */
struct model_value {
  uint64_t seed;
  uint32_t size;
};

struct model_entry {
  bool there;
  uint64_t stamp; /* of the last use: the least is the oldest */
  uint64_t hits;  /* gets since the put */
  uint64_t compute_ns, charge;
  struct model_value value;
};

struct model_counters {
  uint64_t hits, misses, saved_ns, compute_ns;
  uint64_t batches_sent, batched_prompts, max_batch_size;
};

struct model_clear {
  uint32_t view, op;
  uint64_t generation;
};

struct model_space {
  uint64_t max_entries; /* 0: none */
  uint64_t evictions_entries, evictions_bytes;
  struct model_counters counters;
  struct model_clear clears[MODEL_CLEARS];
  size_t n_clears;
};

/* Zero is an empty model. Its user sets max_bytes. */
struct model {
  uint64_t max_bytes, stamp, generation;
  uint64_t puts_kept, puts_stale, puts_too_big, clears, deletes;
  struct model_counters counters; /* of the whole daemon */
  struct model_space spaces[MODEL_SPACES];
  struct model_entry entries[MODEL_KEYS];
  uint64_t deleted[MODEL_KEYS]; /* generation of the latest delete; 0: none */
};

enum model_outcome { MODEL_STORED, MODEL_KEPT, MODEL_STALE, MODEL_TOO_BIG };

struct model_put {
  struct model_key key;
  struct model_value value;
  uint64_t charge; /* UINT64_MAX: does not fit */
  uint64_t compute_ns;
  bool keep_first, recorded;
  bool has_generation; /* `generation` is the model's when its computation began */
  uint64_t generation;
};

/* Returns the number of a key, below MODEL_KEYS. */
uint32_t model_index(struct model_key key);

/* Returns the entry, and promotes it, or NULL. Counts a hit if `recorded`. */
const struct model_entry *model_get(struct model *model, struct model_key key, bool recorded);

enum model_outcome model_put(struct model *model, const struct model_put *put);

/* Counts one call of compute_misses. */
void model_batch(struct model *model, uint32_t space, uint64_t prompts);

/* Returns the number of removed entries. */
uint64_t model_clear(struct model *model, uint32_t space, uint32_t view, uint32_t op);

/* Returns whether there was an entry. */
bool model_delete(struct model *model, struct model_key key);

void model_limit(struct model *model, uint32_t space, uint64_t max_entries);

/* Counts the entries of a namespace, or of all (MODEL_ANY). */
void model_totals(const struct model *model, uint32_t space, uint64_t *entries, uint64_t *bytes);

#endif
