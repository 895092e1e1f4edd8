/* The requests of fcachectl: listings page by page, from daemons of every kind. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/admin/admin.h"
#include "client/lib/admin/times.h"
#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

#define DEADLINE_MS 20000u
#define PAGE_MOST 500u /* maximum of items in a request */

/* ---- a daemon with N entries, leases or clients ---- */

struct shelf {
  uint32_t items;
  uint32_t page;          /* maximum of items in a reply */
  const char *name_space; /* expected in requests; NULL: all */
  bool stuck;             /* repeats the same empty page */
};

/* The limit of a list request of any type. */
static struct fc_page page_of(const struct fc_request *request) {
  const struct fc_list *list = &request->list;
  if (request->type != FC_LIST)
    return request->page;
  return (struct fc_page){.name_space = list->select.name_space,
                          .limit = list->limit,
                          .cursor = list->cursor,
                          .cursor_size = list->cursor_size};
}

static void add_item(struct fc_buf *buf, enum fc_type type, uint32_t i) {
  struct fc_str name = fc_str_of("x");
  struct fc_key key = {.op = name, .view = name, .top_k = i};
  struct fc_list_entry entry = {.name_space = name, .key = key};
  struct fc_lease_entry lease = {.name_space = name, .key = key, .client = name};
  struct fc_client_entry client = {.client = name, .client_id = i};
  struct fc_namespace_entry ns = {.name_space = name, .entries = i};
  if (type == FC_LIST)
    (void)fc_encode_list_entry(buf, &entry); /* the send checks buf->failed */
  else if (type == FC_LEASES)
    (void)fc_encode_lease_entry(buf, &lease);
  else if (type == FC_CLIENTS)
    (void)fc_encode_client_entry(buf, &client);
  else
    (void)fc_encode_namespace_entry(buf, &ns);
}

/* The cursor is the number of items given so far. */
static bool send_page(const struct shelf *shelf, int fd, const struct fc_request *request) {
  struct fc_page page = page_of(request);
  struct fc_str expected = fc_str_of(shelf->name_space);
  struct fc_buf buf = {0};
  uint32_t from = 0, n = page.limit;
  if (!fc_str_equal(page.name_space, expected) || page.limit > PAGE_MOST ||
      (page.cursor_size != 0 && page.cursor_size != sizeof from))
    return false;
  if (page.cursor_size > 0)
    memcpy(&from, page.cursor, sizeof from);
  uint32_t left = shelf->stuck || from > shelf->items ? 0 : shelf->items - from;
  if (n > shelf->page)
    n = shelf->page;
  if (n > left)
    n = left;
  uint32_t to = from + n;
  bool more = shelf->stuck || to < shelf->items;
  (void)fc_encode_list_reply_head(&buf, request->type, request->id, (const uint8_t *)&to,
                                  more ? sizeof to : 0, n);
  for (uint32_t i = from; i < to; i++)
    add_item(&buf, request->type, i);
  fc_frame_finish(&buf, 0, 0);
  bool made = !buf.failed;
  scripted_send(fd, &buf);
  return made;
}

static void serve(struct scripted_daemon *scripted, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  (void)nth;
  bool goes_on = scripted_handshake(scripted, fd);
  while (goes_on && scripted_read(scripted, fd, &body, &request)) {
    struct fc_buf buf = {0};
    if (request.type == FC_PING && fc_encode_simple(&buf, FC_REPLY | FC_PING, request.id) == 0)
      scripted_send(fd, &buf);
    else
      goes_on = send_page(scripted->arg, fd, &request);
    free(body);
  }
}

/* ---- the tool ---- */

/* Items must come in order, each once. */
struct got {
  uint32_t n;
  bool in_order;
};

static void check_next(struct got *got, uint64_t number) {
  got->in_order = got->in_order && number == got->n;
  got->n++;
}

static void check_entry(void *arg, const struct fc_list_entry *entry) {
  check_next(arg, entry->key.top_k);
}

static void check_lease(void *arg, const struct fc_lease_entry *lease) {
  check_next(arg, lease->key.top_k);
}

static void check_client(void *arg, const struct fc_client_entry *client) {
  check_next(arg, client->client_id);
}

static void check_namespace(void *arg, const struct fc_namespace_entry *ns) {
  check_next(arg, ns->entries);
}

