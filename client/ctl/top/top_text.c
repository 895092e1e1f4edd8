#include "client/ctl/top/top_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"

#define NAME_LEAST 12u      /* columns of the names; columns of numbers give way to them */
#define NAMESPACE_LEAST 30u /* of client and namespace together, or the latter is not shown */
#define ROWS_FULL 10u       /* of a screen with all lines above the table */
#define ROWS_SHORT 6u       /* of a screen with one such line */
#define ROWS_LEAST 3u
#define COLUMNS_LEAST 24u
#define LINES_FULL 4u
#define PID_WIDTH 9u
#define EMPTY "-"

/* ---- lines ---- */

void top_page_init(struct top_page *page) {
  *page = (struct top_page){0};
}

void top_page_deinit(struct top_page *page) {
  for (size_t i = 0; i < page->n; i++)
    free(page->at[i].text);
  free(page->at);
  *page = (struct top_page){0};
}

/* Appends a line, and takes its text over. */
static void add_line(struct top_page *page, enum top_line_kind kind, char *text) {
  size_t capacity = page->capacity ? 2 * page->capacity : 32;
  struct top_line *at = page->at;

  if (page->n == page->capacity)
    at = reallocarray(page->at, capacity, sizeof *at);
  if (at && page->n == page->capacity) {
    page->at = at;
    page->capacity = capacity;
  }
  if (!at || !text) {
    page->failed = true;
    free(text);
    return;
  }
  page->at[page->n++] = (struct top_line){kind, text};
}

/* A line in the making. */
struct line {
  FILE *out;
  char *text;
  size_t size;
  size_t left; /* columns */
};

/* Returns false without memory. Then the page is incomplete. */
static bool line_begin(struct line *line, struct top_page *page, size_t columns) {
  *line = (struct line){.left = columns};
  line->out = open_memstream(&line->text, &line->size);
  page->failed |= line->out == NULL;
  return line->out != NULL;
}

static void line_end(struct line *line, struct top_page *page, enum top_line_kind kind) {
  bool failed = fclose(line->out) != 0;

  if (failed) {
    free(line->text);
    line->text = NULL;
  }
  add_line(page, kind, line->text);
}

/* Appends a part of a line, behind three spaces, if it fits. */
static void add_part(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_part(struct line *line, const char *format, ...) {
  char text[512];
  const char *gap = ftell(line->out) > 0 ? "   " : "";
  va_list args;
  size_t width;

  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args); /* may be cut */
  va_end(args);
  width = text_width(text) + strlen(gap);
  if (width > line->left && *gap)
    return;
  (void)fputs(gap, line->out); /* line_end checks the stream */
  text_cut_middle(line->out, text, line->left > 0 ? line->left : 1);
  line->left -= width < line->left ? width : line->left;
}

static void add_text(struct top_page *page, enum top_line_kind kind, const char *text,
                     size_t columns) {
  struct line line;

  if (!line_begin(&line, page, columns))
    return;
  add_part(&line, "%s", text);
  line_end(&line, page, kind);
}

/* ---- above the table ---- */

static void add_daemon(struct top_page *page, const struct top_summary *summary, size_t columns) {
  char uptime[UNITS_SIZE], clients[UNITS_SIZE];
  struct line line;

  if (!line_begin(&line, page, columns))
    return;
  add_part(&line, "fcached %s", summary->version);
  add_part(&line, "up %s", units_seconds(summary->uptime_s, uptime));
  add_part(&line, "pid %llu", (unsigned long long)summary->pid);
  add_part(&line, "%s client%s", units_count(summary->clients, clients),
           units_plural(summary->clients));
  line_end(&line, page, TOP_LINE_PLAIN);
}

static void add_memory(struct top_page *page, const struct top_summary *summary, size_t columns) {
  char used[UNITS_SIZE], bound[UNITS_SIZE], bytes[UNITS_SIZE], max_bytes[UNITS_SIZE],
      entries[UNITS_SIZE];
  struct line line;

  if (!line_begin(&line, page, columns))
    return;
  add_part(&line, "memory %s of %s", units_bytes(summary->memory_used, used),
           units_bytes(summary->memory_bound, bound));
  add_part(&line, "cache %s of %s", units_bytes(summary->bytes, bytes),
           units_bytes(summary->max_bytes, max_bytes));
  add_part(&line, "%s entries", units_count(summary->entries, entries));
  line_end(&line, page, TOP_LINE_PLAIN);
}

/* Two figures: of the time since the last refresh, and of the cache's life. */
static void add_gain(struct top_page *page, const struct top_model *model, size_t columns) {
  const struct top_summary *summary = &model->now.summary;
  struct top_counts now = top_model_growth(model);
  double seconds = top_model_interval_s(model);
  char rate[UNITS_SIZE], all[UNITS_SIZE], saved[UNITS_SIZE], sum[UNITS_SIZE];
  struct line line;

  if (!line_begin(&line, page, columns))
    return;
  units_percent(summary->hits, summary->hits + summary->misses, all);
  units_seconds(summary->saved_s, sum);
  if (seconds > 0) {
    units_percent(now.hits, now.hits + now.misses, rate);
    units_seconds((double)now.saved_ns / 1e9 / seconds, saved);
    add_part(&line, "hit rate %s now, %s in all", rate, all);
    add_part(&line, "saved %s/s now, %s in all", saved, sum);
  } else {
    add_part(&line, "hit rate %s in all", all);
    add_part(&line, "saved %s in all", sum);
  }
  line_end(&line, page, TOP_LINE_PLAIN);
}

