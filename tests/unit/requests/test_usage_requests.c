/* The usage by names through the dispatcher: of hits in rings, of messages of one key and of many,
 * and of clients that leave; and its pages. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"

static struct test_client *const one = &test_clients[0], *const two = &test_clients[1];

static void set_up(void) {
  static const struct dispatch_options options = {.rings = true};
  dispatch_set_up(&options);
  (void)client_hello(one, client_hello_of(FC_PROTOCOL_VERSION));
  client_open_ring(one);
}

/* ---- requests ---- */

static struct fc_list_reply usage_page(uint32_t by, uint32_t limit, const uint8_t *cursor,
                                       uint32_t cursor_size) {
  struct fc_usage usage = {by, limit, cursor, cursor_size};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_usage(&request, 9, &usage), 0);
  client_request(two, &request);
  struct fc_reply reply = client_last_reply(two);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_USAGE);
  return reply.list;
}

static void usage_set_up(void) {
  struct fc_hello tool = client_hello_of(FC_PROTOCOL_VERSION);
  set_up();
  tool.name_space = (struct fc_str){0};
  (void)client_hello(two, tool);
}

static bool is_name(struct fc_str name, const char *expected) {
  return expected == NULL ? name.data == NULL : fc_str_equal(name, fc_str_of(expected));
}

/* Returns the row of these names of the first page, zeroed if there is none. */
static struct fc_usage_entry row_of(uint32_t by, const char *op, const char *view,
                                    const char *probe) {
  struct fc_list_reply list = usage_page(by, 1000, NULL, 0);
  struct fc_usage_entry entry;
  while (list.n > 0) {
    fc_usage_next(&list, &entry);
    if (is_name(entry.op, op) && is_name(entry.view, view) && is_name(entry.probe, probe))
      return entry;
  }
  return (struct fc_usage_entry){0};
}

static void put_one(uint32_t n, const char *probe, uint32_t size) {
  static const uint8_t value[4096];
  struct fc_buf request = {0};
  struct fc_put put = {.key = request_key(n),
                       .probe = fc_str_of(probe),
                       .compute_ns = 1,
                       .value = value,
                       .value_size = size};
  ck_assert_int_eq(fc_encode_put_head(&request, 2, &put), 0);
  ck_assert_int_eq(fc_buf_append(&request, value, size), 0);
  client_request(one, &request);
}

static void get_one(uint32_t n, uint32_t flags) {
  struct fc_buf request = {0};
  struct fc_get get = {.flags = flags, .key = request_key(n)};
  ck_assert_int_eq(fc_encode_get(&request, 3, &get), 0);
  client_request(one, &request);
}

static void expect_counts(struct fc_usage_entry row, uint64_t hits, uint64_t misses,
                          uint64_t put_bytes) {
  ck_assert_uint_eq(row.hits, hits);
  ck_assert_uint_eq(row.misses, misses);
  ck_assert_uint_eq(row.put_bytes, put_bytes);
}

/* ---- tests ---- */

START_TEST(messages_are_counted_by_each_name) {
  put_one(1, "p", 100);
  get_one(1, 0);
  get_one(1, FC_UNRECORDED);
  get_one(2, 0); /* no hit; only a put is a miss */
  struct fc_usage_entry row = row_of(FC_USAGE_KEY, "op", "base", NULL);
  expect_counts(row, 1, 1, 100);
  ck_assert(is_name(row.name_space, "ns"));
  ck_assert_uint_eq(row.saved_ns, 1);
  ck_assert_uint_eq(row.computed_ns, 1);
  ck_assert_uint_eq(row.others, 0);
  expect_counts(row_of(FC_USAGE_PROBE, NULL, NULL, "p"), 0, 1, 100);
  expect_counts(row_of(FC_USAGE_PROBE, NULL, NULL, NULL), 1, 0, 0);
  row = row_of(FC_USAGE_NAMESPACE, NULL, NULL, NULL);
  expect_counts(row, 1, 1, 100);
  ck_assert_uint_eq(row.stored_bytes, store.bytes);
  row = row_of(FC_USAGE_CLIENT, NULL, NULL, NULL);
  expect_counts(row, 1, 1, 100);
  ck_assert(is_name(row.client, "client"));
  ck_assert_uint_eq(row.client_id, one->session.client_id);
  ck_assert_int_eq(row.pid, 100);
}
END_TEST

