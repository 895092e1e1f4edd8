/* The pool of rings: which sizes clients get, and which ring replaces another. */
#include <check.h>

#include "tests/support/rings_fixture.h"
#include "tests/support/runner.h"

static const struct {
  size_t budget_bytes;
  unsigned max_clients;
  uint32_t slots;
} pools[] = {{64u << 20, 1000, FC_RING_SLOTS_MIN},
             {1u << 20, 1000, FC_RING_SLOTS_MIN},
             {64u << 20, 100, 4096},
             {64u << 20, 4, FC_RING_SLOTS_MAX},
             {64u << 20, 1, FC_RING_SLOTS_MAX}};

START_TEST(client_any_pool_gets_base_size) {
  rings_fixture_resize(rings_pool_bytes(pools[_i].budget_bytes, pools[_i].max_clients),
                       pools[_i].max_clients);
  for (unsigned n = 0; n < pools[_i].max_clients; n++) {
    const struct client_ring *ring = rings_fixture_attach("client", n % 2 == 0);
    ck_assert_ptr_nonnull(ring);
    ck_assert_uint_eq(ring->reader.n_slots, pools[_i].slots);
  }
  ck_assert_uint_eq(fix.rings.used_bytes, pools[_i].max_clients * rings_charge(pools[_i].slots));
  ck_assert_uint_le(fix.rings.used_bytes, fix.rings.config.pool_bytes);
}
END_TEST

START_TEST(attach_full_pool_refused) {
  rings_fixture_resize(2 * rings_charge(FC_RING_SLOTS_MIN), 1);
  struct client_ring *one = rings_fixture_attach("client", false),
                     *two = rings_fixture_attach("another", false);
  ck_assert_ptr_nonnull(one);
  ck_assert_ptr_nonnull(two);
  ck_assert_ptr_null(rings_fixture_attach("one more", false));
  ck_assert(fix.rings.refused);
  rings_detach(&fix.rings, two);
  ck_assert_ptr_nonnull(rings_fixture_attach("one more", false));
}
END_TEST

START_TEST(growth_keeps_memory_of_future_clients) {
  enum { CLIENTS = 100 };
  struct ring_client clients[CLIENTS / 2];
  uint32_t slots = FC_RING_SLOTS_MAX;
  rings_fixture_resize(64u << 20, CLIENTS);
  for (int i = 0; i < CLIENTS / 2; i++)
    clients[i] = ring_client_open(rings_fixture_attach("client", true));
  ck_assert(ring_client_grow(&clients[0], FC_RING_SLOTS_MIN) ==
            false); /* no larger ring was requested */
  for (int i = 0; i < CLIENTS / 2; i++) {
    if (!ring_client_grow(&clients[i], FC_RING_SLOTS_MAX))
      break;
    uint32_t grown = clients[i].builder.header->n_slots;
    ck_assert_uint_gt(grown, fix.rings.base_slots);
    ck_assert_uint_le(grown, slots); /* each gets a part of the rest */
    slots = grown;
  }
  ck_assert_uint_gt(clients[3].builder.header->n_slots, fix.rings.base_slots);
  ck_assert_uint_le(fix.rings.used_bytes, fix.rings.config.pool_bytes);
  for (int i = CLIENTS / 2; i < CLIENTS; i++)
    ck_assert_ptr_nonnull(rings_fixture_attach("to come", false));
  ck_assert_uint_le(fix.rings.used_bytes, fix.rings.config.pool_bytes);
  for (int i = 0; i < CLIENTS / 2; i++)
    ring_client_close(&clients[i]);
}
END_TEST

/* A ring cannot be revoked from a client that does not read the state. */
START_TEST(growth_older_client_refused) {
  rings_fixture_resize(64u << 20, 1000);
  struct ring_client one = ring_client_join("one");
  ck_assert(!ring_client_grow(&one, FC_RING_SLOTS_MAX));
  ck_assert(ring_client_grow(&one, 0));
  ck_assert(!one.ring->reader.knows_state);
  ck_assert_uint_eq(one.builder.header->n_slots, FC_RING_SLOTS_MIN);
  ring_client_close(&one);
}
END_TEST

START_TEST(replaced_ring_counts_continue) {
  rings_fixture_resize(64u << 20, 1000);
  struct ring_client one = ring_client_open(rings_fixture_attach("one", true));
  ring_client_hit(&one, 1, 100);
  ck_assert(rings_drain(&fix.rings, one.ring));
  ck_assert(ring_client_grow(&one, FC_RING_SLOTS_MAX));
  ring_client_hit(&one, 101, 1000);
  ck_assert(rings_drain(&fix.rings, one.ring));
  ck_assert_uint_eq(one.ring->account.hits, 1100);
  ck_assert_uint_eq(fix.totals.counters.hits, 1100);
  ck_assert_uint_eq(fix.rings.n, 1);
  ck_assert_uint_eq(fix.rings.used_bytes, rings_charge(one.builder.header->n_slots));
  rings_fixture_check_lines("one", 1100);
  ring_client_close(&one);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rings_pool");
  TCase *tcase = tcase_create("rings_pool");
  tcase_add_checked_fixture(tcase, rings_fixture_start, rings_fixture_end);
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, client_any_pool_gets_base_size, 0, sizeof pools / sizeof pools[0]);
  tcase_add_test(tcase, attach_full_pool_refused);
  tcase_add_test(tcase, growth_keeps_memory_of_future_clients);
  tcase_add_test(tcase, growth_older_client_refused);
  tcase_add_test(tcase, replaced_ring_counts_continue);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