static void add_about(struct top_page *page, const struct top_view *view, size_t columns) {
  const struct top_model *model = view->model;
  const struct top_options *options = &model->options;
  struct line line;

  if (!line_begin(&line, page, columns))
    return;
  if (view->paused)
    add_part(&line, "PAUSED");
  if (options->totals)
    add_part(&line, "%s: totals since the start", top_by_name(options->by));
  else
    add_part(&line, "%s: rates", top_by_name(options->by));
  if (options->filter[0] != '\0')
    add_part(&line, "filter \"%s\"", options->filter);
  add_part(&line, "sorted by %s%s", top_column_name(options->sort),
           options->reversed ? ", reversed" : "");
  add_part(&line, "%zu of %zu rows", model->n_shown, model->now.rows[options->by].n);
  add_part(&line, "every %g s", view->pause_s);
  line_end(&line, page, view->paused ? TOP_LINE_NOTICE : TOP_LINE_PLAIN);
}

/* ---- the table ---- */

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
    (void)fputc(' ', out); /* line_end checks the stream. Below, too */
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
  struct line line;

  if (!line_begin(&line, page, SIZE_MAX))
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
  line_end(&line, page, TOP_LINE_HEADING);
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
  struct line line;

  if (!line_begin(&line, page, SIZE_MAX))
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
  line_end(&line, page, TOP_LINE_PLAIN);
}

/* ---- help ---- */

static const char *const help[] = {
    "n o v c p    rows: namespaces, ops, views, clients, probes",
    "Tab          the next of these",
    "< >          sort by the column to the left, to the right (marked with *)",
    "r            reverse the order",
    "t            totals since the daemon's start, or rates since the last refresh",
    "/            show only names that contain a text: type it, then Enter",
    "             (Esc: all names)",
    "Space        pause, and go on",
    "Up Down      scroll; PgUp, PgDn, Home and End too",
    "h ?          this help",
    "q            quit",
    "",
    "HITS         lookups that found an entry        HIT%     hits of all lookups",
    "MISSES       results that were computed and put",
    "SAVED        time that computing the hits would have taken",
    "COMPUTED     time that computing the misses has taken",
    "PUT          size of the values that were stored",
    "STORED       memory of the namespace's entries now",
};

static void add_help(struct top_page *page, size_t columns, size_t rows) {
  for (size_t i = 0; i < sizeof help / sizeof help[0] && i < rows; i++)
    add_text(page, TOP_LINE_PLAIN, help[i], columns);
}

/* ---- the page ---- */

size_t top_page_table_rows(size_t rows) {
  size_t above = rows >= ROWS_FULL ? LINES_FULL : rows >= ROWS_SHORT ? 1 : 0;

  return rows < ROWS_LEAST ? 0 : rows - above - 2; /* the headings and the keys */
}

static void add_above(struct top_page *page, const struct top_view *view, size_t columns,
                      size_t rows) {
  const struct top_model *model = view->model;

  if (rows >= ROWS_FULL) {
    add_daemon(page, &model->now.summary, columns);
    add_memory(page, &model->now.summary, columns);
    add_gain(page, model, columns);
  }
  if (rows < ROWS_SHORT)
    return;
  if (view->notice)
    add_text(page, TOP_LINE_NOTICE, view->notice, columns);
  else
    add_about(page, view, columns);
}

static void add_table(struct top_page *page, const struct top_view *view, size_t columns,
                      size_t rows) {
  const struct top_model *model = view->model;
  struct layout layout = lay_out(model, columns);

  add_heading(page, model, &layout);
  for (size_t i = view->first; i < model->n_shown && i - view->first < rows; i++)
    add_row(page, model, model->shown[i], &layout);
}

static void add_keys(struct top_page *page, const struct top_view *view, size_t columns) {
  struct line line;

  if (!line_begin(&line, page, columns))
    return;
  if (view->typing) {
    add_part(&line, "filter: %s_", view->model->options.filter);
  } else if (view->help) {
    add_part(&line, "any key: back");
  } else {
    add_part(&line, "h help");
    add_part(&line, "q quit");
    add_part(&line, "n o v c p rows");
    add_part(&line, "< > sort");
    add_part(&line, "t totals");
    add_part(&line, "/ filter");
    add_part(&line, "Space pause");
  }
  line_end(&line, page, TOP_LINE_KEYS);
}

void top_page_make(struct top_page *page, const struct top_view *view, size_t columns,
                   size_t rows) {
  size_t last = page->n + rows - (view->keys ? 1 : 0);

  if (view->keys && (rows < ROWS_LEAST || columns < COLUMNS_LEAST)) {
    add_text(page, TOP_LINE_PLAIN, "too small", columns);
    return;
  }
  if (view->help) {
    add_help(page, columns, rows - 1);
  } else {
    add_above(page, view, columns, rows);
    add_table(page, view, columns, view->keys ? top_page_table_rows(rows) : SIZE_MAX);
  }
  if (!view->keys)
    return;
  while (page->n < last && !page->failed)
    add_text(page, TOP_LINE_PLAIN, "", columns);
  if (view->notice && rows < ROWS_SHORT)
    add_text(page, TOP_LINE_NOTICE, view->notice, columns);
  else
    add_keys(page, view, columns);
}
