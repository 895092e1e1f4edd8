/* Tables by libsmartcols: alignment, cut names, hidden columns, notes. */
#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/table.h"
#include "client/ctl/print/text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

#define ELLIPSIS "\xe2\x80\xa6"

static const struct table_column columns[] = {
    {"NAME", TABLE_NAME}, {"SECRET", TABLE_HIDDEN}, {"N", TABLE_NUMBER}, {"TEXT", TABLE_TEXT}};

static void add_row(struct table *table, const char *name, const char *number) {
  table_row(table);
  table_cell(table, name);
  table_cell(table, "hidden");
  table_cell(table, number);
  table_cell(table, "t");
}

/* Prints and frees the table. */
static char *print(struct table *table) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  table_print(table, out);
  ck_assert_int_eq(fclose(out), 0);
  ck_assert(!table->failed);
  table_deinit(table);
  table_deinit(table);
  return text;
}

START_TEST(table_numbers_are_right_aligned_and_notes_follow_their_row) {
  struct table table;

  table_init(&table, columns, 4, true);
  add_row(&table, "a", "1");
  table_note(&table, strdup("    a note\n"));
  add_row(&table, "long", "1000");
  printed_is(print(&table), "NAME    N TEXT\n"
                            "a       1 t\n"
                            "    a note\n"
                            "long 1000 t\n");
}
END_TEST

START_TEST(table_without_headings_has_rows_only) {
  struct table table;

  table_init(&table, columns, 4, false);
  add_row(&table, "a", "1");
  printed_is(print(&table), "a 1 t\n");
}
END_TEST

START_TEST(table_without_rows_prints_nothing) {
  struct table table;

  table_init(&table, columns, 4, true);
  add_row(&table, "a", "1");
  table_note(&table, strdup("    a note\n"));
  table_keep(&table, 0);
  printed_is(print(&table), "");
}
END_TEST

/* A table with a column of each kind, on a terminal of that many columns. */
static const struct {
  const char *title;
  size_t terminal;
  const char *rows[2][5]; /* common, name, key, hash, number */
  const char *want;
} fits[] = {
    {"that fits has all",
     80,
     {{"space", "name", "key", "0123456789abcdef", "1"}, {"other", "name", "k", "0", "2"}},
     "SPACE NAME KEY HASH             N\n"
     "space name key 0123456789abcdef 1\n"
     "other name k   0                2\n"},
    {"that is too wide has short hashes first",
     32,
     {{"space", "name", "key", "0123456789abcdef", "1"}, {"other", "name", "k", "0", "2"}},
     "SPACE NAME KEY HASH     N\n"
     "space name key 01234567 1\n"
     "other name k   0        2\n"},
    {"moves a name above that all rows have",
     30,
     {{"a-long-space-of-all", "name", "key", "01234567", "1"},
      {"a-long-space-of-all", "name", "k", "0", "2"}},
     "SPACE:\n"
     "    a-long-space-of-all\n"
     "NAME KEY HASH     N\n"
     "name key 01234567 1\n"
     "name k   0        2\n"},
    {"cuts names in the middle",
     30,
     {{"a-long-space-of-all", "name", "key", "01234567", "1"}, {"another", "name", "k", "0", "2"}},
     "SPACE      NAME KEY HASH     N\n"
     "a-lon" ELLIPSIS "-all name key 01234567 1\n"
     "another    name k   0        2\n"},
    {"cuts keys last, and prints them below",
     30,
     {{"a-long-space-of-all", "a-long-name", "a-long-key", "01234567", "1"},
      {"another", "name", "k", "0", "2"}},
     "SPACE NAME KEY        HASH   N\n"
     "a-" ELLIPSIS "ll a-" ELLIPSIS "e a-long-key 012345 1\n"
     "an" ELLIPSIS "er name k          0      2\n"},
    {"wraps a key that is longer than the line",
     30,
     {{"space", "name", "a-key-of-more-than-thirty-columns", "01234567", "1"},
      {"other", "name", "k", "0", "2"}},
     "SPACE NAME KEY        HASH   N\n"
     "space name a-key" ELLIPSIS "umns 012345 1\n"
     "    KEY a-key-of-more-than-thi\n"
     "        rty-columns\n"
     "    a note\n"
     "other name k          0      2\n"},
    {"of a pipe is never cut",
     TEXT_UNLIMITED,
     {{"a-long-space-of-all-of-the-rows-of-the-table", "a-long-name-of-these-rows-of-the-table",
       "a-long-key-of-these-rows-of-the-table", "0123456789abcdef0123456789abcdef", "1"},
      {"a", "b", "c", "d", "2"}},
     "SPACE                                        NAME                                   KEY"
     "                                   HASH                             N\n"
     "a-long-space-of-all-of-the-rows-of-the-table a-long-name-of-these-rows-of-the-table "
     "a-long-key-of-these-rows-of-the-table 0123456789abcdef0123456789abcdef 1\n"
     "a                                            b                                      c"
     "                                     d                                2\n"},
};

