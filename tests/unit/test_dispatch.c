/* The dispatcher without a socket: replies that may be large ask for room before they are sent,
 * and fit in a frame. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/dispatch.h"
#include "daemon/trace.h"
#include "private_store.h"
#include "proto/errors.h"
#include "proto/frame.h"
#include "runner.h"

static struct region region;
static struct store store;
static struct namespace_table table;
static struct trace trace; /* off */
static struct dispatch dispatch;
static struct session session;
static size_t never_in_flight;

/* What the dispatcher asked for and sent. */
static struct {
  struct sink sink; /* first */
  size_t room;      /* the largest reply that is let through */
  size_t asked;     /* the most that was asked for */
  size_t sent;      /* bytes */
} out;

static bool has_room(struct sink *sink, size_t bytes) {
  (void)sink;
  if (out.asked < bytes)
    out.asked = bytes;
  return bytes <= out.room;
}

static void count_sent(struct sink *sink, const struct iovec *pieces, struct entry *const *owners,
                       size_t n) {
  (void)sink;
  (void)owners;
  for (size_t i = 0; i < n; i++)
    out.sent += pieces[i].iov_len;
}

static void set_up(void) {
  private_store_init(&store, &region, 16u << 20, 1, 42);
  namespace_table_init(&table, &store, NAMESPACE_LIMIT_MAX);
  struct dispatch_config config = {.store = &store,
                                   .namespaces = &table,
                                   .trace = &trace,
                                   .boot_id = 1,
                                   .max_clients = 1,
                                   .frames_bytes = &never_in_flight,
                                   .replies_bytes = &never_in_flight,
                                   .region_fd = -1};
  dispatch_init(&dispatch, &config);
  memset(&session, 0, sizeof session);
  session.greeted = true;
  dispatch.clients = 1;
  memset(&out, 0, sizeof out);
  out.sink = (struct sink){.has_room = has_room, .send = count_sent};
  out.room = SIZE_MAX;
}

static void tear_down(void) {
  dispatch_leave(&dispatch, &session);
  namespace_table_deinit(&table);
  dispatch_deinit(&dispatch);
  private_store_deinit(&store, &region);
}

/* The largest figures that there are. */
static void fill(struct namespace *ns) {
  ns->max_entries = UINT64_MAX;
  memset(ns->evictions, 0xff, sizeof ns->evictions);
  memset(&ns->counters, 0xff, sizeof ns->counters);
  ns->counters.misses = UINT64_MAX / 2;
}

static enum dispatch_result ask(struct fc_buf *request) {
  ck_assert(!request->failed);
  out.asked = out.sent = 0;
  return dispatch_frame(&dispatch, &session, &out.sink, request->data + FC_FRAME_HEADER,
                        (uint32_t)(request->size - FC_FRAME_HEADER));
}

START_TEST(the_stats_of_all_namespaces_fit_in_a_frame) {
  char name[FC_NAME_MAX + 1];
  struct fc_buf request = {0};
  for (unsigned i = 0; i < NAMESPACE_LIMIT_MAX; i++) {
    struct namespace *ns;
    (void)snprintf(name, sizeof name, "%0*u", (int)FC_NAME_MAX, i);
    ck_assert_int_eq(namespace_table_open(&table, fc_str_of(name), &ns), 0);
    fill(ns);
  }
  ck_assert_int_eq(fc_encode_stats(&request, 1, fc_str_of(NULL)), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  ck_assert_uint_le(out.sent, dispatch_max_body(&dispatch, &session) + FC_FRAME_HEADER);
  ck_assert_uint_eq(out.asked, out.sent);
  out.room = out.sent - 1;
  ck_assert_int_eq(ask(&request), DISPATCH_AGAIN);
  ck_assert_uint_eq(out.sent, 0);
  fc_buf_free(&request);
}
END_TEST

START_TEST(a_list_asks_for_room_before_it_is_sent) {
  struct fc_buf request = {0};
  struct fc_list list = {.limit = 10};
  ck_assert_int_eq(fc_encode_list(&request, 1, &list), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  ck_assert_uint_eq(out.asked, out.sent);
  ck_assert_uint_gt(out.sent, 0);
  fc_buf_free(&request);
}
END_TEST

START_TEST(a_hello_that_finds_no_namespace_says_why) {
  struct fc_buf request = {0};
  struct fc_hello hello = {.version_min = FC_PROTOCOL_VERSION_MIN,
                           .version_max = FC_PROTOCOL_VERSION,
                           .client = fc_str_of("client"),
                           .name_space = fc_str_of("one too many")};
  struct namespace *ns;
  table.limit = 1;
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("held"), &ns), 0);
  session.greeted = false;
  dispatch.clients = 0;
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_CLOSE);
  ck_assert_uint_eq(dispatch.refused, 1);
  ck_assert_uint_eq(dispatch.dropped, 0);
  fc_buf_free(&request);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("dispatch");
  TCase *tcase = tcase_create("dispatch");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, the_stats_of_all_namespaces_fit_in_a_frame);
  tcase_add_test(tcase, a_list_asks_for_room_before_it_is_sent);
  tcase_add_test(tcase, a_hello_that_finds_no_namespace_says_why);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
