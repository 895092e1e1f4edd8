/* How a recorded hit is applied: LRU order, counters, trace. */
#include "daemon/rings/hits.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store/store_clear.h"
#include "tests/support/rings_fixture.h"
#include "tests/support/runner.h"

#define SECOND UINT64_C(1000000000)

static struct ring_context context;
static struct hits_account account;
static struct client_clock now;

static void set_up(void) {
  rings_fixture_start();
  context = (struct ring_context){.op_size = 2, .view_size = 4, .names = "opbaseprobe"};
  now = (struct client_clock){.now_ns = 100 * SECOND, .real_ns = 1000 * SECOND};
  account = (struct hits_account){.store = &fix.store,
                                  .ns = fix.ns,
                                  .counters = &fix.totals.counters,
                                  .trace = &fix.traced.trace,
                                  .name_space = fix.ns->name,
                                  .client = fc_str_of("client"),
                                  .origin = 5,
                                  .started_ns = 30 * SECOND,
                                  .time = &fix.time,
                                  .usage = &fix.usage,
                                  .client_usage = &fix.client_usage};
  fix.time.since_ns = 40 * SECOND;
}

static void put(uint32_t n) {
  struct fc_key key = ring_client_key(n);
  struct store_put_info info = {.origin = 3, .compute_ns = 7, .now_ns = 1};
  ck_assert_int_eq(store_put(&fix.store, fix.ns, &key, "v", 1, &info), FC_STORED);
}

static struct ring_hit hit_on(uint32_t n) {
  struct fc_key key = ring_client_key(n);
  struct ring_hit hit = {.record = ring_builder_hit_on(fix.ns->seed, 0, &key), .context = &context};
  hit.record.end_ns = 99 * SECOND;
  hit.record.wall_ns = 10;
  hit.record.compute_ns = 20;
  hit.record.origin = 3;
  return hit;
}

static size_t apply(struct ring_hit *hit) {
  struct hits_account *const accounts[] = {&account};
  size_t counted = hits_count(accounts, &now, hit, 1);
  hits_trace(&account, &now, hit, 1);
  return counted;
}

static struct entry *find(uint32_t n) {
  struct fc_key key = ring_client_key(n);
  return store_peek(&fix.store, fix.ns, &key);
}

static void assert_counted(uint64_t n, uint64_t wall_ns, uint64_t saved_ns, uint64_t shared) {
  const struct counters *sets[] = {&fix.totals.counters, &fix.ns->counters};
  for (int i = 0; i < 2; i++) {
    ck_assert_uint_eq(sets[i]->hits, n);
    ck_assert_uint_eq(sets[i]->scoring_wall_ns, wall_ns);
    ck_assert_uint_eq(sets[i]->saved_wall_ns, saved_ns);
    ck_assert_uint_eq(sets[i]->shared_hits, shared);
    ck_assert_uint_eq(sets[i]->misses, 0);
  }
}

START_TEST(hit_promotes_counts_and_traces) {
  put(1);
  put(2);
  struct ring_hit hit = hit_on(1);
  ck_assert_uint_eq(apply(&hit), 1);
  ck_assert_ptr_eq(store_newest(&fix.store, NULL), find(1));
  ck_assert_ptr_eq(store_newest(&fix.store, fix.ns), find(1));
  ck_assert_uint_eq(find(1)->hits, 1);
  ck_assert_uint_eq(find(1)->last_use_ns, 99 * SECOND);
  ck_assert_uint_eq(fix.ns->last_use_ns, 99 * SECOND);
  assert_counted(1, 10, 20, 1);
  ck_assert_str_eq(traced_text(&fix.traced),
                   "{\"ts\": 999.000000, \"probe\": null, \"view_id\": \"base\", \"prompt_hash\": "
                   "\"00000000000000000000000000000000\", \"top_k\": 1, \"op\": \"op\", "
                   "\"wall_ms\": 0.000010, \"hit\": true, \"namespace\": \"ns\", \"client\": "
                   "\"client\"}\n");
}
END_TEST