static const enum fc_type types[] = {FC_LIST, FC_LEASES, FC_CLIENTS, FC_NAMESPACES};
#define N_TYPES ((int)(sizeof types / sizeof types[0]))

static int list(struct admin *admin, enum fc_type type, const char *name_space, uint64_t limit,
                struct got *got) {
  struct fc_select select = {.name_space = fc_str_of(name_space)};
  *got = (struct got){.in_order = true};
  if (type == FC_LIST)
    return admin_list(admin, &select, limit, check_entry, got);
  if (type == FC_LEASES)
    return admin_leases(admin, name_space, limit, check_lease, got);
  if (type == FC_CLIENTS)
    return admin_clients(admin, name_space, limit, check_client, got);
  return admin_namespaces(admin, name_space, limit, check_namespace, got);
}

static struct admin *open_at(const struct scripted_daemon *scripted) {
  struct fcache_error error = {0};
  struct admin *admin;
  int rc = admin_open(scripted->path, NULL, DEADLINE_MS, &admin, &error);
  if (rc != 0)
    ck_abort_msg("%d: %s", rc, error.text);
  return admin;
}

/* ---- tests ---- */

START_TEST(list_several_pages_all_items) {
  static const struct {
    uint32_t items, page, requests;
  } shelves[] = {{0, 500, 1}, {1, 500, 1}, {500, 500, 1}, {501, 500, 2}, {1234, 100, 13}};
  for (size_t i = 0; i < sizeof shelves / sizeof shelves[0]; i++) {
    struct shelf shelf = {.items = shelves[i].items, .page = shelves[i].page};
    struct scripted_daemon scripted;
    struct got got;
    scripted_start(&scripted, serve, &shelf);
    struct admin *admin = open_at(&scripted);
    ck_assert_int_eq(list(admin, types[_i], NULL, 0, &got), 0);
    ck_assert_uint_eq(got.n, shelf.items);
    ck_assert(got.in_order);
    ck_assert_uint_eq(atomic_load(&scripted.seen), 1 + shelves[i].requests); /* and hello */
    admin_close(admin);
    scripted_stop(&scripted);
  }
}
END_TEST

START_TEST(list_with_limit_requests_no_more) {
  static const struct {
    uint32_t limit, requests;
  } wanted[] = {{1, 1}, {499, 1}, {500, 1}, {501, 2}, {1000, 2}, {2000, 3}};
  struct shelf shelf = {.items = 1234, .page = 500};
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve, &shelf);
  struct admin *admin = open_at(&scripted);
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    unsigned before = atomic_load(&scripted.seen);
    struct got got;
    ck_assert_int_eq(list(admin, types[_i], NULL, wanted[i].limit, &got), 0);
    ck_assert_uint_eq(got.n, wanted[i].limit < shelf.items ? wanted[i].limit : shelf.items);
    ck_assert(got.in_order);
    ck_assert_uint_eq(atomic_load(&scripted.seen) - before, wanted[i].requests);
  }
  admin_close(admin);
  scripted_stop(&scripted);
}
END_TEST

START_TEST(list_of_namespaces_items_passed) {
  struct shelf shelf = {.items = 700, .page = 500, .name_space = "gpt2"};
  struct scripted_daemon scripted;
  struct got got;
  scripted_start(&scripted, serve, &shelf);
  struct admin *admin = open_at(&scripted);
  ck_assert_int_eq(list(admin, types[_i], "gpt2", 0, &got), 0);
  ck_assert_uint_eq(got.n, 700);
  ck_assert_int_eq(list(admin, types[_i], "another", 0, &got),
                   FC_EUNAVAILABLE); /* the daemon closes the connection */
  ck_assert_int_eq(list(admin, types[_i], "gpt2", 0, &got), FC_EUNAVAILABLE);
  ck_assert_uint_eq(atomic_load(&scripted.accepted), 1); /* a tool does not reconnect */
  admin_close(admin);
  scripted_stop(&scripted);
}
END_TEST

START_TEST(list_page_without_progress_fails) {
  struct shelf shelf = {.items = 10, .page = 500, .stuck = true};
  struct scripted_daemon scripted;
  struct got got;
  scripted_start(&scripted, serve, &shelf);
  struct admin *admin = open_at(&scripted);
  ck_assert_int_eq(list(admin, types[_i], NULL, 0, &got), FC_EUNAVAILABLE);
  ck_assert_uint_eq(got.n, 0);
  admin_close(admin);
  scripted_stop(&scripted);
}
END_TEST

