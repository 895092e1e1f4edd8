#include "client/ctl/print/table.h"

#include <assert.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/text.h"
#include "proto/limits.h"

/* Of a column that is made smaller. */
#define NAME_LEAST 1u
#define HASH_LEAST 6u
#define KEY_LEAST 8u

/* ---- rows ---- */

void table_init(struct table *table, const struct table_column *columns, size_t n, bool headings) {
  assert(n <= TABLE_COLUMNS_MAX);
  *table = (struct table){.scols = scols_new_table(), .n_columns = n};
  table->failed = !table->scols;
  if (table->failed)
    return;
  memcpy(table->columns, columns, n * sizeof *columns);
  (void)scols_table_enable_noheadings(table->scols, !headings);
  (void)scols_table_enable_noencoding(table->scols, 1); /* text_clean does more */
  /* As to a file: libsmartcols must not cut, because it cuts without a mark. */
  (void)scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER);
  for (size_t i = 0; i < n; i++) {
    int flags = columns[i].kind == TABLE_NUMBER   ? SCOLS_FL_RIGHT
                : columns[i].kind == TABLE_HIDDEN ? SCOLS_FL_HIDDEN
                                                  : 0;

    if (!headings)
      table->columns[i].header = ""; /* a header would widen its column */
    if (!scols_table_new_column(table->scols, table->columns[i].header, 1, flags))
      table->failed = true;
  }
}

void table_keep(struct table *table, size_t n) {
  while (table->n_rows > n) {
    struct libscols_line *line = table->lines[--table->n_rows];

    free(scols_line_get_userdata(line)); /* the note */
    (void)scols_table_remove_line(table->scols, line);
  }
}

void table_deinit(struct table *table) {
  if (table->scols)
    table_keep(table, 0);
  scols_unref_table(table->scols);
  free(table->lines);
  table->scols = NULL;
  table->lines = NULL;
}

static bool grow(struct table *table) {
  size_t n = table->n_rows;
  struct libscols_line **lines;

  if (n & (n - 1)) /* there is room up to the next power of two */
    return true;
  lines = reallocarray(table->lines, n ? 2 * n : 1, sizeof(struct libscols_line *));
  if (lines)
    table->lines = lines;
  return lines != NULL;
}

void table_row(struct table *table) {
  struct libscols_line *line;

  if (table->failed)
    return;
  line = grow(table) ? scols_table_new_line(table->scols, NULL) : NULL;
  table->failed = !line;
  if (line)
    table->lines[table->n_rows++] = line;
  table->next = 0;
}

void table_cell(struct table *table, const char *text) {
  size_t size = strlen(text) + 1;
  char *clean = table->failed ? NULL : malloc(size);

  assert(table->failed || (table->n_rows > 0 && table->next < table->n_columns));
  if (!clean || scols_line_refer_data(table->lines[table->n_rows - 1], table->next++,
                                      text_clean(clean, size, text)) < 0) {
    free(clean);
    table->failed = true;
  }
}

void table_name(struct table *table, struct fc_str name) {
  char text[FC_NAME_MAX + 1];

  (void)snprintf(text, sizeof text, "%.*s", (int)name.size, name.data ? name.data : "");
  table_cell(table, text);
}

void table_note(struct table *table, char *lines) {
  if (!lines || table->failed) {
    table->failed = true;
    free(lines);
    return;
  }
  (void)scols_line_set_userdata(table->lines[table->n_rows - 1], lines); /* fails only for NULL */
}

/* ---- widths ---- */

static const char *cell_text(const struct table *table, size_t row, size_t column) {
  const char *text = scols_cell_get_data(scols_line_get_cell(table->lines[row], column));

  return text ? text : "";
}

static size_t header_width(const struct table *table, size_t column) {
  size_t width = text_width(table->columns[column].header);

  return width > 0 ? width : 1;
}

static size_t column_width(const struct table *table, size_t column) {
  size_t width = header_width(table, column);

  for (size_t row = 0; row < table->n_rows; row++) {
    size_t cell = text_width(cell_text(table, row, column));

    width = cell > width ? cell : width;
  }
  return width;
}

/* Returns the columns of a line. */
static size_t line_width(const struct table *table, const size_t widths[]) {
  size_t width = 0;

  for (size_t i = 0; i < table->n_columns; i++)
    if (table->columns[i].kind != TABLE_HIDDEN)
      width += widths[i] + (width > 0); /* the separator */
  return width;
}

/* Reduces the widths of the columns of one kind until a line fits, or each is at `least` or its
 * header's width. */
static void reduce(const struct table *table, size_t widths[], int kind, size_t least,
                   size_t columns) {
  size_t indexes[TABLE_COLUMNS_MAX], shared[TABLE_COLUMNS_MAX];
  size_t leasts[TABLE_COLUMNS_MAX] = {0};
  size_t n = 0, line = line_width(table, widths), sum = 0;

  for (size_t i = 0; i < table->n_columns; i++)
    if ((int)table->columns[i].kind == kind) {
      size_t header = header_width(table, i);

      sum += widths[i];
      indexes[n] = i;
      leasts[n] = header > least ? header : least;
      shared[n++] = widths[i];
    }
  text_share_columns(shared, leasts, n, columns + sum > line ? columns + sum - line : 0);
  for (size_t i = 0; i < n; i++)
    widths[indexes[i]] = shared[i];
}

