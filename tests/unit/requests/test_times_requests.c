/* latency and slowest through the dispatcher: which request counts as what, and how its time is
 * divided. */
#include <check.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"

#define SECOND UINT64_C(1000000000)
#define VALUE_BYTES 100u

static struct test_client *const one = &test_clients[0], *const two = &test_clients[1];
static struct latency latency;

/* Client one is an administrator, client two is none. */
static void set_up(void) {
  static const struct dispatch_options options = {0};
  dispatch_set_up(&options);
  latency_reset(&latency, dispatch.started_ns);
  dispatch.latency = &latency;
  (void)client_hello(one, client_hello_of(FC_PROTOCOL_VERSION));
  (void)client_hello(two, client_hello_of(FC_PROTOCOL_VERSION));
  one->session.admin = true;
  two->session.admin = false;
}

/* ---- requests ---- */

static void get(struct test_client *client, uint32_t number, uint32_t flags, uint32_t wait_ms) {
  struct fc_buf request = {0};
  struct fc_get message = {.flags = flags,
                           .key = request_key(number),
                           .has_terms = true,
                           .terms = {.lease_ms = 1000, .wait_ms = wait_ms}};
  ck_assert_int_eq(fc_encode_get(&request, 7, &message), 0);
  client_request(client, &request);
}

static void put(struct test_client *client, uint32_t number) {
  struct fc_key key = request_key(number);
  ck_assert_int_eq(client_put(client, &key, 1, VALUE_BYTES, (struct fc_epoch){0}), DISPATCH_DONE);
}

static struct fc_reply request_latency(struct test_client *client, bool reset) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_latency(&request, 8, reset), 0);
  client_request(client, &request);
  return client_last_reply(client);
}

static struct fc_reply request_slowest(struct test_client *client, uint32_t limit, bool reset) {
  struct fc_slowest message = {limit, reset};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_slowest(&request, 9, &message), 0);
  client_request(client, &request);
  return client_last_reply(client);
}

/* Returns the count of a kind in a fresh reply. */
static uint64_t count_of(const char *path, const char *operation) {
  static struct fc_latency_entry row;
  struct fc_reply reply = request_latency(two, false);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_LATENCY);
  while (reply.times.rows.n > 0) {
    fc_latency_next(&reply.times.rows, &row);
    if (fc_str_equal(row.path, fc_str_of(path)) &&
        fc_str_equal(row.operation, fc_str_of(operation)))
      return row.histogram.count;
  }
  ck_abort_msg("no kind %s %s", path, operation);
}

/* ---- tests ---- */

START_TEST(requests_each_counted_under_its_kind) {
  put(one, 1);
  get(one, 1, 0, 0);
  get(one, 1, 0, 0);
  get(one, 2, 0, 0);
  ck_assert_uint_eq(count_of("socket", "put"), 1);
  ck_assert_uint_eq(count_of("socket", "hit"), 2);
  ck_assert_uint_eq(count_of("socket", "miss"), 1);
  ck_assert_uint_eq(count_of("socket", "listing"), 3); /* the replies that were requested above */
  ck_assert_uint_eq(count_of("socket", "other"), 2);   /* hellos */
  ck_assert_uint_eq(count_of("daemon", "queue"), 11);
  ck_assert_uint_eq(count_of("region", "hit"), 0);
}
END_TEST

START_TEST(get_that_waits_counted_as_lease_wait_alone) {
  get(one, 1, FC_LEASE, 0);
  get(two, 1, 0, 60000);
  ck_assert_uint_eq(count_of("socket", "miss"), 1);
  ck_assert_uint_eq(count_of("socket", "lease_wait"), 0);
  put(one, 1);
  ck_assert_uint_eq(count_of("socket", "lease_wait"), 1);
  ck_assert_uint_eq(count_of("socket", "miss"), 1);
  ck_assert_uint_eq(count_of("socket", "hit"), 0);
  /* The waiter's reply is no part of its next request, nor of the put. */
  struct fc_reply reply = request_slowest(one, UINT32_MAX, false);
  for (struct fc_slow_entry row; reply.times.rows.n > 0;) {
    fc_slow_next(&reply.times.rows, &row);
    ck_assert(!fc_str_equal(row.request, fc_str_of("put")) || row.bytes < 2 * VALUE_BYTES);
  }
  ck_assert_uint_eq(two->session.times.bytes, 0);
}
END_TEST

START_TEST(request_that_came_long_ago_slowest_by_its_queue) {
  struct fc_slow_entry row;
  put(one, 1);
  one->session.times.arrived_ns = dispatch.ended_ns - 5 * SECOND;
  get(one, 1, 0, 0);
  get(one, 1, 0, 0); /* its arrival is not known: no queue */
  struct fc_reply reply = request_slowest(two, 1, false);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_SLOWEST);
  ck_assert_uint_eq(reply.times.rows.n, 1);
  fc_slow_next(&reply.times.rows, &row);
  ck_assert(fc_str_equal(row.request, fc_str_of("get")));
  ck_assert_uint_ge(row.queue_ns, 5 * SECOND);
  ck_assert_uint_lt(row.serve_ns + row.send_ns, SECOND);
  ck_assert_uint_gt(row.serve_ns, 0);
  ck_assert_uint_gt(row.send_ns, 0);
  ck_assert_uint_eq(row.total_ns, row.queue_ns + row.serve_ns + row.send_ns);
  ck_assert_uint_eq(row.keys, 1);
  ck_assert_uint_ge(row.bytes, 100);
  ck_assert_uint_eq(row.client_id, one->session.client_id);
  ck_assert(fc_str_equal(row.name_space, fc_str_of("ns")));
  ck_assert(fc_str_equal(row.op, fc_str_of("op")));
  ck_assert(fc_str_equal(row.view, fc_str_of("base")));
}
END_TEST

