/* The syntax of a configuration file: which lines are keys, and which are wrong. */
#include "daemon/config/config_text.h"
#include "tests/support/runner.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the parser reported, as one text: "LINE KEY=VALUE;" and "LINE !TEXT;". */
struct seen {
  char text[2048];
  size_t used;
};

static void on_key(void *arg, unsigned line, const char *key, const char *value) {
  struct seen *seen = arg;
  seen->used += (size_t)snprintf(seen->text + seen->used, sizeof seen->text - seen->used,
                                 "%u %s=%s;", line, key, value);
}

static void on_wrong(void *arg, unsigned line, const char *text) {
  struct seen *seen = arg;
  seen->used += (size_t)snprintf(seen->text + seen->used, sizeof seen->text - seen->used, "%u !%s;",
                                 line, text);
}

static void parse(const char *text, size_t size, struct seen *seen) {
  const struct config_text_reader reader = {.key = on_key, .wrong = on_wrong, .arg = seen};
  /* A copy of exactly the size, so that a sanitizer finds a read behind it. */
  char *copy = malloc(size > 0 ? size : 1);
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, text, size);
  *seen = (struct seen){.used = 0};
  config_text_parse(copy, size, &reader);
  free(copy);
}

#define NO_SIGN "there is no \"=\": write KEY = VALUE"
#define NO_KEY "there is no key before the \"=\": write KEY = VALUE"
#define SECTION "there are no sections here: remove this line"
#define NUL_BYTE "the line contains a NUL byte: this is no text file"

static const struct {
  const char *text;
  size_t size; /* 0: strlen(text) */
  const char *seen;
} texts[] = {
    {"", 0, ""},
    {"\n\n", 0, ""},
    {"a=1", 0, "1 a=1;"},
    {"  a\t =  1  \r\n\tb:2\r\n", 0, "1 a=1;2 b=2;"},
    {"# a = 1\n; b = 2\n  # c = 3\nd = 4 ; comment\ne = 5;6 # 7\n", 0, "4 d=4;5 e=5;6 # 7;"},
    {"a =\nb = c = d\n", 0, "1 a=;2 b=c = d;"},
    {"a = 1\n  b = 2\n\n  c = 3\n", 0, "1 a=1;2 b=2;4 c=3;"}, /* no value goes on in a next line */
    {"a = 1\n  2\n", 0, "1 a=1;2 !" NO_SIGN ";"},
    {"a\nb = 1\n", 0, "2 b=1;1 !" NO_SIGN ";"},
    {"a ; = 1\n", 0, "1 !" NO_SIGN ";"},
    {"= 1\nb = 2\n", 0, "1 !" NO_KEY ";2 b=2;"},
    {"b = 2\n= 1\n", 0, "1 b=2;2 !" NO_KEY ";"},
    {"[a]\nb = 1\n [c\n", 0, "1 !" SECTION ";2 b=1;3 !" SECTION ";"},
    {"a = 1\0b = 2\nc = 3\n", 18, "1 !" NUL_BYTE ";2 c=3;"},
    {"\0", 1, "1 !" NUL_BYTE ";"},
    {"\xef\xbb\xbf"
     "a = 1\n",
     0, "1 a=1;"}, /* a byte order mark of an editor */
    {"a = \"1\"\nb = '2'\n", 0, "1 a=\"1\";2 b='2';"},
    {"a = 1\r", 0, "1 a=1;"},
};

START_TEST(config_text_lines_are_keys_or_wrong) {
  struct seen seen;
  size_t size = texts[_i].size > 0 ? texts[_i].size : strlen(texts[_i].text);
  parse(texts[_i].text, size, &seen);
  ck_assert_str_eq(seen.text, texts[_i].seen);
}
END_TEST

/* inih has a buffer of a fixed size, and would take the rest of a long line as another line. */
START_TEST(config_text_long_line_is_refused_and_the_next_is_read) {
  enum { MOST = 198 };
  for (size_t size = MOST - 2; size < MOST + 3; size++) {
    char text[512], wanted[512];
    struct seen seen;
    size_t used = (size_t)snprintf(text, sizeof text, "a=%0*d\nb=1\n", (int)size - 2, 0);
    parse(text, used, &seen);
    if (size <= MOST)
      (void)snprintf(wanted, sizeof wanted, "1 a=%0*d;2 b=1;", (int)size - 2, 0);
    else
      (void)snprintf(wanted, sizeof wanted, "1 !the line has %zu bytes: shorten it to %d;2 b=1;",
                     size, MOST);
    ck_assert_str_eq(seen.text, wanted);
  }
}
END_TEST

START_TEST(config_text_long_comment_is_accepted) {
  char text[4096];
  struct seen seen;
  int used = snprintf(text, sizeof text, "#%03000d\nb=1\n", 0);
  parse(text, (size_t)used, &seen);
  ck_assert_str_eq(seen.text, "2 b=1;");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("config_text");
  TCase *tc = tcase_create("config_text");
  tcase_add_loop_test(tc, config_text_lines_are_keys_or_wrong, 0, sizeof texts / sizeof texts[0]);
  tcase_add_test(tc, config_text_long_line_is_refused_and_the_next_is_read);
  tcase_add_test(tc, config_text_long_comment_is_accepted);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
