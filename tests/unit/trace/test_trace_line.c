#include "daemon/trace/trace_line.h"

#include "proto/limits.h"
#include "tests/support/runner.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct trace_event sample(void) {
  struct trace_event event = {
      .ts_ns = UINT64_C(1700000000123456789),
      .probe = fc_str_of("divergence"),
      .view = fc_str_of("scaled_1.25"),
      .top_k = 50,
      .op = fc_str_of("next_token_dist"),
      .wall_ns = 12000345,
      .hit = true,
      .name_space = fc_str_of("gpt2@abc"),
      .client = fc_str_of("worker-1"),
  };
  for (uint8_t i = 0; i < FC_HASH_SIZE; i++)
    event.prompt.bytes[i] = (uint8_t)(i * 17);
  return event;
}

START_TEST(line_exact_text) {
  char line[TRACE_LINE_MAX];
  struct trace_event event = sample();
  static const char want[] =
      "{\"ts\": 1700000000.123456, \"probe\": \"divergence\", \"view_id\": \"scaled_1.25\", "
      "\"prompt_hash\": \"00112233445566778899aabbccddeeff\", \"top_k\": 50, "
      "\"op\": \"next_token_dist\", \"wall_ms\": 12.000345, \"hit\": true, "
      "\"namespace\": \"gpt2@abc\", \"client\": \"worker-1\"}\n";
  size_t size = trace_line_format(line, &event);
  ck_assert_uint_eq(size, sizeof want - 1);
  ck_assert_mem_eq(line, want, size);
}
END_TEST

static json_t *parse(const struct trace_event *event) {
  char line[TRACE_LINE_MAX];
  json_error_t error;
  size_t size = trace_line_format(line, event);
  ck_assert_uint_le(size, TRACE_LINE_MAX);
  ck_assert(line[size - 1] == '\n' && memchr(line, '\n', size - 1) == NULL);
  json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
  ck_assert_msg(object != NULL, "%s", error.text);
  return object;
}

START_TEST(line_fields_in_order) {
  static const char *const names[] = {"ts", "probe",   "view_id", "prompt_hash", "top_k",
                                      "op", "wall_ms", "hit",     "namespace",   "client"};
  struct trace_event event = sample();
  event.probe = (struct fc_str){0};
  event.hit = false;
  json_t *object = parse(&event);
  size_t i = 0;
  const char *name;
  json_t *value;
  json_object_foreach(object, name, value) { /* jansson keeps the order of the text */
    ck_assert_uint_lt(i, sizeof names / sizeof names[0]);
    ck_assert_str_eq(name, names[i++]);
  }
  ck_assert_uint_eq(i, sizeof names / sizeof names[0]);
  ck_assert(json_is_null(json_object_get(object, "probe")));
  ck_assert(json_is_false(json_object_get(object, "hit")));
  json_decref(object);
}
END_TEST

START_TEST(longest_names_escaped_fit) {
  char quotes[FC_NAME_MAX], slashes[FC_NAME_MAX], wide[FC_NAME_MAX];
  memset(quotes, '"', sizeof quotes);
  memset(slashes, '\\', sizeof slashes);
  for (size_t i = 0; i < sizeof wide; i++)
    wide[i] = "\xe2\x82\xac"[i % 3]; /* the euro sign: 255 bytes are 85 of them */
  struct trace_event event = sample();
  event.probe = (struct fc_str){quotes, sizeof quotes};
  event.view = (struct fc_str){slashes, sizeof slashes};
  event.op = (struct fc_str){wide, sizeof wide};
  event.name_space = event.probe;
  event.client = event.view;
  event.ts_ns = event.wall_ns = UINT64_MAX;
  event.top_k = UINT32_MAX;
  json_t *object = parse(&event);
  ck_assert_uint_eq(json_string_length(json_object_get(object, "probe")), sizeof quotes);
  ck_assert_mem_eq(json_string_value(json_object_get(object, "probe")), quotes, sizeof quotes);
  ck_assert_mem_eq(json_string_value(json_object_get(object, "client")), slashes, sizeof slashes);
  ck_assert_mem_eq(json_string_value(json_object_get(object, "op")), wide, sizeof wide);
  ck_assert_int_eq(json_integer_value(json_object_get(object, "top_k")), UINT32_MAX);
  json_decref(object);
}
END_TEST

/* Each as Python's json.dumps writes it. */
START_TEST(non_ascii_escaped) {
  static const char *const cases[][2] = {
      {"style\xe2\x80\xa8probe", "style\\u2028probe"},
      {"\xc2\xa0\xc3\xa9", "\\u00a0\\u00e9"},
      {"\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
      {"\xf4\x8f\xbf\xbf|\xf0\x90\x80\x80", "\\udbff\\udfff|\\ud800\\udc00"},
      {"\xef\xbf\xbf", "\\uffff"},
      {"1234567\xe2\x82\xac"
       "8",
       "1234567\\u20ac8"}, /* it goes over the end of a word */
      {"\"\xe2\x82\xac\\", "\\\"\\u20ac\\\\"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char line[TRACE_LINE_MAX + 1], want[128];
    struct trace_event event = sample();
    event.probe = event.client = fc_str_of(cases[i][0]);
    line[trace_line_format(line, &event)] = '\0';
    (void)snprintf(want, sizeof want, "\"probe\": \"%s\", ", cases[i][1]);
    ck_assert_msg(strstr(line, want) != NULL, "%s: %s", want, line);
    (void)snprintf(want, sizeof want, "\"client\": \"%s\"}\n", cases[i][1]);
    ck_assert_msg(strstr(line, want) != NULL, "%s: %s", want, line);
  }
}
END_TEST

/* Names are checked before. A mistake there must still leave the other lines whole. */
START_TEST(invalid_name_keeps_line_whole) {
  char longest[FC_NAME_MAX];
  for (unsigned first = 0; first < 256; first++) {
    memset(longest, (int)first, sizeof longest);
    struct trace_event event = sample();
    event.probe = event.view = event.op = event.name_space = event.client =
        (struct fc_str){longest, sizeof longest};
    char line[TRACE_LINE_MAX];
    size_t size = trace_line_format(line, &event);
    ck_assert_uint_le(size, TRACE_LINE_MAX);
    for (size_t i = 0; i + 1 < size; i++)
      ck_assert(line[i] >= ' ' && (unsigned char)line[i] < 0x80);
    json_decref(parse(&event));
  }
}
END_TEST

START_TEST(small_numbers_formatted) {
  struct trace_event event = sample();
  char line[TRACE_LINE_MAX + 1];
  event.ts_ns = 1999;
  event.wall_ns = 7;
  event.top_k = 0;
  line[trace_line_format(line, &event)] = '\0';
  ck_assert_ptr_nonnull(strstr(line, "\"ts\": 0.000001,"));
  ck_assert_ptr_nonnull(strstr(line, "\"wall_ms\": 0.000007,"));
  ck_assert_ptr_nonnull(strstr(line, "\"top_k\": 0,"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trace_line");
  TCase *tc = tcase_create("trace_line");
  tcase_add_test(tc, line_exact_text);
  tcase_add_test(tc, line_fields_in_order);
  tcase_add_test(tc, longest_names_escaped_fit);
  tcase_add_test(tc, non_ascii_escaped);
  tcase_add_test(tc, invalid_name_keeps_line_whole);
  tcase_add_test(tc, small_numbers_formatted);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
