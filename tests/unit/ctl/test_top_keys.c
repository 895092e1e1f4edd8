/* Keys of fcachectl top, as sequences: each changes the state, and the page shows it within the
 * terminal. */
#include "client/ctl/top/top_keys.h"

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/text.h"
#include "client/ctl/top/top_text.h"
#include "tests/support/runner.h"

#define ROWS 10u /* of the table */
#define NAMES 25u

static struct top_ui ui;

/* Names "v-00" to "v-24" in each grouping, with one that is hostile and one that is wide. */
static void set_up(void) {
  const struct top_options options = {.by = TOP_VIEW, .sort = TOP_NAME};
  struct top_reading reading;
  (void)setlocale(LC_CTYPE, "C.UTF-8");
  /* A terminal's command and bytes that are no text, and wide and combining characters. */
  static const char *const endings[] = {"", "", "", "\x1b[2J\xe2\x80\xae\n\xff",
                                        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e e\xcc\x81"};
  memset(&ui, 0, sizeof ui);
  top_model_init(&ui.model, &options);
  top_reading_init(&reading);
  reading.summary = (struct top_summary){.version = "1.2.3", .pid = 4, .clients = 3};
  for (int by = 0; by < TOP_BYS; by++)
    for (unsigned i = 0; i < NAMES; i++) {
      char name[320] = "";
      struct top_row row = {.name = name, .name_space = name, .id = i, .pid = 4194304};
      (void)snprintf(name, sizeof name, "v-%02u%s", i, i < 5 ? endings[i] : "");
      if (i == 5)
        memset(name + 4, 'x', 255 - 4);
      memset(&row.counts, i == 6 ? 0xff : 0, sizeof row.counts);
      top_reading_add(&reading, (enum top_by)by, &row);
    }
  ck_assert(top_model_read(&ui.model, &reading));
}

static void tear_down(void) {
  top_model_deinit(&ui.model);
}

/* Presses the keys: a character each, or "U", "D", "<", ">" for arrows and pages in upper case, "E"
 * for Enter, "X" for Esc, "B" for backspace. */
static void press(const char *keys) {
  static const struct {
    char name;
    int key;
  } names[] = {{'U', TOP_KEY_UP},        {'D', TOP_KEY_DOWN},     {'P', TOP_KEY_PAGE_UP},
               {'N', TOP_KEY_PAGE_DOWN}, {'H', TOP_KEY_HOME},     {'L', TOP_KEY_END},
               {'E', TOP_KEY_ENTER},     {'X', TOP_KEY_ESCAPE},   {'B', TOP_KEY_BACKSPACE},
               {'T', TOP_KEY_TAB},       {'Y', TOP_KEY_BACK_TAB}, {'R', TOP_KEY_REDRAW}};
  for (; *keys; keys++) {
    int key = (unsigned char)*keys;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
      if (names[i].name == *keys)
        key = names[i].key;
    ck_assert(top_keys_press(&ui, key, ROWS));
  }
}

/* The page must fit each terminal, and hold nothing that controls it. */
static void check_pages(void) {
  static const size_t sizes[][2] = {{80, 24}, {120, 40}, {40, 10}, {40, 5},
                                    {24, 3},  {20, 2},   {1, 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct top_view view = {.model = &ui.model,
                            .pause_s = 2,
                            .first = ui.first,
                            .paused = ui.paused,
                            .help = ui.help,
                            .typing = ui.typing,
                            .keys = true};
    struct top_page page;
    top_page_init(&page);
    top_page_make(&page, &view, sizes[i][0], sizes[i][1]);
    ck_assert(!page.failed);
    ck_assert_uint_le(page.n, sizes[i][1]);
    for (size_t line = 0; line < page.n; line++) {
      ck_assert_msg(text_width(page.at[line].text) <= sizes[i][0], "%zu columns: \"%s\"",
                    sizes[i][0], page.at[line].text);
      ck_assert_ptr_null(strpbrk(page.at[line].text, "\x1b\n\x7f"));
      ck_assert_ptr_null(strstr(page.at[line].text, "\xe2\x80\xae"));
    }
    top_page_deinit(&page);
  }
}

static const struct {
  const char *keys;
  enum top_by by;
  enum top_column sort;
  const char *filter;
  size_t first, shown;
  bool reversed, totals, paused, help, typing, quit;
} cases[] = {
    {"", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"n", TOP_NAMESPACE, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"o", TOP_OP, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"c", TOP_CLIENT, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"p", TOP_PROBE, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"T", TOP_CLIENT, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"TTT", TOP_NAMESPACE, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"YYY", TOP_PROBE, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {">", TOP_VIEW, TOP_HITS, "", 0, 25, false, false, false, false, false, false},
    {"<", TOP_VIEW, TOP_PUT, "", 0, 25, false, false, false, false, false, false},
    {"n<", TOP_NAMESPACE, TOP_STORED, "", 0, 25, false, false, false, false, false, false},
    {"r", TOP_VIEW, TOP_NAME, "", 0, 25, true, false, false, false, false, false},
    {"rr", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"t ", TOP_VIEW, TOP_NAME, "", 0, 25, false, true, true, false, false, false},
    {"h", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, true, false, false},
    {"?q", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"hR", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, true, false, false},
    {"q", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, true},
    {"/v-1", TOP_VIEW, TOP_NAME, "v-1", 0, 10, false, false, false, false, true, false},
    {"/v-1E", TOP_VIEW, TOP_NAME, "v-1", 0, 10, false, false, false, false, false, false},
    {"/v-1BE", TOP_VIEW, TOP_NAME, "v-", 0, 25, false, false, false, false, false, false},
    {"/v-1X", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"/v-1EX", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"/qnE", TOP_VIEW, TOP_NAME, "qn", 0, 0, false, false, false, false, false, false},
    {"/BBE", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"DD", TOP_VIEW, TOP_NAME, "", 2, 25, false, false, false, false, false, false},
    {"DDUUU", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"N", TOP_VIEW, TOP_NAME, "", 9, 25, false, false, false, false, false, false},
    {"L", TOP_VIEW, TOP_NAME, "", 15, 25, false, false, false, false, false, false},
    {"LN", TOP_VIEW, TOP_NAME, "", 15, 25, false, false, false, false, false, false},
    {"LP", TOP_VIEW, TOP_NAME, "", 6, 25, false, false, false, false, false, false},
    {"LH", TOP_VIEW, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
    {"L/v-1E", TOP_VIEW, TOP_NAME, "v-1", 0, 10, false, false, false, false, false, false},
    {"Lo", TOP_OP, TOP_NAME, "", 0, 25, false, false, false, false, false, false},
};

START_TEST(keys_change_the_state) {
  const struct top_options *options = &ui.model.options;
  press(cases[_i].keys);
  ck_assert_int_eq(options->by, cases[_i].by);
  ck_assert_int_eq(options->sort, cases[_i].sort);
  ck_assert_str_eq(options->filter, cases[_i].filter);
  ck_assert_uint_eq(ui.first, cases[_i].first);
  ck_assert_uint_eq(ui.model.n_shown, cases[_i].shown);
  ck_assert_int_eq(options->reversed, cases[_i].reversed);
  ck_assert_int_eq(options->totals, cases[_i].totals);
  ck_assert_int_eq(ui.paused, cases[_i].paused);
  ck_assert_int_eq(ui.help, cases[_i].help);
  ck_assert_int_eq(ui.typing, cases[_i].typing);
  ck_assert_int_eq(ui.quit, cases[_i].quit);
  check_pages();
}
END_TEST

START_TEST(filter_takes_whole_characters_and_is_bounded) {
  const int wide = 0x65e5;
  press("/");
  for (unsigned i = 0; i < TOP_FILTER_SIZE; i++)
    ck_assert(top_keys_press(&ui, wide, ROWS));
  ck_assert_uint_eq(strlen(ui.model.options.filter), (TOP_FILTER_SIZE - 1) / 3 * 3);
  press("B");
  ck_assert_uint_eq(strlen(ui.model.options.filter), (TOP_FILTER_SIZE - 1) / 3 * 3 - 3);
  ck_assert(top_keys_press(&ui, 0x202e, ROWS)); /* it would change the direction of the line */
  ck_assert(top_keys_press(&ui, 0x1, ROWS));
  ck_assert_uint_eq(strlen(ui.model.options.filter), (TOP_FILTER_SIZE - 1) / 3 * 3 - 3);
  check_pages();
}
END_TEST

START_TEST(random_keys_keep_the_state_valid) {
  static const char keys[] = "novcpTY<>rt/ h?UDPNHLEXBR1x-";
  srand(11);
  for (int i = 0; i < 5000; i++) {
    const char key[2] = {keys[(size_t)rand() % (sizeof keys - 1)]};
    press(key);
    ck_assert_uint_le(ui.first, ui.model.n_shown);
    if (i % 50 == 0)
      check_pages();
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("top_keys");
  TCase *tests = tcase_create("top_keys");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, keys_change_the_state, 0, sizeof cases / sizeof cases[0]);
  tcase_add_test(tests, filter_takes_whole_characters_and_is_bounded);
  tcase_add_test(tests, random_keys_keep_the_state_valid);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
