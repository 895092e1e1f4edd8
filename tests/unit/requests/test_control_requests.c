/* snapshot and set through the dispatcher, with scripted functions behind them, and the flag peek
 * of get and get_many. */
#include <check.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"

static struct test_client *const one = &test_clients[0], *const two = &test_clients[1];

/* The state of the scripted server. */
static struct {
  struct control_snapshot state;
  uint64_t max_bytes; /* of the last resize */
  unsigned starts;
  int code; /* of the next start or resize */
} script;

static int scripted_start(void *arg, struct error_text *error) {
  ck_assert_ptr_eq(arg, &script);
  if (script.code < 0)
    return error_text_set(error, script.code, "no folder");
  script.starts++;
  if (script.state.running == 0)
    script.state.running = script.state.ended + 1;
  return 0;
}

static void scripted_query(void *arg, struct control_snapshot *out) {
  ck_assert_ptr_eq(arg, &script);
  *out = script.state;
}

static int scripted_resize(void *arg, uint64_t max_bytes, struct error_text *error) {
  ck_assert_ptr_eq(arg, &script);
  if (script.code < 0)
    return error_text_set(error, script.code, "1 GiB is more than 512 MiB");
  script.max_bytes = max_bytes;
  return 0;
}

/* Client one is an administrator, client two is none. */
static void set_up(void) {
  static const struct dispatch_options options = {0};
  memset(&script, 0, sizeof script);
  script.state.error = "";
  dispatch_set_up(&options);
  dispatch.control = (struct control){.snapshot_start = scripted_start,
                                      .snapshot_query = scripted_query,
                                      .resize = scripted_resize,
                                      .arg = &script};
  (void)client_hello(one, client_hello_of(FC_PROTOCOL_VERSION));
  (void)client_hello(two, client_hello_of(FC_PROTOCOL_VERSION));
  one->session.admin = true;
  two->session.admin = false;
}

/* ---- snapshot ---- */

static struct fc_reply snapshot(struct test_client *client, enum fc_snapshot_action action) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_snapshot(&request, 9, action), 0);
  client_request(client, &request);
  return client_last_reply(client);
}

static void assert_error(const struct fc_reply *reply, int code, const char *text) {
  ck_assert_uint_eq(reply->type, FC_ERROR);
  ck_assert_int_eq(reply->error.code, code);
  ck_assert_msg(memmem(reply->error.text.data, reply->error.text.size, text, strlen(text)) != NULL,
                "the error is \"%.*s\"", (int)reply->error.text.size, reply->error.text.data);
}

START_TEST(snapshot_start_begins_one_and_a_second_joins_it) {
  struct fc_reply reply = snapshot(one, FC_SNAPSHOT_START);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_SNAPSHOT);
  ck_assert(reply.snapshot.started);
  ck_assert_uint_eq(reply.snapshot.running, 1);
  ck_assert_ptr_null(reply.snapshot.path.data);
  reply = snapshot(one, FC_SNAPSHOT_START);
  ck_assert(!reply.snapshot.started);
  ck_assert_uint_eq(reply.snapshot.running, 1);
  script.state = (struct control_snapshot){0, 1, 7, 4096, 5000, "disk full", "/state/snapshot"};
  reply = snapshot(two, FC_SNAPSHOT_STATUS); /* any client may ask */
  ck_assert(!reply.snapshot.started);
  ck_assert_uint_eq(reply.snapshot.running, 0);
  ck_assert_uint_eq(reply.snapshot.ended, 1);
  ck_assert_uint_eq(reply.snapshot.entries, 7);
  ck_assert_uint_eq(reply.snapshot.bytes, 4096);
  ck_assert_uint_eq(reply.snapshot.duration_ns, 5000);
  ck_assert(fc_str_equal(reply.snapshot.error, fc_str_of("disk full")));
  ck_assert(fc_str_equal(reply.snapshot.path, fc_str_of("/state/snapshot")));
  ck_assert_uint_eq(script.starts, 2);
}
END_TEST

START_TEST(snapshot_refused_with_the_reason) {
  struct fc_reply reply = snapshot(two, FC_SNAPSHOT_START);
  assert_error(&reply, FC_EDENIED, "writing a snapshot");
  script.code = FC_EREFUSED;
  reply = snapshot(one, FC_SNAPSHOT_START);
  assert_error(&reply, FC_EREFUSED, "no folder");
  dispatch.control = (struct control){0};
  reply = snapshot(one, FC_SNAPSHOT_START);
  assert_error(&reply, FC_EREFUSED, "state folder");
  ck_assert_uint_eq(snapshot(one, FC_SNAPSHOT_STATUS).snapshot.running, 0);
  ck_assert_uint_eq(script.starts, 0);
}
END_TEST