START_TEST(hit_with_probe_traced) {
  context.probe_size = 5;
  struct ring_hit hit = hit_on(1);
  (void)apply(&hit); /* 1, as in the other tests */
  ck_assert_uint_eq(traced_count(&fix.traced, "\"probe\": \"probe\""), 1);
}
END_TEST

/* Two contexts more than are rendered at a time, in turns. Then one of them is defined anew. */
START_TEST(each_line_has_its_context) {
  static struct ring_context contexts[6];
  struct ring_hit hits[24];
  const size_t n = sizeof hits / sizeof hits[0];
  char want[64];
  for (size_t i = 0; i < 6; i++) {
    contexts[i] = (struct ring_context){.op_size = 2, .view_size = 3, .names = "opv-"};
    contexts[i].names[4] = (char)('0' + i);
  }
  for (size_t i = 0; i < n; i++) {
    hits[i] = hit_on((uint32_t)i);
    hits[i].record.context = (uint8_t)(i % 6);
    hits[i].context = &contexts[i % 6];
  }
  hits_trace(&account, &now, hits, n);
  contexts[0].names[4] = 'x';
  hits_trace(&account, &now, hits, 1);
  ck_assert_uint_eq(traced_count(&fix.traced, "\n"), n + 1);
  for (size_t i = 0; i < 6; i++) {
    (void)snprintf(want, sizeof want, "\"view_id\": \"v-%zu\"", i);
    ck_assert_uint_eq(traced_count(&fix.traced, want), n / 6);
  }
  ck_assert_uint_eq(traced_count(&fix.traced, "\"view_id\": \"v-x\""), 1);
}
END_TEST

START_TEST(hit_on_own_entry_not_shared) {
  struct ring_hit hit = hit_on(1);
  hit.record.origin = 5;
  ck_assert_uint_eq(apply(&hit), 1);
  assert_counted(1, 10, 20, 0);
}
END_TEST

START_TEST(batch_promotes_in_order) {
  struct ring_hit hits[RING_READER_BATCH];
  struct hits_account *accounts[RING_READER_BATCH];
  for (uint32_t i = 0; i < RING_READER_BATCH; i++)
    put(i);
  for (uint32_t i = 0; i < RING_READER_BATCH; i++) {
    hits[i] = hit_on(RING_READER_BATCH - 1 - i);
    accounts[i] = &account;
  }
  ck_assert_uint_eq(hits_count(accounts, &now, hits, RING_READER_BATCH), RING_READER_BATCH);
  assert_counted(RING_READER_BATCH, RING_READER_BATCH * 10, RING_READER_BATCH * 20,
                 RING_READER_BATCH);
  const struct entry *at = store_oldest(&fix.store, NULL);
  for (uint32_t i = RING_READER_BATCH; i-- > 0; at = store_newer(&fix.store, NULL, at))
    ck_assert_ptr_eq(at, find(i));
}
END_TEST

START_TEST(hit_on_removed_entry_counted) {
  put(1);
  struct store_select all = {0};
  ck_assert_uint_eq(store_clear_all(&fix.store, &all), 1);
  struct ring_hit hit = hit_on(1);
  ck_assert_uint_eq(apply(&hit), 1);
  assert_counted(1, 10, 20, 1);
  ck_assert_uint_eq(traced_count(&fix.traced, "\n"), 1);
  ck_assert_uint_eq(fix.store.entries, 0);
}
END_TEST

START_TEST(hit_on_entry_pending_delete_not_promoted) {
  struct store_clear clear;
  struct store_select all = {0};
  put(1);
  put(2);
  store_clear_start(&fix.store, &clear, &all);
  struct ring_hit hit = hit_on(1);
  ck_assert_uint_eq(apply(&hit), 1);
  ck_assert_uint_eq(entry_key(store_oldest(&fix.store, NULL)).top_k, 1);
  ck_assert(store_clear_step(&fix.store, &clear, 10));
  ck_assert_uint_eq(clear.removed, 2);
}
END_TEST

