/* Requests while the trace is behind. */
#include "tests/support/dispatch_rings.h"
#include "tests/support/runner.h"

static enum dispatch_result send_trace(struct test_client *client, enum fc_trace_action action) {
  struct fc_trace message = {.action = action};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_trace(&request, 1, &message), 0);
  return client_send(client, &request);
}

START_TEST(ping_behind_trace_needs_ring_room_only) {
  join(one);
  hit(one, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(ping(one), DISPATCH_DONE);
  ck_assert(!one->session.waits_for_trace);
  ck_assert_int_eq(put(one, 1), DISPATCH_RETRY);
  traced_write_out(&traced);
  ck_assert_int_eq(put(one, 1), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
}
END_TEST

START_TEST(put_behind_trace_retried_until_lines_written) {
  join(one);
  join(other);
  hit(one, 1);
  traced_fall_behind(&traced);
  unsigned n_replies = one->n;
  ck_assert_int_eq(put(one, 1), DISPATCH_RETRY);
  ck_assert(one->session.waits_for_trace);
  ck_assert_uint_eq(one->n, n_replies);
  ck_assert_int_eq(ping(other), DISPATCH_DONE); /* its ring is empty */
  ck_assert(!other->session.waits_for_trace);
  traced_write_out(&traced);
  ck_assert_int_eq(put(one, 1), DISPATCH_DONE);
  ck_assert(!one->session.waits_for_trace);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 2); /* of the hit, and of the put */
}
END_TEST

START_TEST(client_gone_behind_trace_is_counted_at_once) {
  join(one);
  hit(one, 1);
  traced_fall_behind(&traced);
  dispatch_client_gone(&dispatch, &one->session);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
  ck_assert_ptr_null(one->session.ns);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 1);
}
END_TEST

START_TEST(stats_behind_trace_answered_at_once) {
  struct fc_buf request = {0};
  join(one);
  join(other);
  hit(one, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(fc_encode_stats(&request, 1, (struct fc_str){0}), 0);
  ck_assert_int_eq(client_send(other, &request), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
}
END_TEST

/* Its lines are written if the trace still has room for them. */
START_TEST(trace_off_behind_trace_drains_all_rings) {
  join(other);
  (void)client_hello(one, client_hello_of(4));
  client_open_ring(one);
  hit(other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(send_trace(one, FC_TRACE_OFF), DISPATCH_DONE);
  ck_assert(!trace_is_on(&traced.trace));
  ck_assert_uint_eq(traced_count(&traced, "\n"), 1);
}
END_TEST

START_TEST(trace_status_behind_trace_answered_at_once) {
  join(other);
  (void)client_hello(one, client_hello_of(4));
  client_open_ring(one);
  hit(other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(send_trace(one, FC_TRACE_STATUS), DISPATCH_DONE);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("slow_trace");
  TCase *tcase = tcase_create("slow_trace");
  tcase_add_checked_fixture(tcase, set_up_rings, dispatch_tear_down);
  tcase_add_test(tcase, ping_behind_trace_needs_ring_room_only);
  tcase_add_test(tcase, put_behind_trace_retried_until_lines_written);
  tcase_add_test(tcase, client_gone_behind_trace_is_counted_at_once);
  tcase_add_test(tcase, stats_behind_trace_answered_at_once);
  tcase_add_test(tcase, trace_off_behind_trace_drains_all_rings);
  tcase_add_test(tcase, trace_status_behind_trace_answered_at_once);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
