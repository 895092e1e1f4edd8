#include "tests/support/leases_fixture.h"

#include <check.h>
#include <string.h>

struct leases leases;
struct counters counters;
struct namespace space, other_space;
struct lease_client lease_clients[CLIENTS];

static uint32_t last_id;

void leases_fixture_start(void) {
  const struct leases_limits wide = {100000, 100000, 1000, 1000, UINT64_MAX};
  counters = (struct counters){0};
  leases_init(&leases, &wide, &counters);
  namespace_init(&space, fc_str_of("space"), 11, 1);
  namespace_init(&other_space, fc_str_of("other"), 12, 1);
  memset(lease_clients, 0, sizeof lease_clients);
  last_id = 0;
}

void leases_fixture_end(void) {
  leases_check(&leases);
  for (size_t i = 0; i < CLIENTS; i++)
    leases_client_gone(&leases, &lease_clients[i], NOW + WAIT);
  ck_assert_uint_eq(leases.n, 0);
  ck_assert_uint_eq(leases.waits, 0);
  ck_assert_ptr_null(leases_next_due(&leases));
  ck_assert_uint_eq(leases_next_ns(&leases), UINT64_MAX);
  leases_deinit(&leases);
  namespace_deinit(&space);
  namespace_deinit(&other_space);
}

struct fc_key lease_key(uint8_t prompt) {
  struct fc_key key = {.op = fc_str_of("logprob_of"), .view = fc_str_of("base")};
  key.prompt.bytes[0] = prompt;
  return key;
}

struct lease_request lease_request(const struct fc_key *key) {
  return (struct lease_request){.ns = &space,
                                .digest = fc_key_digest(space.seed, key),
                                .key = key,
                                .wants = true,
                                .term_ns = TERM,
                                .wait_ns = WAIT,
                                .id = ++last_id,
                                .flags = FC_LEASE};
}

enum lease_answer lease_acquire(struct lease_client *client, uint8_t prompt) {
  struct fc_key key = lease_key(prompt);
  struct lease_request request = lease_request(&key);
  return leases_acquire(&leases, client, &request, NOW);
}

void lease_put(uint8_t prompt, uint64_t now_ns) {
  struct fc_key key = lease_key(prompt);
  leases_put(&leases, &space, fc_key_digest(space.seed, &key), &key, now_ns);
}

bool lease_give_up(struct lease_client *client, uint8_t prompt, bool for_all, uint64_t now_ns) {
  struct fc_key key = lease_key(prompt);
  return leases_give_up(&leases, client, &space, fc_key_digest(space.seed, &key), &key, for_all,
                        now_ns);
}
