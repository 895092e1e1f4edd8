/* The texts about refused requests: they name the message and the field as docs/protocol.md does.
 * Run from the project's root, as make does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/wire/explain.h"
#include "proto/wire/frame.h"
#include "proto/wire/reader.h"
#include "tests/support/proto_samples.h"
#include "tests/support/runner.h"

#define DOC "docs/protocol.md"
#define FIELDS_MAX 16u
#define TYPES 0x1du /* above the highest */

/* ---- the requests of the page ---- */

struct request {
  char names[FIELDS_MAX][32];
  uint32_t n;
  bool found, tried;         /* tried: with all of them */
  bool ends[FIELDS_MAX + 1]; /* a sample has this many: an earlier version's, if not all */
};

/* Reads the line of a request, "`[0x02, id, flags, op, ...]`". */
static void read_line(struct request requests[TYPES], char *line) {
  unsigned type;
  char *at = strstr(line, "`[0x"), *end = at == NULL ? NULL : strchr(at, ']');
  if (end == NULL || sscanf(at, "`[0x%2x, id", &type) != 1 || type >= TYPES)
    return;
  struct request *request = &requests[type];
  ck_assert_msg(!request->found, "type 0x%02x is shown twice", type);
  request->found = true;
  *end = '\0';
  at = strstr(at, "id") + 2;
  for (char *name = strtok(at, ", "); name != NULL; name = strtok(NULL, ", ")) {
    ck_assert_uint_lt(request->n, FIELDS_MAX);
    (void)snprintf(request->names[request->n++], sizeof request->names[0], "%s", name);
  }
}

static void read_page(struct request requests[TYPES]) {
  char line[512];
  FILE *page = fopen(DOC, "r");
  ck_assert_msg(page != NULL, DOC " cannot be opened: run the test from the project's root");
  while (fgets(line, sizeof line, page) != NULL)
    read_line(requests, line);
  (void)fclose(page); /* a reader has nothing to flush */
}

/* ---- bodies with one mistake ---- */

static void check_says(const struct fc_buf *body, const char *expected) {
  char text[FC_EXPLANATION_SIZE];
  struct fc_request request;
  uint8_t *copy = malloc(body->size); /* of its exact size, where a sanitizer sees its end */
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, body->data, body->size);
  ck_assert_msg(fc_decode_request(copy, body->size, &request) < 0, "accepted, but not: %s",
                expected);
  fc_explain_request(copy, body->size, text);
  ck_assert_msg(strstr(text, expected) != NULL, "\"%s\" does not say \"%s\"", text, expected);
  free(copy);
}

/* The offset of element `i` of a body, its type and id among them. */
static size_t offset_of(const uint8_t *body, size_t size, uint32_t i) {
  struct fc_reader cursor = fc_reader_init(body, size);
  (void)fc_read_array(&cursor);
  fc_read_skip(&cursor, i);
  ck_assert_int_eq(cursor.error, 0);
  return size - fc_reader_left(&cursor);
}

static void append(struct fc_buf *buf, const void *data, size_t size) {
  ck_assert_int_eq(fc_buf_append(buf, data, size), 0);
}

/* An empty map in the place of field `i`: no field is one. */
static void check_wrong_field(const uint8_t *body, size_t size, uint32_t i, const char *name) {
  struct fc_buf wrong = {0};
  char expected[64];
  size_t from = offset_of(body, size, i + 2), to = offset_of(body, size, i + 3);
  append(&wrong, body, from);
  append(&wrong, "\x80", 1);
  append(&wrong, body + to, size - to);
  (void)snprintf(expected, sizeof expected, ": its field %s must be ", name);
  check_says(&wrong, expected);
  fc_buf_free(&wrong);
}

/* The array ends before field `i`. */
static void check_missing_field(const uint8_t *body, size_t size, uint32_t i, const char *name) {
  struct fc_buf cut = {0};
  char expected[64];
  uint8_t head = (uint8_t)(0x90 | (i + 2)); /* one byte, as in the samples */
  append(&cut, &head, 1);
  append(&cut, body + 1, offset_of(body, size, i + 2) - 1);
  (void)snprintf(expected, sizeof expected,
                 " has %u fields: %s and the fields behind it are missing", i, name);
  check_says(&cut, expected);
  fc_buf_free(&cut);
}

static void note_end(void *arg, const struct proto_sample *sample) {
  struct request *requests = arg;
  const uint8_t *body = sample->frame->data + FC_FRAME_HEADER;
  uint32_t n = (body[0] & 0x0fu) - 2;
  if (sample->reply)
    return;
  /* Older clients do not send these: order and min_compute_ns, mkdir, and local. */
  bool one = body[1] == FC_TRACE || body[1] == FC_CLEAR || body[1] == FC_DELETE;
  uint32_t later = body[1] == FC_LIST ? 2 : one ? 1 : 0;
  for (uint32_t i = 0; i <= later; i++)
    requests[body[1]].ends[n - i] = true;
}

