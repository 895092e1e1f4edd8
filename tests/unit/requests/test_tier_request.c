/* tier through the dispatcher: a daemon without a tier, the fleet and its servers, and pages. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"

#define SECOND UINT64_C(1000000000)
#define SERVERS_MAX 600u

static struct test_client *const one = &test_clients[0];

/* The tier that the source reports. Serials have gaps, as servers come and go. */
static struct {
  struct tier_report report;
  struct fc_histogram reads;
  uint64_t n_servers, now_ns;
} tier;

static uint64_t serial_of(uint64_t i) {
  return 3 * i + 1;
}

static void report(void *arg, uint64_t now_ns, struct tier_report *out) {
  ck_assert_ptr_eq(arg, &tier);
  tier.now_ns = now_ns;
  *out = tier.report;
}

static bool next_server(void *arg, uint64_t after, struct tier_server_report *server) {
  static char address[32];
  uint64_t i = 0;
  ck_assert_ptr_eq(arg, &tier);
  while (i < tier.n_servers && serial_of(i) <= after)
    i++;
  if (i == tier.n_servers)
    return false;
  (void)snprintf(address, sizeof address, "10.0.0.1:%u", (unsigned)i); /* fits */
  *server = (struct tier_server_report){
      .serial = serial_of(i),
      .address = address,
      .role = "primary",
      .slots = 5461,
      .connected = i % 2 == 0,
      .breakers = {{"closed", tier.now_ns - SECOND, ""},
                   {"open", tier.now_ns - 2 * SECOND, "OOM command not allowed"}},
      .in_flight = 7,
      .latencies = {&tier.reads, NULL},
      .reads = 10,
      .hits = 6,
      .misses = 3,
      .writes = 4,
      .timeouts = 5,
      .errors = 1,
      .reconnects = 2,
      .redirects = 8,
  };
  return true;
}

static void set_up(void) {
  static const struct dispatch_options options = {0};
  dispatch_set_up(&options);
  (void)client_hello(one, client_hello_of(FC_PROTOCOL_VERSION));
  memset(&tier, 0, sizeof tier);
  tier.report = (struct tier_report){.url = "redis://cache:6379",
                                     .mode = "read-write",
                                     .prefix = "fcached:",
                                     .namespaces = "*",
                                     .id = "f00d",
                                     .clear_version = 9,
                                     .fills = {1, 2, 3, 4, 5},
                                     .waits = 6,
                                     .queue_entries = 7,
                                     .queue_bytes = 8,
                                     .queue_bytes_max = 16u << 20,
                                     .queue_age_ns = SECOND,
                                     .fills_begun = 100,
                                     .drops = {11, 12, 13, 14}};
}

static void use_tier(void) {
  dispatch.tier = (struct tier_source){report, next_server, &tier};
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
  ck_assert_uint_eq(got.dropped_refused, 13);
  ck_assert_uint_eq(got.dropped_stop, 14);
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
    fc_histogram_add(&tier.reads, i * 1000);
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
  ck_assert_uint_eq(server.read.since_ns, SECOND);
  ck_assert_uint_eq(server.read.error.size, 0);
  ck_assert(fc_str_equal(server.write.state, fc_str_of("open")));
  ck_assert_uint_eq(server.write.since_ns, 2 * SECOND);
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
    tier.reads.cells[cell] = 1000 + cell;
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
  suite_add_tcase(suite, tcase);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
