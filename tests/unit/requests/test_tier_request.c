/* tier through the dispatcher: a daemon without a tier, the fleet and its servers, and pages. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_tier.h"

#define SECOND UINT64_C(1000000000)
#define SERVERS_MAX 600u

static struct test_client *const one = &test_clients[0];

static struct scripted_tier tier;
static struct fc_histogram reads;

static void set_up(void) {
  static const struct dispatch_options options = {0};
  dispatch_set_up(&options);
  (void)client_hello(one, client_hello_of(FC_PROTOCOL_VERSION));
  memset(&reads, 0, sizeof reads);
  scripted_tier_init(&tier);
  tier.report.clear_version = 9;
  for (unsigned state = 0; state < TIER_FILLS; state++)
    tier.report.fills[state] = 1 + state;
  tier.report.waits = 6;
  tier.report.queue_entries = 7;
  tier.report.queue_bytes = 8;
  tier.report.queue_bytes_max = 16u << 20;
  tier.report.queue_age_ns = SECOND;
  tier.report.fills_begun = 100;
  tier.report.skipped_down = 20;
  tier.report.skipped_full = 3;
  for (unsigned cause = 0; cause < TIER_DROPS; cause++)
    tier.report.drops[cause] = 11 + cause;
  tier.server = (struct tier_server_report){
      .role = "primary",
      .slots = 5461,
      .connected = true,
      .breakers = {{BREAKER_CLOSED, dispatch.started_ns, ""},
                   {BREAKER_OPEN, dispatch.started_ns - SECOND, "OOM command not allowed"}},
      .in_flight = 7,
      .latencies = {&reads, NULL},
      .reads = 10,
      .hits = 6,
      .misses = 3,
      .writes = 4,
      .timeouts = 5,
      .errors = 1,
      .reconnects = 2,
      .redirects = 8,
  };
}

static void use_tier(void) {
  dispatch.tier = scripted_tier_source(&tier);
}

static struct fc_tier_reply request_tier(uint32_t limit, const uint8_t *cursor, uint32_t size) {
  struct fc_tier_request message = {limit, cursor, size};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_tier(&request, 8, &message), 0);
  client_request(one, &request);
  struct fc_reply reply = client_last_reply(one);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_TIER);
  return reply.tier;
}

START_TEST(tier_of_a_daemon_without_one_empty) {
  struct fc_tier_reply reply = request_tier(100, NULL, 0);
  ck_assert_uint_eq(reply.tier.url.size, 0);
  ck_assert_uint_eq(reply.servers.n, 0);
  ck_assert_uint_eq(reply.servers.cursor_size, 0);
}
END_TEST

START_TEST(tier_has_the_configuration_and_the_state_of_the_fleet) {
  use_tier();
  struct fc_tier_entry got = request_tier(100, NULL, 0).tier;
  ck_assert(fc_str_equal(got.url, fc_str_of("redis://cache:6379")));
  ck_assert(fc_str_equal(got.mode, fc_str_of("read-write")));
  ck_assert(fc_str_equal(got.prefix, fc_str_of("fcached:")));
  ck_assert(fc_str_equal(got.namespaces, fc_str_of("*")));
  ck_assert(fc_str_equal(got.id, fc_str_of("f00d")));
  ck_assert_uint_eq(got.clear_version, 9);
  ck_assert_uint_eq(got.asking, 1);
  ck_assert_uint_eq(got.leasing, 2);
  ck_assert_uint_eq(got.offered, 3);
  ck_assert_uint_eq(got.held, 4);
  ck_assert_uint_eq(got.remote, 5);
  ck_assert_uint_eq(got.waits, 6);
  ck_assert_uint_eq(got.queue_entries, 7);
  ck_assert_uint_eq(got.queue_age_ns, SECOND);
  ck_assert_uint_eq(got.fills, 100);
  ck_assert_uint_eq(got.dropped_full, 11);
  ck_assert_uint_eq(got.dropped_old, 12);
  ck_assert_uint_eq(got.dropped_stop, 15);
}
END_TEST

START_TEST(tier_counters_of_the_cache_shown_since_the_start_of_the_daemon) {
  use_tier();
  dispatch.totals->tier = (struct tier_totals){10, 9, 8, 7, 6, 5};
  dispatch.at_start.tier = (struct tier_totals){1, 2, 3, 4, 5, 0};
  struct fc_tier_entry got = request_tier(100, NULL, 0).tier;
  ck_assert_uint_eq(got.hits, 9);
  ck_assert_uint_eq(got.misses, 7);
  ck_assert_uint_eq(got.bad_values, 5);
  ck_assert_uint_eq(got.writes, 3);
  ck_assert_uint_eq(got.kept, 1);
}
END_TEST

START_TEST(tier_server_has_its_breakers_times_and_counters) {
  static struct fc_tier_server_entry server;
  tier.n_servers = 1;
  for (unsigned i = 1; i <= 100; i++)
    fc_histogram_add(&reads, i * 1000);
  use_tier();
  struct fc_tier_reply reply = request_tier(100, NULL, 0);
  ck_assert_uint_eq(reply.servers.n, 1);
  ck_assert_uint_eq(reply.servers.cursor_size, 0);
  fc_tier_servers_next(&reply.servers, &server);
  ck_assert(fc_str_equal(server.address, fc_str_of("10.0.0.1:0")));
  ck_assert(fc_str_equal(server.role, fc_str_of("primary")));
  ck_assert_uint_eq(server.slots, 5461);
  ck_assert(server.connected);
  ck_assert_uint_eq(server.in_flight, 7);
  ck_assert(fc_str_equal(server.read.state, fc_str_of("closed")));
  ck_assert_uint_eq(server.read.since_ns, tier.now_ns - dispatch.started_ns);
  ck_assert_uint_eq(server.read.error.size, 0);
  ck_assert(fc_str_equal(server.write.state, fc_str_of("open")));
  ck_assert_uint_eq(server.write.since_ns, tier.now_ns - dispatch.started_ns + SECOND);
  ck_assert(fc_str_equal(server.write.error, fc_str_of("OOM command not allowed")));
  ck_assert_uint_eq(server.read.times.count, 100);
  ck_assert_uint_eq(server.read.times.max_ns, 100000);
  ck_assert_uint_eq(server.write.times.count, 0);
  ck_assert_uint_eq(server.reads, 10);
  ck_assert_uint_eq(server.hits, 6);
  ck_assert_uint_eq(server.misses, 3);
  ck_assert_uint_eq(server.writes, 4);
  ck_assert_uint_eq(server.timeouts, 5);
  ck_assert_uint_eq(server.errors, 1);
  ck_assert_uint_eq(server.reconnects, 2);
  ck_assert_uint_eq(server.redirects, 8);
}
END_TEST

/* With full histograms a page is bounded by its bytes, and with a small limit by that. */
START_TEST(tier_pages_have_each_server_once) {
  static struct fc_tier_server_entry server;
  static const uint32_t limits[] = {1, 7, SERVERS_MAX, UINT32_MAX};
  tier.n_servers = SERVERS_MAX;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++)
    reads.cells[cell] = 1000 + cell;
  use_tier();
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    uint8_t cursor[64];
    uint32_t size = 0, n = 0;
    do {
      struct fc_tier_reply reply = request_tier(limits[i], cursor, size);
      ck_assert_uint_le(reply.servers.n, limits[i]);
      ck_assert_uint_lt(client_last_size(one), FC_FRAME_SLACK);
      size = reply.servers.cursor_size;
      memcpy(cursor, reply.servers.cursor, size);
      for (; reply.servers.n > 0; n++) {
        char address[32];
        fc_tier_servers_next(&reply.servers, &server);
        (void)snprintf(address, sizeof address, "10.0.0.1:%u", n); /* fits */
        ck_assert(fc_str_equal(server.address, fc_str_of(address)));
      }
    } while (size > 0);
    ck_assert_uint_eq(n, SERVERS_MAX);
  }
}
END_TEST

