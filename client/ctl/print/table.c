#include "client/ctl/print/table.h"

#include <assert.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/text.h"
#include "proto/limits.h"

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

/* ---- printing ---- */

static const char *cell_text(const struct table *table, size_t row, size_t column) {
  const char *text = scols_cell_get_data(scols_line_get_cell(table->lines[row], column));

  return text ? text : "";
}

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
  text_cut(out, text, width);
  if (fclose(out) != 0 || scols_line_refer_data(table->lines[row], column, cut) < 0) {
    table->failed = true;
    free(cut);
  }
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

/* Cuts the cells of the TABLE_NAME columns, the widest columns first. */
static void fit(struct table *table, size_t columns) {
  size_t names[TABLE_COLUMNS_MAX], widths[TABLE_COLUMNS_MAX], least[TABLE_COLUMNS_MAX] = {0};
  size_t n = 0, used = 0;

  for (size_t i = 0; i < table->n_columns; i++) {
    if (table->columns[i].kind == TABLE_HIDDEN)
      continue;
    used++; /* the separator */
    if (table->columns[i].kind == TABLE_NAME) {
      names[n] = i;
      least[n] = header_width(table, i);
      widths[n++] = column_width(table, i);
    } else {
      used += column_width(table, i);
    }
  }
  text_share_columns(widths, least, n, columns + 1 > used ? columns + 1 - used : 0);
  for (size_t i = 0; i < n; i++)
    for (size_t row = 0; row < table->n_rows; row++)
      cut_cell(table, row, names[i], widths[i]);
}

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
  char *text = NULL, *rest;

  if (table->failed || table->n_rows == 0)
    return;
  fit(table, text_columns_of(out));
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
}
