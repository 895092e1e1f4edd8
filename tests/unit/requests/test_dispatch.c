/* The dispatcher without a socket: replies that may be large ask for room before they are sent,
 * and fit in a frame. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/requests/dispatch.h"
#include "daemon/requests/permissions.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"
#include "proto/wire/frame.h"
#include "tests/support/private_store.h"
#include "tests/support/runner.h"

static struct region region;
static struct store store;
static struct namespace_table table;
static struct trace trace; /* off */
static struct users users;
static struct dispatch dispatch;
static struct session session;
static size_t never_in_flight;

/* What the dispatcher asked for and sent. */
static struct {
  struct reply_sink sink;   /* first */
  size_t room;        /* the largest reply that is let through */
  size_t asked;       /* the most that was asked for */
  size_t sent;        /* bytes */
  struct fc_buf last; /* the last reply, whole */
} out;

static bool can_send(struct reply_sink *sink, size_t bytes) {
  (void)sink;
  if (out.asked < bytes)
    out.asked = bytes;
  return bytes <= out.room;
}

static void count_sent(struct reply_sink *sink, const struct iovec *pieces, struct entry *const *owners,
                       size_t n) {
  (void)sink;
  (void)owners;
  fc_buf_reset(&out.last);
  for (size_t i = 0; i < n; i++) {
    out.sent += pieces[i].iov_len;
    ck_assert_int_eq(fc_buf_append(&out.last, pieces[i].iov_base, pieces[i].iov_len), 0);
  }
}

static void set_up(void) {
  private_store_init(&store, &region, 16u << 20, 1, 42);
  namespace_table_init(&table, &store, NAMESPACE_LIMIT_MAX);
  users_init(&users, USER_SHARE_DEFAULT);
  struct dispatch_config config = {.store = &store,
                                   .namespaces = &table,
                                   .trace = &trace,
                                   .users = &users,
                                   .boot_id = 1,
                                   .max_clients = 1,
                                   .frames_bytes = &never_in_flight,
                                   .replies_bytes = &never_in_flight,
                                   .region_fd = -1};
  dispatch_init(&dispatch, &config);
  memset(&session, 0, sizeof session);
  session.handshake_done = true;
  dispatch.clients = 1;
  memset(&out, 0, sizeof out);
  out.sink = (struct reply_sink){.can_send = can_send, .send = count_sent};
  out.room = SIZE_MAX;
}

static void tear_down(void) {
  fc_buf_free(&out.last);
  dispatch_client_gone(&dispatch, &session);
  namespace_table_deinit(&table);
  dispatch_deinit(&dispatch);
  private_store_deinit(&store, &region);
}