START_TEST(hit_wrong_digest_promotes_nothing) {
  put(1);
  put(2);
  struct ring_hit hit = hit_on(1);
  hit.record.digest ^= UINT64_C(1) << 63; /* another bucket's */
  ck_assert_uint_eq(apply(&hit), 1);
  ck_assert_uint_eq(find(1)->hits + find(2)->hits, 0);
  assert_counted(1, 10, 20, 1);
}
END_TEST

START_TEST(hit_wrong_hint_found_by_key) {
  put(1);
  put(2);
  store_remove(&fix.store, find(1));
  put(3); /* where 1 was */
  const uint32_t hints[] = {0, 1, 2, 1023, 1024, UINT32_MAX};
  uint64_t n = sizeof hints / sizeof hints[0];
  for (uint64_t i = 0; i < n; i++) {
    struct ring_hit hit = hit_on(2);
    hit.record.origin = (uint64_t)hints[i] << 32 | 3;
    ck_assert_uint_eq(apply(&hit), 1);
    ck_assert_uint_eq(find(2)->hits, i + 1);
  }
  struct ring_hit gone = hit_on(1);
  gone.record.origin = (uint64_t)find(3)->number << 32 | 3;
  ck_assert_uint_eq(apply(&gone), 1);
  ck_assert_uint_eq(find(3)->hits, 0);
  assert_counted(n + 1, 10 * (n + 1), 20 * (n + 1), n + 1);
}
END_TEST

/* What else the record says goes into the trace as written. */
START_TEST(hit_right_hint_checks_digest_only) {
  put(1);
  struct ring_hit hit = hit_on(1);
  hit.record.top_k = 9;
  hit.record.origin = (uint64_t)find(1)->number << 32 | 3;
  ck_assert_uint_eq(apply(&hit), 1);
  ck_assert_uint_eq(find(1)->hits, 1);
  hit.record.origin = (uint64_t)UINT32_MAX << 32 | 3;
  ck_assert_uint_eq(apply(&hit), 1);
  ck_assert_uint_eq(find(1)->hits, 1);
  assert_counted(2, 20, 40, 2);
  ck_assert_uint_eq(traced_count(&fix.traced, "\"top_k\": 9"), 2);
}
END_TEST

START_TEST(unrecorded_hit_only_promotes) {
  put(1);
  put(2);
  struct ring_hit hit = hit_on(1);
  hit.record.flags = FC_RING_UNRECORDED;
  ck_assert_uint_eq(apply(&hit), 0);
  ck_assert_ptr_eq(store_newest(&fix.store, NULL), find(1));
  assert_counted(0, 0, 0, 0);
  ck_assert_str_eq(traced_text(&fix.traced), "");
}
END_TEST

START_TEST(wall_time_bounded_by_connected_time) {
  struct ring_hit hit = hit_on(1);
  hit.record.wall_ns = UINT64_MAX;
  ck_assert_uint_eq(apply(&hit), 1);
  assert_counted(1, 60 * SECOND, 20, 1); /* since it connected */
  hit.record.wall_ns = UINT64_MAX;
  ck_assert_uint_eq(apply(&hit), 1);
  assert_counted(2, 60 * SECOND, 40, 2); /* all of that is charged */
  now.now_ns += SECOND;
  for (int i = 0; i < 3; i++) {
    hit.record.wall_ns = SECOND / 2;
    ck_assert_uint_eq(apply(&hit), 1);
  }
  assert_counted(5, 61 * SECOND, 100, 5);
  ck_assert_uint_eq(traced_count(&fix.traced, "\"wall_ms\": 60000.000000"), 1);
  ck_assert_uint_eq(traced_count(&fix.traced, "\"wall_ms\": 500.000000"), 2);
  ck_assert_uint_eq(traced_count(&fix.traced, "\"wall_ms\": 0.000000"),
                    2); /* the line is the count */
}
END_TEST

