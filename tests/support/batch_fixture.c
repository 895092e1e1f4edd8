#include "tests/support/batch_fixture.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "fcache.h"
#include "tests/support/scripted_leases.h"

int batch_compute(void *arg, const size_t *misses, size_t n, struct fcache_batch *out) {
  struct batch_run *batch = arg;
  ck_assert_uint_lt(batch->calls, BATCH_CALLS);
  batch->n[batch->calls] = n;
  for (size_t i = 0; i < batch->n_values; i++)
    batch->filled[batch->calls] |= (uint64_t)(batch->values[i].size > 0) << i;
  memcpy(batch->misses[batch->calls++], misses, n * sizeof *misses);
  bool fails = batch->calls == batch->fails;
  for (size_t i = fails ? 1 : 0; i < n; i++)
    ck_assert_int_eq(fcache_batch_add(out, "mine", 4), FCACHE_OK);
  return fails ? batch->error : 0;
}

static bool was_computed(const struct batch_run *batch, size_t i) {
  for (unsigned call = 0; call < batch->calls; call++)
    for (size_t at = 0; at < batch->n[call]; at++)
      if (batch->misses[call][at] == i)
        return true;
  return false;
}

int batch_run_keys(struct fcache *cache, const uint32_t *keys, size_t n, struct batch_run *batch) {
  struct fcache_hash prompts[LEASE_KEYS] = {{{0}}};
  struct fcache_value values[LEASE_KEYS] = {{0}};
  for (size_t i = 0; i < n; i++)
    prompts[i] = lease_prompt(keys[i]);
  batch->values = values;
  batch->n_values = n < 64 ? n : 0;
  int rc = fcache_cached_batch(cache, "op", "base", 0, prompts, n, batch_compute, batch, values);
  for (size_t i = 0; i < n; i++) {
    char text[32];
    int size = snprintf(text, sizeof text, "value %u", keys[i]);
    if (rc == FCACHE_OK && was_computed(batch, i)) {
      ck_assert_uint_eq(values[i].size, 4);
      ck_assert_mem_eq(values[i].data, "mine", 4);
    } else if (rc == FCACHE_OK) {
      ck_assert_uint_eq(values[i].size, (size_t)size + scripted_leases->padding);
      ck_assert_mem_eq(values[i].data, text, (size_t)size);
    }
    fcache_value_free(&values[i]);
  }
  return rc;
}

/* Keys 0 to n - 1. */
int batch_run_first(struct fcache *cache, size_t n, struct batch_run *batch) {
  uint32_t keys[LEASE_KEYS];
  for (uint32_t i = 0; i < n; i++)
    keys[i] = i;
  return batch_run_keys(cache, keys, n, batch);
}

void batch_answer(const char *const *answers, size_t n) {
  for (size_t i = 0; i < n; i++)
    scripted_leases->answers[i] = answers[i];
}

void batch_check_call(const struct batch_run *batch, unsigned call, const size_t *want, size_t n) {
  ck_assert_uint_lt(call, batch->calls);
  ck_assert_uint_eq(batch->n[call], n);
  for (size_t at = 0; at < n; at++)
    ck_assert_uint_eq(batch->misses[call][at], want[at]);
}

struct lease_seen batch_check_seen(unsigned i, enum fc_type type, const uint32_t *keys,
                                   uint32_t n) {
  struct lease_seen seen = lease_seen(scripted_leases, i);
  ck_assert_uint_eq(seen.type, type);
  ck_assert_uint_eq(seen.n, n);
  for (uint32_t at = 0; at < n; at++)
    ck_assert_uint_eq(seen.keys[at], keys[at]);
  return seen;
}
