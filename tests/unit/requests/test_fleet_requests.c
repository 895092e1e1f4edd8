/* Requests that ask the fleet: parked gets, their replies and their records; puts; and what happens
 * to a parked session. Those of many keys are in test_fleet_batches.c. */
#include <string.h>

#include "daemon/requests/handlers.h"
#include "tests/support/dispatch_fleet.h"
#include "tests/support/dispatch_leases.h"
#include "tests/support/runner.h"

#define WAIT_MS 60000u
#define SIZE 40u

static struct test_client *const one = &test_clients[0], *const two = &test_clients[1],
                                 *const old = &test_clients[DISPATCH_CLIENTS - 1];
static struct latency latency;

static void set_up(void) {
  dispatch_set_up(&(struct dispatch_options){.traced = true});
  latency_reset(&latency, 1);
  dispatch.latency = &latency;
  dispatch_fleet_start();
}

static void tear_down(void) {
  dispatch_fleet_stop();
  dispatch_tear_down();
}

static const struct counters *counts(void) {
  return &one->session.ns->counters;
}

/* Sends a get that asks, and runs it again when its fill is resolved. */
static void ask(struct test_client *client, uint8_t n, uint32_t wait_ms) {
  struct fc_buf request = dispatch_fleet_park(client, n, wait_ms);
  dispatch_fleet_settle();
  ck_assert_int_eq(dispatch_fleet_resume(client, &request), DISPATCH_DONE);
}

/* ---- hits ---- */

START_TEST(value_of_tier_is_shared_hit_that_saved_its_time) {
  dispatch_fleet_publish(1, SIZE);
  uint64_t before_ns = call_clock_ns();
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  uint64_t parked_ns = dispatch.ended_ns;
  dispatch_fleet_settle();
  uint64_t resumed_ns = call_clock_ns();
  ck_assert_int_eq(dispatch_fleet_resume(one, &request), DISPATCH_DONE);
  expect_hit(one, 1, SIZE);
  ck_assert_uint_eq(counts()->hits, 1);
  ck_assert_uint_eq(counts()->shared_hits, 1);
  ck_assert_uint_eq(counts()->coalesced_hits, 0);
  ck_assert_uint_eq(counts()->misses, 0);
  ck_assert_uint_eq(counts()->saved_wall_ns, DISPATCH_COMPUTE_NS);
  ck_assert_uint_ge(counts()->scoring_wall_ns, resumed_ns - parked_ns);
  ck_assert_uint_le(counts()->scoring_wall_ns, call_clock_ns() - before_ns);
  ck_assert_uint_eq(fleet.counts.found, 1);
  ck_assert_uint_eq(one->session.times.tier_ns, 0); /* a next request begins anew */
}
END_TEST

START_TEST(parked_time_is_measured_as_wait_for_tier) {
  dispatch_fleet_publish(1, SIZE);
  uint64_t before_ns = call_clock_ns();
  one->session.times.arrived_ns = before_ns;
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  uint64_t parked_ns = one->session.times.parked_ns;
  while (call_clock_ns() < parked_ns + 3000000)
    ;
  dispatch_fleet_settle();
  ck_assert_int_eq(dispatch_fleet_resume(one, &request), DISPATCH_DONE);
  ck_assert_uint_eq(latency.kinds[LATENCY_TIER].count, 1);
  ck_assert_uint_ge(latency.kinds[LATENCY_TIER].max_ns, 3000000);
  ck_assert_uint_eq(latency.kinds[LATENCY_HIT].count, 1);
  ck_assert_uint_ge(latency.kinds[LATENCY_HIT].max_ns, latency.kinds[LATENCY_TIER].max_ns);
  ck_assert_uint_le(latency.kinds[LATENCY_SERVE].max_ns, call_clock_ns() - before_ns - 3000000);
  get(one, 1, 0); /* a hit that asks nothing */
  ck_assert_uint_eq(latency.kinds[LATENCY_TIER].count, 1);
}
END_TEST

/* A get without a wish for the lease computes in any case, and so does a client that knows none. */
START_TEST(get_without_lease_asks_nothing) {
  struct fc_buf request = {0};
  (void)client_hello(old, client_hello_of(2));
  ck_assert_int_eq(fc_encode_get(&request, 1, &(struct fc_get){.key = request_key(1)}), 0);
  client_request(one, &request);
  expect_miss(one, 1, FC_LEASE_NONE);
  get(old, 1, 0);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 0);
}
END_TEST

/* ---- misses ---- */