/* The daemon started 70 s ago: a whole ring, and a hit each 50 ns since then. */
START_TEST(unrecorded_count_bounded_by_uptime) {
  uint64_t most = FC_RING_SLOTS_MAX + 70 * SECOND / 50;
  ck_assert_uint_eq(hits_count_unrecorded(&account, now.now_ns, 7), 7);
  ck_assert_uint_eq(hits_count_unrecorded(&account, now.now_ns, UINT64_MAX), most - 7);
  ck_assert_uint_eq(hits_count_unrecorded(&account, now.now_ns, UINT64_MAX), 0);
  ck_assert_uint_eq(hits_count_unrecorded(&account, now.now_ns + 500, UINT64_MAX), 10);
}
END_TEST

/* No line of a client is stamped before its previous line, whatever the records say. */
START_TEST(trace_stamps_never_go_back) {
  uint64_t ends[] = {90, 80, 95, 95, 41, 99};
  const char *stamps[] = {"\"ts\": 990.000000", "\"ts\": 995.000000", "\"ts\": 999.000000"};
  const unsigned lines[] = {2, 3, 1};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    struct ring_hit hit = hit_on(1);
    hit.record.end_ns = ends[i] * SECOND;
    ck_assert_uint_eq(apply(&hit), 1);
  }
  for (size_t i = 0; i < 3; i++)
    ck_assert_uint_eq(traced_count(&fix.traced, stamps[i]), lines[i]);
}
END_TEST

START_TEST(compute_time_bounded) {
  struct ring_hit hit = hit_on(1);
  hit.record.compute_ns = UINT64_MAX;
  for (int i = 0; i < 3; i++)
    ck_assert_uint_eq(apply(&hit), 1);
  assert_counted(3, 30, 3 * CLIENT_TIME_COMPUTE_MAX_NS, 3);
}
END_TEST

/* The client is in another time namespace, or lies. */
START_TEST(impossible_time_becomes_now) {
  uint64_t ends[] = {0, fix.time.since_ns - 1, now.now_ns + 1, UINT64_MAX};
  put(1);
  struct ring_hit hit = hit_on(1);
  hit.record.end_ns = ends[_i];
  ck_assert_uint_eq(apply(&hit), 1);
  ck_assert_uint_eq(find(1)->last_use_ns, now.now_ns);
  ck_assert_uint_eq(traced_count(&fix.traced, "\"ts\": 1000.000000"), 1);
}
END_TEST

START_TEST(trace_off_no_events) {
  trace_off(&fix.traced.trace);
  struct ring_hit hit = hit_on(1);
  ck_assert_uint_eq(apply(&hit), 1);
  ck_assert_uint_eq(fix.traced.trace.events, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("hits");
  TCase *tcase = tcase_create("hits");
  tcase_add_checked_fixture(tcase, set_up, rings_fixture_end);
  tcase_add_test(tcase, hit_promotes_counts_and_traces);
  tcase_add_test(tcase, hit_with_probe_traced);
  tcase_add_test(tcase, each_line_has_its_context);
  tcase_add_test(tcase, hit_on_own_entry_not_shared);
  tcase_add_test(tcase, batch_promotes_in_order);
  tcase_add_test(tcase, hit_on_removed_entry_counted);
  tcase_add_test(tcase, hit_on_entry_pending_delete_not_promoted);
  tcase_add_test(tcase, hit_wrong_digest_promotes_nothing);
  tcase_add_test(tcase, hit_wrong_hint_found_by_key);
  tcase_add_test(tcase, hit_right_hint_checks_digest_only);
  tcase_add_test(tcase, unrecorded_hit_only_promotes);
  tcase_add_test(tcase, wall_time_bounded_by_connected_time);
  tcase_add_test(tcase, unrecorded_count_bounded_by_uptime);
  tcase_add_test(tcase, trace_stamps_never_go_back);
  tcase_add_test(tcase, compute_time_bounded);
  tcase_add_loop_test(tcase, impossible_time_becomes_now, 0, 4);
  tcase_add_test(tcase, trace_off_no_events);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
