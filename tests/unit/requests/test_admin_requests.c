/* Requests of tools through the dispatcher: stats, listings and queued clears, whose replies may be
 * large. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "daemon/requests/permissions.h"
#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"

static struct test_client *const one = &test_clients[0];

/* The client needs no namespace of its own. */
static void set_up(void) {
  static const struct dispatch_options options = {.store_bytes = 16u << 20};
  struct fc_hello hello = client_hello_of(FC_PROTOCOL_VERSION);
  hello.name_space = (struct fc_str){0};
  dispatch_set_up(&options);
  (void)client_hello(one, hello);
}

static struct namespace *open_namespace(struct fc_str name) {
  struct namespace *ns;
  ck_assert_int_eq(namespace_table_open(&namespaces, name, NULL, &ns), 0);
  return ns;
}

/* ---- replies of the largest size ---- */

/* Creates as many namespaces as there may be, with the longest names and the largest counters. */
static void fill_table(struct fc_str manifest) {
  for (unsigned i = 0; i < NAMESPACE_LIMIT_MAX; i++) {
    char name[FC_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "%0*u", (int)FC_NAME_MAX, i);
    struct namespace *ns = open_namespace(fc_str_of(name));
    ck_assert_int_eq(namespace_set_manifest(ns, store.catalog, NULL, manifest), 0);
    ns->max_entries = ns->max_bytes = UINT64_MAX;
    memset(ns->evictions, 0xff, sizeof ns->evictions);
    memset(&ns->counters, 0xff, sizeof ns->counters);
    ns->counters.misses = UINT64_MAX / 2;
  }
}

static void largest_report(void *arg, struct memory_report *report) {
  (void)arg;
  *report = (struct memory_report){UINT64_MAX, UINT64_MAX, .n = MEMORY_REPORT_PARTS_MAX};
  for (unsigned i = 0; i < report->n; i++)
    report->parts[i] = (struct memory_report_part){"namespaces", UINT64_MAX, UINT64_MAX};
}

static void largest_survival(void *arg, struct survival_report *report) {
  (void)arg;
  memset(report, 0xff, sizeof *report);
  report->keeps_snapshots = report->snapshot_late = true;
  report->snapshot_result = "complete";
  report->snapshot_age_ns = UINT64_MAX - 1;
}

static void largest_tier(void *arg, uint64_t now_ns, struct tier_report *report) {
  (void)arg, (void)now_ns;
  memset(report, 0xff, sizeof *report); /* the stats read no texts */
}

static bool no_server(void *arg, uint64_t after, struct tier_server_report *server) {
  (void)arg, (void)after, (void)server;
  return false;
}

/* Asserts that the last reply fits in a frame and asked for as much room as it took. */
static void assert_room(void) {
  ck_assert_uint_eq(one->room_wanted, client_last_size(one));
  ck_assert_uint_le(client_last_size(one),
                    dispatch_max_body(&dispatch, &one->session) + FC_FRAME_HEADER);
}

START_TEST(stats_of_all_namespaces_fit_in_a_frame) {
  struct fc_buf request = {0};
  dispatch.memory_report = largest_report;
  dispatch.survival_report = largest_survival;
  dispatch.tier = (struct tier_source){largest_tier, no_server, NULL};
  memset(dispatch.totals, 0xff, sizeof *dispatch.totals);
  fill_table((struct fc_str){0});
  ck_assert_int_eq(fc_encode_stats(&request, 1, fc_str_of(NULL)), 0);
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_DONE);
  assert_room();
  unsigned n = one->n;
  one->room = client_last_size(one) - 1;
  ck_assert_int_eq(client_send(one, &request), DISPATCH_RETRY);
  ck_assert_uint_eq(one->n, n);
}
END_TEST

/* Requests the page behind `list`, which is zero for the first one. */
static void next_page(struct fc_list_reply *list, uint32_t limit) {
  struct fc_page page = {.limit = limit, .cursor = list->cursor, .cursor_size = list->cursor_size};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_page(&request, FC_NAMESPACES, 5, &page), 0);
  client_request(one, &request);
  assert_room();
  struct fc_reply reply = client_last_reply(one);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_NAMESPACES);
  *list = reply.list;
}

