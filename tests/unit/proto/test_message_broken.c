/* Messages that are cut, lengthened, of wrong types or deeply nested: refused,
 * and never read past their end (each is decoded from a copy of its exact size,
 * where a sanitizer sees that). */
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

START_TEST(every_cut_is_refused) {
  proto_samples(cut_everywhere, NULL);
}
END_TEST

/* Whatever one byte is changed to: no crash, and what is accepted can be walked. */
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

START_TEST(every_changed_byte_is_survived) {
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

START_TEST(bytes_after_the_array_are_refused) {
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

START_TEST(unknown_fields_are_skipped) {
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
 * size and encoding; nil may stand for what is optional, and the other way. */
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

START_TEST(wrong_types_are_refused) {
  proto_samples(replace_everywhere, NULL);
}
END_TEST

/* [6, 1, [[[...]]]]: as deep as a frame of 2 MiB can be. */
START_TEST(deep_nesting_is_skipped_or_refused) {
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

/* Bodies given as they are. */
static const struct {
  const char *name, *bytes;
  size_t size;
  int error;
  bool reply;
} bodies[] = {
#define B(name, text, error)                                                                       \
  { name, text, sizeof(text) - 1, error, false }
#define R(name, text, error)                                                                       \
  { name, text, sizeof(text) - 1, error, true }
#define P                                                                                          \
  "\xc4\x10"                                                                                       \
  "0123456789abcdef"
/* a client's item up to the number of its leases */
#define C "\x9d\1\xa1w\1\1\xa1m\xc2\1\1\1\0"
    B("not an array", "\x01", FC_EPROTOCOL),
    B("an empty array", "\x90", FC_EPROTOCOL),
    B("no id", "\x91\x06", FC_EPROTOCOL),
    B("an unknown type", "\x92\x10\x01", FC_EPROTOCOL),
    B("type 0", "\x92\0\1", FC_EPROTOCOL),
    B("a reply as a request", "\x92\x46\1", FC_EPROTOCOL),
    R("a request as a reply", "\x92\x06\1", FC_EPROTOCOL),
    R("a reply to nothing", "\x92\x40\1", FC_EPROTOCOL),
    B("an id over 32 bits", "\x92\x06\xcf\0\0\0\1\0\0\0\0", FC_EPROTOCOL),
    B("an array of 4 G elements", "\xdd\xff\xff\xff\xff\6\1", FC_EPROTOCOL),
    B("a later field of 4 G elements", "\x93\6\1\xdd\xff\xff\xff\xff\6\1", FC_EPROTOCOL),
    B("a later field of 4 G pairs", "\x93\6\1\xdf\xff\xff\xff\xff\6\1", FC_EPROTOCOL),
    B("a later field of 4 GiB", "\x93\6\1\xc6\xff\xff\xff\xff\6\1", FC_EPROTOCOL),
    B("the unused byte", "\x93\6\1\xc1", FC_EPROTOCOL),
    B("max_entries over 63 bits", "\x97\1\1\1\1\xa1w\xa1m\xcf\x80\0\0\0\0\0\0\0", FC_EPROTOCOL),
    B("an empty client name", "\x97\1\1\1\1\xa0\xa1m\xc0", FC_ENAME),
    B("a namespace with a control", "\x97\1\1\1\1\xa1w\xa1\n\xc0", FC_ENAME),
    B("a name as bin", "\x97\1\1\1\1\xc4\1w\xa1m\xc0", FC_EPROTOCOL),
    B("an overlong op", "\x98\2\1\0\xa2\xc0\xaf\xa1v\0" P "\xc0", FC_ENAME),
    B("a negative top_k", "\x98\2\1\0\xa1o\xa1v\xff" P "\xc0", FC_EPROTOCOL),
    B("a top_k over 32 bits", "\x98\2\1\0\xa1o\xa1v\xcf\0\0\0\1\0\0\0\0" P "\xc0", FC_EPROTOCOL),
    B("a prompt of 15 bytes",
      "\x98\2\1\0\xa1o\xa1v\0\xc4\x0f"
      "123456789abcdef\xc0",
      FC_EPROTOCOL),
    B("a prompt as str",
      "\x98\2\1\0\xa1o\xa1v\0\xb0"
      "0123456789abcdef\xc0",
      FC_EPROTOCOL),
    B("no op", "\x98\2\1\0\xc0\xa1v\0" P "\xc0", FC_EPROTOCOL),
    B("no prompts", "\x98\4\1\0\xa1o\xa1v\0\xc4\0\xc0", FC_EPROTOCOL),
    B("prompts of 17 bytes",
      "\x98\4\1\0\xa1o\xa1v\0\xc4\x11"
      "0123456789abcdefg\xc0",
      FC_EPROTOCOL),
    B("fewer values than prompts", "\x9d\5\1\0\xa1o\xa1v\0" P "\xc0\0\0\0\0\x90", FC_EPROTOCOL),
    B("more values than prompts", "\x9d\5\1\0\xa1o\xa1v\0" P "\xc0\0\0\0\0\x92\xc4\0\xc4\0",
      FC_EPROTOCOL),
    B("a number among the values", "\x9d\5\1\0\xa1o\xa1v\0" P "\xc0\0\0\0\0\x91\0", FC_EPROTOCOL),
    B("get: lease_ms without wait_ms", "\x99\2\1\0\xa1o\xa1v\0" P "\xc0\0", FC_EPROTOCOL),
    B("get: lease_ms and wait_ms", "\x9a\2\1\0\xa1o\xa1v\0" P "\xc0\0\0", 0),
    B("get: a wait_ms over 32 bits", "\x9a\2\1\0\xa1o\xa1v\0" P "\xc0\0\xcf\0\0\0\1\0\0\0\0",
      FC_EPROTOCOL),
    B("get: a nil for a lease_ms", "\x9a\2\1\0\xa1o\xa1v\0" P "\xc0\xc0\0", FC_EPROTOCOL),
    B("get_many: a negative lease_ms", "\x99\4\1\0\xa1o\xa1v\0" P "\xc0\xff", FC_EPROTOCOL),
    B("give_up: no field", "\x92\x0c\1", FC_EPROTOCOL),
    B("give_up: of one key", "\x96\x0c\1\xa1o\xa1v\0" P, 0),
    B("give_up: no prompts", "\x96\x0c\1\xa1o\xa1v\0\xc4\0", FC_EPROTOCOL),
    B("give_up: prompts of 17 bytes",
      "\x96\x0c\1\xa1o\xa1v\0\xc4\x11"
      "0123456789abcdefg",
      FC_EPROTOCOL),
    B("give_up: nil for the prompts", "\x96\x0c\1\xa1o\xa1v\0\xc0", FC_EPROTOCOL),
    B("give_up: nil for the view", "\x96\x0c\1\xa1o\xc0\0" P, FC_EPROTOCOL),
    B("give_up: an empty op", "\x96\x0c\1\xa0\xa1v\0" P, FC_ENAME),
    B("give_up: all of a view", "\x96\x0c\1\xc0\xa1v\0\xc0", FC_EPROTOCOL),
    B("give_up: all of some prompts", "\x96\x0c\1\xc0\xc0\0" P, FC_EPROTOCOL),
    B("leases: a limit of 0", "\x95\x0d\1\xc0\0\xc4\0", FC_EINVAL),
    B("clients: a limit of 0", "\x95\x0e\1\xc0\0\xc4\0", FC_EINVAL),
    B("clients: a cursor as str", "\x95\x0e\1\xc0\1\xa0", FC_EPROTOCOL),
    B("leases: an empty namespace", "\x95\x0d\1\xa0\1\xc4\0", FC_ENAME),
    B("namespaces: a limit of 0", "\x95\x0f\1\xc0\0\xc4\0", FC_EINVAL),
    B("hello: version 4 without a manifest", "\x98\1\1\1\4\xa1w\xa1m\xc0\0", FC_EPROTOCOL),
    B("hello: no manifest", "\x99\1\1\1\4\xa1w\xa1m\xc0\0\xc0", 0),
    B("hello: an empty manifest", "\x99\1\1\1\4\xa1w\xa1m\xc0\0\xa0", FC_EINVAL),
    B("hello: a manifest with a NUL", "\x99\1\1\1\4\xa1w\xa1m\xc0\0\xa3{\0}", FC_EINVAL),
    B("hello: a manifest that is cut UTF-8", "\x99\1\1\1\4\xa1w\xa1m\xc0\0\xa2{\xc3", FC_EINVAL),
    B("hello: a manifest with a surrogate", "\x99\1\1\1\4\xa1w\xa1m\xc0\0\xa3\xed\xa0\x80",
      FC_EINVAL),
    B("hello: a manifest with controls", "\x99\1\1\1\4\xa1w\xa1m\xc0\0\xa3\x1b\n\x7f", 0),
    B("hello: a manifest as bin", "\x99\1\1\1\4\xa1w\xa1m\xc0\0\xc4\1{", FC_EPROTOCOL),
    B("hello: a later field of version 3", "\x99\1\1\1\3\xa1w\xa1m\xc0\0\xc4\1{", 0),
    B("list: a limit of 0", "\x97\x09\1\xc0\xc0\xc0\0\xc4\0", FC_EINVAL),
    B("trace: action 3", "\x94\x0a\1\3\xc0", FC_EPROTOCOL),
    B("trace: on without a path", "\x94\x0a\1\1\xc0", FC_EINVAL),
    B("trace: on with an empty path", "\x94\x0a\1\1\xa0", FC_EINVAL),
    B("trace: on with a NUL in the path", "\x94\x0a\1\1\xa3/\0t", FC_EINVAL),
    B("trace: off with a path", "\x94\x0a\1\2\xa2/t", FC_EINVAL),
    R("an outcome of 3", "\x93\x43\1\3", FC_EPROTOCOL),
    R("more indices than 32 bits", "\x96\x44\1\0\xce\xff\xff\xff\xff\xc3\x91\xc0", FC_EPROTOCOL),
    R("a miss without a lease's state", "\x94\x42\1\0\xc0", 0),
    R("a lease's state of 2", "\x95\x42\1\0\xc0\2", 0),
    R("a lease's state of 3", "\x95\x42\1\0\xc0\3", FC_EPROTOCOL),
    R("a lease's state as nil", "\x95\x42\1\0\xc0\xc0", FC_EPROTOCOL),
    R("a hit with a number, as of a miss", "\x95\x42\1\0\xc4\0\3", FC_EPROTOCOL),
    R("a hit that ended no wait", "\x95\x42\1\0\xc4\0\xc2", 0),
    R("a hit with a later field", "\x96\x42\1\0\xc4\0\xc3\3", 0),
    R("one state for one nil", "\x97\x44\1\0\0\xc3\x92\xc0\xc4\0\xc4\1\2", 0),
    R("no state for one nil", "\x97\x44\1\0\0\xc3\x92\xc0\xc4\0\xc4\0", FC_EPROTOCOL),
    R("two states for one nil", "\x97\x44\1\0\0\xc3\x92\xc0\xc4\0\xc4\2\0\0", FC_EPROTOCOL),
    R("one state for no nil", "\x97\x44\1\0\0\xc3\x91\xc4\0\xc4\1\0", FC_EPROTOCOL),
    R("no state for no nil", "\x97\x44\1\0\0\xc3\x91\xc4\0\xc4\0", 0),
    R("a state of 3 among states", "\x97\x44\1\0\0\xc3\x92\xc0\xc0\xc4\2\1\3", FC_EPROTOCOL),
    R("states as str", "\x97\x44\1\0\0\xc3\x91\xc0\xa1\1", FC_EPROTOCOL),
    R("states as an array", "\x97\x44\1\0\0\xc3\x91\xc0\x91\1", FC_EPROTOCOL),
    R("an error of code 0", "\x94\x7f\1\0\xa1x", FC_EPROTOCOL),
    R("an error code over 31 bits", "\x94\x7f\1\xce\x80\0\0\0\xa1x", FC_EPROTOCOL),
    R("a namespace's figures without its name", "\x94\x47\1\x80\x91\x81\xa1x\1", FC_EPROTOCOL),
    R("no figures for a namespace", "\x94\x47\1\x80\x91\x80", FC_EPROTOCOL),
    R("a negative figure", "\x94\x47\1\x81\xa1x\xff\x90", FC_EPROTOCOL),
    R("a figure that is a list", "\x94\x47\1\x81\xa1x\x90\x90", FC_EPROTOCOL),
    R("an entry of 9 fields", "\x94\x49\1\xc4\0\x91\x99\xa1m\xa1o\xa1v" P "\1\1\1\1\1",
      FC_EPROTOCOL),
    R("an entry of 11 fields", "\x94\x49\1\xc4\0\x91\x9b\xa1m\xa1o\xa1v" P "\1\1\1\1\1\1\x90", 0),
    R("a lease of 10 fields", "\x94\x4d\1\xc4\0\x91\x9a\xa1m\xa1o\xa1v" P "\1\1\xa1w\1\1\1\1",
      FC_EPROTOCOL),
    R("a lease of 12 fields", "\x94\x4d\1\xc4\0\x91\x9c\xa1m\xa1o\xa1v" P "\1\1\xa1w\1\1\1\1\x90",
      0),
    R("a lease without an owner's name",
      "\x94\x4d\1\xc4\0\x91\x9b\xa1m\xa1o\xa1v" P "\1\1\xa0\1\1\1\1", FC_ENAME),
    R("a client of 12 fields", "\x94\x4e\1\xc4\0\x91\x9c\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0",
      FC_EPROTOCOL),
    R("a client of 13 fields", "\x94\x4e\1\xc4\0\x91\x9d\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0", 0),
    R("a client's user that is no array",
      "\x94\x4e\1\xc4\0\x91\x9e\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0\x80", FC_EPROTOCOL),
    R("a client's user of 6 fields",
      "\x94\x4e\1\xc4\0\x91\x9e\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0\x96\1\1\1\1\1\1",
      FC_EPROTOCOL),
    R("a client's user of 8 fields",
      "\x94\x4e\1\xc4\0\x91\x9e\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0\x98\1\1\1\1\1\1\1\x80", 0),
    R("a client of 15 fields",
      "\x94\x4e\1\xc4\0\x91\x9f\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0\xc0\x80", 0),
    R("a client's lease of 3 fields", "\x94\x4e\1\xc4\0\x91" C "\x93\xa1o\xa1v" P "\1\0\xc0",
      FC_EPROTOCOL),
    R("a client's lease of 5 fields", "\x94\x4e\1\xc4\0\x91" C "\x95\xa1o\xa1v" P "\1\xa1x\0\xc0",
      0),
    R("a client's lease that is a number", "\x94\x4e\1\xc4\0\x91" C "\1\0\xc0", FC_EPROTOCOL),
    R("a client's wait of 7 fields",
      "\x94\x4e\1\xc4\0\x91" C "\xc0\1\x97\xa1o\xa1v" P "\1\1\1\xa1w\1", FC_EPROTOCOL),
    R("a client's wait of 9 fields",
      "\x94\x4e\1\xc4\0\x91" C "\xc0\1\x99\xa1o\xa1v" P "\1\1\1\xa1w\xff\xc0", 0),
    R("a client's wait for nobody",
      "\x94\x4e\1\xc4\0\x91" C "\xc0\1\x98\xa1o\xa1v" P "\1\1\1\xc0\1", FC_EPROTOCOL),
    R("a namespace of 7 fields", "\x94\x4f\1\xc4\0\x91\x97\xa1m\xc0\1\1\1\1\1", FC_EPROTOCOL),
    R("a namespace of 8 fields", "\x94\x4f\1\xc4\0\x91\x98\xa1m\xc0\1\1\1\1\1\1", 0),
    R("a namespace's max_bytes that is a map", "\x94\x4f\1\xc4\0\x91\x99\xa1m\xc0\1\1\1\1\1\1\x80",
      FC_EPROTOCOL),
    R("a namespace of 10 fields", "\x94\x4f\1\xc4\0\x91\x9a\xa1m\xc0\1\1\1\1\1\1\xc0\x80", 0),
    R("a namespace without a name", "\x94\x4f\1\xc4\0\x91\x98\xc0\xc0\1\1\1\1\1\1", FC_EPROTOCOL),
    R("a namespace's manifest with a NUL", "\x94\x4f\1\xc4\0\x91\x98\xa1m\xa1\0\1\1\1\1\1\1",
      FC_EPROTOCOL),
    R("more clients than bytes", "\x94\x4e\1\xc4\0\xdd\xff\xff\xff\xff", FC_EPROTOCOL),
    R("an item that nests", "\x94\x4e\1\xc4\0\x91\x91\x91\x91\xc0", FC_EPROTOCOL),
#undef B
#undef R
#undef P
#undef C
};

START_TEST(particular_bodies) {
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    int error = decode(bodies[i].reply, bodies[i].bytes, bodies[i].size, NULL);

    ck_assert_msg(error == bodies[i].error, "%s: %d", bodies[i].name, error);
  }
}
END_TEST

/* A list's page, or one of leases or clients, that begins at a cursor of `size` bytes. */
static int decode_page_cursor(enum fc_type type, uint32_t size) {
  const uint8_t bytes[FC_HASH_SIZE * 5] = {0};
  const struct fc_list list = {.limit = 1, .cursor = bytes, .cursor_size = size};
  const struct fc_page page = {.limit = 1, .cursor = bytes, .cursor_size = size};
  struct fc_buf buf = {0};
  int error;

  ck_assert_int_eq(
      type == FC_LIST ? fc_encode_list(&buf, 1, &list) : fc_encode_page(&buf, type, 1, &page), 0);
  error = decode(false, buf.data + 8, buf.size - 8, NULL);
  fc_buf_free(&buf);
  return error;
}

/* A page that ends with a cursor of `size` bytes. */
static int decode_reply_cursor(enum fc_type type, uint32_t size) {
  const uint8_t bytes[FC_HASH_SIZE * 5] = {0};
  struct fc_buf buf = {0};
  int error;

  ck_assert_int_eq(fc_encode_list_reply_head(&buf, type, 1, bytes, size, 0), 0);
  fc_frame_finish(&buf, 0, 0);
  error = decode(true, buf.data + 8, buf.size - 8, NULL);
  fc_buf_free(&buf);
  return error;
}

static char manifest_data[FC_MANIFEST_MAX + 1];

static struct fc_str manifest_of(uint32_t size) {
  memset(manifest_data, '{', sizeof manifest_data);
  return (struct fc_str){manifest_data, size};
}

static int decode_manifest(uint32_t size) {
  struct fc_hello hello = {.version_min = 1,
                           .version_max = 4,
                           .client = fc_str_of("c"),
                           .name_space = fc_str_of("n"),
                           .manifest = manifest_of(size)};
  struct fc_buf buf = {0};
  int error;

  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  error = decode(false, buf.data + 8, buf.size - 8, NULL);
  fc_buf_free(&buf);
  return error;
}

static int decode_reply_manifest(uint32_t size) {
  struct fc_namespace_entry entry = {.name_space = fc_str_of("n"), .manifest = manifest_of(size)};
  struct fc_buf buf = {0};
  int error;

  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_NAMESPACES, 1, NULL, 0, 1), 0);
  ck_assert_int_eq(fc_encode_namespace_entry(&buf, &entry), 0);
  fc_frame_finish(&buf, 0, 0);
  error = decode(true, buf.data + 8, buf.size - 8, NULL);
  fc_buf_free(&buf);
  return error;
}

static int decode_trace_path(uint32_t size) {
  char path[4096];
  struct fc_buf buf = {0};
  int error;

  memset(path, '/', sizeof path);
  ck_assert_int_eq(fc_encode_trace(&buf, 1, &(struct fc_trace){FC_TRACE_ON, {path, size}}), 0);
  error = decode(false, buf.data + 8, buf.size - 8, NULL);
  fc_buf_free(&buf);
  return error;
}

START_TEST(limits_are_exact) {
  static const enum fc_type paged[] = {FC_LIST, FC_LEASES, FC_CLIENTS, FC_NAMESPACES};

  for (size_t i = 0; i < sizeof paged / sizeof paged[0]; i++) {
    ck_assert_int_eq(decode_page_cursor(paged[i], 64), 0);
    ck_assert_int_eq(decode_page_cursor(paged[i], 65), FC_EPROTOCOL);
    ck_assert_int_eq(decode_reply_cursor(paged[i], 64), 0);
    ck_assert_int_eq(decode_reply_cursor(paged[i], 65), FC_EPROTOCOL);
  }
  ck_assert_int_eq(decode_manifest(16384), 0);
  ck_assert_int_eq(decode_manifest(16385), FC_EINVAL);
  ck_assert_int_eq(decode_reply_manifest(16384), 0);
  ck_assert_int_eq(decode_reply_manifest(16385), FC_EPROTOCOL);
  ck_assert_int_eq(decode_trace_path(4095), 0);
  ck_assert_int_eq(decode_trace_path(4096), FC_EINVAL);
}
END_TEST

START_TEST(a_broken_request_keeps_its_id) {
  struct fc_request request;

  ck_assert_int_eq(fc_decode_request((const uint8_t *)"\x92\x10\x2a", 3, &request), FC_EPROTOCOL);
  ck_assert_uint_eq(request.id, 42);
  ck_assert_int_eq(fc_decode_request((const uint8_t *)"\x92\x10", 2, &request), FC_EPROTOCOL);
  ck_assert_uint_eq(request.id, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("message_broken");
  TCase *tests = tcase_create("message_broken");

  tcase_add_test(tests, every_cut_is_refused);
  tcase_add_test(tests, every_changed_byte_is_survived);
  tcase_add_test(tests, bytes_after_the_array_are_refused);
  tcase_add_test(tests, unknown_fields_are_skipped);
  tcase_add_test(tests, wrong_types_are_refused);
  tcase_add_test(tests, deep_nesting_is_skipped_or_refused);
  tcase_add_test(tests, particular_bodies);
  tcase_add_test(tests, limits_are_exact);
  tcase_add_test(tests, a_broken_request_keeps_its_id);
  tcase_set_timeout(tests, 60);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
