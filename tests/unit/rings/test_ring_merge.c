/* The order in which the hits of several rings are applied. */
#include <check.h>

#include "tests/support/rings_fixture.h"
#include "tests/support/runner.h"

static void put_keys(uint32_t n) {
  struct store_put_info info = {.now_ns = 1};
  for (uint32_t i = 1; i <= n; i++) {
    struct fc_key key = ring_client_key(i);
    ck_assert_int_eq(store_put(&fix.store, fix.ns, &key, "v", 1, &info), FC_STORED);
  }
}

/* The entries are those of these keys, in this order from the least recently used, and no others.
 */
static void assert_order(const uint32_t *keys, uint32_t n) {
  const struct entry *at = store_oldest(&fix.store, NULL);
  for (uint32_t i = 0; i < n; i++, at = store_newer(&fix.store, NULL, at)) {
    struct fc_key key = ring_client_key(keys[i]);
    const struct entry *entry = store_peek(&fix.store, fix.ns, &key);
    ck_assert_ptr_nonnull(entry);
    ck_assert_msg(at == entry, "another entry is in the place of %u", keys[i]);
  }
  ck_assert_uint_eq(fix.store.entries, n);
}

/* Keys 1, 2, ... are hit in that order by the clients, and a context comes between now and then. */
static void hit_in_turns(struct ring_client *clients, uint32_t n_clients, uint32_t n_keys) {
  for (uint32_t i = 1; i <= n_keys; i++) {
    struct ring_client *client = &clients[i * i / 3 % n_clients];
    if (i % 11 == 0)
      ring_builder_context(&client->builder, 0, "op", "base", "probe");
    ring_client_hit_at(client, i, 1000 + i);
  }
  for (uint32_t i = 0; i < n_clients; i++)
    ring_builder_publish(&clients[i].builder);
}

/* Read by a request, a clear, the timer, or an end. */
START_TEST(several_rings_any_reading_order_exact) {
  enum { KEYS = 500, CLIENTS = 5 };
  uint32_t keys[KEYS];
  struct ring_client clients[CLIENTS];
  for (int i = 0; i < CLIENTS; i++)
    clients[i] = ring_client_join("client");
  put_keys(KEYS);
  hit_in_turns(clients, CLIENTS, KEYS);
  if (_i == 0)
    ck_assert(rings_drain(&fix.rings, clients[0].ring));
  else if (_i == 1)
    rings_drain_all(&fix.rings);
  else if (_i == 2)
    (void)rings_sweep(&fix.rings, 0);
  else
    rings_detach(&fix.rings, clients[0].ring);
  for (uint32_t i = 0; i < KEYS; i++)
    keys[i] = i + 1;
  assert_order(keys, KEYS);
  ck_assert_uint_eq(fix.totals.counters.hits, KEYS);
  ck_assert_uint_eq(traced_count(&fix.traced, "\n"), KEYS);
  for (int i = 0; i < CLIENTS; i++)
    ring_client_close(&clients[i]);
}
END_TEST

START_TEST(trace_behind_eviction_order_exact) {
  struct ring_client clients[] = {ring_client_join("a"), ring_client_join("b"),
                                  ring_client_join("c")};
  put_keys(90);
  uint32_t keys[90];
  for (uint32_t i = 0; i < 90; i++) {
    keys[i] = i % 3 * 30 + i / 3 + 1; /* the first client has 1 to 30 */
    ring_client_hit_at(&clients[i % 3], keys[i], 1000 + i);
  }
  for (int i = 0; i < 3; i++)
    ring_builder_publish(&clients[i].builder);
  traced_fall_behind(&fix.traced);
  rings_drain_before_eviction(&fix.rings);
  assert_order(keys, 90);
  ck_assert_uint_eq(traced_count(&fix.traced, "\n"), 90);
  rings_fixture_check_lines("a", 30);
  for (int i = 0; i < 3; i++)
    ring_client_close(&clients[i]);
}
END_TEST

/* Whatever times a client records, its own hits keep their order, and so do those of the others. */
START_TEST(false_times_move_own_hits_only) {
  static const uint64_t lies[][3] = {
      {0, 0, 0}, {UINT64_MAX, UINT64_MAX, UINT64_MAX}, {900, 20, 1}, {UINT64_MAX, 0, 15}};
  struct ring_client liar = ring_client_join("liar"), one = ring_client_join("one"),
                     two = ring_client_join("two");
  put_keys(7);
  for (uint32_t i = 0; i < 3; i++)
    ring_client_hit_at(&liar, 1 + i, lies[_i][i]);
  ring_client_hit_at(&one, 4, 10);
  ring_client_hit_at(&two, 5, 20);
  ring_client_hit_at(&one, 6, 30);
  ring_client_hit_at(&two, 7, 40);
  ring_builder_publish(&liar.builder);
  ring_builder_publish(&one.builder);
  ring_builder_publish(&two.builder);
  rings_drain_all(&fix.rings);
  ck_assert_ptr_null(rings_error(liar.ring));
  ck_assert_uint_eq(fix.totals.counters.hits, 7);
  uint32_t last_of_liar = 0, last_of_others = 3;
  for (const struct entry *at = store_oldest(&fix.store, NULL); at != NULL;
       at = store_newer(&fix.store, NULL, at))
    for (uint32_t n = 1; n <= 7; n++) {
      struct fc_key key = ring_client_key(n);
      if (at != store_peek(&fix.store, fix.ns, &key))
        continue;
      uint32_t *last = n <= 3 ? &last_of_liar : &last_of_others;
      ck_assert_uint_eq(n, *last + 1);
      *last = n;
    }
  ck_assert_uint_eq(last_of_liar + last_of_others, 10);
  ring_client_close(&liar);
  ring_client_close(&one);
  ring_client_close(&two);
}
END_TEST

/* The hits before the malformed record keep their place among the others. */
START_TEST(malformed_record_others_continue) {
  static const uint32_t keys[] = {1, 2, 3, 4, 5};
  struct ring_client bad = ring_client_join("bad"), one = ring_client_join("one"),
                     two = ring_client_join("two");
  put_keys(5);
  ring_client_hit_at(&one, 1, 10);
  ring_client_hit_at(&bad, 2, 20);
  ring_client_hit_with_bad_flags(&bad);
  ring_client_hit_at(&bad, 5, 25);
  ring_client_hit_at(&two, 3, 30);
  ring_client_hit_at(&one, 4, 40);
  ring_client_hit_at(&two, 5, 50);
  ring_builder_publish(&bad.builder);
  ring_builder_publish(&one.builder);
  ring_builder_publish(&two.builder);
  rings_drain_all(&fix.rings);
  ck_assert_ptr_nonnull(rings_error(bad.ring));
  ck_assert_ptr_null(rings_error(one.ring));
  ck_assert_uint_eq(fix.totals.counters.hits, 5);
  assert_order(keys, 5);
  ring_client_close(&bad);
  ring_client_close(&one);
  ring_client_close(&two);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ring_merge");
  TCase *tcase = tcase_create("ring_merge");
  tcase_add_checked_fixture(tcase, rings_fixture_start, rings_fixture_end);
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, several_rings_any_reading_order_exact, 0, 4);
  tcase_add_test(tcase, trace_behind_eviction_order_exact);
  tcase_add_loop_test(tcase, false_times_move_own_hits_only, 0, 4);
  tcase_add_test(tcase, malformed_record_others_continue);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
