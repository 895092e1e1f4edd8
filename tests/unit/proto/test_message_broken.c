/* Messages that are cut, lengthened, of wrong types or deeply nested. The decoders reject them and
 * never read behind the end: each body is a copy of its exact size, so a sanitizer sees that.
 * test_message_bodies.c has single bodies. */
#include <check.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/proto_samples.h"
#include "tests/support/runner.h"

/* Decodes a copy of exactly `size` bytes; *again, where given, takes what it was
 * decoded to, encoded. */
static int decode(bool is_reply, const void *body, size_t size, struct fc_buf *again) {
  uint8_t *copy = malloc(size ? size : 1);
  struct fc_request request;
  struct fc_reply reply;
  int error;

  ck_assert_ptr_nonnull(copy);
  memcpy(copy, body, size);
  error = is_reply ? fc_decode_reply(copy, size, &reply) : fc_decode_request(copy, size, &request);
  if (!error && again)
    ck_assert_int_eq(
        is_reply ? proto_encode_reply(again, &reply) : proto_encode_request(again, &request), 0);
  free(copy);
  return error;
}

static void cut_everywhere(void *arg, const struct proto_sample *sample) {
  const uint8_t *body = sample->frame->data + FC_FRAME_HEADER;
  size_t size = sample->frame->size - FC_FRAME_HEADER;

  (void)arg; /* no state */
  for (size_t cut = 0; cut < size; cut++)
    ck_assert_msg(decode(sample->reply, body, cut, NULL) == FC_EPROTOCOL, "%s cut to %zu of %zu",
                  sample->name, cut, size);
  ck_assert_int_eq(decode(sample->reply, body, size, NULL), 0);
}

START_TEST(body_cut_anywhere_rejected) {
  proto_samples(cut_everywhere, NULL);
}
END_TEST

/* Changes each byte to each value: no crash, and the lists of an accepted message can be read. */
static void flip_everywhere(void *arg, const struct proto_sample *sample) {
  struct fc_buf copy = {0}, again = {0};

  (void)arg; /* no state */
  ck_assert_int_eq(fc_buf_append(&copy, sample->frame->data, sample->frame->size), 0);
  for (size_t at = FC_FRAME_HEADER; at < copy.size; at++)
    for (unsigned byte = 0; byte < 256; byte++) {
      uint8_t kept = copy.data[at];

      copy.data[at] = (uint8_t)byte;
      fc_buf_reset(&again);
      (void)decode(sample->reply, copy.data + FC_FRAME_HEADER, copy.size - FC_FRAME_HEADER, &again);
      copy.data[at] = kept;
    }
  fc_buf_free(&copy);
  fc_buf_free(&again);
}

START_TEST(body_any_byte_changed_no_crash) {
  proto_samples(flip_everywhere, NULL);
}
END_TEST

static void refuse_more(void *arg, const struct proto_sample *sample) {
  struct fc_buf body = {0};

  (void)arg; /* no state */
  ck_assert_int_eq(fc_buf_append(&body, sample->frame->data + 8, sample->frame->size - 8), 0);
  ck_assert_int_eq(fc_buf_append(&body, "\xc0", 1), 0);
  ck_assert_msg(decode(sample->reply, body.data, body.size, NULL) == FC_EPROTOCOL, "%s",
                sample->name);
  fc_buf_free(&body);
}

START_TEST(body_trailing_bytes_rejected) {
  proto_samples(refuse_more, NULL);
}
END_TEST