START_TEST(miss_of_fleet_grants_lease_and_put_is_published) {
  ask(one, 1, WAIT_MS);
  expect_miss(one, 1, FC_LEASE_GRANTED);
  ck_assert(dispatch_fleet_has(1, FLEET_KEY_LEASE));
  get(two, 1, WAIT_MS); /* the key has its fill: nothing to ask */
  ck_assert(!client_has_reply(two));
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 1);
  ck_assert_int_eq(put(one, 1, SIZE).put, FC_STORED);
  expect_hit(two, 1, SIZE);
  ck_assert_uint_eq(counts()->coalesced_hits, 1);
  dispatch_fleet_settle();
  ck_assert(dispatch_fleet_has(1, FLEET_KEY_VALUE));
  ck_assert(!dispatch_fleet_has(1, FLEET_KEY_LEASE));
  ck_assert_uint_eq(counts()->leases_granted, 1);
}
END_TEST

START_TEST(workers_parked_together_compute_once) {
  struct fc_buf requests[3];
  for (unsigned i = 0; i < 3; i++)
    requests[i] = dispatch_fleet_park(&test_clients[i], 1, WAIT_MS);
  dispatch_fleet_settle();
  for (unsigned i = 0; i < 3; i++)
    ck_assert_int_eq(dispatch_fleet_resume(&test_clients[i], &requests[i]), DISPATCH_DONE);
  expect_miss(one, 1, FC_LEASE_GRANTED);
  ck_assert_uint_eq(dispatch.leases.waits, 2);
  ck_assert_int_eq(put(one, 1, SIZE).put, FC_STORED);
  expect_hit(two, 1, SIZE);
  expect_hit(&test_clients[2], 1, SIZE);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 1);
}
END_TEST

START_TEST(owner_that_dies_hands_fleet_lease_to_waiter) {
  ask(one, 1, WAIT_MS);
  (void)client_reply(one);
  get(two, 1, WAIT_MS);
  client_disconnect(one);
  expect_miss(two, 1, FC_LEASE_GRANTED);
  dispatch_fleet_settle();
  ck_assert(dispatch_fleet_has(1, FLEET_KEY_LEASE));
  client_disconnect(two);
  dispatch_fleet_settle();
  ck_assert(!dispatch_fleet_has(1, FLEET_KEY_LEASE)); /* other nodes need not wait */
}
END_TEST

START_TEST(put_without_lease_is_published_and_kept_one_is_not) {
  ck_assert_int_eq(put(one, 1, SIZE).put, FC_STORED);
  dispatch_fleet_settle();
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_PUBLISH], 1);
  ck_assert_int_eq(put(two, 1, SIZE).put, FC_KEPT);
  dispatch_fleet_settle();
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_PUBLISH], 1);
}
END_TEST

/* ---- other nodes ---- */

START_TEST(value_of_other_node_ends_wait) {
  dispatch_fleet_lease(1, true);
  ask(one, 1, WAIT_MS);
  ck_assert(!client_has_reply(one)); /* it waits for the lease, which the fleet owns */
  ck_assert_uint_eq(dispatch.fleet_client.held, 1);
  ck_assert_uint_eq(counts()->leases_granted, 0);
  dispatch_fleet_publish(1, SIZE);
  dispatch_fleet_poll();
  expect_hit(one, 1, SIZE);
  ck_assert_uint_eq(counts()->shared_hits, 1);
  ck_assert_uint_eq(counts()->coalesced_hits, 1);
  ck_assert_uint_eq(counts()->leases_granted + counts()->leases_abandoned, 0);
  ck_assert_uint_eq(dispatch.fleet_client.held, 0);
}
END_TEST

/* The time that it was parked before it waited for the lease counts too, and only once. */
START_TEST(wait_for_other_node_counts_from_first_attempt) {
  dispatch_fleet_lease(1, true);
  uint64_t before_ns = call_clock_ns();
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  uint64_t parked_ns = dispatch.ended_ns;
  while (call_clock_ns() < parked_ns + 3000000)
    ;
  dispatch_fleet_settle();
  ck_assert_int_eq(dispatch_fleet_resume(one, &request), DISPATCH_DONE);
  dispatch_fleet_publish(1, SIZE);
  dispatch_fleet_poll();
  expect_hit(one, 1, SIZE);
  ck_assert_uint_ge(counts()->scoring_wall_ns, 3000000 + 1500000); /* and most of a poll's time */
  ck_assert_uint_le(counts()->scoring_wall_ns, call_clock_ns() - before_ns);
  ck_assert_uint_eq(counts()->lease_wait_ns, counts()->scoring_wall_ns);
  ck_assert_uint_eq(latency.kinds[LATENCY_TIER].count, 1);
  ck_assert_uint_eq(latency.kinds[LATENCY_LEASE_WAIT].count, 1);
  ck_assert_uint_ge(latency.kinds[LATENCY_LEASE_WAIT].max_ns, counts()->lease_wait_ns);
}
END_TEST