/* A request that the daemon does not know is not sent. */
START_TEST(list_older_daemon_version_error) {
  struct shelf shelf = {.items = 1, .page = 500};
  struct scripted_daemon scripted;
  struct got got;
  uint64_t rtt_ns;
  scripted_start(&scripted, serve, &shelf);
  scripted.welcome.version = 2;
  struct admin *admin = open_at(&scripted);
  ck_assert_int_eq(list(admin, FC_LEASES, NULL, 0, &got), FC_EVERSION);
  char text[FCACHE_ERROR_TEXT_SIZE];
  (void)snprintf(text, sizeof text,
                 "the daemon at %s is %s, which has no leases: restart it with the new version",
                 scripted.path, admin_server(admin));
  ck_assert_str_eq(admin_error(admin), text);
  ck_assert_int_eq(list(admin, FC_CLIENTS, NULL, 0, &got), FC_EVERSION);
  ck_assert_ptr_nonnull(strstr(admin_error(admin), "has no clients"));
  ck_assert_int_eq(list(admin, FC_NAMESPACES, NULL, 0, &got), FC_EVERSION);
  ck_assert_ptr_nonnull(strstr(admin_error(admin), "has no namespaces"));
  ck_assert_uint_eq(atomic_load(&scripted.seen), 1); /* hello */
  ck_assert_int_eq(admin_ping(admin, &rtt_ns), 0);
  ck_assert_int_eq(list(admin, FC_LIST, NULL, 0, &got),
                   0); /* an older request, which the daemon knows */
  ck_assert_uint_eq(got.n, 1);
  admin_close(admin);
  scripted_stop(&scripted);
}
END_TEST

static void no_latency(void *arg, const struct fc_latency_entry *kind) {
  (void)arg;
  (void)kind;
  ck_abort_msg("an older daemon has no latency");
}

START_TEST(times_older_daemon_version_error) {
  struct shelf shelf = {.items = 1, .page = 500};
  struct scripted_daemon scripted;
  struct admin_costly_entry entry;
  struct admin_costly costly = {.entries = &entry, .limit = 1};
  uint64_t period_ns;
  scripted_start(&scripted, serve, &shelf);
  scripted.welcome.version = 6;
  struct admin *admin = open_at(&scripted);
  ck_assert_int_eq(admin_latency(admin, false, &period_ns, no_latency, NULL), FC_EVERSION);
  ck_assert_ptr_nonnull(strstr(admin_error(admin), "has no latency"));
  ck_assert_int_eq(admin_slowest(admin, 1, false, &period_ns, NULL, NULL), FC_EVERSION);
  ck_assert_int_eq(admin_costly(admin, &(struct fc_select){0}, &costly), FC_EVERSION);
  ck_assert_uint_eq(atomic_load(&scripted.seen), 1); /* hello */
  admin_close(admin);
  scripted_stop(&scripted);
}
END_TEST

/* A daemon of the version before has leases and clients. */
START_TEST(list_leases_version_3_works) {
  struct shelf shelf = {.items = 3, .page = 500};
  struct scripted_daemon scripted;
  struct got got;
  scripted_start(&scripted, serve, &shelf);
  scripted.welcome.version = 3;
  struct admin *admin = open_at(&scripted);
  ck_assert_int_eq(list(admin, FC_NAMESPACES, NULL, 0, &got), FC_EVERSION);
  ck_assert_int_eq(list(admin, FC_LEASES, NULL, 0, &got), 0);
  ck_assert_uint_eq(got.n, 3);
  admin_close(admin);
  scripted_stop(&scripted);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("admin");
  TCase *tests = tcase_create("listings");
  tcase_set_timeout(tests, 60);
  tcase_add_loop_test(tests, list_several_pages_all_items, 0, N_TYPES);
  tcase_add_loop_test(tests, list_with_limit_requests_no_more, 0, N_TYPES);
  tcase_add_loop_test(tests, list_of_namespaces_items_passed, 0, N_TYPES);
  tcase_add_loop_test(tests, list_page_without_progress_fails, 0, N_TYPES);
  tcase_add_test(tests, list_older_daemon_version_error);
  tcase_add_test(tests, times_older_daemon_version_error);
  tcase_add_test(tests, list_leases_version_3_works);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
