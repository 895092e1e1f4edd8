/* Text from clients on a terminal: cut to fit, without control characters. */
#include <check.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/ctl/print/text.h"
#include "tests/support/runner.h"

#define ELLIPSIS "\xe2\x80\xa6"
#define ACCENT "e\xcc\x81"
#define WIDE1 "\xe5\x90\x8d"
#define WIDE2 "\xe5\x89\x8d"
#define WIDE3 "\xe7\xa9\xba"

static const struct {
  const char *text;
  size_t columns;
  const char *want;
} cuts[] = {
    {"abc", 5, "abc"},
    {"abcde", 5, "abcde"},
    {"abcdef", 5, "ab" ELLIPSIS "ef"},
    {"abcdefgh", 6, "abc" ELLIPSIS "gh"},
    {"abcdef", 2, "a" ELLIPSIS},
    {"abcdef", 1, ELLIPSIS},
    {"abc", TEXT_UNLIMITED, "abc"},
    {"dlm-sway:gpt2@607a30d7:sha256", 17, "dlm-sway" ELLIPSIS "7:sha256"},
    /* Three wide characters are six columns. */
    {WIDE1 WIDE2 WIDE3, 6, WIDE1 WIDE2 WIDE3},
    {WIDE1 WIDE2 WIDE3, 5, WIDE1 ELLIPSIS WIDE3},
    {WIDE1 WIDE2 WIDE3, 4, WIDE1 ELLIPSIS},
    {WIDE1 WIDE2 WIDE3, 3, ELLIPSIS WIDE3},
    {WIDE1 WIDE2 WIDE3, 2, ELLIPSIS},
    /* A combining accent has no width. It stays with its letter, or goes with it. */
    {ACCENT "abc", 3, ACCENT ELLIPSIS "c"},
    {"abc" ACCENT, 3, "a" ELLIPSIS ACCENT},
    {"ab" ACCENT "d", 3, "a" ELLIPSIS "d"},
    {ACCENT ACCENT ACCENT, 2, ACCENT ELLIPSIS},
    /* control characters: escape, invalid UTF-8, CSI as one character */
    {"a\x1b[31m", 10, "a?[31m"},
    {"a\x1b[31mbc\x1b", 5, "a?" ELLIPSIS "c?"},
    {"\xff\xc3", 10, "??"},
    {"\xc2\x9b"
     "1m",
     10, "?1m"},
    /* ends of lines, and changes of the direction */
    {"a\xe2\x80\xa8\xe2\x80\xae\xc2\x85", 10, "a???"},
    /* invisible characters: two different names must not look the same */
    {"a\xe2\x80\x8b\xef\xb8\x8f\xc2\xad", 10, "a???"},
};

static char *printed;
static size_t printed_size;

/* Returns a stream into `printed`. */
static FILE *open_printed(void) {
  FILE *out = open_memstream(&printed, &printed_size);

  ck_assert_ptr_nonnull(out);
  return out;
}

/* Checks what was printed, and frees it. */
static void close_printed(FILE *out, const char *want) {
  ck_assert_int_eq(fclose(out), 0);
  ck_assert_str_eq(printed, want);
  free(printed);
}

START_TEST(text_cut_middle_fits_and_is_safe) {
  FILE *out = open_printed();

  text_cut_middle(out, cuts[_i].text, cuts[_i].columns);
  close_printed(out, cuts[_i].want);
  ck_assert_uint_le(text_width(cuts[_i].want), cuts[_i].columns);
}
END_TEST

START_TEST(text_wrap_keeps_each_character) {
  static const struct {
    const char *text;
    size_t columns;
    const char *want;
  } wraps[] = {
      {"", 4, "> \n"},
      {"abcd", 4, "> abcd\n"},
      {"abcdefghi", 4, "> abcd\n  efgh\n  i\n"},
      {"abc" WIDE1 "d", 4, "> abc\n  " WIDE1 "d\n"},
      {"abc" ACCENT "d", 4, "> abc" ACCENT "\n  d\n"},
      {"abcd", TEXT_UNLIMITED, "> abcd\n"},
  };

  for (size_t i = 0; i < sizeof wraps / sizeof wraps[0]; i++) {
    FILE *out = open_printed();

    text_wrap(out, "> ", wraps[i].text, wraps[i].columns);
    close_printed(out, wraps[i].want);
  }
}
END_TEST

/* Only a terminal has a width. */
START_TEST(text_columns_of_a_terminal_a_file_and_forced) {
  static const struct {
    unsigned short size;
    size_t columns;
  } sizes[] = {{200, 200}, {80, 80}, {41, 41}, {20, TEXT_COLUMNS_MIN}, {0, 80}};
  FILE *file = tmpfile(), *terminal;
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

  ck_assert(file && master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  terminal = fdopen(open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC), "w");
  ck_assert_ptr_nonnull(terminal);
  ck_assert_uint_eq(text_columns_of(file), TEXT_UNLIMITED);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct winsize size = {.ws_col = sizes[i].size};

    ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &size), 0);
    ck_assert_uint_eq(text_columns_of(terminal), sizes[i].columns);
  }
  text_force_columns(TEXT_UNLIMITED);
  ck_assert_uint_eq(text_columns_of(terminal), TEXT_UNLIMITED);
  text_force_columns(0);
  ck_assert_uint_eq(text_columns_of(terminal), 80);
  ck_assert_int_eq(fclose(terminal), 0);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_int_eq(close(master), 0);
}
END_TEST

START_TEST(text_clean_replaces_and_cuts_whole_characters) {
  char text[16];

  ck_assert_str_eq(text_clean(text, sizeof text, "a\nb\x7f\xe2\x80\xa9"), "a?b??");
  ck_assert_str_eq(text_clean(text, 4, "abcdef"), "abc");
  ck_assert_str_eq(text_clean(text, 4, "ab\xc3\xa9"), "ab");
}
END_TEST

START_TEST(text_share_columns_reduces_the_widest) {
  size_t widths[] = {10, 3, 8}, tiny[] = {5, 5};
  const size_t least[] = {1, 1, 1}, headers[] = {4, 1};

  text_share_columns(widths, least, 3, 13);
  ck_assert_uint_eq(widths[0] + widths[1] + widths[2], 13);
  ck_assert_uint_eq(widths[1], 3);
  ck_assert_uint_eq(widths[0], 5);
  text_share_columns(tiny, headers, 2, 0);
  ck_assert(tiny[0] == 4 && tiny[1] == 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("text");
  TCase *tests = tcase_create("text");

  setlocale(LC_CTYPE, "C.UTF-8");
  tcase_add_loop_test(tests, text_cut_middle_fits_and_is_safe, 0, sizeof cuts / sizeof cuts[0]);
  tcase_add_test(tests, text_wrap_keeps_each_character);
  tcase_add_test(tests, text_columns_of_a_terminal_a_file_and_forced);
  tcase_add_test(tests, text_clean_replaces_and_cuts_whole_characters);
  tcase_add_test(tests, text_share_columns_reduces_the_widest);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
