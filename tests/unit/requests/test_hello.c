/* The handshake through the dispatcher: the namespace, its manifest and its last use. */
#include <check.h>

#include "proto/errors.h"
#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"

static struct test_client *const one = &test_clients[0], *const tool = &test_clients[1];

static void set_up(void) {
  static const struct dispatch_options options = {0};
  struct fc_hello hello = client_hello_of(FC_PROTOCOL_VERSION);
  hello.name_space = (struct fc_str){0};
  dispatch_set_up(&options);
  (void)client_hello(tool, hello);
}

static void hello_with(const char *manifest, uint32_t version) {
  struct fc_hello hello = client_hello_of(version);
  hello.manifest = fc_str_of(manifest);
  client_disconnect(one);
  (void)client_hello(one, hello);
}

static void assert_manifest(const char *manifest) {
  struct fc_page page = {.limit = 10};
  struct fc_buf request = {0};
  struct fc_namespace_entry entry;
  ck_assert_int_eq(fc_encode_page(&request, FC_NAMESPACES, 5, &page), 0);
  client_request(tool, &request);
  struct fc_list_reply list = client_last_reply(tool).list;
  ck_assert_uint_eq(list.n, 1);
  fc_namespaces_next(&list, &entry);
  ck_assert_int_eq(entry.manifest.data == NULL, manifest == NULL);
  ck_assert(fc_str_equal(entry.manifest, fc_str_of(manifest)));
}

static void put(void) {
  struct fc_key key = request_key(1);
  ck_assert_int_eq(client_put(one, &key, 'v', 1, (struct fc_epoch){0}), DISPATCH_DONE);
}

START_TEST(hello_with_manifest_replaces_it) {
  static const struct {
    const char *manifest;
    uint32_t version;
    const char *expected;
  } steps[] = {
      {NULL, FC_PROTOCOL_VERSION, NULL},
      {"{\"a\": 1}", FC_PROTOCOL_VERSION, "{\"a\": 1}"},
      {NULL, FC_PROTOCOL_VERSION, "{\"a\": 1}"},
      {"{\"a\": 2}", 3, "{\"a\": 1}"}, /* protocol 3 has none */
      {"{\"a\": 2}", FC_PROTOCOL_VERSION, "{\"a\": 2}"},
  };
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    hello_with(steps[i].manifest, steps[i].version);
    if (i == 0)
      put(); /* the namespace keeps it between clients */
    assert_manifest(steps[i].expected);
  }
}
END_TEST

/* Sends the request, which it frees. Returns true if it updated the namespace's last use. */
static bool request_uses(struct fc_buf *request) {
  one->session.ns->last_use_ns = 0;
  client_request(one, request);
  return one->session.ns->last_use_ns > 0;
}

START_TEST(namespace_last_use_updated_by_hello_get_and_put) {
  struct fc_get get = {.key = request_key(9)}; /* a miss */
  struct fc_give_up all = {.n = 0};
  struct fc_buf request = {0};
  hello_with(NULL, FC_PROTOCOL_VERSION);
  ck_assert_uint_gt(one->session.ns->last_use_ns, 0);
  one->session.ns->last_use_ns = 0;
  put();
  ck_assert_uint_gt(one->session.ns->last_use_ns, 0);
  ck_assert_int_eq(fc_encode_simple(&request, FC_PING, 1), 0);
  ck_assert(!request_uses(&request));
  ck_assert_int_eq(fc_encode_give_up(&request, 1, &all), 0);
  ck_assert(!request_uses(&request));
  ck_assert_int_eq(fc_encode_get(&request, 1, &get), 0);
  ck_assert(request_uses(&request));
}
END_TEST

START_TEST(hello_without_room_for_namespace_refused) {
  struct fc_buf request = {0};
  struct fc_hello hello = client_hello_of(FC_PROTOCOL_VERSION);
  struct namespace *ns;
  namespaces.limit = 1;
  ck_assert_int_eq(namespace_table_open(&namespaces, fc_str_of("held"), NULL, &ns), 0);
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_CLOSE);
  ck_assert_int_eq(client_last_reply(one).error.code, FC_EREFUSED);
  ck_assert_uint_eq(dispatch.totals->refused, 1);
  ck_assert_uint_eq(dispatch.totals->dropped, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("hello");
  TCase *tcase = tcase_create("hello");
  tcase_add_checked_fixture(tcase, set_up, dispatch_tear_down);
  tcase_add_test(tcase, hello_with_manifest_replaces_it);
  tcase_add_test(tcase, namespace_last_use_updated_by_hello_get_and_put);
  tcase_add_test(tcase, hello_without_room_for_namespace_refused);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
