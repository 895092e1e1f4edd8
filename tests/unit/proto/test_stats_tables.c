/* The lists of statistics in docs/counters.md and docs/man/fcached-stats.7.scd against
 * proto/stats/stats_rows.h. Each page has two lines that mark the begin and the end of its list.
 * With FC_WRITE_TABLES=1 the test writes the lists; `make stats-tables` does that. Run from the
 * project's root, as make does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stats/stats_metric.h"
#include "tests/support/runner.h"

static const char *const units[] = {"", "bytes", "seconds", "ratio", "mean", "text"};
static const char *const kinds[] = {"counter", "gauge", "derived", "info"};

typedef void group_fn(FILE *out, const char *title);
typedef void row_fn(FILE *out, const struct fc_stats_row *row);

struct page {
  const char *path, *begin, *end; /* the file, and the lines around its list */
  group_fn *group;
  row_fn *row;
};

/* ---- docs/counters.md ---- */

static void markdown_group(FILE *out, const char *title) {
  (void)fprintf(out, "\n**%s**\n\n| name | unit | kind | since | |\n|---|---|---|---|---|\n",
                title);
}

static void markdown_row(FILE *out, const struct fc_stats_row *row) {
  (void)fprintf(out, "| `%s`%s%s | %s | %s | %s | %s |\n", row->name,
                row->places & FC_STATS_IN_NAMESPACE ? "*" : "",
                row->places & FC_STATS_IN_SINCE ? "+" : "", units[row->unit], kinds[row->kind],
                row->since, row->help);
}

/* ---- docs/man/fcached-stats.7.scd ---- */

static void man_text(FILE *out, const char *text) {
  for (; *text != '\0'; text++) {
    if (*text == '_' || *text == '*' || *text == '\\')
      (void)fputc('\\', out);
    (void)fputc(*text, out);
  }
}

static void man_group(FILE *out, const char *title) {
  (void)fprintf(out, "\n## %s\n\n", title);
}

static const char *place_text(const struct fc_stats_row *row) {
  if (row->places & FC_STATS_IN_TOOL)
    return "of this machine, added by fcachectl";
  if (!(row->places & FC_STATS_IN_NAMESPACE))
    return "of the daemon";
  return row->places & FC_STATS_IN_DAEMON ? "of the daemon and of each namespace"
                                          : "of each namespace";
}

/* Writes the name of the metric, if there is one. Returns whether there is. */
static bool man_metric(FILE *out, const char *before, const struct fc_stats_row *row,
                       enum fc_stats_metric_of of) {
  struct fc_stats_metric metric;
  if (!fc_stats_metric(row, of, &metric))
    return false;
  (void)fputs(before, out);
  man_text(out, metric.name);
  if (metric.label != NULL)
    (void)fprintf(out, "{%s=\"%s\"}", metric.label, metric.label_value);
  return true;
}

static void man_row(FILE *out, const struct fc_stats_row *row) {
  (void)fputs("*", out);
  man_text(out, row->name);
  if (row->places & FC_STATS_IN_SINCE) {
    (void)fputs("*, *", out);
    man_text(out, FC_STATS_SINCE_PREFIX);
    man_text(out, row->name);
  }
  (void)fprintf(out, "* (%s %s%s%s, since %s)\n\t",
                row->kind == FC_STATS_DERIVED ? "derived value" : kinds[row->kind], place_text(row),
                *units[row->unit] ? ", " : "", units[row->unit], row->since);
  man_text(out, row->help);
  bool has = man_metric(out, " Metric: ", row, FC_STATS_OF_DAEMON);
  has |= man_metric(out, has ? ", " : " Metric: ", row, FC_STATS_OF_NAMESPACE);
  (void)fputs(has ? ".\n\n" : "\n\n", out);
}

/* ---- both ---- */

static const struct page pages[] = {
    {"docs/counters.md", "<!-- statistics: begin -->\n", "<!-- statistics: end -->\n",
     markdown_group, markdown_row},
    {"docs/man/fcached-stats.7.scd", "; statistics: begin\n", "; statistics: end\n", man_group,
     man_row},
};

/* The titles and the rows, in their order. */
#define TITLE(title) {title, FC_STATS_N_ROWS},
#define ROW(id, unit, kind, scope, since, help) {NULL, FC_STATS_ROW_##id},
static const struct {
  const char *title; /* NULL: a row */
  enum fc_stats_id id;
} lines[] = {FC_STATS_ROWS(TITLE, ROW)};
#undef ROW
#undef TITLE

static void write_list(FILE *out, const struct page *page) {
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
    if (lines[i].title != NULL)
      page->group(out, lines[i].title);
    else
      page->row(out, &fc_stats_rows[lines[i].id]);
}

static char *read_page(const char *path) {
  FILE *file = fopen(path, "r");
  char *text = calloc(1, 1 << 20);
  ck_assert_msg(file != NULL, "%s cannot be opened: run the test from the project's root", path);
  ck_assert_ptr_nonnull(text);
  ck_assert_uint_lt(fread(text, 1, (1 << 20) - 1, file), (1 << 20) - 1);
  (void)fclose(file); /* a reader has nothing to flush */
  return text;
}

static void write_page(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

START_TEST(lists_of_pages_equal_the_table) {
  const struct page *page = &pages[_i];
  char *text = read_page(page->path), *expected = NULL;
  size_t size;
  char *begin = strstr(text, page->begin), *end = strstr(text, page->end);
  FILE *out = open_memstream(&expected, &size);
  ck_assert_msg(begin != NULL && end != NULL, "%s lacks the marks of its list", page->path);
  begin += strlen(page->begin);
  ck_assert(out != NULL && begin <= end);
  (void)fwrite(text, 1, (size_t)(begin - text), out); /* fclose fails if a write did */
  write_list(out, page);
  (void)fputs(end, out);
  ck_assert_int_eq(fclose(out), 0);
  if (getenv("FC_WRITE_TABLES") != NULL)
    write_page(page->path, expected);
  else
    ck_assert_msg(!strcmp(text, expected), "%s differs from the table: make stats-tables",
                  page->path);
  free(text);
  free(expected);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats_tables");
  TCase *tests = tcase_create("stats_tables");

  tcase_add_loop_test(tests, lists_of_pages_equal_the_table, 0, sizeof pages / sizeof pages[0]);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
