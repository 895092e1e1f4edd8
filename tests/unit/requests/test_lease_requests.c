/* Leases through the dispatcher: get_many, charged time, and listings. */
#include <string.h>

#include "daemon/requests/handlers.h"
#include "proto/errors.h"
#include "tests/support/colliding.h"
#include "tests/support/dispatch_leases.h"
#include "tests/support/runner.h"

static void get_many(struct test_client *client, const uint8_t *numbers, uint32_t n) {
  struct fc_buf request = {0};
  uint8_t prompts[16 * FC_HASH_SIZE] = {0};
  struct fc_get_many many = {.flags = FC_LEASE,
                             .key = request_key(0),
                             .prompts = prompts,
                             .n = n,
                             .has_terms = true,
                             .terms.lease_ms = 60000};
  for (uint32_t i = 0; i < n; i++)
    prompts[(size_t)i * FC_HASH_SIZE] = numbers[i];
  ck_assert_int_eq(fc_encode_get_many(&request, 300, &many), 0);
  client_request(client, &request);
}

static struct fc_list_reply page(struct test_client *client, enum fc_type type,
                                 struct fc_page request) {
  struct fc_buf frame = {0};
  ck_assert_int_eq(fc_encode_page(&frame, type, 400, &request), 0);
  client_request(client, &frame);
  struct fc_reply reply = client_reply(client);
  ck_assert_uint_eq(reply.type, FC_REPLY | type);
  return reply.list;
}

START_TEST(get_many_reports_lease_state_of_each_miss) {
  const uint8_t numbers[] = {1, 2, 3, 4, 4};
  const uint8_t expected[] = {FC_LEASE_TAKEN, FC_LEASE_GRANTED, FC_LEASE_GRANTED, FC_LEASE_NONE};
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  ck_assert_int_eq(put(&test_clients[0], 3, 10).put, FC_STORED);
  get_many(&test_clients[1], numbers, 5);
  struct fc_get_many_reply part = client_reply(&test_clients[1]).get_many;
  ck_assert_uint_eq(part.values.n, 5);
  ck_assert_uint_eq(part.n_leases, 4);
  ck_assert_mem_eq(part.leases, expected, sizeof expected);
  get(&test_clients[1], 1, 60000); /* a client that holds leases does not wait */
  expect_miss(&test_clients[1], 1, FC_LEASE_NONE);
}
END_TEST

/* A client that knows its namespace's seed chooses keys of one digest. */
START_TEST(keys_of_one_store_digest_spread_over_lease_buckets) {
  enum { MANY = 200 };
  uint8_t prompts[MANY * FC_HASH_SIZE];
  uint64_t seed = test_clients[0].session.ns->seed;
  struct fc_get_many many = {.flags = FC_LEASE,
                             .key = colliding_key(seed, "op", "base", 0),
                             .prompts = prompts,
                             .n = MANY,
                             .has_terms = true,
                             .terms.lease_ms = 60000};
  for (uint32_t i = 0; i < MANY; i++) {
    struct fc_key key = colliding_key(seed, "op", "base", i);
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, key.prompt.bytes, FC_HASH_SIZE);
  }
  dispatch.leases.limits = leases_limits_of(4 * MANY, 3600000);
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_get_many(&request, 300, &many), 0);
  client_request(&test_clients[0], &request);
  ck_assert_uint_eq(client_reply(&test_clients[0]).get_many.n_leases, MANY);
  ck_assert_uint_eq(dispatch.leases.n, MANY);
  for (uint32_t i = 0; i < dispatch.leases.n_buckets; i++) {
    uint32_t n = 0;
    for (struct lease *at = dispatch.leases.buckets[i]; at != NULL; at = at->next_in_bucket)
      n++;
    ck_assert_uint_lt(n, 16);
  }
}
END_TEST

START_TEST(waiter_granted_one_lease_has_its_other_waits_ended) {
  const uint8_t numbers[] = {1, 2, 3};
  get_many(&test_clients[0], numbers, 3);
  (void)client_reply(&test_clients[0]); /* all leases granted */
  for (uint8_t n = 1; n <= 3; n++)
    get(&test_clients[1], n, 60000);
  dispatch_client_gone(&dispatch, &test_clients[0].session);
  enum fc_lease_state seen[4] = {0};
  for (unsigned i = 0; i < 3; i++) {
    struct fc_reply reply = client_reply(&test_clients[1]);
    seen[reply.id] = reply.get.lease;
  }
  ck_assert_int_eq(seen[1], FC_LEASE_GRANTED);
  ck_assert_int_eq(seen[2], FC_LEASE_TAKEN);
  ck_assert_int_eq(seen[3], FC_LEASE_TAKEN);
  ck_assert_uint_eq(test_clients[1].session.leases.waits, 0);
}
END_TEST

