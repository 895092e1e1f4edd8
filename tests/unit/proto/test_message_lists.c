/* Messages with lists: values, statistics and rows are read in their order, with every field. */
#include <check.h>
#include <string.h>

#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/support/proto_samples.h"
#include "tests/support/runner.h"

static void check_frame(const struct fc_buf *frame) {
  uint32_t body;

  ck_assert_int_eq(fc_frame_peek(frame->data, frame->size, UINT32_MAX, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, frame->size - FC_FRAME_HEADER);
}

#define assert_str(str, text) ck_assert(fc_str_equal((str), fc_str_of(text)))

START_TEST(get_many_reply_values_read_in_order) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  const uint8_t *data;
  uint32_t size;

  ck_assert_int_eq(fc_encode_get_many_reply_head(
                       &buf, 3, &(struct fc_get_many_reply){9, 5, true, {.n = 3}, NULL, 0}),
                   0);
  ck_assert_int_eq(fc_encode_nil(&buf), 0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 300), 0);
  for (uint32_t i = 0; i < 300; i++)
    ck_assert_int_eq(fc_buf_append(&buf, "x", 1), 0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 0), 0);
  fc_frame_finish(&buf, 0, 0);
  check_frame(&buf);
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert(reply.get_many.clear_generation == 9);
  ck_assert_uint_eq(reply.get_many.first, 5);
  ck_assert(reply.get_many.last);
  ck_assert_uint_eq(reply.get_many.values.n, 3);
  fc_bins_next(&reply.get_many.values, &data, &size);
  ck_assert_ptr_null(data);
  fc_bins_next(&reply.get_many.values, &data, &size);
  ck_assert_uint_eq(size, 300);
  ck_assert_int_eq(data[299], 'x');
  fc_bins_next(&reply.get_many.values, &data, &size);
  ck_assert_ptr_nonnull(data); /* empty, and there */
  ck_assert_uint_eq(size, 0);
  ck_assert_uint_eq(reply.get_many.values.n, 0);
  fc_buf_free(&buf);
}
END_TEST

/* All of it is as it was the first time, the values too, though they are not walked through. */
START_TEST(put_many_decoded_again_equals_first_decoding) {
  enum { N = 3 };
  struct fc_buf buf = {0};
  struct fc_request request;
  uint8_t prompts[N * FC_HASH_SIZE] = {1, 2, 3};
  struct fc_put_many put = {.key = {.op = fc_str_of("op"), .view = fc_str_of("view"), .top_k = 5},
                            .compute_ns = 7,
                            .batch = 2,
                            .prompts = prompts,
                            .n = N,
                            .values.n = N};
  const uint8_t *data;
  uint32_t size;

  ck_assert_int_eq(fc_encode_put_many_head(&buf, 4, &put), 0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 1), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "x", 1), 0);
  ck_assert_int_eq(fc_encode_nil(&buf), 0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 2), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "yz", 2), 0);
  fc_frame_finish(&buf, 0, 0);
  ck_assert_int_eq(fc_decode_request(buf.data + 8, buf.size - 8, &request), 0);
  const uint8_t *values = request.put_many.values.at;
  ck_assert_int_eq(fc_decode_request_again(buf.data + 8, buf.size - 8, &request), 0);
  ck_assert_int_eq(request.type, FC_PUT_MANY);
  ck_assert_uint_eq(request.id, 4);
  ck_assert_uint_eq(request.put_many.n, N);
  ck_assert_uint_eq(request.put_many.batch, 2);
  ck_assert_mem_eq(request.put_many.prompts, prompts, sizeof prompts);
  ck_assert_ptr_eq(request.put_many.values.at, values);
  ck_assert_uint_eq(request.put_many.values.n, N);
  fc_bins_next(&request.put_many.values, &data, &size);
  ck_assert(size == 1 && data[0] == 'x');
  fc_bins_next(&request.put_many.values, &data, &size);
  ck_assert_ptr_null(data);
  fc_bins_next(&request.put_many.values, &data, &size);
  ck_assert(size == 2 && data[1] == 'z');
  fc_buf_free(&buf);
}
END_TEST