/* The daemon tries a request again until its reply has room. */
START_TEST(request_without_room_counted_once_when_answered) {
  struct fc_buf request = {0};
  put(one, 1);
  one->room = 0;
  ck_assert_int_eq(fc_encode_get(&request, 7, &(struct fc_get){.key = request_key(1)}), 0);
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_RETRY);
  ck_assert_uint_eq(count_of("socket", "hit"), 0);
  one->room = SIZE_MAX;
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_DONE);
  ck_assert_uint_eq(count_of("socket", "hit"), 1);
  fc_buf_free(&request);
}
END_TEST

static void assert_denied(struct fc_reply reply) {
  ck_assert_uint_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_EDENIED);
}

START_TEST(refused_hello_not_among_the_slowest) {
  struct test_client *three = &test_clients[2];
  struct fc_hello hello = client_hello_of(FC_PROTOCOL_VERSION);
  struct fc_buf request = {0};
  struct fc_slow_entry row;
  hello.version_min = hello.version_max = FC_PROTOCOL_VERSION + 1;
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  three->session.times.arrived_ns = dispatch.ended_ns - 5 * SECOND;
  ck_assert_int_eq(client_send(three, &request), DISPATCH_CLOSE);
  struct fc_reply reply = request_slowest(two, 1, false);
  ck_assert_uint_eq(reply.times.rows.n, 1);
  fc_slow_next(&reply.times.rows, &row);
  ck_assert_uint_lt(row.total_ns, 5 * SECOND);
  ck_assert_uint_eq(count_of("socket", "other"), 3); /* measured all the same */
}
END_TEST

START_TEST(reset_by_administrator_alone) {
  put(one, 1);
  assert_denied(request_latency(two, true));
  assert_denied(request_slowest(two, 10, true));
  ck_assert_uint_eq(count_of("socket", "put"), 1);
  struct fc_reply reply = request_latency(one, true);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_LATENCY); /* the times before the reset */
  ck_assert_uint_eq(count_of("socket", "put"), 0);
  put(one, 2);
  ck_assert_uint_gt(request_slowest(one, 10, true).times.rows.n, 0);
  ck_assert_uint_eq(request_slowest(two, 10, false).times.rows.n, 1); /* the request before it */
  ck_assert_uint_eq(count_of("socket", "put"), 1);                    /* only the log was reset */
}
END_TEST

START_TEST(names_of_the_longest_fit_in_the_reply) {
  char name[FC_NAME_MAX];
  struct fc_str names[SLOW_NAMES];
  struct slow_request slow = {.request = "get_many", .keys = UINT32_MAX, .bytes = UINT64_MAX};
  memset(name, 'n', sizeof name);
  for (int i = 0; i < SLOW_NAMES; i++)
    names[i] = (struct fc_str){name, sizeof name};
  for (uint32_t i = 0; i < SLOW_LOG_MAX; i++) {
    slow.ended_ns = dispatch.started_ns + (i < SLOW_LOG_REQUESTS ? 0 : SLOW_LOG_PERIOD_NS);
    slow.total_ns = UINT64_MAX - i;
    slow_log_add(&latency.slow, &slow, names);
  }
  for (int kind = 0; kind < LATENCY_KINDS; kind++)
    for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++)
      latency.kinds[kind].cells[cell] = UINT64_MAX / FC_HISTOGRAM_CELLS;
  ck_assert_uint_eq(request_slowest(two, UINT32_MAX, false).times.rows.n, SLOW_LOG_MAX);
  ck_assert_uint_lt(client_last_size(two), FC_FRAME_SLACK);
  ck_assert_uint_eq(request_latency(two, false).times.rows.n, LATENCY_KINDS);
  ck_assert_uint_lt(client_last_size(two), FC_FRAME_SLACK);
}
END_TEST

START_TEST(list_above_a_compute_time_has_those_alone) {
  struct fc_buf request = {0};
  struct fc_list list = {.limit = 100, .order = FC_ORDER_PLACE, .min_compute_ns = 300};
  struct fc_list_entry entry;
  for (uint32_t i = 1; i <= 4; i++) {
    struct fc_put message = {.key = request_key(i),
                             .compute_ns = i * 100,
                             .value = (const uint8_t *)"v",
                             .value_size = 1};
    struct fc_buf body = {0};
    ck_assert_int_eq(fc_encode_put_head(&body, 5, &message), 0);
    ck_assert_int_eq(fc_buf_append(&body, "v", 1), 0);
    client_request(one, &body);
  }
  ck_assert_int_eq(fc_encode_list(&request, 6, &list), 0);
  client_request(two, &request);
  struct fc_reply reply = client_last_reply(two);
  ck_assert_uint_eq(reply.list.n, 2);
  for (uint64_t ns = 300; reply.list.n > 0; ns += 100) {
    fc_list_next(&reply.list, &entry);
    ck_assert_uint_eq(entry.compute_ns, ns);
  }
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("times_requests");
  TCase *test_case = tcase_create("times_requests");
  tcase_add_checked_fixture(test_case, set_up, dispatch_tear_down);
  tcase_add_test(test_case, requests_each_counted_under_its_kind);
  tcase_add_test(test_case, get_that_waits_counted_as_lease_wait_alone);
  tcase_add_test(test_case, request_that_came_long_ago_slowest_by_its_queue);
  tcase_add_test(test_case, request_without_room_counted_once_when_answered);
  tcase_add_test(test_case, refused_hello_not_among_the_slowest);
  tcase_add_test(test_case, reset_by_administrator_alone);
  tcase_add_test(test_case, names_of_the_longest_fit_in_the_reply);
  tcase_add_test(test_case, list_above_a_compute_time_has_those_alone);
  suite_add_tcase(suite, test_case);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
