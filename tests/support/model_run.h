/* model_run.h - a run of random operations on a daemon beside a model of it (cache_model.h): the
 * handles, random keys and values, and the comparison. A failure ends the test. */
#ifndef FC_TESTS_MODEL_RUN_H
#define FC_TESTS_MODEL_RUN_H

#include "tests/support/cache_model.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"

#define MODEL_HANDLES 6u
#define MODEL_BATCH_MAX 14u
#define MODEL_MAX_BYTES 65536u /* of all entries, and so of one value too */
#define MODEL_SIZES 14u
#define MODEL_RARE_SIZES 3u

extern const char *const model_space_names[MODEL_SPACES];
extern const char *const model_op_names[MODEL_OPS];
extern const char *const model_view_names[MODEL_VIEWS];
extern const uint32_t model_handle_spaces[MODEL_HANDLES];

/* The last MODEL_RARE_SIZES are rare: one takes half the cache, one does not fit with its metadata,
 * and one exceeds the limit of a value and is not even sent. */
extern const uint32_t model_sizes[MODEL_SIZES];

/* How hits are served. */
struct hit_path {
  const char *name;
  const char *option;   /* of the daemon; NULL: none */
  const char *variable; /* $FCACHE_REGION; NULL: not set */
  bool region;          /* the library serves hits itself */
};

struct model_handle {
  struct fcache *cache;
  uint32_t space;
  struct fcache_counters expected;
  bool has_missed;
  struct model_key missed; /* by the last get that missed */
  /* By key: 1 + the generation of clears when the last get missed, or 0. A put of the key counts as
   * begun then, until it is stored. */
  uint64_t noted[MODEL_KEYS];
};

struct model_run {
  const struct hit_path *path;
  struct daemon daemon;
  struct model_handle handles[MODEL_HANDLES];
  struct model model;
  uint64_t charges[MODEL_SPACES][MODEL_OPS][MODEL_VIEWS]
                  [MODEL_SIZES]; /* UINT64_MAX: does not fit */
  uint64_t random, values_made;
  uint64_t region_hits;                                  /* of handles that are closed */
  uint64_t kept, stale, too_big, many, batches, deleted; /* what happened in the run */
  struct fcache_value value, values[MODEL_BATCH_MAX];
};

extern struct model_run model_run;

uint32_t model_random(uint32_t n); /* below n */
bool model_one_in(uint32_t n);

/* Returns a key of a namespace. Some prompts are far more frequent than others. */
struct model_key model_random_key(uint32_t space);
struct model_value model_random_value(void);
uint64_t model_random_compute_ns(void);

/* Returns the measured charge of a value of one of model_sizes. */
uint64_t model_charge(struct model_key key, uint32_t size);

/* Writes the bytes of a value. No two values share more than their first eight bytes. */
void model_fill(struct fcache_value *to, struct model_value value);
void model_assert_value(const struct fcache_value *got, struct model_value value);

struct fcache_key model_wire_key(struct model_key key);

/* Opens handle i, and limits its namespace unless `max_entries` is 0. */
void model_open_handle(uint32_t i, uint64_t max_entries);

/* Adds the miss of a handle, and removes the misses of keys that were found or stored. */
void model_note_miss(struct model_handle *handle, struct model_key key);
void model_forget_misses(struct model_handle *handle, const struct model_key *keys, size_t n);

/* Sets the generation that puts of these keys carry: the earliest of their misses. */
void model_date_puts(const struct model_handle *handle, const struct model_key *keys, size_t n,
                     struct model_put *put);

uint64_t model_region_hits(const struct model_handle *handle);

/* Compares all counters of the daemon and the handles with the model (model_compare.c). */
void model_run_compare(void);

#endif
