/* Leases through the dispatcher: deferred replies, and the ends of leases and waits. test_leases.c
 * tests the rules themselves. */
#include "proto/errors.h"
#include "tests/support/dispatch_leases.h"
#include "tests/support/runner.h"

START_TEST(put_with_waiters_answers_all_and_counts_hits) {
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 0);
  expect_miss(&test_clients[1], 1, FC_LEASE_TAKEN);
  get(&test_clients[1], 1, 60000);
  get(&test_clients[2], 1, 60000);
  ck_assert(!client_has_reply(&test_clients[1]) && !client_has_reply(&test_clients[2]));
  ck_assert_int_eq(put(&test_clients[0], 1, 3000).put, FC_STORED);
  expect_hit(&test_clients[1], 1, 3000);
  expect_hit(&test_clients[2], 1, 3000);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 2);
  ck_assert_uint_eq(dispatch.totals->counters.shared_hits, 2);
  ck_assert_uint_eq(dispatch.totals->counters.coalesced_hits, 2);
  ck_assert_uint_eq(dispatch.totals->counters.leases_granted, 1);
  ck_assert_uint_gt(dispatch.totals->counters.lease_wait_ns, 0);
  ck_assert_uint_eq(test_clients[1].session.ns->counters.coalesced_hits, 2);
  ck_assert_uint_eq(test_clients[1].session.hits, 1);
  ck_assert_uint_eq(test_clients[1].session.shared_hits, 1);
  ck_assert_uint_eq(dispatch.leases.n, 0);
}
END_TEST

/* Other clients get their replies between the slices. */
START_TEST(very_many_deferred_replies_sent_in_slices) {
  enum { MANY = 1500 };
  struct leases_limits limits = leases_limits_of(4 * MANY, 3600000);
  leases_set_limits(&dispatch.leases, &limits);
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  for (int i = 0; i < MANY; i++)
    get(&test_clients[1], 1, 60000);
  get(&test_clients[2], 1, 60000);
  ck_assert(!dispatch_has_background_work(&dispatch));
  ck_assert_int_eq(put(&test_clients[0], 1, 10).put, FC_STORED);
  expect_hit(&test_clients[2], 1, 10); /* before the other client has all of its replies */
  ck_assert(!dispatch_has_background_work(&dispatch));
  for (unsigned turns = 0, before = test_clients[1].n;
       test_clients[1].n - test_clients[1].n_read < MANY; turns++) {
    ck_assert_uint_le(test_clients[1].n - before, 16);
    ck_assert_uint_lt(turns, MANY);
    before = test_clients[1].n;
    unsigned resumes = test_clients[1].resumes;
    dispatch_send_deferred(&dispatch, &test_clients[1].session);
    ck_assert_uint_gt(test_clients[1].resumes, resumes); /* its connection gets another turn */
  }
}
END_TEST

START_TEST(version_2_client_gets_plain_miss_and_its_put_answers_waiters) {
  struct test_client *old = &test_clients[DISPATCH_CLIENTS - 1];
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  get(old, 1, 60000); /* version 2 has no leases: its flag and terms have no effect */
  expect_miss(old, 1, FC_LEASE_NONE);
  ck_assert_int_eq(put(old, 1, 10).put, FC_STORED);
  expect_hit(&test_clients[1], 1, 10);
  ck_assert_int_eq(put(&test_clients[0], 1, 20).put, FC_KEPT);
}
END_TEST

START_TEST(lease_given_up_or_owner_gone_goes_to_next_waiter) {
  struct fc_buf request = {0};
  struct fc_key key = request_key(1);
  struct fc_give_up give_up = {.key = key, .prompts = key.prompt.bytes, .n = 1};
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  get(&test_clients[2], 1, 60000);
  ck_assert_int_eq(fc_encode_give_up(&request, 9, &give_up), 0);
  client_request(&test_clients[0], &request);
  ck_assert_uint_eq(client_reply(&test_clients[0]).given_up, 1);
  expect_miss(&test_clients[1], 1, FC_LEASE_GRANTED);
  ck_assert(!client_has_reply(&test_clients[2]));
  dispatch_client_gone(&dispatch, &test_clients[1].session);
  expect_miss(&test_clients[2], 1, FC_LEASE_GRANTED);
  ck_assert_uint_eq(dispatch.totals->counters.leases_granted, 3);
  ck_assert_uint_eq(dispatch.totals->counters.leases_abandoned, 2);
}
END_TEST

START_TEST(give_up_all_ends_own_leases_and_waits) {
  struct fc_buf request = {0};
  struct fc_give_up all = {.n = 0};
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  ck_assert_int_eq(fc_encode_give_up(&request, 9, &all), 0);
  client_request(&test_clients[1], &request);
  ck_assert_uint_eq(client_reply(&test_clients[1]).given_up, 0);
  expect_miss(&test_clients[1], 1, FC_LEASE_NONE);
  get(&test_clients[1], 2, 0);
  expect_miss(&test_clients[1], 2, FC_LEASE_GRANTED);
  ck_assert_int_eq(fc_encode_give_up(&request, 10, &all), 0);
  client_request(&test_clients[1], &request);
  ck_assert_uint_eq(client_reply(&test_clients[1]).given_up, 1);
}
END_TEST

