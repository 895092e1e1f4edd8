#include "daemon/trace/trace_line.h"

#include "proto/limits.h"
#include "tests/support/runner.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* What one line says. */
struct content {
  struct trace_context context;
  struct trace_event event;
};

static struct content sample(void) {
  struct content content = {
      .context = {.probe = fc_str_of("divergence"),
                  .view = fc_str_of("scaled_1.25"),
                  .op = fc_str_of("next_token_dist"),
                  .name_space = fc_str_of("gpt2@abc"),
                  .client = fc_str_of("worker-1"),
                  .hit = true},
      .event = {.ts_ns = UINT64_C(1700000000123456789), .top_k = 50, .wall_ns = 12000345},
  };
  for (uint8_t i = 0; i < FC_HASH_SIZE; i++)
    content.event.prompt.bytes[i] = (uint8_t)(i * 17);
  return content;
}

static size_t format(char line[TRACE_LINE_MAX], const struct content *content) {
  struct trace_template template;
  trace_template_init(&template, &content->context);
  return trace_template_line(&template, line, &content->event);
}

START_TEST(line_exact_text) {
  char line[TRACE_LINE_MAX];
  struct content content = sample();
  static const char want[] =
      "{\"ts\": 1700000000.123456, \"probe\": \"divergence\", \"view_id\": \"scaled_1.25\", "
      "\"prompt_hash\": \"00112233445566778899aabbccddeeff\", \"top_k\": 50, "
      "\"op\": \"next_token_dist\", \"wall_ms\": 12.000345, \"hit\": true, "
      "\"namespace\": \"gpt2@abc\", \"client\": \"worker-1\"}\n";
  size_t size = format(line, &content);
  ck_assert_uint_eq(size, sizeof want - 1);
  ck_assert_mem_eq(line, want, size);
}
END_TEST

static json_t *parse(const struct content *content) {
  char line[TRACE_LINE_MAX];
  json_error_t error;
  size_t size = format(line, content);
  ck_assert_uint_le(size, TRACE_LINE_MAX);
  ck_assert(line[size - 1] == '\n' && memchr(line, '\n', size - 1) == NULL);
  json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
  ck_assert_msg(object != NULL, "%s", error.text);
  return object;
}

START_TEST(line_fields_in_order) {
  static const char *const names[] = {"ts", "probe",   "view_id", "prompt_hash", "top_k",
                                      "op", "wall_ms", "hit",     "namespace",   "client"};
  struct content content = sample();
  content.context.probe = (struct fc_str){0};
  content.context.hit = false;
  json_t *object = parse(&content);
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
  struct content content = sample();
  content.context.probe = (struct fc_str){quotes, sizeof quotes};
  content.context.view = (struct fc_str){slashes, sizeof slashes};
  content.context.op = (struct fc_str){wide, sizeof wide};
  content.context.name_space = content.context.probe;
  content.context.client = content.context.view;
  content.event.ts_ns = content.event.wall_ns = UINT64_MAX;
  content.event.top_k = UINT32_MAX;
  json_t *object = parse(&content);
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
    struct content content = sample();
    content.context.probe = content.context.client = fc_str_of(cases[i][0]);
    line[format(line, &content)] = '\0';
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
    struct content content = sample();
    content.context.probe = content.context.view = content.context.op = content.context.name_space =
        content.context.client = (struct fc_str){longest, sizeof longest};
    char line[TRACE_LINE_MAX];
    size_t size = format(line, &content);
    ck_assert_uint_le(size, TRACE_LINE_MAX);
    for (size_t i = 0; i + 1 < size; i++)
      ck_assert(line[i] >= ' ' && (unsigned char)line[i] < 0x80);
    json_decref(parse(&content));
  }
}
END_TEST

START_TEST(small_numbers_formatted) {
  struct content content = sample();
  char line[TRACE_LINE_MAX + 1];
  content.event.ts_ns = 1999;
  content.event.wall_ns = 7;
  content.event.top_k = 0;
  line[format(line, &content)] = '\0';
  ck_assert_ptr_nonnull(strstr(line, "\"ts\": 0.000001,"));
  ck_assert_ptr_nonnull(strstr(line, "\"wall_ms\": 0.000007,"));
  ck_assert_ptr_nonnull(strstr(line, "\"top_k\": 0,"));
}
END_TEST

/* ---- beside a plain formatter ---- */

static uint64_t seed = 1;

/* A number of any size below 2^bits: each number of bits is as likely as another. */
static uint64_t random_bits(unsigned bits) {
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  unsigned shift = (unsigned)(seed >> 58) % (bits + 1);
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return shift == 0 ? 0 : (seed ^ seed >> 32) >> (64 - shift);
}

