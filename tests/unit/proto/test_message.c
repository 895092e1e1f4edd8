/* Messages: what is encoded is decoded to the same, and msgpack-c's unpacker,
 * which the decoders do not use, reads the same from the bytes. Broken messages
 * are in test_message_broken.c. */
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

START_TEST(many_values_are_walked_in_order) {
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
START_TEST(a_put_many_can_be_decoded_again) {
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

START_TEST(gets_carry_their_terms) {
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

START_TEST(misses_say_who_computes) {
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
  ck_assert_int_eq(fc_encode_miss(&buf, 5, 1),
                   0); /* an earlier version's: nobody, as far as known */
  ck_assert_int_eq(fc_decode_reply(buf.data + 8, buf.size - 8, &reply), 0);
  ck_assert_int_eq(reply.get.lease, FC_LEASE_NONE);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(leases_of_a_part_stand_behind_its_values) {
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

/* Decodes the first `have` bytes of a frame's body, where the whole is to be this long. */
static bool head_of(const struct fc_buf *head, size_t have, uint32_t value_size,
                    struct fc_reply *reply, size_t *offset) {
  uint32_t body_size = (uint32_t)(head->size - FC_FRAME_HEADER) + value_size, size = 0;

  if (!fc_decode_reply_head(head->data + FC_FRAME_HEADER, have, body_size, reply, offset, &size))
    return false;
  ck_assert_uint_eq(size, value_size);
  ck_assert_uint_eq(*offset, head->size - FC_FRAME_HEADER);
  return true;
}

START_TEST(a_hit_is_known_by_its_head) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  size_t offset, whole;

  ck_assert_int_eq(fc_encode_hit_head(&buf, 7, 3, 70000), 0);
  whole = buf.size - FC_FRAME_HEADER;
  ck_assert(head_of(&buf, whole, 70000, &reply, &offset));
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.id, 7);
  ck_assert(reply.get.clear_generation == 3);
  for (size_t have = 0; have < whole; have++)
    ck_assert_msg(!head_of(&buf, have, 70000, &reply, &offset), "known by %zu bytes", have);
  ck_assert(!head_of(&buf, whole, 70001, &reply, &offset)); /* something follows its value */
  ck_assert(!head_of(&buf, whole, 69999, &reply, &offset));
  fc_buf_reset(&buf);

  ck_assert_int_eq(fc_encode_get_many_reply_head(
                       &buf, 8, &(struct fc_get_many_reply){9, 5, true, {.n = 1}, NULL, 0}),
                   0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 300), 0);
  ck_assert(head_of(&buf, buf.size - FC_FRAME_HEADER, 300, &reply, &offset));
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET_MANY);
  ck_assert_uint_eq(reply.get_many.first, 5);
  ck_assert(reply.get_many.last);
  fc_buf_free(&buf);
}
END_TEST

static void no_head(void *arg, const struct proto_sample *sample) {
  const uint8_t *body = sample->frame->data + FC_FRAME_HEADER;
  size_t size = sample->frame->size - FC_FRAME_HEADER, offset;
  struct fc_reply reply;
  uint32_t value_size;

  (void)arg; /* no state */
  if (sample->reply && strncmp(sample->name, "hit", 3) != 0)
    ck_assert_msg(!fc_decode_reply_head(body, size, (uint32_t)size, &reply, &offset, &value_size),
                  "%s taken for a hit", sample->name);
}

START_TEST(only_hits_are_known_by_their_heads) {
  /* a hit, and a part with one, that a later version has made longer: not by their heads */
  static const uint8_t hit[] = {0x95, 0x42, 1, 0, 0xc4, 1, 'v'};
  static const uint8_t part[] = {0x97, 0x44, 1, 0, 0, 0xc3, 0x91, 0xc4, 1, 'v'};
  struct fc_reply reply;
  size_t offset;
  uint32_t size;

  proto_samples(no_head, NULL);
  ck_assert(!fc_decode_reply_head(hit, sizeof hit, sizeof hit, &reply, &offset, &size));
  ck_assert(!fc_decode_reply_head(part, sizeof part, sizeof part, &reply, &offset, &size));
}
END_TEST

START_TEST(a_lease_gives_every_field) {
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

START_TEST(a_client_gives_every_field) {
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

/* Of the versions before the field, nothing is sent and nothing is there. */
START_TEST(a_manifest_goes_with_hello_from_version_4_on_and_max_bytes_from_5_on) {
  for (uint32_t version = 1; version <= 6; version++) {
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

START_TEST(a_namespace_gives_every_field) {
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
  tcase_add_test(tests, a_put_many_can_be_decoded_again);
  tcase_add_test(tests, stats_are_walked_in_order);
  tcase_add_test(tests, list_entries_are_walked_in_order);
  tcase_add_test(tests, gets_carry_their_terms);
  tcase_add_test(tests, misses_say_who_computes);
  tcase_add_test(tests, leases_of_a_part_stand_behind_its_values);
  tcase_add_test(tests, a_hit_is_known_by_its_head);
  tcase_add_test(tests, only_hits_are_known_by_their_heads);
  tcase_add_test(tests, a_lease_gives_every_field);
  tcase_add_test(tests, a_client_gives_every_field);
  tcase_add_test(tests, a_manifest_goes_with_hello_from_version_4_on_and_max_bytes_from_5_on);
  tcase_add_test(tests, a_namespace_gives_every_field);
  tcase_add_test(tests, frames_follow_each_other_in_one_buffer);
  tcase_add_test(tests, a_failed_buffer_says_so_and_keeps_whole_frames);
  tcase_add_test(tests, every_error_code_travels);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
