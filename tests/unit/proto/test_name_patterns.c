#include "proto/name_patterns.h"
#include "tests/support/runner.h"

#include <check.h>
#include <string.h>

START_TEST(name_patterns_select_by_inclusion_and_exclusion) {
  static const struct {
    const char *patterns, *name;
    bool selected;
  } rows[] = {
      {"*", "gpt2", true},
      {"*", "", true},
      {"none", "gpt2", false},
      {"none", "none", false},
      {"none*", "none", true},
      {"gpt2", "gpt2", true},
      {"gpt2", "gpt2-xl", false},
      {"gpt2-*,llama-*", "llama-7b", true},
      {"gpt2-*,llama-*", "gpt2", false},
      {"gpt2-*,!*-private", "gpt2-private", false},
      {"!*-private,gpt2-*", "gpt2-private", false},
      {"gpt2-*,!*-private", "gpt2-xl", true},
      {"gpt2-*,!*-private", "bert", false},
      {"!bert", "gpt2", true}, /* only exclusions: all others */
      {"!bert", "bert", false},
      {"!*", "gpt2", false},
      {"[gb]*", "bert", true},
      {"*/r2", "org/model/r2", true}, /* a "/" is no separator */
      {".*", ".hidden", true},
      {"*", ".hidden", true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    ck_assert_ptr_null(name_patterns_fault(rows[i].patterns));
    bool selected = name_patterns_select(rows[i].patterns, rows[i].name, strlen(rows[i].name));
    ck_assert_msg(selected == rows[i].selected, "%s: %s", rows[i].patterns, rows[i].name);
  }
}
END_TEST

START_TEST(name_patterns_name_needs_no_nul) {
  ck_assert(name_patterns_select("gpt2", "gpt2-xl", 4));
  ck_assert(!name_patterns_select("gpt2-xl", "gpt2-xl", 4));
}
END_TEST

START_TEST(name_patterns_fault_names_the_mistake) {
  char longest[300];
  static const char *const empty[] = {"", ",", "a,", ",a", "a,,b", "!", "a,!"};
  for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
    const char *fault = name_patterns_fault(empty[i]);
    ck_assert_msg(fault != NULL && strstr(fault, "empty") != NULL, "\"%s\"", empty[i]);
  }
  ck_assert_ptr_nonnull(strstr(name_patterns_fault("a, b"), "space"));
  memset(longest, 'x', sizeof longest);
  longest[0] = '!';
  longest[256] = '\0';
  ck_assert_ptr_null(name_patterns_fault(longest)); /* 255 bytes behind the "!" */
  ck_assert(!name_patterns_select(longest, longest + 1, 255));
  ck_assert(name_patterns_select(longest, longest + 1, 254));
  longest[256] = 'x';
  longest[257] = '\0';
  ck_assert_ptr_nonnull(strstr(name_patterns_fault(longest), "longer"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("name_patterns");
  TCase *tc = tcase_create("name_patterns");
  tcase_add_test(tc, name_patterns_select_by_inclusion_and_exclusion);
  tcase_add_test(tc, name_patterns_name_needs_no_nul);
  tcase_add_test(tc, name_patterns_fault_names_the_mistake);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
