#include "tests/support/lease_fixture.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "fcache.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/scripted_leases.h"

struct scripted_leases *scripted_leases;

void lease_set_up(void) {
  scripted_leases = scripted_leases_start();
}

void lease_tear_down(void) {
  scripted_leases_stop(scripted_leases);
}

struct fcache *lease_open(uint32_t deadline_ms, uint32_t wait_ms) {
  return scripted_leases_open(scripted_leases->scripted.path, deadline_ms, wait_ms);
}

/* Retries, since the handshake may miss a short deadline on a busy machine. */
struct fcache *lease_open_connected(uint32_t deadline_ms, uint32_t wait_ms) {
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  struct fcache *cache = lease_open(deadline_ms, wait_ms);
  while (!fcache_connected(cache)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    fcache_close(cache);
    cache = lease_open(deadline_ms, wait_ms);
  }
  return cache;
}

struct fcache_key client_lease_key(uint32_t key) {
  return (struct fcache_key){.op = "op", .view = "base", .prompt = lease_prompt(key)};
}

int lease_get(struct fcache *cache, uint32_t number, unsigned flags, uint32_t wait_ms) {
  struct fcache_key key = client_lease_key(number);
  struct fcache_value value = {0};
  char text[32];
  int n = snprintf(text, sizeof text, "value %u", number);
  int rc = fcache_get_wait(cache, &key, flags, wait_ms, &value);
  if (rc == FCACHE_OK) {
    ck_assert_uint_eq(value.size, (size_t)n + scripted_leases->padding);
    ck_assert_mem_eq(value.data, text, (size_t)n);
  }
  fcache_value_free(&value);
  return rc;
}

int client_lease_put(struct fcache *cache, uint32_t number) {
  struct fcache_key key = client_lease_key(number);
  return fcache_put(cache, &key, "x", 1, 1000, 0);
}

int lease_compute(void *arg, struct fcache_value *value) {
  struct lease_compute *compute = arg;
  compute->calls++;
  return compute->error != 0 ? compute->error : fcache_value_set(value, "mine", 4);
}

/* Returns whether it computed. */
bool lease_cached(struct fcache *cache, uint32_t number) {
  struct lease_compute computed = {0};
  struct fcache_key key = client_lease_key(number);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_cached(cache, &key, lease_compute, &computed, &value), FCACHE_OK);
  ck_assert_uint_ge(value.size, 4);
  ck_assert_mem_eq(value.data, computed.calls > 0 ? "mine" : "valu", 4);
  fcache_value_free(&value);
  ck_assert_uint_le(computed.calls, 1);
  return computed.calls == 1;
}

void lease_check_types(const enum fc_type *types, unsigned n) {
  ck_assert_uint_eq(lease_n_seen(scripted_leases), n);
  for (unsigned i = 0; i < n; i++)
    ck_assert_uint_eq(lease_seen(scripted_leases, i).type, types[i]);
}