/* The largest figures that there are. */
static void fill(struct namespace *ns) {
  ns->max_entries = ns->max_bytes = UINT64_MAX;
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

static void largest_amounts(void *arg, struct memory_report *report) {
  (void)arg;
  *report = (struct memory_report){UINT64_MAX, UINT64_MAX, .n = MEMORY_REPORT_PARTS_MAX};
  for (unsigned i = 0; i < report->n; i++)
    report->parts[i] = (struct memory_report_part){"namespaces", UINT64_MAX, UINT64_MAX};
}

START_TEST(the_stats_of_all_namespaces_fit_in_a_frame) {
  char name[FC_NAME_MAX + 1];
  dispatch.memory_report = largest_amounts;
  struct fc_buf request = {0};
  for (unsigned i = 0; i < NAMESPACE_LIMIT_MAX; i++) {
    struct namespace *ns;
    (void)snprintf(name, sizeof name, "%0*u", (int)FC_NAME_MAX, i);
    ck_assert_int_eq(namespace_table_open(&table, fc_str_of(name), NULL, &ns), 0);
    fill(ns);
  }
  ck_assert_int_eq(fc_encode_stats(&request, 1, fc_str_of(NULL)), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  ck_assert_uint_le(out.sent, dispatch_max_body(&dispatch, &session) + FC_FRAME_HEADER);
  ck_assert_uint_eq(out.asked, out.sent);
  out.room = out.sent - 1;
  ck_assert_int_eq(ask(&request), DISPATCH_RETRY);
  ck_assert_uint_eq(out.sent, 0);
  fc_buf_free(&request);
}
END_TEST

/* ---- namespaces ---- */

static struct fc_reply replied(void) {
  struct fc_reply reply;
  ck_assert_int_eq(
      fc_decode_reply(out.last.data + FC_FRAME_HEADER, out.last.size - FC_FRAME_HEADER, &reply), 0);
  return reply;
}

/* The next page of all; `list` is the one before, zeroed for the first. */
static void ask_page(struct fc_list_reply *list, uint32_t limit) {
  struct fc_page page = {.limit = limit, .cursor = list->cursor, .cursor_size = list->cursor_size};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_page(&request, FC_NAMESPACES, 5, &page), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  fc_buf_free(&request);
  ck_assert_uint_eq(out.asked, out.sent);
  ck_assert_uint_le(out.sent, dispatch_max_body(&dispatch, &session) + FC_FRAME_HEADER);
  struct fc_reply reply = replied();
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_NAMESPACES);
  *list = reply.list;
}

/* As many namespaces as there may be, with names, manifests and figures as large as they may be. */
static void make_largest(void) {
  static char manifest[FC_MANIFEST_MAX];
  memset(manifest, 'm', sizeof manifest);
  for (unsigned i = 0; i < NAMESPACE_LIMIT_MAX; i++) {
    char name[FC_NAME_MAX + 1];
    struct namespace *ns;
    (void)snprintf(name, sizeof name, "%0*u", (int)FC_NAME_MAX, i);
    ck_assert_int_eq(namespace_table_open(&table, fc_str_of(name), NULL, &ns), 0);
    ck_assert_int_eq(namespace_set_manifest(ns, NULL, (struct fc_str){manifest, sizeof manifest}),
                     0);
    fill(ns);
  }
}

START_TEST(all_namespaces_are_listed_once_in_pages_that_fit_a_frame) {
  struct fc_list_reply list = {0};
  unsigned n = 0, pages = 0;
  make_largest();
  do {
    ask_page(&list, UINT32_MAX);
    for (pages++; list.n > 0; n++) {
      struct fc_namespace_entry entry;
      char name[FC_NAME_MAX + 1];
      fc_namespaces_next(&list, &entry);
      (void)snprintf(name, sizeof name, "%0*u", (int)FC_NAME_MAX, n);
      ck_assert(fc_str_equal(entry.name_space, fc_str_of(name)));
      ck_assert_uint_eq(entry.manifest.size, FC_MANIFEST_MAX);
      ck_assert_uint_eq(entry.misses, UINT64_MAX / 2);
      ck_assert_uint_eq(entry.clients, 1);
    }
  } while (list.cursor_size > 0);
  ck_assert_uint_eq(n, NAMESPACE_LIMIT_MAX);
  ck_assert_uint_lt(pages, NAMESPACE_LIMIT_MAX / 8);
}
END_TEST

START_TEST(a_page_goes_on_where_namespaces_come_and_go) {
  static const char names[] = "abc";
  struct namespace *ns[3];
  struct fc_list_reply list = {0};
  struct fc_namespace_entry entry;
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(namespace_table_open(&table, (struct fc_str){&names[i], 1}, NULL, &ns[i]), 0);
  ask_page(&list, 1);
  ck_assert_uint_eq(list.n, 1);
  namespace_table_close(&table, ns[0]); /* the one that was shown goes */
  ask_page(&list, 1);
  fc_namespaces_next(&list, &entry);
  ck_assert(fc_str_equal(entry.name_space, fc_str_of("b")));
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("a"), NULL, &ns[0]), 0);
  ask_page(&list, 10);
  ck_assert_uint_eq(list.n, 2); /* c, and the new a */
  ck_assert_uint_eq(list.cursor_size, 0);
}
END_TEST

static void leave(void) {
  dispatch_client_gone(&dispatch, &session);
  memset(&session, 0, sizeof session);
}

/* A client anew, with that manifest. */
static void hello_with(const char *manifest, uint32_t version) {
  struct fc_hello hello = {.version_min = 1,
                           .version_max = version,
                           .client = fc_str_of("client"),
                           .name_space = fc_str_of("ns"),
                           .manifest = fc_str_of(manifest)};
  struct fc_buf request = {0};
  leave();
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  fc_buf_free(&request);
}

static void check_manifest(const char *manifest) {
  struct fc_list_reply list = {0};
  struct fc_namespace_entry entry;
  ask_page(&list, 10);
  ck_assert_uint_eq(list.n, 1);
  fc_namespaces_next(&list, &entry);
  ck_assert_ptr_eq(entry.manifest.data == NULL ? NULL : "", manifest == NULL ? NULL : "");
  ck_assert(fc_str_equal(entry.manifest, fc_str_of(manifest)));
}

static void put(void) {
  struct fc_put put = {.key = {.op = fc_str_of("op"), .view = fc_str_of("v")},
                       .value = (const uint8_t *)"v",
                       .value_size = 1};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_put_head(&request, 1, &put), 0);
  ck_assert_int_eq(fc_buf_append(&request, "v", 1), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  fc_buf_free(&request);
}

