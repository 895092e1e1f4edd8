/* Messages: a decoded message encodes to the same bytes, and msgpack-c's unpacker, which the
 * decoders do not use, reads the same fields from them. test_message_lists.c has the lists, and
 * test_message_broken.c the malformed messages. */
#include <check.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/proto_samples.h"
#include "tests/support/runner.h"

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

START_TEST(samples_decoded_encode_to_the_same_bytes) {
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

START_TEST(samples_read_by_msgpack_c_equal_their_texts) {
  proto_samples(read_independently, NULL);
}
END_TEST

#define assert_str(str, text) ck_assert(fc_str_equal((str), fc_str_of(text)))

START_TEST(put_large_value_borrowed_from_body) {
  const struct fc_put put = {.key = {fc_str_of("op"), fc_str_of("view"), 0, fc_hash_prompt("", 0)},
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
  ck_assert_uint_eq(request.put.value_size, put.value_size);
  ck_assert_ptr_eq(request.put.value, buf.data + buf.size - put.value_size); /* the last field */
  ck_assert_mem_eq(request.put.value, value, put.value_size);
  free(value);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(hello_any_max_entries_decoded) {
  const int64_t limits[] = {INT64_MIN, -32769, -129, -33, -32,   -1,
                            0,         1,      127,  128, 65536, INT64_MAX};

  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct fc_hello hello = {.version_min = 1,
                             .version_max = 2,
                             .client = fc_str_of("c"),
                             .name_space = fc_str_of("n"),
                             .has_max_entries = true,
                             .max_entries = limits[i]};
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

/* Of the versions before the field, nothing is sent and nothing is there. */
START_TEST(hello_each_version_has_its_fields) {
  for (uint32_t version = 1; version <= 7; version++) {
    struct fc_hello hello = {.version_min = 1,
                             .version_max = version,
                             .client = fc_str_of("c"),
                             .region_layout = 1,
                             .manifest = {"{\t}", 3},
                             .has_max_bytes = true,
                             .max_bytes = UINT64_MAX};
    struct fc_buf buf = {0};
    struct fc_request request;

    ck_assert_int_eq(fc_encode_hello(&buf, 0, &hello), 0);
    ck_assert_int_eq(fc_decode_request(buf.data + 8, buf.size - 8, &request), 0);
    ck_assert_uint_eq(request.hello.region_layout, version < 2 ? 0 : 1);
    if (version < 4)
      ck_assert_ptr_null(request.hello.manifest.data);
    else
      assert_str(request.hello.manifest, "{\t}");
    ck_assert(request.hello.has_max_bytes == (version >= 5));
    ck_assert(request.hello.max_bytes == (version >= 5 ? UINT64_MAX : 0));
    fc_buf_free(&buf);
  }
}
END_TEST

START_TEST(get_with_terms_decoded_with_terms) {
  struct fc_get get = {.flags = FC_LEASE,
                       .key = {fc_str_of("op"), fc_str_of("v"), 3, fc_hash_prompt("", 0)},
                       .has_terms = true,
                       .terms = {UINT32_MAX, 7}};
  struct fc_get_many many = {.flags = FC_LEASE,
                             .key = get.key,
                             .prompts = get.key.prompt.bytes,
                             .n = 1,
                             .has_terms = true,
                             .terms = {UINT32_MAX, 7}};
  struct fc_buf buf = {0};
  struct fc_request request;

  ck_assert_int_eq(fc_encode_get(&buf, 1, &get), 0);
  ck_assert_int_eq(fc_decode_request(buf.data + 8, buf.size - 8, &request), 0);
  ck_assert_uint_eq(request.get.flags, FC_LEASE);
  ck_assert(request.get.has_terms);
  ck_assert_uint_eq(request.get.terms.lease_ms, UINT32_MAX);
  ck_assert_uint_eq(request.get.terms.wait_ms, 7);
  fc_buf_reset(&buf);
  get.has_terms = false; /* of an earlier version: the terms are not sent */
  ck_assert_int_eq(fc_encode_get(&buf, 1, &get), 0);
  ck_assert_int_eq(fc_decode_request(buf.data + 8, buf.size - 8, &request), 0);
  ck_assert(!request.get.has_terms);
  ck_assert_uint_eq(request.get.terms.lease_ms + request.get.terms.wait_ms, 0);
  fc_buf_reset(&buf);
  ck_assert_int_eq(fc_encode_get_many(&buf, 1, &many), 0);
  ck_assert_int_eq(fc_decode_request(buf.data + 8, buf.size - 8, &request), 0);
  ck_assert(request.get_many.has_terms);
  ck_assert_uint_eq(request.get_many.terms.lease_ms, UINT32_MAX);
  ck_assert_uint_eq(request.get_many.terms.wait_ms, 0); /* a get_many never waits */
  fc_buf_free(&buf);
}
END_TEST

START_TEST(miss_each_lease_state_decoded) {
  static const enum fc_lease_state states[] = {FC_LEASE_NONE, FC_LEASE_GRANTED, FC_LEASE_TAKEN};
  struct fc_buf buf = {0};
  struct fc_reply reply;

  for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
    fc_buf_reset(&buf);
    ck_assert_int_eq(fc_encode_miss_lease(&buf, 5, UINT64_MAX, states[i]), 0);
    check_frame(&buf);
    ck_assert_uint_eq(buf.data[8], 0x95);
    ck_assert_uint_eq(buf.data[buf.size - 1], states[i]);
    ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
    ck_assert_ptr_null(reply.get.value);
    ck_assert_int_eq(reply.get.lease, states[i]);
    ck_assert(reply.get.clear_generation == UINT64_MAX);
  }
  fc_buf_reset(&buf);
  ck_assert_int_eq(fc_encode_miss(&buf, 5, 1), 0); /* of an earlier version */
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert_int_eq(reply.get.lease, FC_LEASE_NONE);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(buffer_two_frames_both_found) {
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

START_TEST(buffer_without_memory_keeps_whole_frames) {
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

START_TEST(error_each_code_decoded) {
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

  tcase_add_test(tests, samples_decoded_encode_to_the_same_bytes);
  tcase_add_test(tests, samples_read_by_msgpack_c_equal_their_texts);
  tcase_add_test(tests, put_large_value_borrowed_from_body);
  tcase_add_test(tests, hello_any_max_entries_decoded);
  tcase_add_test(tests, hello_each_version_has_its_fields);
  tcase_add_test(tests, get_with_terms_decoded_with_terms);
  tcase_add_test(tests, miss_each_lease_state_decoded);
  tcase_add_test(tests, buffer_two_frames_both_found);
  tcase_add_test(tests, buffer_without_memory_keeps_whole_frames);
  tcase_add_test(tests, error_each_code_decoded);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