START_TEST(get_many_reply_leases_follow_values) {
  static const uint8_t leases[] = {FC_LEASE_TAKEN, FC_LEASE_NONE};
  const struct fc_get_many_reply part = {
      .clear_generation = 1, .last = true, .values = {.n = 3}, .n_leases = 2};
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_get_many_reply_head(&buf, 3, &part), 0);
  ck_assert_int_eq(fc_encode_nil(&buf), 0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 1), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "v", 1), 0);
  ck_assert_int_eq(fc_encode_nil(&buf), 0);
  ck_assert_int_eq(fc_encode_leases(&buf, leases, 2), 0);
  fc_frame_finish(&buf, 0, 0);
  check_frame(&buf);
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert_uint_eq(reply.get_many.values.n, 3);
  ck_assert_uint_eq(reply.get_many.n_leases, 2);
  ck_assert_ptr_eq(reply.get_many.leases, buf.data + buf.size - 2); /* borrowed */
  ck_assert_mem_eq(reply.get_many.leases, leases, 2);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(stats_reply_read_in_order) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;

  ck_assert_int_eq(fc_encode_stats_reply_head(&buf, 3), 0);
  ck_assert_int_eq(fc_encode_map_head(&buf, 2), 0);
  ck_assert_int_eq(fc_encode_stat_uint(&buf, "cache_hits", UINT64_MAX), 0);
  ck_assert_int_eq(fc_encode_stat_real(&buf, "hit_rate", 0.25), 0);
  ck_assert_int_eq(fc_encode_array_head(&buf, 3), 0);
  ck_assert_int_eq(fc_encode_map_head(&buf, 1), 0);
  ck_assert_int_eq(fc_encode_stat_text(&buf, "namespace", fc_str_of("bare")), 0);
  ck_assert_int_eq(fc_encode_map_head(&buf, 2), 0);
  ck_assert_int_eq(fc_encode_stat_text(&buf, "namespace", fc_str_of("m")), 0);
  ck_assert_int_eq(fc_encode_stat_text(&buf, "note", fc_str_of("")), 0);
  ck_assert_int_eq(fc_encode_map_head(&buf, 1), 0);
  ck_assert_int_eq(fc_encode_stat_text(&buf, "namespace", fc_str_of("bare2")), 0);
  fc_frame_finish(&buf, 0, 0);
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);

  ck_assert(fc_stats_next(&reply.stats, &walk, &stat));
  ck_assert_ptr_null(stat.name_space.data);
  assert_str(stat.name, "cache_hits");
  ck_assert(stat.kind == FC_STAT_UINT && stat.integer == UINT64_MAX);
  ck_assert(fc_stats_next(&reply.stats, &walk, &stat));
  assert_str(stat.name, "hit_rate");
  ck_assert(stat.kind == FC_STAT_REAL && stat.real == 0.25);
  ck_assert(fc_stats_next(&reply.stats, &walk, &stat));
  assert_str(stat.name_space, "m");
  assert_str(stat.name, "note");
  ck_assert(stat.kind == FC_STAT_TEXT && stat.text.size == 0);
  ck_assert(!fc_stats_next(&reply.stats, &walk, &stat));
  ck_assert(!fc_stats_next(&reply.stats, &walk, &stat)); /* and stays there */
  fc_buf_free(&buf);
}
END_TEST

