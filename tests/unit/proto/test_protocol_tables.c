/* The signatures and tables of docs/protocol.md against proto/wire/message_fields.h. The page marks
 * each with a comment, `<!-- request hello -->`, `<!-- reply get -->` or `<!-- row client -->`. The
 * signature, the names and the types behind it come from the table in the code, and the description
 * of a field from the page. With FC_WRITE_TABLES=1 the test writes them; `make protocol-tables`
 * does that. Run from the project's root, as make does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire/message_table.h"
#include "tests/support/runner.h"

#define DOC "docs/protocol.md"
#define MARK "<!-- "

/* One of the page's lines; `at` moves behind it. NULL at the end. */
static char *next_line(char **at) {
  char *line = *at, *end = strchr(line, '\n');
  if (end == NULL)
    return NULL;
  *end = '\0';
  *at = end + 1;
  return line;
}

static const struct fc_message_info *find(const struct fc_message_info *table, const char *name,
                                          uint32_t type) {
  for (; table->name != NULL; table++)
    if (type != 0 ? table->type == type : !strcmp(table->name, name))
      return table;
  return NULL;
}

/* Returns the message that a mark names. A reply has the name of its request. */
static const struct fc_message_info *marked(const char *mark) {
  char group[16], name[32];
  ck_assert_msg(sscanf(mark, MARK "%15s %31s", group, name) == 2, "a bad mark: %s", mark);
  const struct fc_message_info *message = find(fc_request_table, name, 0);
  if (!strcmp(group, "reply"))
    message = find(fc_reply_table, name, message != NULL ? message->type | 0x40u : 0);
  else if (!strcmp(group, "row"))
    message = find(fc_row_table, name, 0);
  ck_assert_msg(message != NULL, "no such message: %s", mark);
  return message;
}

static void write_signature(FILE *out, const struct fc_message_info *message) {
  const char *comma = "";
  fputs("`[", out);
  if (message->type != 0) {
    (void)fprintf(out, "0x%02x, id", message->type);
    comma = ", ";
  }
  for (const struct fc_field_info *field = message->fields; field->name != NULL; field++) {
    (void)fprintf(out, "%s%s", comma, field->name);
    comma = ", ";
  }
  fputs("]`\n", out);
}

/* Writes one row. Its description comes from the row of this field among `rows`. */
static void write_row(FILE *out, const struct fc_field_info *field, char *const *rows, size_t n) {
  char start[64];
  const char *description = "";
  int size = snprintf(start, sizeof start, "| %s | ", field->name);
  for (size_t i = 0; i < n; i++) {
    const char *type_end =
        strncmp(rows[i], start, (size_t)size) == 0 ? strstr(rows[i] + size, " | ") : NULL;
    if (type_end != NULL)
      description = type_end + 3;
  }
  ck_assert_msg(strlen(description) > 2 || getenv("FC_WRITE_TABLES") != NULL,
                "the field %s has no description", field->name);
  (void)fprintf(out, "| %s | %s | %s\n", field->name, field->kind->type,
                *description ? description : "|");
}

/* Copies the page, with each marked signature and table made anew. */
static void write_page(FILE *out, char *page, size_t *n_marks) {
  char *rows[64], *line;
  while ((line = next_line(&page)) != NULL) {
    (void)fprintf(out, "%s\n", line);
    if (strncmp(line, MARK, strlen(MARK)) != 0)
      continue;
    const struct fc_message_info *message = marked(line);
    size_t n_rows = 0;
    bool table = false;
    while ((line = next_line(&page)) != NULL && (*line == '`' || *line == '|' || !*line)) {
      if (!*line && *page != '|') /* the empty line behind the table */
        break;
      ck_assert_uint_lt(n_rows, sizeof rows / sizeof rows[0]);
      table = table || *line == '|';
      rows[n_rows++] = line;
    }
    write_signature(out, message);
    if (table)
      fputs("\n| field | type | |\n|---|---|---|\n", out);
    for (const struct fc_field_info *field = message->fields; table && field->name; field++)
      write_row(out, field, rows, n_rows);
    (void)fprintf(out, "%s\n", line != NULL ? line : "");
    ++*n_marks;
  }
}

static char *read_page(void) {
  FILE *file = fopen(DOC, "r");
  char *page = calloc(1, 1 << 20);
  ck_assert_msg(file != NULL, DOC " cannot be opened: run the test from the project's root");
  ck_assert_ptr_nonnull(page);
  ck_assert_uint_lt(fread(page, 1, (1 << 20) - 1, file), (1 << 20) - 1);
  (void)fclose(file); /* a reader has nothing to flush */
  return page;
}

static size_t count_of(const struct fc_message_info *table) {
  size_t n = 0;
  while (table[n].name != NULL)
    n++;
  return n;
}

START_TEST(tables_of_the_page_equal_the_code) {
  char *page = read_page(), *copy = strdup(page), *expected = NULL;
  size_t size, n_marks = 0;
  FILE *out = open_memstream(&expected, &size);
  ck_assert(copy != NULL && out != NULL);
  write_page(out, copy, &n_marks);
  ck_assert_int_eq(fclose(out), 0);
  if (getenv("FC_WRITE_TABLES") != NULL) {
    FILE *doc = fopen(DOC, "w");
    ck_assert_ptr_nonnull(doc);
    ck_assert_uint_eq(fwrite(expected, 1, size, doc), size);
    ck_assert_int_eq(fclose(doc), 0);
  } else {
    ck_assert_msg(!strcmp(page, expected), DOC " differs from the code: make protocol-tables");
  }
  /* the rows of `held`, `wait` and `user` are in the text */
  ck_assert_uint_eq(n_marks,
                    count_of(fc_request_table) + count_of(fc_reply_table) + count_of(fc_row_table));
  free(page);
  free(copy);
  free(expected);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("protocol_tables");
  TCase *tests = tcase_create("protocol_tables");

  tcase_add_test(tests, tables_of_the_page_equal_the_code);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
