/* The hex dumps and hash vectors of docs/protocol.md are what the encoders make
 * and the decoders take. Run from the project's root, as make does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/message.h"
#include "runner.h"

#define DOC "docs/protocol.md"
#define STR(text)                                                                                  \
  { (text), sizeof(text) - 1 }

static uint8_t digit(char c) {
  return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The bytes at the start of a line: pairs of digits with one space between, ended
 * by two spaces or the line's end. */
static void add_line(struct fc_buf *bytes, const char *line) {
  const char *digits = "0123456789abcdef";

  while (line[0] && strchr(digits, line[0]) && line[1] && strchr(digits, line[1])) {
    uint8_t byte = (uint8_t)(digit(line[0]) << 4 | digit(line[1]));

    ck_assert_int_eq(fc_buf_append(bytes, &byte, 1), 0);
    line += 2;
    if (*line == ' ')
      line++;
  }
}

/* Calls `fn` for each line between "```TITLE" and "```"; fails where there is no such block. */
static void each_line(const char *title, void (*fn)(void *arg, const char *line), void *arg) {
  FILE *doc = fopen(DOC, "r");
  char line[512], fence[64];
  bool inside = false, found = false;

  ck_assert_msg(doc != NULL, DOC " cannot be opened: run the test from the project's root");
  ck_assert_int_lt(snprintf(fence, sizeof fence, "```%s\n", title), (int)sizeof fence);
  while (fgets(line, sizeof line, doc)) {
    if (inside && !strcmp(line, "```\n"))
      inside = false;
    else if (inside)
      fn(arg, line);
    else if (!strcmp(line, fence))
      inside = found = true;
  }
  (void)fclose(doc); /* it was only read */
  ck_assert_msg(found && !inside, DOC " has no whole block %s", title);
}

static void add_hex(void *bytes, const char *line) {
  add_line(bytes, line);
}

/* What the encoders made, without a value's bytes, plus `value`. */
static void check_block(const char *title, struct fc_buf *made, const char *value) {
  struct fc_buf bytes = {0};
  struct fc_request request;
  struct fc_reply reply;
  uint32_t body;
  int error;

  ck_assert_int_eq(fc_buf_append(made, value, strlen(value)), 0);
  each_line(title, add_hex, &bytes);
  ck_assert_msg(bytes.size == made->size && !memcmp(bytes.data, made->data, made->size),
                "%s is not what the encoder makes", title);
  ck_assert_int_eq(fc_frame_peek(bytes.data, bytes.size, UINT32_MAX, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, bytes.size - FC_FRAME_HEADER);
  error = bytes.data[9] & FC_REPLY ? fc_decode_reply(bytes.data + 8, body, &reply)
                                   : fc_decode_request(bytes.data + 8, body, &request);
  ck_assert_msg(!error, "%s cannot be decoded", title);
  fc_buf_free(&bytes);
  fc_buf_free(made);
}

static struct fc_key key(void) {
  return (struct fc_key){STR("next_token_dist"), STR("base"), 50, fc_hash_prompt("hello", 5)};
}

START_TEST(the_dumped_requests_are_the_encoders) {
  const struct fc_hello hello = {1, 1, STR("worker-1"), STR("gpt2-r1"), true, 100000, 0, {0}};
  const struct fc_get get = {.key = key(), .probe = STR("ablation")};
  const struct fc_put put = {.flags = FC_KEEP_FIRST,
                             .key = key(),
                             .probe = STR("ablation"),
                             .epoch = {0x0123456789abcdefu, 1},
                             .compute_ns = 12000000,
                             .value_size = 10};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_hello(&buf, 0, &hello), 0);
  check_block("hex hello", &buf, "");
  ck_assert_int_eq(fc_encode_get(&buf, 1, &get), 0);
  check_block("hex get", &buf, "");
  ck_assert_int_eq(fc_encode_put_head(&buf, 2, &put), 0);
  check_block("hex put", &buf, "the result");
}
END_TEST

