/* The terminal of the tests: tests/support/screen.h and screen_mask.h. */
#include <stdlib.h>

#include "tests/support/screen.h"
#include "tests/support/screen_mask.h"

static const struct {
  const char *kept, *row;
  bool matches;
} rows[] = {
    {"", "", true},
    {"a", "a", true},
    {"a", "b", false},
    {"a", "ab", false},
    {"ab", "a", false},
    {"a  ", "a", true},
    {"a", "a  ", true},
    {"#", "7", true},
    {"#", "\xe2\x80\xa6", true}, /* one character, three bytes */
    {"##", "7", true},           /* the row goes on with spaces */
    {"#", "77", false},
    {"up ~, pid ~", "up 3 s, pid 4711", true},
    {"up ~, pid ~", "up 3 s", false},
    {"~", "", true},
    {"~x", "axbx", true},
    {"~x", "axb", false},
    {"~x#", "axxb", true},
    {"a\nb", "a\nc", true}, /* only the first row */
};

START_TEST(kept_row_matches_with_masks) {
  const char *kept = rows[_i].kept, *row = rows[_i].row;

  ck_assert_msg(screen_mask_row_matches(kept, row) == rows[_i].matches, "\"%s\" and \"%s\"", kept,
                row);
}
END_TEST

START_TEST(kept_text_matches_row_by_row) {
  ck_assert(screen_mask_matches("a #\nb\n", "a 1\nb\n"));
  ck_assert(!screen_mask_matches("a #\nb\n", "a 1\n"));
  ck_assert(!screen_mask_matches("a #\n", "a 1\nb\n"));
  ck_assert(!screen_mask_matches("a\nb\n", "b\na\n"));
}
END_TEST

START_TEST(updated_text_keeps_masks) {
  char *text = screen_mask_update("a #\nb #\n", "a 1\nc 2\nd\n");

  ck_assert_str_eq(text, "a #\nc 2\nd\n");
  free(text);
}
END_TEST

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

START_TEST(command_has_terminal_of_the_size) {
  struct screen screen;

  if (!screen_start(&screen, 80, 24,
                    SHELL("stty size; read line; echo got $line; stty size; "
                          "read line; exit 7")))
    return;
  screen_wait(&screen, "24 80\n");
  screen_resize(&screen, 40, 10);
  screen_type(&screen, "a b");
  screen_keys(&screen, "Enter");
  screen_wait(&screen, "got a b\n10 40\n");
  ck_assert_int_gt(screen_pid(&screen), 0);
  screen_keys(&screen, "Enter");
  screen_expect_status(&screen, 7);
  screen_stop(&screen);
  screen_stop(&screen);
}
END_TEST

START_TEST(killed_command_has_status_of_its_signal) {
  struct screen screen;

  if (!screen_start(&screen, 80, 24, SHELL("kill -9 $$")))
    return;
  screen_expect_status(&screen, 128 + 9);
  screen_stop(&screen);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("screen");
  TCase *tcase = tcase_create("screen");

  tcase_add_loop_test(tcase, kept_row_matches_with_masks, 0, sizeof rows / sizeof rows[0]);
  tcase_add_test(tcase, kept_text_matches_row_by_row);
  tcase_add_test(tcase, updated_text_keeps_masks);
  tcase_add_test(tcase, command_has_terminal_of_the_size);
  tcase_add_test(tcase, killed_command_has_status_of_its_signal);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