/* A client that waits for several keys and gets others in that time is charged the time once. */
START_TEST(overlapping_waits_and_hits_charged_once) {
  enum { MS_NS = 1000000 };
  const uint8_t keys = 4;
  while (call_clock_ns() - test_clients[1].session.time.since_ns < 20 * MS_NS)
    ; /* until an error could charge more than the time that has passed */
  uint64_t start_ns = call_clock_ns();
  for (uint8_t n = 1; n <= keys; n++) {
    get(&test_clients[0], n, 0);
    expect_miss(&test_clients[0], n, FC_LEASE_GRANTED);
    get(&test_clients[1], n, 60000);
  }
  ck_assert_int_eq(put(&test_clients[2], 100, 10).put, FC_STORED);
  uint64_t begun_ns = call_clock_ns();
  while (call_clock_ns() - begun_ns < 2 * MS_NS) {
    get(&test_clients[1], 100, 0);
    expect_hit(&test_clients[1], 100, 10);
    if (test_clients[1].n + keys >= DISPATCH_REPLIES_MAX)
      break;
  }
  uint64_t waited_ns = call_clock_ns() - begun_ns;
  for (uint8_t n = 1; n <= keys; n++)
    ck_assert_int_eq(put(&test_clients[0], n, 10).put, FC_STORED);
  uint64_t took_ns = call_clock_ns() - start_ns, puts_ns = (keys + 1) * 1000;
  ck_assert_uint_eq(dispatch.totals->counters.coalesced_hits, keys);
  ck_assert_uint_le(dispatch.totals->counters.lease_wait_ns, took_ns);
  ck_assert_uint_le(dispatch.totals->counters.scoring_wall_ns, took_ns + puts_ns);
  ck_assert_uint_ge(dispatch.totals->counters.scoring_wall_ns, waited_ns);
  ck_assert_uint_eq(test_clients[1].session.leases.sharing.n, 0);
}
END_TEST

START_TEST(list_leases_pages_oldest_first) {
  struct fc_page request = {.name_space = fc_str_of("ns"), .limit = 1};
  get(&test_clients[0], 1, 0);
  get(&test_clients[1], 2, 0);
  get(&test_clients[2], 1, 60000);
  for (unsigned i = 0; i < 2; i++) {
    struct fc_lease_entry entry;
    struct fc_list_reply list = page(&test_clients[3], FC_LEASES, request);
    ck_assert_uint_eq(list.n, 1);
    fc_leases_next(&list, &entry);
    ck_assert_uint_eq(entry.key.prompt.bytes[0], i + 1);
    ck_assert_uint_eq(entry.client_id, test_clients[i].session.client_id);
    ck_assert_int_eq(entry.pid, test_clients[i].session.pid);
    ck_assert_uint_eq(entry.waits, i == 0 ? 1 : 0);
    ck_assert_uint_gt(entry.left_ns, 0);
    request.cursor = list.cursor;
    request.cursor_size = list.cursor_size;
    ck_assert_uint_eq(list.cursor_size > 0, i == 0);
  }
  request = (struct fc_page){.name_space = fc_str_of("another"), .limit = 10};
  ck_assert_uint_eq(page(&test_clients[3], FC_LEASES, request).n, 0);
}
END_TEST

START_TEST(list_clients_shows_leases_and_waits) {
  get(&test_clients[0], 1, 0);
  get(&test_clients[0], 2, 0);
  get(&test_clients[1], 1, 60000);
  struct fc_list_reply list = page(&test_clients[3], FC_CLIENTS, (struct fc_page){.limit = 10});
  ck_assert_uint_eq(list.n, DISPATCH_CLIENTS);
  struct fc_client_entry entries[DISPATCH_CLIENTS];
  for (unsigned i = 0; i < DISPATCH_CLIENTS; i++)
    fc_clients_next(&list, &entries[i]);
  ck_assert_uint_eq(entries[0].leases, 2);
  ck_assert_uint_eq(entries[0].held.prompt.bytes[0], 1);
  ck_assert_ptr_null(entries[0].wait.key.op.data);
  ck_assert_uint_eq(entries[1].waits, 1);
  ck_assert_uint_eq(entries[1].wait.owner_id, test_clients[0].session.client_id);
  ck_assert_int_eq(entries[1].wait.owner_pid, test_clients[0].session.pid);
  ck_assert_uint_eq(entries[2].leases + entries[2].waits, 0);
  ck_assert_uint_eq(list.cursor_size, 0);
}
END_TEST

START_TEST(list_leases_bad_cursor_refused) {
  struct fc_buf frame = {0};
  struct fc_page request = {.limit = 1, .cursor = (const uint8_t *)"abc", .cursor_size = 3};
  ck_assert_int_eq(fc_encode_page(&frame, FC_LEASES, 1, &request), 0);
  client_request(&test_clients[0], &frame);
  ck_assert_int_eq(client_reply(&test_clients[0]).error.code, FC_EINVAL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("lease_requests");
  TCase *tcase = tcase_create("lease_requests");
  tcase_add_checked_fixture(tcase, set_up_leases, dispatch_tear_down);
  tcase_add_test(tcase, get_many_reports_lease_state_of_each_miss);
  tcase_add_test(tcase, keys_of_one_store_digest_spread_over_lease_buckets);
  tcase_add_test(tcase, waiter_granted_one_lease_has_its_other_waits_ended);
  tcase_add_test(tcase, overlapping_waits_and_hits_charged_once);
  tcase_add_test(tcase, list_leases_pages_oldest_first);
  tcase_add_test(tcase, list_clients_shows_leases_and_waits);
  tcase_add_test(tcase, list_leases_bad_cursor_refused);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
