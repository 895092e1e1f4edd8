/* Tables by libsmartcols: alignment, cut names, hidden columns, notes. */
#include <check.h>
#include <locale.h>
#include <string.h>

#include "client/ctl/print/table.h"
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

START_TEST(table_long_name_is_cut_visibly) {
  struct table table;
  char name[256], want[128];

  memset(name, 'n', 255);
  name[255] = '\0';
  table_init(&table, columns, 4, false);
  add_row(&table, name, "12345");
  snprintf(want, sizeof want, "%.71s" ELLIPSIS " 12345 t\n", name);
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

int main(void) {
  Suite *suite = suite_create("table");
  TCase *tests = tcase_create("table");

  setlocale(LC_CTYPE, "C.UTF-8");
  tcase_add_test(tests, table_numbers_are_right_aligned_and_notes_follow_their_row);
  tcase_add_test(tests, table_without_headings_has_rows_only);
  tcase_add_test(tests, table_without_rows_prints_nothing);
  tcase_add_test(tests, table_long_name_is_cut_visibly);
  tcase_add_test(tests, table_hostile_cells_are_safe_and_keep_their_width);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