START_TEST(tier_wrong_cursor_refused) {
  struct fc_tier_request message = {1, (const uint8_t *)"three", 5};
  struct fc_buf request = {0};
  use_tier();
  ck_assert_int_eq(fc_encode_tier(&request, 8, &message), 0);
  client_request(one, &request);
  struct fc_reply reply = client_last_reply(one);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_EINVAL);
}
END_TEST

/* ---- statistics ---- */

/* Finds a statistic of the daemon. Returns false if there is none. */
static bool find_stat(const char *name, struct fc_stat *stat) {
  struct fc_buf request = {0};
  struct fc_stats_walk walk = {0};
  ck_assert_int_eq(fc_encode_stats(&request, 1, fc_str_of(NULL)), 0);
  client_request(one, &request);
  struct fc_reply reply = client_last_reply(one);
  while (fc_stats_next(&reply.stats, &walk, stat))
    if (fc_str_equal(stat->name, fc_str_of(name)))
      return true;
  return false;
}

static uint64_t integer_of(const char *name) {
  struct fc_stat stat;
  ck_assert_msg(find_stat(name, &stat), "%s is missing", name);
  ck_assert_int_eq(stat.kind, FC_STAT_UINT);
  return stat.integer;
}

START_TEST(statistics_of_the_tier_absent_without_one) {
  struct fc_stat stat;
  ck_assert(!find_stat("tier_servers", &stat));
  ck_assert(!find_stat("tier_hits", &stat));
  ck_assert(!find_stat("daemon_tier_hits", &stat));
}
END_TEST

