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
  ck_assert_uint_eq(dispatch.counters.hits, 1);
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
  ck_assert_uint_eq(dispatch.counters.hits, 1);
  ck_assert_ptr_null(one->session.ns);
  ck_assert(rings_owe_lines(&dispatch.rings));
  traced_write_out(&traced);
  ck_assert_uint_eq(rings_sweep(&dispatch.rings, 0), 0);
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
  ck_assert_uint_eq(dispatch.counters.hits, 1);
}
END_TEST

START_TEST(trace_off_waits_for_lines_of_earlier_hits) {
  static const struct fc_trace off = {.action = FC_TRACE_OFF};
  struct fc_buf request = {0};
  join(other);
  (void)client_hello(one, client_hello_of(4));
  client_open_ring(one);
  hit(other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(fc_encode_trace(&request, 1, &off), 0);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_RETRY);
  ck_assert(one->session.waits_for_trace && trace_is_on(&traced.trace));
  traced_write_out(&traced);
  (void)rings_sweep(&dispatch.rings, 0);
  ck_assert_int_eq(fc_encode_trace(&request, 1, &off), 0);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  ck_assert(!trace_is_on(&traced.trace));
  ck_assert_uint_eq(traced_count(&traced, "\n"), 1);
}
END_TEST

/* Some lines are always pending, but each is written in the end. */
START_TEST(trace_off_under_load_waits_for_earlier_lines_only) {
  join(other);
  (void)client_hello(one, client_hello_of(4));
  client_open_ring(one);
  hit(other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(send_trace(one, FC_TRACE_OFF), DISPATCH_RETRY);
  hit(other, 2);
  ck_assert(!rings_drain_all(&dispatch.rings)); /* as an eviction does */
  ck_assert_int_eq(send_trace(one, FC_TRACE_OFF), DISPATCH_RETRY);
  ck_assert(dispatch.rings.attention);
  traced_write_out(&traced);
  (void)rings_sweep(&dispatch.rings, 0);
  hit(other, 3);
  traced_fall_behind(&traced);
  ck_assert(!rings_drain_all(&dispatch.rings));
  ck_assert_int_eq(send_trace(one, FC_TRACE_OFF), DISPATCH_DONE);
  ck_assert(!trace_is_on(&traced.trace));
  ck_assert_uint_eq(traced_count(&traced, "\n"), 2);
}
END_TEST

START_TEST(trace_off_waits_for_lines_of_gone_client) {
  join(other);
  (void)client_hello(one, client_hello_of(4));
  client_open_ring(one);
  hit(other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(send_trace(one, FC_TRACE_OFF), DISPATCH_RETRY);
  dispatch_client_gone(&dispatch, &other->session);
  ck_assert_int_eq(send_trace(one, FC_TRACE_OFF), DISPATCH_RETRY);
  traced_write_out(&traced);
  (void)rings_sweep(&dispatch.rings, 0);
  ck_assert_int_eq(send_trace(one, FC_TRACE_OFF), DISPATCH_DONE);
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
  tcase_add_test(tcase, trace_off_waits_for_lines_of_earlier_hits);
  tcase_add_test(tcase, trace_off_under_load_waits_for_earlier_lines_only);
  tcase_add_test(tcase, trace_off_waits_for_lines_of_gone_client);
  tcase_add_test(tcase, trace_status_behind_trace_answered_at_once);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
