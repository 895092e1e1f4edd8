/* Rings through the dispatcher: hits that are applied before a request. */
#include "daemon/region/heap.h"
#include "tests/support/dispatch_rings.h"
#include "tests/support/runner.h"

static enum dispatch_result get(struct test_client *client, uint32_t n) {
  struct fc_buf request = {0};
  struct fc_get message = {.key = request_key(n)};
  ck_assert_int_eq(fc_encode_get(&request, 1, &message), 0);
  return client_send(client, &request);
}

static enum dispatch_result get_many(struct test_client *client, uint32_t n) {
  struct fc_key key = request_key(n);
  struct fc_buf request = {0};
  struct fc_get_many message = {.key = key, .prompts = key.prompt.bytes, .n = 1};
  ck_assert_int_eq(fc_encode_get_many(&request, 1, &message), 0);
  return client_send(client, &request);
}

static bool stored(uint32_t n) {
  struct fc_key key = request_key(n);
  return store_peek(&store, one->session.ns, &key) != NULL;
}

START_TEST(request_drains_own_ring_first) {
  join(one);
  hit(one, 1);
  ck_assert_int_eq(ping(one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
  ck_assert_uint_eq(ring_builder_used(&one->writer), 0);
}
END_TEST

START_TEST(request_that_reads_counters_drains_all_rings) {
  static const struct fc_clear all = {0};
  static const struct fc_list list = {.limit = 1};
  static const struct fc_page page = {.limit = 1};
  static const struct fc_trace status = {.action = FC_TRACE_STATUS};
  struct fc_buf request = {0};
  join(one);
  join(other);
  hit(other, 1);
  int failed = _i == 0   ? fc_encode_stats(&request, 1, (struct fc_str){0})
               : _i == 1 ? fc_encode_list(&request, 1, &list)
               : _i == 2 ? fc_encode_clear(&request, 1, &all)
               : _i == 3 ? fc_encode_page(&request, FC_NAMESPACES, 1, &page)
                         : fc_encode_trace(&request, 1, &status);
  ck_assert_int_eq(failed, 0);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
}
END_TEST

/* Another client hit entry 1, then the request used entry 2. So entry 1 is evicted first. */
START_TEST(hit_of_another_client_promoted_before_later_request) {
  join(one);
  join(other);
  for (uint32_t n = 1; n <= 2; n++)
    ck_assert_int_eq(put(one, n), DISPATCH_DONE);
  one->session.ns->max_entries = 2;
  hit(other, 1);
  ck_assert_int_eq(_i == 0 ? get(one, 2) : _i == 1 ? get_many(one, 2) : put(one, 2), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, _i == 2 ? 1 : 2);
  ck_assert_int_eq(put(one, 3), DISPATCH_DONE);
  ck_assert(!stored(1) && stored(2) && stored(3));
}
END_TEST

/* A drain of one ring must not apply its hits before older hits of other rings. */
START_TEST(drain_applies_older_hit_of_another_ring_first) {
  join(one);
  join(other);
  for (uint32_t n = 1; n <= 2; n++)
    ck_assert_int_eq(put(one, n), DISPATCH_DONE);
  one->session.ns->max_entries = 2;
  hit(other, 1);
  hit(one, 2);
  if (_i == 0)
    ck_assert_int_eq(ping(one), DISPATCH_DONE);
  else if (_i == 1)
    (void)rings_sweep(&dispatch.rings, 0);
  else
    (void)rings_drain(&dispatch.rings, one->session.ring);
  ck_assert_int_eq(put(other, 3), DISPATCH_DONE);
  ck_assert(!stored(1) && stored(2) && stored(3));
}
END_TEST

START_TEST(put_that_evicts_drains_all_rings) {
  join(one);
  join(other);
  for (uint32_t n = 1; n <= 2; n++)
    ck_assert_int_eq(put(one, n), DISPATCH_DONE);
  one->session.ns->max_entries = 2;
  hit(other, 1); /* so 2 is the oldest */
  ck_assert_int_eq(put(one, 2), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
  hit(other, 1);
  ck_assert_int_eq(put(one, 3), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 2);
  ck_assert(stored(1) && !stored(2) && stored(3));
}
END_TEST

START_TEST(lower_max_entries_drains_all_rings) {
  join(one);
  for (uint32_t n = 1; n <= 3; n++)
    ck_assert_int_eq(put(one, n), DISPATCH_DONE);
  hit(one, 1);
  struct fc_hello hello = client_hello_of(4);
  hello.has_max_entries = true;
  hello.max_entries = 1;
  (void)client_hello(other, hello);
  ck_assert(stored(1) && !stored(2) && !stored(3));
}
END_TEST

START_TEST(eviction_for_bytes_drains_all_rings) {
  struct fc_key key = request_key(1);
  join(one);
  ck_assert_int_eq(put(one, 1), DISPATCH_DONE);
  ck_assert_int_eq(put(one, 2), DISPATCH_DONE);
  store.max_bytes = 2 * heap_charge(&key, 1);
  hit(one, 1);
  (void)client_hello(other, client_hello_of(4));
  ck_assert_int_eq(put(other, 3), DISPATCH_DONE);
  ck_assert(stored(1) && !stored(2) && stored(3));
}
END_TEST

START_TEST(stats_count_hits_by_path) {
  struct fc_buf request = {0};
  struct fc_get get = {.key = request_key(1)};
  join(one);
  ck_assert_int_eq(put(one, 1), DISPATCH_DONE);
  hit(one, 1);
  hit(one, 1);
  atomic_store_explicit(&one->writer.header->unrecorded, 5, memory_order_relaxed);
  ck_assert_int_eq(fc_encode_get(&request, 1, &get), 0);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  ck_assert_int_eq(fc_encode_stats(&request, 1, (struct fc_str){0}), 0);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  struct fc_reply reply = client_last_reply(one);
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;
  static const struct {
    const char *name;
    uint64_t value;
  } want[] = {{"cache_hits", 3}, {"hits_socket", 1},  {"hits_region", 2},
              {"rings", 1},      {"ring_records", 2}, {"hits_unrecorded", 5}};
  unsigned seen = 0;
  while (fc_stats_next(&reply.stats, &walk, &stat) && stat.name_space.data == NULL)
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
      if (fc_str_equal(stat.name, fc_str_of(want[i].name))) {
        ck_assert_msg(stat.integer == want[i].value, "%s", want[i].name);
        seen++;
      }
  ck_assert_uint_eq(seen, sizeof want / sizeof want[0]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("drain_order");
  TCase *tcase = tcase_create("drain_order");
  tcase_add_checked_fixture(tcase, set_up_rings, dispatch_tear_down);
  tcase_add_test(tcase, request_drains_own_ring_first);
  tcase_add_loop_test(tcase, request_that_reads_counters_drains_all_rings, 0, 5);
  tcase_add_loop_test(tcase, hit_of_another_client_promoted_before_later_request, 0, 3);
  tcase_add_loop_test(tcase, drain_applies_older_hit_of_another_ring_first, 0, 3);
  tcase_add_test(tcase, put_that_evicts_drains_all_rings);
  tcase_add_test(tcase, lower_max_entries_drains_all_rings);
  tcase_add_test(tcase, eviction_for_bytes_drains_all_rings);
  tcase_add_test(tcase, stats_count_hits_by_path);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