START_TEST(statistics_of_the_tier_add_up_its_servers) {
  struct fc_stat stat;
  tier.n_servers = 3;
  use_tier();
  dispatch.totals->tier = (struct tier_totals){10, 9, 8, 7, 6, 5};
  dispatch.at_start.tier = (struct tier_totals){1, 2, 3, 4, 5, 0};
  ck_assert_uint_eq(integer_of("tier_servers"), 3);
  ck_assert_uint_eq(integer_of("tier_open"), 3);
  ck_assert_uint_eq(integer_of("tier_timeouts"), 15);
  ck_assert_uint_eq(integer_of("tier_errors"), 3);
  ck_assert_uint_eq(integer_of("tier_reconnects"), 6);
  ck_assert_uint_eq(integer_of("tier_hits"), 10);
  ck_assert_uint_eq(integer_of("daemon_tier_hits"), 9);
  ck_assert_uint_eq(integer_of("tier_writes_dropped"), 5);
  ck_assert_uint_eq(integer_of("tier_fleet_leases"), 3 + 4);
  ck_assert_uint_eq(integer_of("tier_remote_waits"), 5);
  ck_assert_uint_eq(integer_of("tier_fills_skipped"), 23);
  ck_assert(find_stat("tier_queue_age_s", &stat));
  ck_assert(stat.real == 1);
  tier.server.breakers[TIER_WRITES].state = BREAKER_CLOSED;
  ck_assert_uint_eq(integer_of("tier_open"), 0);
  tier.server.breakers[TIER_READS].state = BREAKER_HALF_OPEN; /* is used */
  ck_assert_uint_eq(integer_of("tier_open"), 0);
  tier.server.breakers[TIER_READS].state = BREAKER_OPEN;
  ck_assert_uint_eq(integer_of("tier_open"), 3);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("tier_request");
  TCase *tcase = tcase_create("tier");
  tcase_add_checked_fixture(tcase, set_up, dispatch_tear_down);
  tcase_add_test(tcase, tier_of_a_daemon_without_one_empty);
  tcase_add_test(tcase, tier_has_the_configuration_and_the_state_of_the_fleet);
  tcase_add_test(tcase, tier_counters_of_the_cache_shown_since_the_start_of_the_daemon);
  tcase_add_test(tcase, tier_server_has_its_breakers_times_and_counters);
  tcase_add_test(tcase, tier_pages_have_each_server_once);
  tcase_add_test(tcase, tier_wrong_cursor_refused);
  tcase_add_test(tcase, statistics_of_the_tier_absent_without_one);
  tcase_add_test(tcase, statistics_of_the_tier_add_up_its_servers);
  suite_add_tcase(suite, tcase);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