START_TEST(lease_that_other_node_releases_goes_to_waiter) {
  dispatch_fleet_lease(1, true);
  ask(one, 1, WAIT_MS);
  dispatch_fleet_lease(1, false);
  dispatch_fleet_poll();
  expect_miss(one, 1, FC_LEASE_GRANTED);
  ck_assert(dispatch_fleet_has(1, FLEET_KEY_LEASE));
  ck_assert_int_eq(put(one, 1, SIZE).put, FC_STORED);
  dispatch_fleet_settle();
  ck_assert(dispatch_fleet_has(1, FLEET_KEY_VALUE));
}
END_TEST

START_TEST(listings_name_other_node) {
  struct fc_buf frame = {0};
  struct fc_lease_entry lease;
  struct fc_client_entry client = {0};
  dispatch_fleet_lease(1, true);
  ask(one, 1, WAIT_MS);
  ck_assert_int_eq(fc_encode_page(&frame, FC_LEASES, 400, &(struct fc_page){.limit = 10}), 0);
  client_request(two, &frame);
  struct fc_reply reply = client_reply(two);
  ck_assert_uint_eq(reply.list.n, 1);
  fc_leases_next(&reply.list, &lease);
  ck_assert(fc_str_equal(lease.client, fc_str_of("(another node)")));
  ck_assert_uint_eq(lease.client_id, 0);
  ck_assert_uint_eq(lease.waits, 1);
  ck_assert_int_eq(fc_encode_page(&frame, FC_CLIENTS, 401, &(struct fc_page){.limit = 10}), 0);
  client_request(two, &frame);
  reply = client_reply(two);
  fc_clients_next(&reply.list, &client); /* the first is one */
  ck_assert(fc_str_equal(client.wait.owner, fc_str_of("(another node)")));
  ck_assert_uint_eq(client.tier_waits, 1);
  fc_clients_next(&reply.list, &client);
  ck_assert_uint_eq(client.tier_waits, 0);
}
END_TEST

START_TEST(parked_request_listed_as_wait_for_tier) {
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS), frame = {0};
  struct fc_client_entry client = {0};
  ck_assert_int_eq(fc_encode_page(&frame, FC_CLIENTS, 401, &(struct fc_page){.limit = 10}), 0);
  client_request(two, &frame);
  struct fc_reply reply = client_reply(two);
  fc_clients_next(&reply.list, &client); /* the first is one */
  ck_assert_uint_eq(client.tier_waits, 1);
  ck_assert_uint_eq(client.waits, 0);
  dispatch_fleet_settle();
  ck_assert_int_eq(dispatch_fleet_resume(one, &request), DISPATCH_DONE);
}
END_TEST

/* Only the first hit on a value says that it came from the tier. */
START_TEST(hit_on_value_of_tier_is_event_of_its_own) {
  static const uint32_t details[] = {FC_HIT_TIER, FC_HIT_MESSAGE};
  struct fc_buf frame = {0};
  struct fc_event event;
  ck_assert_int_eq(fc_encode_watch(&frame, 500, &(struct fc_watch){.kinds = 1u << FC_EVENT_HIT}),
                   0);
  client_request(two, &frame);
  (void)client_reply(two);
  dispatch_fleet_publish(1, SIZE);
  ask(one, 1, WAIT_MS);
  expect_hit(one, 1, SIZE);
  struct fc_buf again = dispatch_fleet_get(1, WAIT_MS);
  client_request(one, &again);
  expect_hit(one, 1, SIZE);
  ck_assert_int_eq(fc_encode_events(&frame, 501, &(struct fc_events_request){0}), 0);
  client_request(two, &frame);
  struct fc_reply reply = client_reply(two);
  ck_assert_uint_eq(reply.list.n, 2);
  for (size_t i = 0; i < 2; i++) {
    fc_events_next(&reply.list, &event);
    ck_assert_uint_eq(event.detail, details[i]);
  }
}
END_TEST

/* ---- a parked session ---- */

