/* The hex dumps and hash vectors of docs/protocol.md are what the encoders make
 * and the decoders take. Run from the project's root, as make does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doc_blocks.h"
#include "proto/frame.h"
#include "proto/message.h"
#include "runner.h"

#define DOC "docs/protocol.md"
#define STR(text)                                                                                  \
  { (text), sizeof(text) - 1 }

/* What the encoders made, without a value's bytes, plus `value`. */
static void check_block(const char *title, struct fc_buf *made, const char *value) {
  struct fc_request request;
  struct fc_reply reply;
  uint32_t body;
  int error;

  ck_assert_int_eq(fc_buf_append(made, value, strlen(value)), 0);
  doc_check_hex(DOC, title, made->data, made->size);
  ck_assert_int_eq(fc_frame_peek(made->data, made->size, UINT32_MAX, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, made->size - FC_FRAME_HEADER);
  error = made->data[9] & FC_REPLY ? fc_decode_reply(made->data + 8, body, &reply)
                                   : fc_decode_request(made->data + 8, body, &request);
  ck_assert_msg(!error, "%s cannot be decoded", title);
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
  check_block("hello", &buf, "");
  ck_assert_int_eq(fc_encode_get(&buf, 1, &get), 0);
  check_block("get", &buf, "");
  ck_assert_int_eq(fc_encode_put_head(&buf, 2, &put), 0);
  check_block("put", &buf, "the result");
}
END_TEST

START_TEST(the_dumped_replies_are_the_encoders) {
  const struct fc_welcome welcome = {
      1, STR("fcached 0.1.0"), 0x0123456789abcdefu, 1, 16777216, 17825792, 0, 0};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_welcome(&buf, 0, &welcome), 0);
  check_block("welcome", &buf, "");
  ck_assert_int_eq(fc_encode_miss(&buf, 1, 1), 0);
  check_block("miss", &buf, "");
  ck_assert_int_eq(fc_encode_put_reply(&buf, 2, FC_STORED), 0);
  check_block("stored", &buf, "");
  ck_assert_int_eq(fc_encode_hit_head(&buf, 3, 1, 10), 0);
  check_block("hit", &buf, "the result");
}
END_TEST

START_TEST(the_dumped_manifests_are_the_encoders) {
  const struct fc_str manifest = STR("{\"model\": \"gpt2\"}");
  const struct fc_hello hello = {1, 4, STR("worker-1"), STR("gpt2-r1"), false, 0, 0, manifest};
  const struct fc_page page = {.limit = 500};
  const struct fc_namespace_entry entry = {STR("gpt2-r1"), manifest, 1, 224, 1, 1, 1, 10000000};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_hello(&buf, 0, &hello), 0);
  check_block("hello_manifest", &buf, "");
  ck_assert_int_eq(fc_encode_page(&buf, FC_NAMESPACES, 6, &page), 0);
  check_block("namespaces", &buf, "");
  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_NAMESPACES, 6, NULL, 0, 1), 0);
  ck_assert_int_eq(fc_encode_namespace_entry(&buf, &entry), 0);
  fc_frame_finish(&buf, 0, 0);
  check_block("namespaces_reply", &buf, "");
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
  check_block("get_lease", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 1, FC_LEASE_GRANTED), 0);
  check_block("granted", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 1, FC_LEASE_TAKEN), 0);
  check_block("taken", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 1, FC_LEASE_NONE), 0);
  check_block("none", &buf, "");
  ck_assert_int_eq(fc_encode_give_up(&buf, 5, &give_up), 0);
  check_block("give_up", &buf, "");
  ck_assert_int_eq(fc_encode_given_up(&buf, 5, 1), 0);
  check_block("given_up", &buf, "");
}
END_TEST

/* A line: the prompt's bytes in hex (nothing: empty), two spaces, the hash. */
static void check_vector(void *count, const char *line) {
  struct fc_buf prompt = {0};
  struct fc_hash hash, documented;
  const char *gap = strstr(line, "  ");

  ck_assert_msg(gap != NULL, "no gap in: %s", line);
  (void)doc_take_hex(&prompt, line);
  ck_assert(fc_hash_parse(gap + 2, 32, &documented));
  hash = fc_hash_prompt(prompt.data, prompt.size);
  ck_assert_msg(!memcmp(&hash, &documented, sizeof hash), "another hash than: %s", line);
  fc_buf_free(&prompt);
  ++*(int *)count;
}

START_TEST(the_hash_vectors_are_true) {
  int count = 0;

  doc_each_line(DOC, "vectors", check_vector, &count);
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
