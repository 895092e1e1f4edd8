#include "client/ctl/top/top_table.h"

#include <stdint.h>
#include <string.h>

#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"

#define NAME_LEAST 12u      /* columns of the names; columns of numbers give way to them */
#define NAMESPACE_LEAST 30u /* of client and namespace together, or the latter is not shown */
#define PID_WIDTH 9u
#define EMPTY "-"

static const struct {
  const char *rate, *total;
  size_t width; /* with a space or a mark before it */
} columns_of[TOP_COLUMNS] = {
    [TOP_HITS] = {"HITS/S", "HITS", 9},
    [TOP_MISSES] = {"MISSES/S", "MISSES", 9},
    [TOP_HIT_RATE] = {"HIT%", "HIT%", 7},
    [TOP_SAVED] = {"SAVED/S", "SAVED", 9},
    [TOP_COMPUTED] = {"COMPUTE/S", "COMPUTED", 10},
    [TOP_PUT] = {"PUT/S", "PUT", 10},
    [TOP_STORED] = {"STORED", "STORED", 10},
};

struct layout {
  bool shows[TOP_COLUMNS];
  bool pid;
  size_t name, name_space; /* their columns; 0: not shown */
};

static bool take(size_t *left, size_t width) {
  bool fits = *left >= width + NAME_LEAST;

  if (fits)
    *left -= width;
  return fits;
}

static size_t widest_name(const struct top_model *model, bool name_space) {
  size_t widest = NAME_LEAST;

  for (size_t i = 0; i < model->n_shown; i++) {
    const struct top_row *row = model->shown[i];
    const char *name = name_space ? row->name_space : row->name;
    size_t width = name ? text_width(name) : 0;

    widest = width > widest ? width : widest;
  }
  return widest;
}

/* Chooses the columns of numbers that fit, the column of the order first. The names get the rest.
 */
static struct layout lay_out(const struct top_model *model, size_t columns) {
  static const enum top_column order[] = {TOP_HITS,   TOP_SAVED, TOP_HIT_RATE, TOP_STORED,
                                          TOP_MISSES, TOP_PUT,   TOP_COMPUTED};
  const struct top_options *options = &model->options;
  bool client = options->by == TOP_CLIENT;
  struct layout layout = {0};
  size_t left = columns;

  if (options->sort != TOP_NAME && (options->sort != TOP_STORED || options->by == TOP_NAMESPACE))
    layout.shows[options->sort] = take(&left, columns_of[options->sort].width);
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
    if (!layout.shows[order[i]] && (order[i] != TOP_STORED || options->by == TOP_NAMESPACE))
      layout.shows[order[i]] = take(&left, columns_of[order[i]].width);
  layout.pid = client && take(&left, PID_WIDTH);
  if (client && left >= NAMESPACE_LEAST) {
    layout.name_space = left / 3;
    if (layout.name_space > widest_name(model, true) + 1)
      layout.name_space = widest_name(model, true) + 1;
  }
  layout.name = left - layout.name_space;
  if (layout.name > TEXT_UNLIMITED / 4) /* no terminal */
    layout.name = widest_name(model, false);
  return layout;
}

static void print_spaces(FILE *out, size_t n) {
  for (; n > 0; n--)
    (void)fputc(' ', out); /* top_line_end checks the stream. Below, too */
}

/* Prints to the left, and fills up. */
static void print_name(FILE *out, const char *text, size_t width) {
  size_t used = text_width(text);

  text_cut_middle(out, text, width);
  if (used < width)
    print_spaces(out, width - used);
}

static void print_number(FILE *out, const char *text, size_t width, bool marked) {
  size_t used = text_width(text) + (marked ? 1 : 0);

  if (used < width)
    print_spaces(out, width - used);
  (void)fprintf(out, "%s%s", marked ? "*" : "", text);
}

static void add_heading(struct top_page *page, const struct top_model *model,
                        const struct layout *layout) {
  static const char *const names[TOP_BYS] = {"NAMESPACE", "OP", "VIEW", "CLIENT", "PROBE"};
  const struct top_options *options = &model->options;
  char name[32];
  struct top_line_out line;

  if (!top_line_begin(&line, page, SIZE_MAX))
    return;
  (void)snprintf(name, sizeof name, "%s%s", options->sort == TOP_NAME ? "*" : "",
                 names[options->by]);
  print_name(line.out, name, layout->name);
  if (layout->name_space > 0) {
    (void)fputc(' ', line.out);
    print_name(line.out, "NAMESPACE", layout->name_space - 1);
  }
  if (layout->pid)
    print_number(line.out, "PID", PID_WIDTH, false);
  for (int column = TOP_HITS; column < TOP_COLUMNS; column++)
    if (layout->shows[column])
      print_number(line.out, options->totals ? columns_of[column].total : columns_of[column].rate,
                   columns_of[column].width, options->sort == (enum top_column)column);
  top_line_end(&line, page, TOP_LINE_HEADING);
}

/* A count below 100 in a second has a decimal. */
static void format_count(double value, bool rate, char text[UNITS_SIZE]) {
  if (rate && value < 99.95)
    (void)snprintf(text, UNITS_SIZE, "%.1f", value);
  else
    units_count((uint64_t)(value + 0.5), text);
}

static void format_cell(const struct top_model *model, const struct top_row *row,
                        enum top_column column, char text[UNITS_SIZE]) {
  double value = top_model_value(model, row, column);

  (void)snprintf(text, UNITS_SIZE, EMPTY);
  if (value < 0)
    return;
  if (column == TOP_HITS || column == TOP_MISSES)
    format_count(value, !model->options.totals, text);
  else if (column == TOP_HIT_RATE)
    (void)snprintf(text, UNITS_SIZE, "%.1f%%", value);
  else if (column == TOP_SAVED || column == TOP_COMPUTED)
    units_seconds(value, text);
  else
    units_bytes((uint64_t)value, text);
}

static void print_row_name(FILE *out, const struct top_row *row, enum top_by by, size_t width) {
  char text[64];

  if (row->others > 0)
    (void)snprintf(text, sizeof text, by == TOP_CLIENT ? "(%llu that left)" : "(%llu other%s)",
                   (unsigned long long)row->others, units_plural(row->others));
  else
    (void)snprintf(text, sizeof text, "(no %s)", top_by_name(by));
  print_name(out, row->name ? row->name : text, width);
}

static void add_row(struct top_page *page, const struct top_model *model, const struct top_row *row,
                    const struct layout *layout) {
  char text[UNITS_SIZE];
  struct top_line_out line;

  if (!top_line_begin(&line, page, SIZE_MAX))
    return;
  print_row_name(line.out, row, model->options.by, layout->name);
  if (layout->name_space > 0) {
    (void)fputc(' ', line.out);
    print_name(line.out, row->name_space ? row->name_space : "", layout->name_space - 1);
  }
  if (layout->pid)
    print_number(line.out, row->others > 0 ? "" : units_pid(row->pid, text), PID_WIDTH, false);
  for (int column = TOP_HITS; column < TOP_COLUMNS; column++) {
    if (!layout->shows[column])
      continue;
    format_cell(model, row, (enum top_column)column, text);
    print_number(line.out, text, columns_of[column].width, false);
  }
  top_line_end(&line, page, TOP_LINE_PLAIN);
}

void top_table_add(struct top_page *page, const struct top_model *model, size_t first,
                   size_t columns, size_t rows) {
  struct layout layout = lay_out(model, columns);

  add_heading(page, model, &layout);
  for (size_t i = first; i < model->n_shown && i - first < rows; i++)
    add_row(page, model, model->shown[i], &layout);
}
