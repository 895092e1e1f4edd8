#include "client/ctl/print/latency_report.h"

#include <string.h>

#include "client/ctl/print/json_value.h"
#include "client/ctl/print/table.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"
#include "proto/limits.h"

#define COLUMNS 8

const uint32_t latency_report_quantiles[LATENCY_REPORT_QUANTILES] = {5000, 9000, 9900, 9990};
static const char *const quantile_names[LATENCY_REPORT_QUANTILES] = {"p50_s", "p90_s", "p99_s",
                                                                     "p999_s"};

/* ---- readings ---- */

static void copy_name(char to[LATENCY_REPORT_NAME_SIZE], struct fc_str name) {
  char text[FC_NAME_MAX + 1];

  (void)snprintf(text, sizeof text, "%.*s", (int)name.size, name.data);
  (void)text_clean(to, LATENCY_REPORT_NAME_SIZE, text);
}

void latency_report_add(void *arg, const struct fc_latency_entry *kind) {
  struct latency_report *report = arg;
  struct latency_row *row = &report->rows[report->n];

  if (report->n == LATENCY_REPORT_ROWS_MAX)
    return;
  copy_name(row->path, kind->path);
  copy_name(row->operation, kind->operation);
  row->histogram = kind->histogram;
  report->n++;
}

static const struct latency_row *find(const struct latency_report *report,
                                      const struct latency_row *like) {
  for (uint32_t i = 0; i < report->n; i++)
    if (strcmp(report->rows[i].path, like->path) == 0 &&
        strcmp(report->rows[i].operation, like->operation) == 0)
      return &report->rows[i];
  return NULL;
}

void latency_report_subtract(struct latency_report *now, const struct latency_report *before) {
  if (now->period_ns >= before->period_ns)
    now->period_ns -= before->period_ns;
  for (uint32_t i = 0; i < now->n; i++) {
    const struct latency_row *earlier = find(before, &now->rows[i]);

    if (earlier) /* a histogram that was reset is that of the time since then */
      (void)fc_histogram_subtract(&now->rows[i].histogram, &earlier->histogram);
  }
}

/* ---- text ---- */

/* The cells of a row: texts[] has room for those that are not in the row. */
static void fill_cells(const struct latency_row *row, char texts[COLUMNS][UNITS_SIZE],
                       const char *cells[COLUMNS]) {
  const struct fc_histogram *histogram = &row->histogram;
  int column = 0;

  cells[column++] = row->path;
  cells[column++] = row->operation;
  cells[column] = units_count(histogram->count, texts[column]);
  column++;
  for (int i = 0; i < LATENCY_REPORT_QUANTILES; i++, column++)
    cells[column] = units_ns(fc_histogram_quantile(histogram, latency_report_quantiles[i], 10000),
                             texts[column]);
  cells[column] = units_ns(histogram->max_ns, texts[column]);
}

int latency_report_table(FILE *out, const struct latency_report *report) {
  static const struct table_column columns[COLUMNS] = {
      {"PATH", TABLE_TEXT},    {"OPERATION", TABLE_TEXT}, {"COUNT", TABLE_NUMBER},
      {"P50", TABLE_NUMBER},   {"P90", TABLE_NUMBER},     {"P99", TABLE_NUMBER},
      {"P99.9", TABLE_NUMBER}, {"MAX", TABLE_NUMBER},
  };
  char texts[COLUMNS][UNITS_SIZE];
  const char *cells[COLUMNS];
  struct table table;
  bool failed;

  table_init(&table, columns, COLUMNS, true);
  for (uint32_t i = 0; i < report->n; i++) {
    if (report->rows[i].histogram.count == 0)
      continue;
    fill_cells(&report->rows[i], texts, cells);
    table_row(&table);
    for (int column = 0; column < COLUMNS; column++)
      table_cell(&table, cells[column]);
  }
  if (table.n_rows == 0)
    (void)fputs("no requests yet\n", out); /* main checks the stream at the end */
  table_print(&table, out);
  failed = table.failed;
  table_deinit(&table);
  return failed ? -1 : 0;
}

static void print_line(FILE *out, const char *time, const char *const cells[COLUMNS]) {
  (void)fprintf(out, "%-8s %-6s %-10s", time, cells[0], cells[1]);
  for (int column = 2; column < COLUMNS; column++)
    (void)fprintf(out, " %7s", cells[column]);
  (void)fputc('\n', out);
}

void latency_report_print_header(FILE *out) {
  static const char *const names[COLUMNS] = {"PATH", "OPERATION", "COUNT", "P50",
                                             "P90",  "P99",       "P99.9", "MAX"};

  print_line(out, "TIME", names);
}

void latency_report_print_lines(FILE *out, const struct latency_report *report, const char *time) {
  char texts[COLUMNS][UNITS_SIZE];
  const char *cells[COLUMNS];

  for (uint32_t i = 0; i < report->n; i++) {
    if (report->rows[i].histogram.count == 0)
      continue;
    fill_cells(&report->rows[i], texts, cells);
    print_line(out, time, cells);
  }
}

/* ---- JSON ---- */

/* The last cell has no end but the longest duration. */
static uint64_t bucket_end_ns(const struct fc_histogram *histogram, uint32_t cell) {
  uint64_t end_ns = fc_histogram_cell_max_ns(cell);

  return end_ns == UINT64_MAX ? histogram->max_ns : end_ns;
}

static json_t *buckets(const struct fc_histogram *histogram) {
  json_t *array = json_array();

  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS && array; cell++) {
    json_t *pair;

    if (histogram->cells[cell] == 0)
      continue;
    pair = json_pack("[o, o]", json_value_seconds(bucket_end_ns(histogram, cell)),
                     json_value_count(histogram->cells[cell]));
    if (json_array_append_new(array, pair) < 0) {
      json_decref(array);
      array = NULL;
    }
  }
  return array;
}

json_t *latency_report_histogram_json(json_t *object, const struct fc_histogram *histogram) {
  bool failed = json_object_set_new(object, "count", json_value_count(histogram->count)) < 0 ||
                json_object_set_new(object, "sum_s", json_value_seconds(histogram->sum_ns)) < 0;

  for (int i = 0; i < LATENCY_REPORT_QUANTILES && !failed; i++)
    failed = json_object_set_new(object, quantile_names[i],
                                 json_value_seconds(fc_histogram_quantile(
                                     histogram, latency_report_quantiles[i], 10000))) < 0;
  failed = failed ||
           json_object_set_new(object, "max_s", json_value_seconds(histogram->max_ns)) < 0 ||
           json_object_set_new(object, "buckets", buckets(histogram)) < 0;
  if (!failed)
    return object;
  json_decref(object);
  return NULL;
}

json_t *latency_report_json(const struct latency_report *report) {
  json_t *kinds = json_array();
  json_t *all =
      json_pack("{s:o, s:O}", "period_s", json_value_seconds(report->period_ns), "kinds", kinds);

  for (uint32_t i = 0; i < report->n && all; i++) {
    const struct latency_row *row = &report->rows[i];
    json_t *kind = json_pack("{s:s, s:s}", "path", row->path, "operation", row->operation);

    if (json_array_append_new(kinds, latency_report_histogram_json(kind, &row->histogram)) < 0) {
      json_decref(all);
      all = NULL;
    }
  }
  json_decref(kinds);
  return all;
}
