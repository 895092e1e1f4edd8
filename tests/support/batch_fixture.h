/* batch_fixture.h - runs fcache_cached_batch beside the daemon of lease_fixture.h, and records the
 * computations. A function that cannot do its work fails the test. */
#ifndef FC_TESTS_BATCH_FIXTURE_H
#define FC_TESTS_BATCH_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fcache.h"
#include "tests/support/lease_fixture.h"

#define BATCH_MAX 600u /* prompts of a batch */
#define BATCH_CALLS 8u /* calls of compute_misses */

struct batch_run {
  unsigned calls;
  size_t n[BATCH_CALLS]; /* misses of each call */
  size_t misses[BATCH_CALLS][BATCH_MAX];
  unsigned fails;                    /* number of the call that fails, from 1; 0: none */
  int error;                         /* its result; 0: it adds one value too few */
  const struct fcache_value *values; /* of batch_run_keys */
  size_t n_values;
  uint64_t filled[BATCH_CALLS]; /* a bit for each value that was there at the call */
};

/* A fcache_compute_misses_fn that computes "mine". Its arg is a struct batch_run. */
int batch_compute(void *arg, const size_t *misses, size_t n, struct fcache_batch *out);

/* Runs a batch of these keys, or of keys 0 to n - 1, and checks the values. Returns the result. */
int batch_run_keys(struct fcache *cache, const uint32_t *keys, size_t n, struct batch_run *batch);
int batch_run_first(struct fcache *cache, size_t n, struct batch_run *batch);

/* Sets the daemon's answers for the keys from 0 on (scripted_leases.h). */
void batch_answer(const char *const *answers, size_t n);
#define BATCH_ANSWER(...)                                                                          \
  batch_answer((const char *const[]){__VA_ARGS__},                                                 \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Call `call` must have had exactly these misses. */
void batch_check_call(const struct batch_run *batch, unsigned call, const size_t *want, size_t n);
#define BATCH_CHECK_CALL(batch, call, ...)                                                         \
  batch_check_call(batch, call, (const size_t[]){__VA_ARGS__},                                     \
                   sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

/* Request `i` must have this type and these keys. Returns it. */
struct lease_seen batch_check_seen(unsigned i, enum fc_type type, const uint32_t *keys, uint32_t n);
#define BATCH_CHECK_SEEN(i, type, ...)                                                             \
  batch_check_seen(i, type, (const uint32_t[]){__VA_ARGS__},                                       \
                   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

#endif
