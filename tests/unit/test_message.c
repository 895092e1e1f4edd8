/* Messages: what is encoded is decoded to the same, and msgpack-c's unpacker,
 * which the decoders do not use, reads the same from the bytes. Broken messages
 * are in test_message_broken.c. */
#include <check.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "proto_samples.h"
#include "runner.h"

static void check_frame(const struct fc_buf *frame) {
  uint32_t body;

  ck_assert_int_eq(fc_frame_peek(frame->data, frame->size, UINT32_MAX, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, frame->size - FC_FRAME_HEADER);
}

/* Decodes and encodes again: the same bytes. */
static void round_trip(void *arg, const struct proto_sample *sample) {
  const struct fc_buf *frame = sample->frame;
  struct fc_request request;
  struct fc_reply reply;
  struct fc_buf again = {0};
  int error;

  (void)arg; /* no state */
  check_frame(frame);
  if (sample->reply) {
    error = fc_decode_reply(frame->data + 8, frame->size - 8, &reply);
    ck_assert_msg(!error, "%s: %s", sample->name, fc_error_name(error));
    ck_assert_int_eq(proto_encode_reply(&again, &reply), 0);
  } else {
    error = fc_decode_request(frame->data + 8, frame->size - 8, &request);
    ck_assert_msg(!error, "%s: %s", sample->name, fc_error_name(error));
    ck_assert_int_eq(proto_encode_request(&again, &request), 0);
  }
  ck_assert_msg(again.size == frame->size && !memcmp(again.data, frame->data, again.size),
                "%s is another after a round trip", sample->name);
  fc_buf_free(&again);
}

START_TEST(every_message_survives_a_round_trip) {
  proto_samples(round_trip, NULL);
}
END_TEST

/* Not msgpack_object_print: that of 4.0 stops at an empty bin. */
static void print_object(FILE *out, const msgpack_object *object) {
  switch (object->type) {
  case MSGPACK_OBJECT_STR:
  case MSGPACK_OBJECT_BIN: /* the two have the same members */
    fprintf(out, "\"%.*s\"", (int)object->via.str.size, object->via.str.ptr);
    break;
  case MSGPACK_OBJECT_ARRAY:
    fprintf(out, "[");
    for (uint32_t i = 0; i < object->via.array.size; i++) {
      fputs(i ? ", " : "", out);
      print_object(out, &object->via.array.ptr[i]);
    }
    fprintf(out, "]");
    break;
  case MSGPACK_OBJECT_MAP:
    fprintf(out, "{");
    for (uint32_t i = 0; i < object->via.map.size; i++) {
      fputs(i ? ", " : "", out);
      print_object(out, &object->via.map.ptr[i].key);
      fprintf(out, "=>");
      print_object(out, &object->via.map.ptr[i].val);
    }
    fprintf(out, "}");
    break;
  default:
    msgpack_object_print(out, *object);
  }
}

static void read_independently(void *arg, const struct proto_sample *sample) {
  const char *body = (const char *)sample->frame->data + FC_FRAME_HEADER;
  size_t size = sample->frame->size - FC_FRAME_HEADER, offset = 0;
  msgpack_unpacked result;
  char text[1024] = "";
  FILE *out = fmemopen(text, sizeof text, "w");

  (void)arg; /* no state */
  ck_assert_ptr_nonnull(out);
  msgpack_unpacked_init(&result);
  ck_assert_int_eq(msgpack_unpack_next(&result, body, size, &offset), MSGPACK_UNPACK_SUCCESS);
  ck_assert_uint_eq(offset, size);
  print_object(out, &result.data);
  ck_assert_int_eq(fclose(out), 0);
  ck_assert_msg(!strcmp(text, sample->text), "%s is %s", sample->name, text);
  msgpack_unpacked_destroy(&result);
}

START_TEST(an_independent_reader_agrees) {
  proto_samples(read_independently, NULL);
}
END_TEST

#define assert_str(str, text) ck_assert(fc_str_equal((str), fc_str_of(text)))

START_TEST(put_gives_every_field) {
  const struct fc_put put = {.flags = FC_KEEP_FIRST | 0x80000000u,
                             .key = {fc_str_of("logprob_of"), fc_str_of("null_42"), UINT32_MAX,
                                     fc_hash_prompt("hello", 5)},
                             .probe = fc_str_of("calibration"),
                             .epoch = {UINT64_MAX, 1u << 20},
                             .compute_ns = (uint64_t)1 << 40,
                             .value_size = 70000};
  struct fc_buf buf = {0};
  struct fc_request request;
  uint8_t *value = calloc(1, put.value_size);

  ck_assert_ptr_nonnull(value);
  value[69999] = 9;
  ck_assert_int_eq(fc_encode_put_head(&buf, 44, &put), 0);
  ck_assert_int_eq(fc_buf_append(&buf, value, put.value_size), 0);
  check_frame(&buf);
  ck_assert_int_eq(fc_decode_request(buf.data + 8, buf.size - 8, &request), 0);
  ck_assert_int_eq(request.type, FC_PUT);
  ck_assert_uint_eq(request.id, 44);
  ck_assert_uint_eq(request.put.flags, put.flags);
  assert_str(request.put.key.op, "logprob_of");
  assert_str(request.put.key.view, "null_42");
  ck_assert_uint_eq(request.put.key.top_k, UINT32_MAX);
  ck_assert_mem_eq(&request.put.key.prompt, &put.key.prompt, sizeof put.key.prompt);
  assert_str(request.put.probe, "calibration");
  ck_assert(request.put.epoch.boot_id == UINT64_MAX);
  ck_assert(request.put.epoch.clear_generation == 1u << 20);
  ck_assert(request.put.compute_ns == put.compute_ns);
  ck_assert_uint_eq(request.put.value_size, put.value_size);
  ck_assert_ptr_eq(request.put.value, buf.data + buf.size - put.value_size); /* borrowed, last */
  ck_assert_mem_eq(request.put.value, value, put.value_size);
  free(value);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(hello_takes_any_max_entries) {
  const int64_t limits[] = {INT64_MIN, -32769, -129, -33, -32,   -1,
                            0,         1,      127,  128, 65536, INT64_MAX};

  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct fc_hello hello = {1, 2, fc_str_of("c"), fc_str_of("n"), true, limits[i], 0};
    struct fc_buf buf = {0};
    struct fc_request request;

    ck_assert_int_eq(fc_encode_hello(&buf, 0, &hello), 0);
    ck_assert_int_eq(fc_decode_request(buf.data + 8, buf.size - 8, &request), 0);
    ck_assert(request.hello.has_max_entries);
    ck_assert(request.hello.max_entries == limits[i]);
    ck_assert_uint_eq(request.hello.version_min, 1);
    ck_assert_uint_eq(request.hello.version_max, 2);
    assert_str(request.hello.client, "c");
    assert_str(request.hello.name_space, "n");
    fc_buf_free(&buf);
  }
}
END_TEST

START_TEST(many_values_are_walked_in_order) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  const uint8_t *data;
  uint32_t size;

  ck_assert_int_eq(
      fc_encode_get_many_reply_head(&buf, 3, &(struct fc_get_many_reply){9, 5, true, {.n = 3}}), 0);
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

START_TEST(stats_are_walked_in_order) {
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

START_TEST(list_entries_are_walked_in_order) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  struct fc_list_entry entry = {.name_space = fc_str_of("m"),
                                .key = {fc_str_of("op"), fc_str_of("v"), 3, fc_hash_prompt("", 0)},
                                .value_size = FC_VALUE_MAX_CEILING,
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
  ck_assert_uint_eq(entry.value_size, FC_VALUE_MAX_CEILING);
  ck_assert(entry.charge == (uint64_t)1 << 33 && entry.compute_ns == 1 && entry.idle_ns == 2);
  ck_assert(entry.hits == 3);
  fc_list_next(&reply.list, &entry);
  ck_assert(entry.hits == 4);
  ck_assert_uint_eq(reply.list.n, 0);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(frames_follow_each_other_in_one_buffer) {
  struct fc_buf buf = {0};
  uint32_t body;
  size_t first;

  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, 1), 0);
  first = buf.size;
  ck_assert_int_eq(fc_encode_hit_head(&buf, 2, 0, 100), 0);
  ck_assert_int_eq(fc_frame_peek(buf.data, buf.size, 100, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, first - FC_FRAME_HEADER);
  ck_assert_int_eq(fc_frame_peek(buf.data + first, buf.size - first, 200, &body), FC_FRAME_MORE);
  ck_assert_uint_eq(body, buf.size - first - FC_FRAME_HEADER + 100);
  fc_buf_reset(&buf);
  ck_assert_uint_eq(buf.size, 0);
  ck_assert_uint_ge(buf.capacity, first);
  fc_buf_free(&buf);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(a_failed_buffer_says_so_and_keeps_whole_frames) {
  struct fc_buf buf = {0};
  size_t whole;

  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, 1), 0);
  whole = buf.size;
  ck_assert_int_eq(fc_buf_reserve(&buf, SIZE_MAX / 2), FC_ENOMEM);
  ck_assert(buf.failed);
  ck_assert_int_eq(fc_encode_get(&buf, 2, &(struct fc_get){.key.op = fc_str_of("op")}), FC_ENOMEM);
  ck_assert_uint_eq(buf.size, whole);
  fc_buf_reset(&buf);
  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, 1), 0);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(every_error_code_travels) {
#define X(name, number, text) number,
  const int codes[] = {FC_ERROR_MAP(X)};
#undef X

  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    struct fc_buf buf = {0};
    struct fc_reply reply;

    ck_assert_int_eq(fc_encode_error(&buf, 1, codes[i], fc_str_of(fc_error_text(codes[i]))), 0);
    ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
    ck_assert_int_eq(reply.error.code, codes[i]);
    assert_str(reply.error.text, fc_error_text(codes[i]));
    fc_buf_free(&buf);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("message");
  TCase *tests = tcase_create("message");

  tcase_add_test(tests, every_message_survives_a_round_trip);
  tcase_add_test(tests, an_independent_reader_agrees);
  tcase_add_test(tests, put_gives_every_field);
  tcase_add_test(tests, hello_takes_any_max_entries);
  tcase_add_test(tests, many_values_are_walked_in_order);
  tcase_add_test(tests, stats_are_walked_in_order);
  tcase_add_test(tests, list_entries_are_walked_in_order);
  tcase_add_test(tests, frames_follow_each_other_in_one_buffer);
  tcase_add_test(tests, a_failed_buffer_says_so_and_keeps_whole_frames);
  tcase_add_test(tests, every_error_code_travels);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