START_TEST(parked_request_stays_parked_if_dispatched_early) {
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  for (unsigned i = 0; i < 3; i++)
    ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_RETRY);
  ck_assert(one->session.waits_for_fleet);
  ck_assert_uint_eq(fleet.n_parked, 1);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 1);
  dispatch_fleet_settle();
  ck_assert_int_eq(dispatch_fleet_resume(one, &request), DISPATCH_DONE);
  expect_miss(one, 1, FC_LEASE_GRANTED);
}
END_TEST

START_TEST(put_meanwhile_is_hit_that_leaves_fill) {
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  ck_assert_int_eq(put(two, 1, SIZE).put, FC_STORED);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  expect_hit(one, 1, SIZE);
  ck_assert_uint_eq(fleet.n_parked, 0);
  dispatch_fleet_settle();
  ck_assert_uint_eq(one->resumes, 0);
}
END_TEST

START_TEST(request_asks_once_and_goes_on_at_deadline) {
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  dispatch_fleet_be_late();
  ck_assert_int_eq(dispatch_fleet_resume(one, &request), DISPATCH_DONE);
  expect_miss(one, 1, FC_LEASE_GRANTED);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 1);
  ck_assert_uint_eq(fleet.counts.late, 1);
  get(two, 1, WAIT_MS); /* local workers share it as without a tier */
  ck_assert_int_eq(put(one, 1, SIZE).put, FC_STORED);
  expect_hit(two, 1, SIZE);
}
END_TEST

START_TEST(tier_that_is_down_costs_nothing) {
  fake_io.is_down = true;
  get(one, 1, WAIT_MS);
  expect_miss(one, 1, FC_LEASE_GRANTED);
  ck_assert_uint_eq(latency.kinds[LATENCY_TIER].count, 0);
  fake_io.is_down = false;
}
END_TEST

START_TEST(client_that_leaves_is_not_resumed) {
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  client_disconnect(one);
  ck_assert_uint_eq(fleet.n_parked, 0);
  dispatch_fleet_settle();
  fc_buf_free(&request);
}
END_TEST

START_TEST(request_of_peer_that_is_gone_leaves_fill) {
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  one->sink.peer_gone = true;
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  ck_assert_uint_eq(fleet.n_parked, 0);
  ck_assert_uint_eq(one->session.asking.keys, 0);
  ck_assert_uint_eq(one->session.leases.sharing.n, 0);
}
END_TEST

START_TEST(stop_resumes_parked_and_ends_leases_of_other_nodes) {
  dispatch_fleet_lease(2, true);
  ask(two, 2, WAIT_MS);
  struct fc_buf request = dispatch_fleet_park(one, 1, WAIT_MS);
  dispatch_stop_leases(&dispatch);
  ck_assert_uint_eq(dispatch.fleet_client.held, 0);
  ck_assert_int_eq(dispatch_fleet_resume(one, &request), DISPATCH_DONE);
  expect_miss(one, 1, FC_LEASE_GRANTED);
  ck_assert_uint_eq(fleet.n_parked, 0);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("fleet_requests");
  TCase *tcase = tcase_create("fleet_requests");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, value_of_tier_is_shared_hit_that_saved_its_time);
  tcase_add_test(tcase, parked_time_is_measured_as_wait_for_tier);
  tcase_add_test(tcase, get_without_lease_asks_nothing);
  tcase_add_test(tcase, miss_of_fleet_grants_lease_and_put_is_published);
  tcase_add_test(tcase, workers_parked_together_compute_once);
  tcase_add_test(tcase, owner_that_dies_hands_fleet_lease_to_waiter);
  tcase_add_test(tcase, put_without_lease_is_published_and_kept_one_is_not);
  tcase_add_test(tcase, value_of_other_node_ends_wait);
  tcase_add_test(tcase, wait_for_other_node_counts_from_first_attempt);
  tcase_add_test(tcase, lease_that_other_node_releases_goes_to_waiter);
  tcase_add_test(tcase, listings_name_other_node);
  tcase_add_test(tcase, parked_request_listed_as_wait_for_tier);
  tcase_add_test(tcase, hit_on_value_of_tier_is_event_of_its_own);
  tcase_add_test(tcase, parked_request_stays_parked_if_dispatched_early);
  tcase_add_test(tcase, put_meanwhile_is_hit_that_leaves_fill);
  tcase_add_test(tcase, request_asks_once_and_goes_on_at_deadline);
  tcase_add_test(tcase, tier_that_is_down_costs_nothing);
  tcase_add_test(tcase, client_that_leaves_is_not_resumed);
  tcase_add_test(tcase, request_of_peer_that_is_gone_leaves_fill);
  tcase_add_test(tcase, stop_resumes_parked_and_ends_leases_of_other_nodes);
  suite_add_tcase(suite, tcase);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
