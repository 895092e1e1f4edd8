#include "client/ctl/top/top_text.h"

#include <stdint.h>

#include "client/ctl/print/units.h"
#include "client/ctl/top/top_table.h"

#define ROWS_FULL 10u /* of a screen with all lines above the table */
#define ROWS_SHORT 6u /* of a screen with one such line */
#define ROWS_LEAST 3u
#define COLUMNS_LEAST 24u
#define LINES_FULL 4u

/* ---- above the table ---- */

static void add_daemon(struct top_page *page, const struct top_summary *summary, size_t columns) {
  char uptime[UNITS_SIZE], clients[UNITS_SIZE];
  struct top_line_out line;

  if (!top_line_begin(&line, page, columns))
    return;
  top_line_part(&line, "fcached %s", summary->version);
  top_line_part(&line, "up %s", units_seconds(summary->uptime_s, uptime));
  top_line_part(&line, "pid %llu", (unsigned long long)summary->pid);
  top_line_part(&line, "%s client%s", units_count(summary->clients, clients),
                units_plural(summary->clients));
  top_line_end(&line, page, TOP_LINE_PLAIN);
}

static void add_memory(struct top_page *page, const struct top_summary *summary, size_t columns) {
  char used[UNITS_SIZE], bound[UNITS_SIZE], bytes[UNITS_SIZE], max_bytes[UNITS_SIZE],
      entries[UNITS_SIZE];
  struct top_line_out line;

  if (!top_line_begin(&line, page, columns))
    return;
  top_line_part(&line, "memory %s of %s", units_bytes(summary->memory_used, used),
                units_bytes(summary->memory_bound, bound));
  top_line_part(&line, "cache %s of %s", units_bytes(summary->bytes, bytes),
                units_bytes(summary->max_bytes, max_bytes));
  top_line_part(&line, "%s entries", units_count(summary->entries, entries));
  top_line_end(&line, page, TOP_LINE_PLAIN);
}

/* Two figures: of the time since the last refresh, and of the cache's life. */
static void add_gain(struct top_page *page, const struct top_model *model, size_t columns) {
  const struct top_summary *summary = &model->now.summary;
  struct top_counts now = top_model_growth(model);
  double seconds = top_model_interval_s(model);
  char rate[UNITS_SIZE], all[UNITS_SIZE], saved[UNITS_SIZE], sum[UNITS_SIZE];
  struct top_line_out line;

  if (!top_line_begin(&line, page, columns))
    return;
  units_percent(summary->hits, summary->hits + summary->misses, all);
  units_seconds(summary->saved_s, sum);
  if (seconds > 0) {
    units_percent(now.hits, now.hits + now.misses, rate);
    units_seconds((double)now.saved_ns / 1e9 / seconds, saved);
    top_line_part(&line, "hit rate %s now, %s in all", rate, all);
    top_line_part(&line, "saved %s/s now, %s in all", saved, sum);
  } else {
    top_line_part(&line, "hit rate %s in all", all);
    top_line_part(&line, "saved %s in all", sum);
  }
  top_line_end(&line, page, TOP_LINE_PLAIN);
}

static void add_about(struct top_page *page, const struct top_view *view, size_t columns) {
  const struct top_model *model = view->model;
  const struct top_options *options = &model->options;
  struct top_line_out line;

  if (!top_line_begin(&line, page, columns))
    return;
  if (view->paused)
    top_line_part(&line, "PAUSED");
  if (options->totals)
    top_line_part(&line, "%s: totals since the start", top_by_name(options->by));
  else
    top_line_part(&line, "%s: rates", top_by_name(options->by));
  if (options->filter[0] != '\0')
    top_line_part(&line, "filter \"%s\"", options->filter);
  top_line_part(&line, "sorted by %s%s", top_column_name(options->sort),
                options->reversed ? ", reversed" : "");
  top_line_part(&line, "%zu of %zu rows", model->n_shown, model->now.rows[options->by].n);
  top_line_part(&line, "every %g s", view->pause_s);
  top_line_end(&line, page, view->paused ? TOP_LINE_NOTICE : TOP_LINE_PLAIN);
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
    top_page_text(page, TOP_LINE_PLAIN, help[i], columns);
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
    top_page_text(page, TOP_LINE_NOTICE, view->notice, columns);
  else
    add_about(page, view, columns);
}

static void add_keys(struct top_page *page, const struct top_view *view, size_t columns) {
  struct top_line_out line;

  if (!top_line_begin(&line, page, columns))
    return;
  if (view->typing) {
    top_line_part(&line, "filter: %s_", view->model->options.filter);
  } else if (view->help) {
    top_line_part(&line, "any key: back");
  } else {
    top_line_part(&line, "h help");
    top_line_part(&line, "q quit");
    top_line_part(&line, "n o v c p rows");
    top_line_part(&line, "< > sort");
    top_line_part(&line, "t totals");
    top_line_part(&line, "/ filter");
    top_line_part(&line, "Space pause");
  }
  top_line_end(&line, page, TOP_LINE_KEYS);
}

void top_page_make(struct top_page *page, const struct top_view *view, size_t columns,
                   size_t rows) {
  size_t last = page->n + rows - (view->keys ? 1 : 0);

  if (view->keys && (rows < ROWS_LEAST || columns < COLUMNS_LEAST)) {
    top_page_text(page, TOP_LINE_PLAIN, "too small", columns);
    return;
  }
  if (view->help) {
    add_help(page, columns, rows - 1);
  } else {
    add_above(page, view, columns, rows);
    top_table_add(page, view->model, view->first, columns,
                  view->keys ? top_page_table_rows(rows) : SIZE_MAX);
  }
  if (!view->keys)
    return;
  while (page->n < last && !page->failed)
    top_page_text(page, TOP_LINE_PLAIN, "", columns);
  if (view->notice && rows < ROWS_SHORT)
    top_page_text(page, TOP_LINE_NOTICE, view->notice, columns);
  else
    add_keys(page, view, columns);
}