START_TEST(the_dumped_replies_are_the_encoders) {
  const struct fc_welcome welcome = {
      1, STR("fcached 0.1.0"), 0x0123456789abcdefu, 1, 16777216, 17825792, 0, 0};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_welcome(&buf, 0, &welcome), 0);
  check_block("hex welcome", &buf, "");
  ck_assert_int_eq(fc_encode_miss(&buf, 1, 1), 0);
  check_block("hex miss", &buf, "");
  ck_assert_int_eq(fc_encode_put_reply(&buf, 2, FC_STORED), 0);
  check_block("hex stored", &buf, "");
  ck_assert_int_eq(fc_encode_hit_head(&buf, 3, 1, 10), 0);
  check_block("hex hit", &buf, "the result");
}
END_TEST

START_TEST(the_dumped_manifests_are_the_encoders) {
  const struct fc_str manifest = STR("{\"model\": \"gpt2\"}");
  const struct fc_hello hello = {1, 4, STR("worker-1"), STR("gpt2-r1"), false, 0, 0, manifest};
  const struct fc_page page = {.limit = 500};
  const struct fc_namespace_entry entry = {STR("gpt2-r1"), manifest, 1, 224, 1, 1, 1, 10000000};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_hello(&buf, 0, &hello), 0);
  check_block("hex hello_manifest", &buf, "");
  ck_assert_int_eq(fc_encode_page(&buf, FC_NAMESPACES, 6, &page), 0);
  check_block("hex namespaces", &buf, "");
  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_NAMESPACES, 6, NULL, 0, 1), 0);
  ck_assert_int_eq(fc_encode_namespace_entry(&buf, &entry), 0);
  fc_frame_finish(&buf, 0, 0);
  check_block("hex namespaces_reply", &buf, "");
}
END_TEST

START_TEST(the_dumped_leases_are_the_encoders) {
  const struct fc_get get = {.flags = FC_LEASE,
                             .key = key(),
                             .probe = STR("ablation"),
                             .has_terms = true,
                             .terms = {.lease_ms = 60000, .wait_ms = 30000}};
  const struct fc_give_up give_up = {.key = key(), .prompts = get.key.prompt.bytes, .n = 1};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_get(&buf, 4, &get), 0);
  check_block("hex get_lease", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 1, FC_LEASE_GRANTED), 0);
  check_block("hex granted", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 1, FC_LEASE_TAKEN), 0);
  check_block("hex taken", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 1, FC_LEASE_NONE), 0);
  check_block("hex none", &buf, "");
  ck_assert_int_eq(fc_encode_give_up(&buf, 5, &give_up), 0);
  check_block("hex give_up", &buf, "");
  ck_assert_int_eq(fc_encode_given_up(&buf, 5, 1), 0);
  check_block("hex given_up", &buf, "");
}
END_TEST

/* A line: the prompt's bytes in hex (nothing: empty), two spaces, the hash. */
static void check_vector(void *count, const char *line) {
  struct fc_buf prompt = {0};
  struct fc_hash hash, documented;
  const char *gap = strstr(line, "  ");

  ck_assert_msg(gap != NULL, "no gap in: %s", line);
  add_line(&prompt, line);
  ck_assert(fc_hash_parse(gap + 2, 32, &documented));
  hash = fc_hash_prompt(prompt.data, prompt.size);
  ck_assert_msg(!memcmp(&hash, &documented, sizeof hash), "another hash than: %s", line);
  fc_buf_free(&prompt);
  ++*(int *)count;
}

START_TEST(the_hash_vectors_are_true) {
  int count = 0;

  each_line("vectors", check_vector, &count);
  ck_assert_int_ge(count, 4);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("protocol_doc");
  TCase *tests = tcase_create("protocol_doc");

  tcase_add_test(tests, the_dumped_requests_are_the_encoders);
  tcase_add_test(tests, the_dumped_replies_are_the_encoders);
  tcase_add_test(tests, the_dumped_leases_are_the_encoders);
  tcase_add_test(tests, the_dumped_manifests_are_the_encoders);
  tcase_add_test(tests, the_hash_vectors_are_true);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
