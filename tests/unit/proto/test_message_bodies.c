/* Malformed and unusual bodies, one by one, and the exact limits of fields. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/message.h"
#include "tests/support/runner.h"

/* Decodes a copy of exactly `size` bytes, so that a sanitizer sees a read behind its end. */
static int decode(bool is_reply, const void *body, size_t size) {
  uint8_t *copy = malloc(size);
  struct fc_request request;
  struct fc_reply reply;
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, body, size);
  int error =
      is_reply ? fc_decode_reply(copy, size, &reply) : fc_decode_request(copy, size, &request);
  free(copy);
  return error;
}

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
    R("a namespace's statistics without its name", "\x94\x47\1\x80\x91\x81\xa1x\1", FC_EPROTOCOL),
    R("no statistics for a namespace", "\x94\x47\1\x80\x91\x80", FC_EPROTOCOL),
    R("a negative figure", "\x94\x47\1\x81\xa1x\xff\x90", FC_EPROTOCOL),
    R("a figure that is a list", "\x94\x47\1\x81\xa1x\x90\x90", FC_EPROTOCOL),
    R("an entry of 9 fields", "\x94\x49\1\xc4\0\x91\x99\xa1m\xa1o\xa1v" P "\1\1\1\1\1",
      FC_EPROTOCOL),
    R("an entry of 10 fields, of an older daemon",
      "\x94\x49\1\xc4\0\x91\x9a\xa1m\xa1o\xa1v" P "\1\1\1\1\1\1", 0),
    R("an entry of 12 fields", "\x94\x49\1\xc4\0\x91\x9c\xa1m\xa1o\xa1v" P "\1\1\1\1\1\1\1\x90", 0),
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
      "\x94\x4e\1\xc4\0\x91\x9f\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0\xc0\1", 0),
    R("a client of 16 fields",
      "\x94\x4e\1\xc4\0\x91\xdc\0\x10\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0\xc0\1\x80", 0),
    R("a client's waits for the tier that are a map",
      "\x94\x4e\1\xc4\0\x91\x9f\1\xa1w\1\1\xa1m\xc2\1\1\1\0\xc0\0\xc0\xc0\x80", FC_EPROTOCOL),
    R("a client's lease of 3 fields", "\x94\x4e\1\xc4\0\x91" C "\x93\xa1o\xa1v" P "\1\0\xc0",
      FC_EPROTOCOL),
    R("a client's lease of 5 fields", "\x94\x4e\1\xc4\0\x91" C "\x95\xa1o\xa1v" P "\1\xa1x\0\xc0",
      0),
    R("a client's lease that is a number", "\x94\x4e\1\xc4\0\x91" C "\1\0\xc0", FC_EPROTOCOL),
    R("a client's wait of 7 fields",
      "\x94\x4e\1\xc4\0\x91" C "\xc0\1\x97\xa1o\xa1v" P "\1\1\1\xa1w\1", FC_EPROTOCOL),
    R("a client's wait of 9 fields",
      "\x94\x4e\1\xc4\0\x91" C "\xc0\1\x99\xa1o\xa1v" P "\1\1\1\xa1w\xff\xc0", 0),
    R("a client's wait without an owner",
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

START_TEST(body_of_table_has_its_result) {
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    int error = decode(bodies[i].reply, bodies[i].bytes, bodies[i].size);

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
  error = decode(false, buf.data + 8, buf.size - 8);
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
  error = decode(true, buf.data + 8, buf.size - 8);
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
  error = decode(false, buf.data + 8, buf.size - 8);
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
  error = decode(true, buf.data + 8, buf.size - 8);
  fc_buf_free(&buf);
  return error;
}

static int decode_trace_path(uint32_t size) {
  char path[4096];
  struct fc_buf buf = {0};
  int error;

  memset(path, '/', sizeof path);
  ck_assert_int_eq(
      fc_encode_trace(&buf, 1, &(struct fc_trace){.action = FC_TRACE_ON, .path = {path, size}}), 0);
  error = decode(false, buf.data + 8, buf.size - 8);
  fc_buf_free(&buf);
  return error;
}

START_TEST(field_at_limit_accepted_beyond_rejected) {
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

START_TEST(request_malformed_keeps_its_id) {
  struct fc_request request;

  ck_assert_int_eq(fc_decode_request((const uint8_t *)"\x92\x10\x2a", 3, &request), FC_EPROTOCOL);
  ck_assert_uint_eq(request.id, 42);
  ck_assert_int_eq(fc_decode_request((const uint8_t *)"\x92\x10", 2, &request), FC_EPROTOCOL);
  ck_assert_uint_eq(request.id, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("message_bodies");
  TCase *tests = tcase_create("message_bodies");

  tcase_add_test(tests, body_of_table_has_its_result);
  tcase_add_test(tests, field_at_limit_accepted_beyond_rejected);
  tcase_add_test(tests, request_malformed_keeps_its_id);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