static uint32_t random_code(void) {
  static const uint32_t edges[] = {' ',   '"',    '\\',   '/',    0x7e,    0xa0,    0x7ff,
                                   0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
  switch (random_bits(2)) {
  case 0:
    return (uint32_t)('!' + random_bits(6));
  case 1:
    return edges[random_bits(16) % (sizeof edges / sizeof edges[0])];
  case 2:
    return (uint32_t)(0xa0 + random_bits(12));
  default:
    return (uint32_t)(0xe000 + random_bits(20));
  }
}

static size_t encode(uint32_t code, char *to) {
  size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = size; i-- > 1; code >>= 6)
    to[i] = (char)(0x80 | (code & 0x3f));
  to[0] = (char)(first[size] | code);
  return size;
}

/* A name, and how it is written. */
struct name {
  char bytes[FC_NAME_MAX], text[3 * FC_NAME_MAX + 3];
  struct fc_str of;
};

static void make_name(struct name *name) {
  size_t most = 1 + random_bits(8) % FC_NAME_MAX, size = 0;
  char character[4], *text = name->text;
  *text++ = '"';
  for (;;) {
    uint32_t code = random_code(), above = code - 0x10000;
    size_t more = encode(code, character);
    if (size + more > most)
      break;
    memcpy(name->bytes + size, character, more);
    size += more;
    if (code == '"' || code == '\\')
      text += sprintf(text, "\\%c", (char)code);
    else if (code < 0x80)
      *text++ = (char)code;
    else if (code < 0x10000)
      text += sprintf(text, "\\u%04x", code);
    else
      text += sprintf(text, "\\u%04x\\u%04x", 0xd800 + (above >> 10), 0xdc00 + (above & 0x3ff));
  }
  *text++ = '"';
  *text = '\0';
  name->of = (struct fc_str){name->bytes, (uint32_t)size};
}

enum { PROBE, VIEW, OP, NAME_SPACE, CLIENT, NAMES };

static int format_plainly(char *line, const struct content *content, const struct name *names) {
  const struct trace_event *event = &content->event;
  const uint8_t *hash = event->prompt.bytes;
  return sprintf(
      line,
      "{\"ts\": %llu.%06llu, \"probe\": %s, \"view_id\": %s, \"prompt_hash\": "
      "\"%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x\", \"top_k\": %u, "
      "\"op\": %s, \"wall_ms\": %llu.%06llu, \"hit\": %s, \"namespace\": %s, "
      "\"client\": %s}\n",
      (unsigned long long)(event->ts_ns / 1000000000u),
      (unsigned long long)(event->ts_ns / 1000 % 1000000),
      content->context.probe.data == NULL ? "null" : names[PROBE].text, names[VIEW].text, hash[0],
      hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7], hash[8], hash[9], hash[10],
      hash[11], hash[12], hash[13], hash[14], hash[15], event->top_k, names[OP].text,
      (unsigned long long)(event->wall_ns / 1000000),
      (unsigned long long)(event->wall_ns % 1000000), content->context.hit ? "true" : "false",
      names[NAME_SPACE].text, names[CLIENT].text);
}

static void make_event(struct trace_event *event) {
  /* Mostly in the second of the line before, or in the next one: that is what a template keeps. */
  event->ts_ns = random_bits(1) ? random_bits(64) : event->ts_ns + random_bits(31);
  event->wall_ns = random_bits(64);
  event->top_k = (uint32_t)random_bits(32);
  for (size_t i = 0; i < FC_HASH_SIZE; i++)
    event->prompt.bytes[i] = (uint8_t)(random_bits(16) >> 3);
}

/* Many lines of each of many contexts, one behind the other, as in a buffer. */
START_TEST(random_lines_like_plain_formatter) {
  static char lines[16 * TRACE_LINE_MAX], want[16 * TRACE_LINE_MAX];
  static struct name names[NAMES];
  for (unsigned n = 0; n < 3000; n++) {
    struct content content = {0};
    struct trace_template template;
    size_t size = 0, wanted = 0;
    for (size_t i = 0; i < NAMES; i++)
      make_name(&names[i]);
    content.context = (struct trace_context){.view = names[VIEW].of,
                                             .op = names[OP].of,
                                             .name_space = names[NAME_SPACE].of,
                                             .client = names[CLIENT].of,
                                             .hit = random_bits(1)};
    if (random_bits(1))
      content.context.probe = names[PROBE].of;
    trace_template_init(&template, &content.context);
    for (size_t i = 0; i < 15; i++) {
      make_event(&content.event);
      size += trace_template_line(&template, lines + size, &content.event);
      wanted += (size_t)format_plainly(want + wanted, &content, names);
    }
    ck_assert_uint_eq(size, wanted);
    ck_assert_msg(memcmp(lines, want, size) == 0, "wanted:\n%s", want);
  }
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
  tcase_add_test(tc, random_lines_like_plain_formatter);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
