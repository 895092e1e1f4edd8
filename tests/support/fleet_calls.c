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

struct fleet_call fleet_call(struct fcache *cache, uint32_t number) {
  struct fleet_call call = {.key = number};
  struct fcache_value value = {0};
  char prompt[32];
  (void)snprintf(prompt, sizeof prompt, "prompt %u", number);
  struct fcache_key key = library_key("op", "view", prompt, 0);
  uint64_t start_ns = harness_now_ns();
  ck_assert_int_eq(fcache_cached(cache, &key, compute, &call, &value), FCACHE_OK);
  call.took_ns = harness_now_ns() - start_ns;
  ck_assert_uint_eq(value.size, sizeof number);
  ck_assert_mem_eq(value.data, &number, sizeof number);
  fcache_value_free(&value);
  return call;
}

bool fleet_call_passes(struct fcache *from, struct fcache *to, uint32_t *key) {
  uint32_t number = (*key)++;
  (void)fleet_call(from, number);
  return !fleet_call(to, number).computed;
}