START_TEST(clear_during_lease_hands_it_over_and_old_put_is_stale) {
  struct fc_buf request = {0};
  struct fc_clear select = {.select.name_space = fc_str_of("ns")};
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  struct fc_epoch old = epoch_now();
  get(&test_clients[1], 1, 60000);
  ck_assert_int_eq(fc_encode_clear(&request, 9, &select), 0);
  client_request(&test_clients[2], &request);
  (void)client_reply(&test_clients[2]); /* of the clear */
  struct fc_reply granted = client_reply(&test_clients[1]);
  ck_assert_int_eq(granted.get.lease, FC_LEASE_GRANTED);
  ck_assert_uint_gt(granted.get.clear_generation, old.clear_generation);
  ck_assert_int_eq(put_since(&test_clients[0], 1, 10, old).put, FC_STALE);
  get(&test_clients[2], 1, 60000);
  ck_assert(!client_has_reply(&test_clients[2]));
  ck_assert_int_eq(put(&test_clients[1], 1, 20).put, FC_STORED);
  expect_hit(&test_clients[2], 1, 20);
}
END_TEST

START_TEST(put_too_big_ends_all_waits) {
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  get(&test_clients[2], 1, 60000);
  ck_assert_int_eq(put(&test_clients[0], 1, DISPATCH_VALUE_MAX + 1).error.code, FC_ETOOBIG);
  expect_miss(&test_clients[1], 1, FC_LEASE_NONE);
  expect_miss(&test_clients[2], 1, FC_LEASE_NONE);
  ck_assert_uint_eq(dispatch.leases.n, 0);
}
END_TEST

START_TEST(deferred_reply_without_room_sent_before_next_request) {
  struct fc_buf ping = {0};
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  test_clients[1].room = 0;
  ck_assert_int_eq(put(&test_clients[0], 1, 10).put, FC_STORED);
  ck_assert(!client_has_reply(&test_clients[1]));
  ck_assert_int_eq(fc_encode_simple(&ping, FC_PING, 77), 0);
  ck_assert_int_eq(client_dispatch(&test_clients[1], &ping), DISPATCH_RETRY);
  test_clients[1].room = SIZE_MAX;
  ck_assert_int_eq(client_dispatch(&test_clients[1], &ping), DISPATCH_DONE);
  fc_buf_free(&ping);
  expect_hit(&test_clients[1], 1, 10);
  ck_assert_uint_eq(client_reply(&test_clients[1]).id, 77);
  ck_assert_uint_gt(test_clients[1].resumes, 0);
}
END_TEST

START_TEST(lease_lost_before_deferred_reply_goes_to_next_waiter) {
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  get(&test_clients[2], 1, 60000);
  test_clients[1].room = test_clients[2].room = 0;
  dispatch_client_gone(&dispatch, &test_clients[0].session); /* client 1 gets the lease */
  dispatch_client_gone(&dispatch, &test_clients[1].session); /* client 2 gets it */
  struct fc_buf request = {0};
  struct fc_give_up all = {.n = 0};
  test_clients[2].room = SIZE_MAX;
  dispatch_send_deferred(&dispatch, &test_clients[2].session);
  expect_miss(&test_clients[2], 1, FC_LEASE_GRANTED);
  ck_assert_int_eq(fc_encode_give_up(&request, 9, &all), 0);
  client_request(&test_clients[2], &request);
  ck_assert_uint_eq(client_reply(&test_clients[2]).given_up, 1);
  ck_assert_uint_eq(dispatch.leases.n, 0);
}
END_TEST

START_TEST(value_cleared_before_deferred_reply_is_a_miss) {
  struct store_select everything = {.ns = NULL};
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  test_clients[1].room = 0;
  ck_assert_int_eq(put(&test_clients[0], 1, 10).put, FC_STORED);
  ck_assert_uint_eq(store_clear_all(&store, &everything), 1);
  test_clients[1].room = SIZE_MAX;
  dispatch_send_deferred(&dispatch, &test_clients[1].session);
  expect_miss(&test_clients[1], 1, FC_LEASE_TAKEN);
  ck_assert_uint_eq(dispatch.totals->counters.coalesced_hits, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("deferred_replies");
  TCase *tcase = tcase_create("deferred_replies");
  tcase_add_checked_fixture(tcase, set_up_leases, dispatch_tear_down);
  tcase_add_test(tcase, put_with_waiters_answers_all_and_counts_hits);
  tcase_add_test(tcase, very_many_deferred_replies_sent_in_slices);
  tcase_add_test(tcase, version_2_client_gets_plain_miss_and_its_put_answers_waiters);
  tcase_add_test(tcase, lease_given_up_or_owner_gone_goes_to_next_waiter);
  tcase_add_test(tcase, give_up_all_ends_own_leases_and_waits);
  tcase_add_test(tcase, clear_during_lease_hands_it_over_and_old_put_is_stale);
  tcase_add_test(tcase, put_too_big_ends_all_waits);
  tcase_add_test(tcase, deferred_reply_without_room_sent_before_next_request);
  tcase_add_test(tcase, lease_lost_before_deferred_reply_goes_to_next_waiter);
  tcase_add_test(tcase, value_cleared_before_deferred_reply_is_a_miss);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