START_TEST(the_manifest_of_the_latest_hello_that_has_one_stays) {
  hello_with(NULL, FC_PROTOCOL_VERSION);
  put();
  check_manifest(NULL);
  hello_with("{\"a\": 1}", FC_PROTOCOL_VERSION);
  check_manifest("{\"a\": 1}");
  hello_with(NULL, FC_PROTOCOL_VERSION);
  check_manifest("{\"a\": 1}");
  hello_with("{\"a\": 2}", 3); /* of a version without: not sent */
  check_manifest("{\"a\": 1}");
  hello_with("{\"a\": 2}", FC_PROTOCOL_VERSION);
  check_manifest("{\"a\": 2}");
}
END_TEST

/* What a request does to the namespace's last use. */
START_TEST(lookups_puts_and_hellos_are_uses) {
  struct fc_get get = {.key = {.op = fc_str_of("op"), .view = fc_str_of("v")}};
  struct fc_give_up all = {.n = 0};
  struct fc_buf request = {0};
  hello_with(NULL, FC_PROTOCOL_VERSION);
  ck_assert_uint_gt(session.ns->last_use_ns, 0);
  session.ns->last_use_ns = 0;
  put();
  ck_assert_uint_gt(session.ns->last_use_ns, 0);
  session.ns->last_use_ns = 0;
  ck_assert_int_eq(fc_encode_simple(&request, FC_PING, 1), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  fc_buf_reset(&request);
  ck_assert_int_eq(fc_encode_give_up(&request, 1, &all), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  ck_assert_uint_eq(session.ns->last_use_ns, 0);
  fc_buf_reset(&request);
  get.key.top_k = 9; /* a miss */
  ck_assert_int_eq(fc_encode_get(&request, 1, &get), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  ck_assert_uint_gt(session.ns->last_use_ns, 0);
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
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("held"), NULL, &ns), 0);
  session.handshake_done = false;
  dispatch.clients = 0;
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_CLOSE);
  ck_assert_uint_eq(dispatch.refused, 1);
  ck_assert_uint_eq(dispatch.dropped, 0);
  fc_buf_free(&request);
}
END_TEST

/* ---- clears of clients that have left ---- */

static void put_in(struct namespace *ns) {
  struct fc_key key = {.op = fc_str_of("op"), .view = fc_str_of("base")};
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&store, ns, &key, "v", 1, &info), FC_STORED);
}

/* A namespace that a user of that number makes. */
static struct namespace *enter(struct session *as, uid_t uid, const char *name) {
  as->uid = uid;
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of(name), NULL, &as->ns), 0);
  permissions_claim_namespace(as);
  return as->ns;
}

static void queue_clear(const char *name) {
  struct fc_buf request = {0};
  struct fc_select select = {.name_space = fc_str_of(name)};
  out.sink.peer_gone = true;
  ck_assert_int_eq(fc_encode_clear(&request, 1, &select), 0);
  ck_assert_int_eq(ask(&request), DISPATCH_DONE);
  fc_buf_free(&request);
}

/* It is of the namespace that there was then, which another user may have made anew meanwhile. */
START_TEST(a_queued_clear_spares_another_namespace_of_that_name) {
  struct session other = {.handshake_done = false};
  put_in(enter(&session, 1, "ns"));
  queue_clear("ns");
  queue_clear("ns"); /* the first covers it */
  ck_assert_uint_eq(dispatch.clears_queued.n, 1);
  ck_assert_uint_eq(store.entries, 1); /* no chore was done yet */
  table.limit = 1;
  dispatch_client_gone(&dispatch, &session);
  (void)enter(&other, 2, "else"); /* the one without clients goes */
  namespace_table_close(&table, other.ns);
  put_in(enter(&other, 2, "ns"));
  session.handshake_done = true;
  dispatch.clients = 1;
  session.uid = 1;
  queue_clear("ns"); /* no right to it: dropped */
  ck_assert_uint_eq(dispatch.clears_queued.n, 1);
  while (dispatch_background_step(&dispatch))
    ;
  ck_assert_uint_eq(store.entries, 1);
  session.uid = 2;
  queue_clear("ns");
  while (dispatch_background_step(&dispatch))
    ;
  ck_assert_uint_eq(store.entries, 0);
  namespace_table_close(&table, other.ns);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("dispatch");
  TCase *tcase = tcase_create("dispatch");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, the_stats_of_all_namespaces_fit_in_a_frame);
  tcase_add_test(tcase, all_namespaces_are_listed_once_in_pages_that_fit_a_frame);
  tcase_add_test(tcase, a_page_goes_on_where_namespaces_come_and_go);
  tcase_add_test(tcase, the_manifest_of_the_latest_hello_that_has_one_stays);
  tcase_add_test(tcase, lookups_puts_and_hellos_are_uses);
  tcase_add_test(tcase, a_list_asks_for_room_before_it_is_sent);
  tcase_add_test(tcase, a_hello_that_finds_no_namespace_says_why);
  tcase_add_test(tcase, a_queued_clear_spares_another_namespace_of_that_name);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