/* One of every kind of value, the nested and the long ones too. */
static const struct {
  const char *bytes;
  size_t size;
} kinds[] = {
#define K(text)                                                                                    \
  { text, sizeof(text) - 1 }
    K("\x05"),
    K("\xff"),
    K("\xc0"),
    K("\xc3"),
    K("\xa1x"),
    K("\xd9\1x"),
    K("\xda\0\1x"),
    K("\xdb\0\0\0\1x"),
    K("\xc4\1x"),
    K("\xc5\0\1x"),
    K("\xc6\0\0\0\1x"),
    K("\xca\0\0\0\0"),
    K("\xcb\0\0\0\0\0\0\0\0"),
    K("\xcc\1"),
    K("\xcd\1\1"),
    K("\xce\1\1\1\1"),
    K("\xcf\1\1\1\1\1\1\1\1"),
    K("\xd0\1"),
    K("\xd1\1\1"),
    K("\xd2\1\1\1\1"),
    K("\xd3\1\1\1\1\1\1\1\1"),
    K("\xc7\2\5xy"),
    K("\xc8\0\1\5x"),
    K("\xc9\0\0\0\1\5x"),
    K("\xd4\5x"),
    K("\xd5\5xy"),
    K("\xd6\5wxyz"),
    K("\xd7\5stuvwxyz"),
    K("\xd8\5"
      "0123456789abcdef"),
    K("\x92\1\x81\xa1k\x90"),
    K("\xdc\0\1\1"),
    K("\xdd\0\0\0\1\1"),
    K("\x81\1\x91\2"),
    K("\xde\0\1\1\2"),
    K("\xdf\0\0\0\1\1\2"),
#undef K
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

/* A later version's fields after ours. */
static void add_fields(void *arg, const struct proto_sample *sample) {
  const uint8_t *body = sample->frame->data + FC_FRAME_HEADER;
  size_t size = sample->frame->size - FC_FRAME_HEADER;
  uint8_t elements = body[0] & 15;

  (void)arg;                         /* no state */
  if (sample->growth == PROTO_OLDER) /* what follows is known by now */
    return;
  ck_assert_int_eq(body[0] & 0xf0, 0x90);
  for (size_t i = 0; i < N_KINDS; i++) {
    uint8_t head[3] = {0xdc, 0, (uint8_t)(elements + 2)};
    struct fc_buf longer = {0}, again = {0};

    ck_assert_int_eq(fc_buf_append(&longer, head, sizeof head), 0);
    ck_assert_int_eq(fc_buf_append(&longer, body + 1, size - 1), 0);
    ck_assert_int_eq(fc_buf_append(&longer, kinds[i].bytes, kinds[i].size), 0);
    ck_assert_int_eq(fc_buf_append(&longer, "\xc2", 1), 0);
    ck_assert_msg(decode(sample->reply, longer.data, longer.size, &again) == 0, "%s with %02x",
                  sample->name, (uint8_t)kinds[i].bytes[0]);
    ck_assert_uint_eq(again.size, sample->frame->size);
    ck_assert_mem_eq(again.data, sample->frame->data, again.size);
    for (size_t cut = size + 2; cut < longer.size; cut++)
      ck_assert_int_eq(decode(sample->reply, longer.data, cut, NULL), FC_EPROTOCOL);
    fc_buf_free(&longer);
    fc_buf_free(&again);
  }
}

START_TEST(body_unknown_fields_skipped) {
  proto_samples(add_fields, NULL);
}
END_TEST

static int write_buf(void *buf, const char *data, size_t size) {
  return fc_buf_append(buf, data, size);
}

/* The body with field `at` replaced by `kind`, or left out where `kind` is N_KINDS. */
static void replace_field(const msgpack_object_array *fields, uint32_t at, size_t kind,
                          struct fc_buf *body) {
  msgpack_packer packer;

  msgpack_packer_init(&packer, body, write_buf);
  msgpack_pack_array(&packer, kind < N_KINDS ? fields->size : fields->size - 1);
  for (uint32_t i = 0; i < fields->size; i++)
    if (i != at)
      msgpack_pack_object(&packer, fields->ptr[i]);
    else if (kind < N_KINDS)
      ck_assert_int_eq(fc_buf_append(body, kinds[kind].bytes, kinds[kind].size), 0);
}

/* Whether a message may have `kind` where it has `field`. Integers may be of any
 * size and encoding; nil may replace an optional field, and the other way round. */
static bool may_replace(const msgpack_object *field, const char *kind) {
  uint8_t first = (uint8_t)kind[0];
  bool integer = first < 0x80 || first >= 0xe0 || (first >= 0xcc && first <= 0xd3);
  bool str = (first & 0xe0) == 0xa0 || (first >= 0xd9 && first <= 0xdb);
  bool bin = first >= 0xc4 && first <= 0xc6;

  switch (field->type) {
  case MSGPACK_OBJECT_BOOLEAN:
    return first == 0xc3;
  case MSGPACK_OBJECT_POSITIVE_INTEGER:
  case MSGPACK_OBJECT_NEGATIVE_INTEGER:
    return integer || first == 0xc0; /* max_entries */
  case MSGPACK_OBJECT_STR:
    return str || first == 0xc0;
  case MSGPACK_OBJECT_BIN:
    return bin || first == 0xc0;
  case MSGPACK_OBJECT_NIL:
    return first == 0xc0 || str || integer || bin;
  default:
    return false; /* lists: of other elements, all of them */
  }
}

static void replace_everywhere(void *arg, const struct proto_sample *sample) {
  const char *data = (const char *)sample->frame->data + FC_FRAME_HEADER;
  msgpack_unpacked whole;
  size_t offset = 0;
  uint32_t last;

  (void)arg; /* no state */
  msgpack_unpacked_init(&whole);
  ck_assert_int_eq(
      msgpack_unpack_next(&whole, data, sample->frame->size - FC_FRAME_HEADER, &offset),
      MSGPACK_UNPACK_SUCCESS);
  last = whole.data.via.array.size - 1;
  for (uint32_t at = 0; at <= last; at++)
    for (size_t kind = 0; kind <= N_KINDS; kind++) {
      struct fc_buf body = {0}, again = {0};
      int error;

      replace_field(&whole.data.via.array, at, kind, &body);
      error = decode(sample->reply, body.data, body.size, &again);
      if (kind == N_KINDS && at == 0) /* the id for a type: may be another message */
        error = FC_EPROTOCOL;
      if (kind == N_KINDS && at == last && sample->growth == PROTO_NEWER) {
        ck_assert_msg(error == 0, "%s is not taken as an earlier version's", sample->name);
        error = FC_EPROTOCOL;
      }
      if (kind == N_KINDS || !may_replace(&whole.data.via.array.ptr[at], kinds[kind].bytes))
        ck_assert_msg(error == FC_EPROTOCOL, "%s: field %u, kind %zu: %s", sample->name, at, kind,
                      fc_error_name(error));
      fc_buf_free(&body);
      fc_buf_free(&again);
    }
  msgpack_unpacked_destroy(&whole);
}

START_TEST(field_wrong_type_rejected) {
  proto_samples(replace_everywhere, NULL);
}
END_TEST

/* [6, 1, [[[...]]]]: as deep as a frame of 2 MiB can be. */
START_TEST(body_deep_nesting_skipped_or_rejected) {
  const size_t depth = 2u << 20;
  const uint8_t heads[] = {0x91, 0x81};
  const uint8_t ping[] = {0x93, FC_PING, 1}; /* and a field more */

  for (size_t kind = 0; kind < 2; kind++) {
    size_t step = 1 + kind; /* a map's pair has a key, too */
    size_t size = 3 + depth / step * step + 1;
    uint8_t *body = malloc(size);

    ck_assert_ptr_nonnull(body);
    memcpy(body, ping, sizeof ping);
    for (size_t i = 3; i + step < size; i += step) {
      body[i] = heads[kind];
      if (kind)
        body[i + 1] = 1;
    }
    body[size - 1] = 0xc0;
    ck_assert_int_eq(decode(false, body, size, NULL), 0);
    ck_assert_int_eq(decode(false, body, size - 1, NULL), FC_EPROTOCOL);
    ck_assert_int_eq(decode(false, body, size / 2, NULL), FC_EPROTOCOL);
    body[1] = FC_STATS; /* its namespace cannot be a list */
    ck_assert_int_eq(decode(false, body, size, NULL), FC_EPROTOCOL);
    free(body);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("message_broken");
  TCase *tests = tcase_create("message_broken");

  tcase_add_test(tests, body_cut_anywhere_rejected);
  tcase_add_test(tests, body_any_byte_changed_no_crash);
  tcase_add_test(tests, body_trailing_bytes_rejected);
  tcase_add_test(tests, body_unknown_fields_skipped);
  tcase_add_test(tests, field_wrong_type_rejected);
  tcase_add_test(tests, body_deep_nesting_skipped_or_rejected);
  tcase_set_timeout(tests, 60);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