START_TEST(list_reply_entries_read_in_order) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  struct fc_list_entry entry = {.name_space = fc_str_of("m"),
                                .key = {fc_str_of("op"), fc_str_of("v"), 3, fc_hash_prompt("", 0)},
                                .value_size = (1u << 30),
                                .charge = (uint64_t)1 << 33,
                                .compute_ns = 1,
                                .idle_ns = 2,
                                .hits = 3};

  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_LIST, 3, (const uint8_t *)"abc", 3, 2), 0);
  ck_assert_int_eq(fc_encode_list_entry(&buf, &entry), 0);
  entry.hits = 4;
  ck_assert_int_eq(fc_encode_list_entry(&buf, &entry), 0);
  fc_frame_finish(&buf, 0, 0);
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert_uint_eq(reply.list.cursor_size, 3);
  ck_assert_mem_eq(reply.list.cursor, "abc", 3);
  ck_assert_uint_eq(reply.list.n, 2);
  fc_list_next(&reply.list, &entry);
  assert_str(entry.name_space, "m");
  assert_str(entry.key.op, "op");
  assert_str(entry.key.view, "v");
  ck_assert_uint_eq(entry.key.top_k, 3);
  ck_assert_uint_eq(entry.value_size, (1u << 30));
  ck_assert(entry.charge == (uint64_t)1 << 33 && entry.compute_ns == 1 && entry.idle_ns == 2);
  ck_assert(entry.hits == 3);
  fc_list_next(&reply.list, &entry);
  ck_assert(entry.hits == 4);
  ck_assert_uint_eq(reply.list.n, 0);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(lease_row_every_field_decoded) {
  struct fc_lease_entry entry = {.name_space = fc_str_of("m"),
                                 .key = {fc_str_of("op"), fc_str_of("v"), 3, fc_hash_prompt("", 0)},
                                 .client_id = UINT64_MAX,
                                 .client = fc_str_of("w"),
                                 .pid = -1,
                                 .held_ns = (uint64_t)1 << 40,
                                 .left_ns = 2,
                                 .waits = UINT32_MAX};
  const struct fc_hash prompt = entry.key.prompt;
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_LEASES, 3, (const uint8_t *)"abc", 3, 1), 0);
  ck_assert_int_eq(fc_encode_lease_entry(&buf, &entry), 0);
  fc_frame_finish(&buf, 0, 0);
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_LEASES);
  ck_assert_mem_eq(reply.list.cursor, "abc", 3);
  memset(&entry, 0, sizeof entry);
  fc_leases_next(&reply.list, &entry);
  assert_str(entry.name_space, "m");
  assert_str(entry.key.op, "op");
  assert_str(entry.key.view, "v");
  ck_assert_uint_eq(entry.key.top_k, 3);
  ck_assert_mem_eq(&entry.key.prompt, &prompt, sizeof prompt);
  ck_assert(entry.client_id == UINT64_MAX && entry.pid == -1);
  assert_str(entry.client, "w");
  ck_assert(entry.held_ns == (uint64_t)1 << 40 && entry.left_ns == 2);
  ck_assert_uint_eq(entry.waits, UINT32_MAX);
  ck_assert_uint_eq(reply.list.n, 0);
  fc_buf_free(&buf);
}
END_TEST

/* One that computes and waits, then a tool that does neither: nothing of the first sticks. */
static void append_clients(struct fc_buf *buf) {
  const struct fc_key key = {fc_str_of("op"), fc_str_of("v"), 3, fc_hash_prompt("", 0)};
  const struct fc_key other = {fc_str_of("other"), fc_str_of("v2"), 4, fc_hash_prompt("a", 1)};
  const struct fc_client_entry busy = {.client_id = 9,
                                       .client = fc_str_of("w"),
                                       .pid = INT64_MAX,
                                       .uid = UINT32_MAX,
                                       .name_space = fc_str_of("m"),
                                       .region = true,
                                       .connected_ns = 1,
                                       .hits = 3,
                                       .shared_hits = 2,
                                       .leases = 5,
                                       .held = key,
                                       .waits = 6,
                                       .wait = {other, 7, 8, fc_str_of("owner"), 77}};
  const struct fc_client_entry tool = {.client = fc_str_of("ctl"), .pid = 1};

  ck_assert_int_eq(fc_encode_list_reply_head(buf, FC_CLIENTS, 3, NULL, 0, 2), 0);
  ck_assert_int_eq(fc_encode_client_entry(buf, &busy), 0);
  ck_assert_int_eq(fc_encode_client_entry(buf, &tool), 0);
  fc_frame_finish(buf, 0, 0);
}