START_TEST(list_of_largest_namespaces_comes_in_pages_that_fit) {
  static char manifest[FC_MANIFEST_MAX];
  struct fc_list_reply list = {0};
  unsigned n = 0, pages = 0;
  memset(manifest, 'm', sizeof manifest);
  fill_table((struct fc_str){manifest, sizeof manifest});
  do {
    next_page(&list, UINT32_MAX);
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

START_TEST(list_page_continues_when_namespaces_come_and_go) {
  struct fc_list_reply list = {0};
  struct fc_namespace_entry entry;
  struct namespace *a = open_namespace(fc_str_of("a"));
  (void)open_namespace(fc_str_of("b"));
  (void)open_namespace(fc_str_of("c"));
  next_page(&list, 1);
  ck_assert_uint_eq(list.n, 1);
  namespace_table_close(&namespaces, a); /* the one shown */
  next_page(&list, 1);
  fc_namespaces_next(&list, &entry);
  ck_assert(fc_str_equal(entry.name_space, fc_str_of("b")));
  (void)open_namespace(fc_str_of("a"));
  next_page(&list, 10);
  ck_assert_uint_eq(list.n, 2); /* c, and the new a */
  ck_assert_uint_eq(list.cursor_size, 0);
}
END_TEST

START_TEST(list_of_entries_asks_for_room_first) {
  struct fc_buf request = {0};
  struct fc_list list = {.limit = 10};
  ck_assert_int_eq(fc_encode_list(&request, 1, &list), 0);
  client_request(one, &request);
  assert_room();
}
END_TEST

/* ---- clears of clients that have left ---- */

static void put_in(struct namespace *ns) {
  struct fc_key key = request_key(1);
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&store, ns, &key, "v", 1, &info), FC_STORED);
}

/* Returns a namespace that user `uid` creates. */
static struct namespace *create_namespace(uid_t uid, const char *name) {
  struct session session = {.uid = uid, .ns = open_namespace(fc_str_of(name))};
  permissions_claim_namespace(&session);
  return session.ns;
}

static void queue_clear(uid_t uid, const char *name) {
  struct fc_buf request = {0};
  struct fc_clear select = {.select.name_space = fc_str_of(name)};
  one->session.uid = uid;
  one->sink.peer_gone = true;
  ck_assert_int_eq(fc_encode_clear(&request, 1, &select), 0);
  client_request(one, &request);
}

/* It clears the namespace that existed then. Another user may create it anew. */
START_TEST(queued_clear_spares_new_namespace_of_same_name) {
  struct namespace *ns = create_namespace(1, "ns");
  put_in(ns);
  queue_clear(1, "ns");
  queue_clear(1, "ns"); /* the first covers it */
  ck_assert_uint_eq(dispatch.clears_queued.n, 1);
  ck_assert_uint_eq(store.entries, 1); /* no background step has run */
  namespaces.limit = 1;
  namespace_table_close(&namespaces, ns);
  ns = create_namespace(2, "else"); /* deletes the one without clients */
  namespace_table_close(&namespaces, ns);
  ns = create_namespace(2, "ns");
  put_in(ns);
  queue_clear(1, "ns"); /* without permission: dropped */
  ck_assert_uint_eq(dispatch.clears_queued.n, 1);
  while (dispatch_background_step(&dispatch))
    ;
  ck_assert_uint_eq(store.entries, 1);
  queue_clear(2, "ns");
  while (dispatch_background_step(&dispatch))
    ;
  ck_assert_uint_eq(store.entries, 0);
  namespace_table_close(&namespaces, ns);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("admin_requests");
  TCase *tcase = tcase_create("admin_requests");
  tcase_add_checked_fixture(tcase, set_up, dispatch_tear_down);
  tcase_add_test(tcase, stats_of_all_namespaces_fit_in_a_frame);
  tcase_add_test(tcase, list_of_largest_namespaces_comes_in_pages_that_fit);
  tcase_add_test(tcase, list_page_continues_when_namespaces_come_and_go);
  tcase_add_test(tcase, list_of_entries_asks_for_room_first);
  tcase_add_test(tcase, queued_clear_spares_new_namespace_of_same_name);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