START_TEST(requests_of_many_keys_are_counted_by_their_sum) {
  static const uint8_t values[] = "\xc4\x02vv\xc4\x02vv\xc4\x02vv";
  uint8_t prompts[4 * FC_HASH_SIZE];
  struct fc_buf request = {0};
  for (uint32_t i = 0; i < 4; i++)
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, request_key(i).prompt.bytes, FC_HASH_SIZE);
  struct fc_put_many put = {
      .key = request_key(0), .compute_ns = 3, .prompts = prompts, .n = 3, .values = {.n = 3}};
  ck_assert_int_eq(fc_encode_put_many_head(&request, 4, &put), 0);
  ck_assert_int_eq(fc_buf_append(&request, values, sizeof values - 1), 0);
  fc_frame_finish(&request, 0, 0);
  client_request(one, &request);
  struct fc_get_many get = {.key = request_key(0), .prompts = prompts, .n = 4};
  ck_assert_int_eq(fc_encode_get_many(&request, 5, &get), 0);
  client_request(one, &request);
  struct fc_usage_entry row = row_of(FC_USAGE_KEY, "op", "base", NULL);
  expect_counts(row, 3, 3, 6);
  ck_assert_uint_eq(row.computed_ns, 3);
  ck_assert_uint_eq(row.saved_ns, 3);
}
END_TEST

START_TEST(ring_hits_are_counted_by_their_labels) {
  struct fc_key key = request_key(1);
  put_one(1, NULL, 100);
  for (int i = 0; i < 3; i++)
    client_record_hit(one, &key);
  ring_builder_context(&one->writer, 1, "op", "base", "probe");
  struct fc_ring_hit record = ring_builder_hit_on(one->session.ns->seed, 1, &key);
  record.compute_ns = 9;
  ring_builder_hit(&one->writer, &record);
  ring_builder_publish(&one->writer);
  struct fc_usage_entry row = row_of(FC_USAGE_KEY, "op", "base", NULL);
  expect_counts(row, 4, 1, 100);
  ck_assert_uint_eq(row.saved_ns, 9); /* the other records say 0 */
  expect_counts(row_of(FC_USAGE_PROBE, NULL, NULL, "probe"), 1, 0, 0);
  expect_counts(row_of(FC_USAGE_PROBE, NULL, NULL, NULL), 3, 1, 100);
  expect_counts(row_of(FC_USAGE_CLIENT, NULL, NULL, NULL), 4, 1, 100);
}
END_TEST

/* A label's index gets another meaning while its hits are not in the usage yet. */
START_TEST(hits_of_a_replaced_label_keep_their_names) {
  struct fc_key key = request_key(1);
  struct fc_ring_hit record = ring_builder_hit_on(one->session.ns->seed, 0, &key);
  char view[16];
  for (unsigned i = 0; i < 100; i++) {
    (void)snprintf(view, sizeof view, "view-%u", i);
    ring_builder_context(&one->writer, 0, "op", view, NULL);
    for (unsigned hits = 0; hits <= i % 3; hits++)
      ring_builder_hit(&one->writer, &record);
    if (i % 7 == 0) {
      ring_builder_publish(&one->writer);
      expect_counts(row_of(FC_USAGE_KEY, "op", view, NULL), i % 3 + 1, 0, 0);
    }
  }
  ring_builder_publish(&one->writer);
  for (unsigned i = 0; i < 100; i++) {
    (void)snprintf(view, sizeof view, "view-%u", i);
    expect_counts(row_of(FC_USAGE_KEY, "op", view, NULL), i % 3 + 1, 0, 0);
  }
}
END_TEST

