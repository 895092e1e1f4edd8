#include "tests/support/fleet_calls.h"

#include <check.h>
#include <stdio.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"

static int compute(void *arg, struct fcache_value *value) {
  struct fleet_call *call = arg;
  call->computed = true;
  return fcache_value_set(value, &call->key, sizeof call->key);
}

static struct fcache_key key_of(uint32_t number) {
  char prompt[32];
  (void)snprintf(prompt, sizeof prompt, "prompt %u", number);
  return library_key("op", "view", prompt, 0);
}

struct fleet_call fleet_call(struct fcache *cache, uint32_t number) {
  struct fleet_call call = {.key = number};
  struct fcache_value value = {0};
  struct fcache_key key = key_of(number);
  uint64_t start_ns = harness_now_ns();
  ck_assert_int_eq(fcache_cached(cache, &key, compute, &call, &value), FCACHE_OK);
  call.took_ns = harness_now_ns() - start_ns;
  ck_assert_uint_eq(value.size, sizeof number);
  ck_assert_mem_eq(value.data, &number, sizeof number);
  fcache_value_free(&value);
  return call;
}

static int compute_batch(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  int r = 0;
  for (size_t i = 0; i < n && r == 0; i++) {
    uint32_t number = *(const uint32_t *)arg + (uint32_t)misses[i];
    r = fcache_batch_add(batch, &number, sizeof number);
  }
  return r;
}

uint64_t fleet_call_batch(struct fcache *cache, uint32_t first, uint32_t n) {
  struct fcache_value values[FLEET_CALLS_BATCH] = {{0}};
  struct fcache_hash prompts[FLEET_CALLS_BATCH];
  ck_assert_uint_le(n, FLEET_CALLS_BATCH);
  for (uint32_t i = 0; i < n; i++)
    prompts[i] = key_of(first + i).prompt;
  uint64_t start_ns = harness_now_ns();
  ck_assert_int_eq(
      fcache_cached_batch(cache, "op", "view", 0, prompts, n, compute_batch, &first, values),
      FCACHE_OK);
  uint64_t took_ns = harness_now_ns() - start_ns;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t number = first + i;
    ck_assert_uint_eq(values[i].size, sizeof number);
    ck_assert_mem_eq(values[i].data, &number, sizeof number);
    fcache_value_free(&values[i]);
  }
  return took_ns;
}

bool fleet_call_passes(struct fcache *from, struct fcache *to, uint32_t *key) {
  uint32_t number = (*key)++;
  (void)fleet_call(from, number);
  return !fleet_call(to, number).computed;
}