/* ---- set ---- */

static struct fc_reply set(struct test_client *client, const char *name, const char *value) {
  struct fc_set change = {fc_str_of(name), fc_str_of(value)};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_set(&request, 9, &change), 0);
  client_request(client, &request);
  return client_last_reply(client);
}

START_TEST(set_max_bytes_calls_resize) {
  struct fc_reply reply = set(one, "max-bytes", "512M");
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_SET);
  ck_assert_uint_eq(reply.set.before, store.max_bytes);
  ck_assert_uint_eq(reply.set.now, 512u << 20);
  ck_assert_uint_eq(script.max_bytes, 512u << 20);
}
END_TEST

static const struct {
  const char *name, *value;
  int code;
  const char *error;
} wrong[] = {
    {"max_bytes", "1M", FC_EINVAL,
     "there is no setting \"max_bytes\": those that can be set are: "
     "max-bytes"},
    {"max-bytes", "12Q", FC_EINVAL, "\"12Q\" is no size"},
    {"max-bytes", "0", FC_EINVAL, "\"0\" is no size"},
    {"max-bytes", "", FC_EINVAL, "\"\" is no size"},
    {"max-bytes", "11111111111111111111111111111111111111111111111111111111111111111", FC_EINVAL,
     "has 65 bytes"},
};

START_TEST(set_wrong_setting_refused) {
  struct fc_reply reply = set(one, wrong[_i].name, wrong[_i].value);
  assert_error(&reply, wrong[_i].code, wrong[_i].error);
  ck_assert_uint_eq(script.max_bytes, 0);
}
END_TEST

START_TEST(set_refused_with_the_reason) {
  struct fc_reply reply = set(two, "max-bytes", "1G");
  assert_error(&reply, FC_EDENIED, "changing a setting");
  script.code = FC_EREFUSED;
  reply = set(one, "max-bytes", "1G");
  assert_error(&reply, FC_EREFUSED, "1 GiB is more than 512 MiB");
  dispatch.control = (struct control){0};
  reply = set(one, "max-bytes", "1G");
  assert_error(&reply, FC_EREFUSED, "--max-bytes 1G");
  ck_assert_uint_eq(script.max_bytes, 0);
}
END_TEST

/* ---- peek ---- */

/* Gets key 1 by get, or by get_many. */
static void get(uint32_t flags, bool many) {
  struct fc_key key = request_key(1);
  struct fc_buf request = {0};
  if (many) {
    struct fc_get_many get = {.flags = flags, .key = key, .prompts = key.prompt.bytes, .n = 1};
    ck_assert_int_eq(fc_encode_get_many(&request, 3, &get), 0);
  } else {
    struct fc_get get = {.flags = flags, .key = key};
    ck_assert_int_eq(fc_encode_get(&request, 3, &get), 0);
  }
  client_request(one, &request);
  (void)client_last_reply(one);
}

static const struct entry *find(uint32_t n) {
  struct fc_key key = request_key(n);
  return store_peek(&store, one->session.ns, &key);
}

START_TEST(get_with_peek_changes_no_order_and_no_counter) {
  bool many = _i == 1;
  struct fc_key first = request_key(1), second = request_key(2);
  (void)client_put(one, &first, 'a', 100, (struct fc_epoch){0});
  (void)client_put(one, &second, 'b', 100, (struct fc_epoch){0});
  uint64_t stamp = find(1)->use_stamp;
  get(FC_PEEK | FC_UNRECORDED, many);
  ck_assert_uint_eq(find(1)->use_stamp, stamp);
  ck_assert_uint_eq(find(1)->hits, 0);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 0);
  get(FC_UNRECORDED, many);
  ck_assert_uint_gt(find(1)->use_stamp, find(2)->use_stamp);
  ck_assert_uint_eq(find(1)->hits, 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("control_requests");
  TCase *tcase = tcase_create("control_requests");
  tcase_add_checked_fixture(tcase, set_up, dispatch_tear_down);
  tcase_add_test(tcase, snapshot_start_begins_one_and_a_second_joins_it);
  tcase_add_test(tcase, snapshot_refused_with_the_reason);
  tcase_add_test(tcase, set_max_bytes_calls_resize);
  tcase_add_loop_test(tcase, set_wrong_setting_refused, 0, sizeof wrong / sizeof wrong[0]);
  tcase_add_test(tcase, set_refused_with_the_reason);
  tcase_add_loop_test(tcase, get_with_peek_changes_no_order_and_no_counter, 0, 2);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