static void add_fit(struct table *table, const char *const cells[5]) {
  table_row(table);
  for (size_t i = 0; i < 5; i++)
    table_cell(table, cells[i]);
  if (strlen(cells[2]) > 30 && strlen(cells[2]) < 35)
    table_note(table, strdup("    a note\n"));
}

/* Twice: the second rows of a table have the columns of the first again. */
START_TEST(table_fits_its_terminal) {
  static const struct table_column kinds[] = {{"SPACE", TABLE_COMMON},
                                              {"NAME", TABLE_NAME},
                                              {"KEY", TABLE_KEY},
                                              {"HASH", TABLE_HASH},
                                              {"N", TABLE_NUMBER}};
  struct table table;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  text_force_columns(fits[_i].terminal);
  table_init(&table, kinds, 5, true);
  for (int again = 0; again < 2; again++) {
    for (size_t row = 0; row < 2; row++)
      add_fit(&table, fits[_i].rows[row]);
    table_print(&table, out);
    ck_assert_int_eq(fflush(out), 0);
    ck_assert_msg(strcmp(text + (again ? strlen(fits[_i].want) : 0), fits[_i].want) == 0,
                  "A table %s, not:\n%s", fits[_i].title, text);
  }
  ck_assert(!table.failed);
  table_deinit(&table);
  ck_assert_int_eq(fclose(out), 0);
  free(text);
}
END_TEST

START_TEST(table_long_name_is_cut_visibly) {
  struct table table;
  char name[256], want[128];

  memset(name, 'n', 255);
  name[255] = '\0';
  table_init(&table, columns, 4, false);
  add_row(&table, name, "12345");
  snprintf(want, sizeof want, "%.36s" ELLIPSIS "%.35s 12345 t\n", name, name);
  printed_is(print(&table), want);
}
END_TEST

/* libsmartcols would show a backslash before an x, or a control character, as \xHH. */
START_TEST(table_hostile_cells_are_safe_and_keep_their_width) {
  struct table table;

  table_init(&table, columns, 4, false);
  add_row(&table, "a\\x41\x1b[2J\n", "1");
  add_row(&table, "abcdefghijk", "2");
  printed_is(print(&table), "a\\x41?[2J?  1 t\n"
                            "abcdefghijk 2 t\n");
}
END_TEST

static void narrow(void) {
  text_force_columns(PRINTED_COLUMNS);
}

int main(void) {
  Suite *suite = suite_create("table");
  TCase *tests = tcase_create("table");

  setlocale(LC_CTYPE, "C.UTF-8");
  tcase_add_checked_fixture(tests, narrow, NULL);
  tcase_add_test(tests, table_numbers_are_right_aligned_and_notes_follow_their_row);
  tcase_add_test(tests, table_without_headings_has_rows_only);
  tcase_add_test(tests, table_without_rows_prints_nothing);
  tcase_add_loop_test(tests, table_fits_its_terminal, 0, sizeof fits / sizeof fits[0]);
  tcase_add_test(tests, table_long_name_is_cut_visibly);
  tcase_add_test(tests, table_hostile_cells_are_safe_and_keep_their_width);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