/* ---- fitting the terminal ---- */

/* Cuts a cell. The table owns the new text. */
static void cut_cell(struct table *table, size_t row, size_t column, size_t width) {
  const char *text = cell_text(table, row, column);
  char *cut = NULL;
  size_t size;
  FILE *out;

  if (text_width(text) <= width)
    return;
  out = open_memstream(&cut, &size);
  if (!out) {
    table->failed = true;
    return;
  }
  if (table->columns[column].kind == TABLE_HASH)
    (void)fprintf(out, "%.*s", (int)width, text);
  else
    text_cut_middle(out, text, width);
  if (fclose(out) != 0 || scols_line_refer_data(table->lines[row], column, cut) < 0) {
    table->failed = true;
    free(cut);
  }
}

/* Puts the key in full before the note of its row. */
static void note_key(struct table *table, size_t row, size_t column, size_t columns) {
  const char *header = table->columns[column].header;
  char *note = scols_line_get_userdata(table->lines[row]), *lines = NULL, indent[32];
  size_t size;
  FILE *out = open_memstream(&lines, &size);

  if (!out) {
    table->failed = true;
    return;
  }
  (void)snprintf(indent, sizeof indent, "    %s%s", header, *header ? " " : "");
  text_wrap(out, indent, cell_text(table, row, column), columns - strlen(indent));
  (void)fputs(note ? note : "", out);
  if (fclose(out) != 0) {
    table->failed = true;
    free(lines);
    return;
  }
  free(note);
  (void)scols_line_set_userdata(table->lines[row], lines);
}

static void cut_column(struct table *table, size_t column, size_t width, size_t columns) {
  for (size_t row = 0; row < table->n_rows && !table->failed; row++) {
    if (table->columns[column].kind == TABLE_KEY &&
        text_width(cell_text(table, row, column)) > width)
      note_key(table, row, column, columns);
    cut_cell(table, row, column, width);
  }
}

static void hide_common(struct table *table, size_t column, bool hide) {
  table->columns[column].kind = hide ? TABLE_HIDDEN : TABLE_COMMON;
  table->hides_common = hide;
  table->common = column;
  (void)scols_column_set_flags(scols_table_get_column(table->scols, column),
                               hide ? SCOLS_FL_HIDDEN : 0);
}

/* Prints the TABLE_COMMON name above the table instead of in each row, if all rows have the same
 * one. */
static void print_common(struct table *table, FILE *out, size_t columns) {
  for (size_t i = 0; i < table->n_columns; i++) {
    const char *first = cell_text(table, 0, i);
    size_t row = 0;

    if (table->columns[i].kind != TABLE_COMMON)
      continue;
    while (row < table->n_rows && strcmp(first, cell_text(table, row, i)) == 0)
      row++;
    if (row < table->n_rows)
      continue;
    (void)fprintf(out, "%s:\n", table->columns[i].header);
    text_wrap(out, "    ", first, columns - 4);
    hide_common(table, i, true);
  }
}

static void fit(struct table *table, FILE *out, size_t columns) {
  size_t widths[TABLE_COLUMNS_MAX];

  for (size_t i = 0; i < table->n_columns; i++)
    widths[i] = column_width(table, i);
  for (size_t i = 0; i < table->n_columns && line_width(table, widths) > columns; i++)
    if (table->columns[i].kind == TABLE_HASH && widths[i] > TABLE_HASH_DIGITS)
      widths[i] = TABLE_HASH_DIGITS; /* all digits or these: rows look the same on each terminal */
  if (line_width(table, widths) > columns)
    print_common(table, out, columns);
  reduce(table, widths, TABLE_COMMON, NAME_LEAST, columns);
  reduce(table, widths, TABLE_NAME, NAME_LEAST, columns);
  reduce(table, widths, TABLE_HASH, HASH_LEAST, columns);
  reduce(table, widths, TABLE_KEY, KEY_LEAST, columns);
  for (size_t i = table->n_columns; i > 0; i--) /* a key goes before those behind it */
    cut_column(table, i - 1, widths[i - 1], columns);
}

/* ---- printing ---- */

/* Prints one line of `rest`, without the spaces at its end. Returns the next line. */
static char *print_line(FILE *out, char *rest) {
  char *line = strsep(&rest, "\n");
  size_t size = strlen(line);

  while (size > 0 && line[size - 1] == ' ')
    size--;
  (void)fprintf(out, "%.*s\n", (int)size, line); /* main checks the stream at the end */
  return rest;
}

void table_print(struct table *table, FILE *out) {
  size_t columns = text_columns_of(out);
  char *text = NULL, *rest;

  if (table->failed || table->n_rows == 0)
    return;
  if (columns != TEXT_UNLIMITED)
    fit(table, out, columns);
  if (table->failed || scols_print_table_to_string(table->scols, &text) < 0 || !text) {
    table->failed = true;
    return;
  }
  rest = text;
  if (!scols_table_is_noheadings(table->scols))
    rest = print_line(out, rest);
  for (size_t row = 0; row < table->n_rows && rest; row++) {
    const char *note = scols_line_get_userdata(table->lines[row]);

    rest = print_line(out, rest);
    if (note)
      (void)fputs(note, out);
  }
  free(text);
  table_keep(table, 0);
  if (table->hides_common)
    hide_common(table, table->common, false); /* the next rows may differ */
}