START_TEST(client_row_every_field_decoded) {
  const struct fc_hash held = fc_hash_prompt("", 0), waited_for = fc_hash_prompt("a", 1);
  struct fc_client_entry entry;
  struct fc_buf buf = {0};
  struct fc_reply reply;

  append_clients(&buf);
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_CLIENTS);
  fc_clients_next(&reply.list, &entry);
  ck_assert(entry.client_id == 9 && entry.pid == INT64_MAX && entry.uid == UINT32_MAX);
  assert_str(entry.client, "w");
  assert_str(entry.name_space, "m");
  ck_assert(entry.region && entry.connected_ns == 1 && entry.hits == 3 && entry.shared_hits == 2);
  ck_assert(entry.leases == 5 && entry.waits == 6);
  assert_str(entry.held.op, "op");
  assert_str(entry.held.view, "v");
  ck_assert_uint_eq(entry.held.top_k, 3);
  ck_assert_mem_eq(&entry.held.prompt, &held, sizeof held);
  assert_str(entry.wait.key.op, "other");
  assert_str(entry.wait.key.view, "v2");
  ck_assert_uint_eq(entry.wait.key.top_k, 4);
  ck_assert_mem_eq(&entry.wait.key.prompt, &waited_for, sizeof waited_for);
  ck_assert(entry.wait.waited_ns == 7 && entry.wait.owner_id == 8 && entry.wait.owner_pid == 77);
  assert_str(entry.wait.owner, "owner");
  fc_clients_next(&reply.list, &entry);
  assert_str(entry.client, "ctl");
  ck_assert_ptr_null(entry.name_space.data);
  ck_assert_ptr_null(entry.held.op.data);
  ck_assert_ptr_null(entry.wait.key.op.data);
  ck_assert_ptr_null(entry.wait.owner.data);
  ck_assert(!entry.region && entry.leases == 0 && entry.waits == 0);
  ck_assert_uint_eq(reply.list.n, 0);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(namespace_row_every_field_decoded) {
  const struct fc_namespace_entry full = {
      fc_str_of("m"), fc_str_of("{}"), 1, 2, 3, 4, UINT32_MAX, 6, 7};
  const struct fc_namespace_entry bare = {.name_space = fc_str_of("n"), .bytes = UINT64_MAX};
  struct fc_namespace_entry entry;
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_NAMESPACES, 3, NULL, 0, 2), 0);
  ck_assert_int_eq(fc_encode_namespace_entry(&buf, &full), 0);
  ck_assert_int_eq(fc_encode_namespace_entry(&buf, &bare), 0);
  fc_frame_finish(&buf, 0, 0);
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_NAMESPACES);
  fc_namespaces_next(&reply.list, &entry);
  assert_str(entry.name_space, "m");
  assert_str(entry.manifest, "{}");
  ck_assert(entry.entries == 1 && entry.bytes == 2 && entry.hits == 3 && entry.misses == 4);
  ck_assert(entry.clients == UINT32_MAX && entry.idle_ns == 6);
  fc_namespaces_next(&reply.list, &entry);
  assert_str(entry.name_space, "n");
  ck_assert_ptr_null(entry.manifest.data);
  ck_assert(entry.bytes == UINT64_MAX && entry.entries + entry.hits + entry.misses == 0);
  ck_assert_uint_eq(reply.list.n, 0);
  fc_buf_free(&buf);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("message_lists");
  TCase *tests = tcase_create("message_lists");

  tcase_add_test(tests, get_many_reply_values_read_in_order);
  tcase_add_test(tests, put_many_decoded_again_equals_first_decoding);
  tcase_add_test(tests, get_many_reply_leases_follow_values);
  tcase_add_test(tests, stats_reply_read_in_order);
  tcase_add_test(tests, list_reply_entries_read_in_order);
  tcase_add_test(tests, lease_row_every_field_decoded);
  tcase_add_test(tests, client_row_every_field_decoded);
  tcase_add_test(tests, namespace_row_every_field_decoded);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
