/* Events that end a lease, and the replies to its waiters, over the wire. test_leases_workers.c has
 * the same with the library. */

#include "proto/errors.h"
#include "tests/support/wire_leases.h"

#define SHORT_MS 50u /* a term or a wait that expires */
#define WAITERS 3u

START_TEST(put_answers_all_waiters) {
  struct raw owner, waiters[WAITERS];

  wire_open(&owner);
  wire_open_all(waiters, WAITERS);
  struct fc_epoch epoch = wire_acquire(&owner, "p", FC_LEASE_GRANTED);
  wire_begin_waits(waiters, WAITERS, "p");
  wire_expect_stat("leases", 1);
  ck_assert_int_eq(wire_put(&owner, "p", "computed once", epoch), FC_STORED);
  for (size_t i = 0; i < WAITERS; i++)
    wire_expect_value(&waiters[i], "computed once");
  wire_expect_nothing_left();
  wire_expect_stat("leases_granted", 1);
  wire_expect_stat("coalesced_hits", WAITERS);
  wire_expect_stat("cache_hits", WAITERS);
  wire_close_all(waiters, WAITERS);
  raw_close(&owner);
}
END_TEST

/* A client of an older version knows no leases: it gets none and never waits, and its put is for
 * all.
 */
START_TEST(put_of_older_client_answers_waiters) {
  struct raw owner, old, waiters[WAITERS];
  struct fc_get get = {.key = wire_key("p")};
  struct fc_reply reply;

  wire_open(&owner);
  wire_open_all(waiters, WAITERS);
  raw_open_version(&old, wire_daemon.socket, WIRE_SPACE, 2);
  ck_assert_int_eq(raw_get(&old, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  wire_expect_stat("leases", 0);
  struct fc_epoch epoch = wire_acquire(&owner, "p", FC_LEASE_GRANTED);
  wire_begin_waits(waiters, WAITERS, "p");
  ck_assert_int_eq(raw_get(&old, &get, &reply), RAW_REPLY);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(wire_put(&old, "p", "the old one's", (struct fc_epoch){0}), FC_STORED);
  for (size_t i = 0; i < WAITERS; i++)
    wire_expect_value(&waiters[i], "the old one's");
  wire_expect_nothing_left();
  ck_assert_int_eq(wire_put(&owner, "p", "the owner's", epoch), FC_KEPT);
  wire_close_all(waiters, WAITERS);
  raw_close(&old);
  raw_close(&owner);
}
END_TEST

/* The value cannot be stored, so all waiters compute it, at the same time. */
START_TEST(value_too_large_all_compute) {
  struct raw owner, waiters[WAITERS];
  struct fc_reply reply;

  wire_open(&owner);
  wire_open_all(waiters, WAITERS);
  struct fc_put put = {
      .key = wire_key("p"), .epoch = wire_acquire(&owner, "p", FC_LEASE_GRANTED), .withheld = true};
  struct fc_buf buf = {0};
  wire_begin_waits(waiters, WAITERS, "p");
  (void)fc_encode_put_head(&buf, owner.next_id++, &put); /* raw_send_buf checks `failed` */
  ck_assert_int_eq(raw_send_buf(&owner, &buf), 0);
  fc_buf_free(&buf);
  ck_assert_int_eq(raw_recv(&owner, &reply, WIRE_REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_ETOOBIG);
  for (size_t i = 0; i < WAITERS; i++)
    (void)wire_expect_state(&waiters[i], FC_LEASE_NONE);
  wire_expect_nothing_left();
  wire_close_all(waiters, WAITERS);
  raw_close(&owner);
}
END_TEST

START_TEST(lease_given_up_goes_to_first_waiter) {
  struct raw owner, waiters[WAITERS];

  wire_open(&owner);
  wire_open_all(waiters, WAITERS);
  (void)wire_acquire(&owner, "p", FC_LEASE_GRANTED);
  wire_begin_waits(waiters, WAITERS, "p");
  ck_assert_uint_eq(wire_give_up(&owner, "p"), 1);
  ck_assert_uint_eq(wire_give_up(&owner, "p"), 0); /* its lease has ended */
  for (size_t i = 0; i < WAITERS; i++) {
    (void)wire_expect_state(&waiters[i], FC_LEASE_GRANTED);
    wire_expect_stat("lease_waits", WAITERS - 1 - i);
    ck_assert_uint_eq(wire_give_up(&waiters[i], "p"), 1);
  }
  wire_expect_nothing_left();
  wire_expect_stat("leases_abandoned", WAITERS + 1);
  wire_close_all(waiters, WAITERS);
  raw_close(&owner);
}
END_TEST

/* _i: which puts first: the new owner, or the one whose term expired. */
START_TEST(term_expired_lease_goes_to_waiter) {
  struct raw late, next, third;

  wire_open(&late);
  wire_open(&next);
  wire_open(&third);
  wire_begin(&late, "p", SHORT_MS, 0);
  struct fc_epoch late_epoch = wire_expect_state(&late, FC_LEASE_GRANTED);
  wire_begin(&next, "p", WIRE_LONG_MS, WIRE_LONG_MS);
  struct fc_epoch next_epoch = wire_expect_state(&next, FC_LEASE_GRANTED);
  wire_expect_stat("leases_expired", 1);
  wire_begin_waits(&third, 1, "p");
  if (_i == 0) {
    ck_assert_int_eq(wire_put(&next, "p", "first", next_epoch), FC_STORED);
    ck_assert_int_eq(wire_put(&late, "p", "second", late_epoch), FC_KEPT);
  } else {
    ck_assert_int_eq(wire_put(&late, "p", "first", late_epoch), FC_STORED);
    ck_assert_int_eq(wire_put(&next, "p", "second", next_epoch), FC_KEPT);
  }
  wire_expect_value(&third, "first");
  wire_expect_nothing_left();
  raw_close(&late);
  raw_close(&next);
  raw_close(&third);
}
END_TEST

START_TEST(wait_time_over_waiter_computes) {
  struct raw owner, waiter;

  wire_open(&owner);
  wire_open(&waiter);
  struct fc_epoch epoch = wire_acquire(&owner, "p", FC_LEASE_GRANTED);
  uint64_t start_ns = harness_now_ns();
  wire_begin(&waiter, "p", WIRE_LONG_MS, SHORT_MS);
  (void)wire_expect_state(&waiter, FC_LEASE_NONE);
  ck_assert_uint_ge((harness_now_ns() - start_ns) / 1000000, SHORT_MS - 1);
  wire_expect_stat("leases", 1);
  wire_expect_stat("lease_waits", 0);
  ck_assert_int_eq(wire_put(&owner, "p", "v", epoch), FC_STORED);
  raw_close(&owner);
  raw_close(&waiter);
}
END_TEST

START_TEST(clear_ends_lease_and_stale_put_rejected) {
  struct raw owner, waiter, other;

  wire_open(&owner);
  wire_open(&waiter);
  wire_open(&other);
  struct fc_epoch old = wire_acquire(&owner, "p", FC_LEASE_GRANTED);
  wire_begin_waits(&waiter, 1, "p");
  ck_assert_int_eq(fcache_clear(wire_watch, NULL, NULL, NULL), FCACHE_OK);
  struct fc_epoch epoch = wire_expect_state(&waiter, FC_LEASE_GRANTED);
  wire_begin_waits(&other, 1, "p");
  ck_assert_int_eq(wire_put(&owner, "p", "of before", old), FC_STALE);
  wire_expect_stat("lease_waits", 1); /* the daemon continues */
  wire_expect_stat("leases", 1);
  ck_assert_int_eq(wire_put(&waiter, "p", "of after", epoch), FC_STORED);
  wire_expect_value(&other, "of after");
  wire_expect_nothing_left();
  raw_close(&owner);
  raw_close(&waiter);
  raw_close(&other);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("lease_sharing");
  TCase *tcase = tcase_create("lease_sharing");
  tcase_add_checked_fixture(tcase, wire_start, wire_stop);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, put_answers_all_waiters);
  tcase_add_test(tcase, put_of_older_client_answers_waiters);
  tcase_add_test(tcase, value_too_large_all_compute);
  tcase_add_test(tcase, lease_given_up_goes_to_first_waiter);
  tcase_add_loop_test(tcase, term_expired_lease_goes_to_waiter, 0, 2);
  tcase_add_test(tcase, wait_time_over_waiter_computes);
  tcase_add_test(tcase, clear_ends_lease_and_stale_put_rejected);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