START_TEST(hits_of_a_former_ring_and_of_a_client_that_left_remain) {
  struct fc_key key = request_key(1);
  struct fc_buf request = {0};
  const struct fc_ring_request ring = {FC_REGION_LAYOUT, 0};
  client_record_hit(one, &key);
  ck_assert_int_eq(fc_encode_ring(&request, 7, &ring), 0);
  client_request(one, &request);
  client_open_ring(one);
  client_record_hit(one, &key);
  expect_counts(row_of(FC_USAGE_CLIENT, NULL, NULL, NULL), 2, 0, 0);
  client_disconnect(one);
  struct fc_usage_entry row = row_of(FC_USAGE_CLIENT, NULL, NULL, NULL);
  expect_counts(row, 2, 0, 0);
  ck_assert_uint_eq(row.others, 1);
  ck_assert(is_name(row.name_space, NULL) && is_name(row.client, NULL));
  expect_counts(row_of(FC_USAGE_KEY, "op", "base", NULL), 2, 0, 0);
}
END_TEST

/* Many names, in pages of each size, with the others at the end. */
START_TEST(pages_have_each_row_once_and_the_others_last) {
  enum { NAMES = USAGE_ROWS_MAX + 100 };
  struct usage_counts more = {.hits = 1};
  char op[16];
  for (unsigned i = 0; i < NAMES; i++) {
    (void)snprintf(op, sizeof op, "op-%u", i);
    struct usage_names names = {.name_space = fc_str_of("ns"), fc_str_of(op), fc_str_of("v")};
    usage_add(&dispatch.usage, NULL, &names, &more);
  }
  for (uint32_t limit = 10; limit <= 1000; limit = limit * 7 + 3) {
    uint8_t cursor[8];
    uint32_t cursor_size = 0;
    uint64_t hits = 0;
    struct fc_usage_entry entry = {0};
    do {
      struct fc_list_reply list = usage_page(FC_USAGE_KEY, limit, cursor, cursor_size);
      ck_assert_uint_le(list.n, limit);
      cursor_size = list.cursor_size;
      if (cursor_size > 0)
        memcpy(cursor, list.cursor, sizeof cursor);
      for (; list.n > 0; hits += entry.hits) {
        ck_assert_uint_eq(entry.others, 0); /* only the last one */
        fc_usage_next(&list, &entry);
      }
    } while (cursor_size > 0);
    ck_assert_uint_eq(hits, NAMES);
    ck_assert_uint_gt(entry.others, 0);
  }
}
END_TEST

START_TEST(unused_namespace_is_listed_with_its_entries) {
  struct namespace *ns;
  ck_assert_int_eq(namespace_table_open(&namespaces, fc_str_of("idle"), NULL, &ns), 0);
  ns->bytes = 4242;
  struct fc_list_reply list = usage_page(FC_USAGE_NAMESPACE, 1000, NULL, 0);
  struct fc_usage_entry entry;
  ck_assert_uint_eq(list.n, 2);
  fc_usage_next(&list, &entry);
  fc_usage_next(&list, &entry);
  ck_assert(is_name(entry.name_space, "idle"));
  expect_counts(entry, 0, 0, 0);
  ck_assert_uint_eq(entry.stored_bytes, 4242);
  ns->bytes = 0;
  namespace_table_close(&namespaces, ns);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("usage_requests");
  TCase *tests = tcase_create("usage_requests");
  tcase_add_checked_fixture(tests, usage_set_up, dispatch_tear_down);
  tcase_add_test(tests, messages_are_counted_by_each_name);
  tcase_add_test(tests, requests_of_many_keys_are_counted_by_their_sum);
  tcase_add_test(tests, ring_hits_are_counted_by_their_labels);
  tcase_add_test(tests, hits_of_a_replaced_label_keep_their_names);
  tcase_add_test(tests, hits_of_a_former_ring_and_of_a_client_that_left_remain);
  tcase_add_test(tests, pages_have_each_row_once_and_the_others_last);
  tcase_add_test(tests, unused_namespace_is_listed_with_its_entries);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