static void check_sample(void *arg, const struct proto_sample *sample) {
  struct request *requests = arg;
  if (sample->reply)
    return;
  const uint8_t *body = sample->frame->data + FC_FRAME_HEADER;
  size_t size = sample->frame->size - FC_FRAME_HEADER;
  struct request *request = &requests[body[1]];
  ck_assert_msg(request->found, "%s is not in " DOC, sample->name);
  uint32_t n = (body[0] & 0x0fu) - 2;
  ck_assert_msg(n == request->n || (n < request->n && sample->growth == PROTO_OLDER),
                "%s has other fields than " DOC, sample->name);
  request->tried |= n == request->n;
  for (uint32_t i = 0; i < n; i++) {
    check_wrong_field(body, size, i, request->names[i]);
    if (!request->ends[i])
      check_missing_field(body, size, i, request->names[i]);
  }
}

START_TEST(request_wrong_field_named_as_on_page) {
  struct request requests[TYPES] = {0};
  read_page(requests);
  proto_samples(note_end, requests);
  proto_samples(check_sample, requests);
  for (uint32_t type = 0; type < TYPES; type++)
    ck_assert_msg(requests[type].found == requests[type].tried, "no sample of type 0x%02x", type);
  ck_assert(requests[FC_SHUTDOWN].tried && requests[FC_NAMESPACES].tried);
}
END_TEST

START_TEST(request_other_mistake_named) {
  static const struct {
    const char *body, *expected;
    size_t size;
  } cases[] = {
#define CASE(bytes, text) {bytes, text, sizeof(bytes) - 1}
#define HASH                                                                                       \
  "\xc4\x10"                                                                                       \
  "0123456789abcdef"
      CASE("\xc0", "a body must be one msgpack array"),
      CASE("\x91\x06", "a body must be one msgpack array"),
      CASE("\x99\1\1\1\4\xa1w\xa1m\xc0\0\xa0",
           "its field manifest must be a str of 1 to 16384 bytes"),
      CASE("\x99\1\1\1\4\xa1w\xa1m\xc0\0\xa1\0", "its field manifest must be a str of 1 to 16384"),
      CASE("\x92\x30\x01", "there is no request of type 0x30"),
      CASE("\x92\x46\x01", "there is no request of type 0x46"), /* a reply's */
      CASE("\x92\x06\x01\xc0", "ping: trailing bytes after the message"),
      CASE("\x93\x06\x01\xc1", "ping: trailing bytes after the message"),
      CASE("\x93\x07\x01\xa0", "stats: its field namespace must be a str of 1 to 255 bytes"),
      CASE("\x97\x09\x01\xc0\xc0\xc0\x00\xc4\x00",
           "list: its field limit must be an integer from 1"),
      CASE("\x94\x0a\x01\x03\xc0", "trace: its field action must be 0 (status), 1 (on) or 2 (off)"),
      CASE("\x94\x0a\x01\x01\xc0", "trace: its field path must be with action 1 a str"),
      CASE("\x94\x0a\x01\x02\xa2/t", "trace: its field path must be with action 1 a str"),
      CASE("\x9d\x05\x01\x00\xa1o\xa1v\x00\xc4\x10"
           "0123456789abcdef"
           "\xc0\x00\x00\x00\x00\x92\xc0\xc0",
           "put_many: its field values must be an array with a bin"), /* two for one prompt */
      CASE("\x98\x04\x01\x00\xa1o\xa1v\x00\xc4\x0f"
           "0123456789abcde"
           "\xc0",
           "get_many: its field prompts must be a bin of 16 bytes for each prompt"),
      CASE("\x99\x02\x01\x00\xa1o\xa1v\x00" HASH "\xc0\x05",
           "get has 7 fields: wait_ms and the fields behind it are missing"),
      CASE("\x9a\x02\x01\x00\xa1o\xa1v\x00" HASH "\xc0\x05\xff",
           "get: its field wait_ms must be an integer from 0 to 2^32 - 1"),
      CASE("\x98\x02\x01\x00\xa1o\xa1v\x00" HASH "\xc0\x05",
           "get: trailing bytes after the message"), /* not in the array */
      CASE("\x99\x04\x01\x00\xa1o\xa1v\x00" HASH "\xc0\xc0",
           "get_many: its field lease_ms must be an integer from 0 to 2^32 - 1"),
      CASE("\x96\x0c\x01\xa0\xa1v\x00" HASH, "give_up: its field op must be a str of 1 to 255"),
      CASE("\x96\x0c\x01\xa1o\xc0\x00" HASH, "give_up: its field view must be with an op a str"),
      CASE("\x96\x0c\x01\xa1o\xa1v\x00\xc0", "give_up: its field prompts must be with an op a bin"),
      CASE("\x96\x0c\x01\xa1o\xa1v\x00\xc4\x00",
           "give_up: its field prompts must be with an op a bin"),
      CASE("\x96\x0c\x01\xc0\xa1v\x00\xc0", "give_up: its field view must be with an op a str"),
      CASE("\x96\x0c\x01\xc0\xc0\x00" HASH, "give_up: its field prompts must be with an op a bin"),
      CASE("\x95\x0d\x01\xc0\x00\xc4\x00", "leases: its field limit must be an integer from 1"),
      CASE("\x95\x0e\x01\xa0\x01\xc4\x00",
           "clients: its field namespace must be a str of 1 to 255"),
#undef HASH
#undef CASE
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fc_buf body = {0};
    append(&body, cases[i].body, cases[i].size);
    check_says(&body, cases[i].expected);
    fc_buf_free(&body);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("explain");
  TCase *tests = tcase_create("explain");

  tcase_add_test(tests, request_wrong_field_named_as_on_page);
  tcase_add_test(tests, request_other_mistake_named);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
