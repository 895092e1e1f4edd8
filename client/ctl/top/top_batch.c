#include "client/ctl/top/top_batch.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

#include "client/ctl/print/json_value.h"
#include "client/ctl/print/text.h"

#define TIME_SIZE 80u

/* "2026-11-30 11:30:00", with another character than the space if that is given. */
static const char *format_time(time_t now, char between, char text[TIME_SIZE]) {
  struct tm tm = {0};

  (void)gmtime_r(&now, &tm); /* fails only in years that no clock shows */
  (void)snprintf(text, TIME_SIZE, "%04d-%02d-%02d%c%02d:%02d:%02d", (tm.tm_year + 1900) % 10000,
                 tm.tm_mon + 1, tm.tm_mday, between, tm.tm_hour, tm.tm_min, tm.tm_sec);
  return text;
}

bool top_batch_print_text(FILE *out, const struct top_view *view, time_t now) {
  char time_text[TIME_SIZE];
  struct top_page page;
  bool complete;

  top_page_init(&page);
  top_page_make(&page, view, text_columns_of(out), TEXT_UNLIMITED);
  (void)fprintf(out, "%s UTC\n", format_time(now, ' ', time_text));
  for (size_t i = 0; i < page.n; i++) {
    const char *text = page.at[i].text;
    size_t size = strlen(text);

    while (size > 0 && text[size - 1] == ' ')
      size--;
    (void)fprintf(out, "%.*s\n", (int)size, text); /* main checks the stream at the end */
  }
  (void)fputc('\n', out);
  complete = !page.failed;
  top_page_deinit(&page);
  return complete;
}

/* ---- JSON ---- */

static json_t *counts_of(const struct top_counts *counts) {
  return json_pack("{s:o, s:o, s:o, s:o, s:o}", "hits", json_value_count(counts->hits), "misses",
                   json_value_count(counts->misses), "saved_s",
                   json_value_seconds(counts->saved_ns), "computed_s",
                   json_value_seconds(counts->computed_ns), "put_bytes",
                   json_value_count(counts->put_bytes));
}

static json_t *text_or_null(const char *text) {
  return json_value_name(fc_str_of(text));
}

static json_t *row_of(const struct top_row *row, enum top_by by) {
  json_t *object = json_pack("{s:o, s:o, s:o}", "name", text_or_null(row->name), "others",
                             json_value_count(row->others), "total", counts_of(&row->counts));

  if (object && row->has_rates)
    (void)json_object_set_new(object, "growth", counts_of(&row->growth)); /* NULL: it is missing */
  if (object && by == TOP_NAMESPACE)
    (void)json_object_set_new(object, "stored_bytes", json_value_count(row->counts.stored_bytes));
  if (object && by == TOP_CLIENT && row->others == 0) {
    (void)json_object_set_new(object, "namespace", text_or_null(row->name_space));
    (void)json_object_set_new(object, "client_id", json_value_count(row->id));
    (void)json_object_set_new(object, "pid", json_value_pid(row->pid));
  }
  return object;
}

static json_t *daemon_of(const struct top_summary *summary) {
  return json_pack("{s:s, s:I, s:f, s:I, s:I, s:I, s:I, s:I}", "version", summary->version, "pid",
                   (json_int_t)summary->pid, "uptime_s", summary->uptime_s, "clients",
                   (json_int_t)summary->clients, "entries", (json_int_t)summary->entries, "bytes",
                   (json_int_t)summary->bytes, "memory_used", (json_int_t)summary->memory_used,
                   "memory_bound", (json_int_t)summary->memory_bound);
}

bool top_batch_print_json(FILE *out, const struct top_model *model, time_t now) {
  char time_text[TIME_SIZE];
  enum top_by by = model->options.by;
  json_t *rows = json_array(), *all;

  for (size_t i = 0; rows && i < model->n_shown; i++)
    if (json_array_append_new(rows, row_of(model->shown[i], by)) != 0) {
      json_decref(rows);
      rows = NULL;
    }
  all = json_pack("{s:s+, s:s, s:f, s:o, s:o}", "time", format_time(now, 'T', time_text), "Z", "by",
                  top_by_name(by), "interval_s", top_model_interval_s(model), "daemon",
                  daemon_of(&model->now.summary), "rows", rows);
  if (!json_value_print(out, all, 0))
    return false;
  (void)fputc('\n', out); /* main checks the stream at the end */
  return true;
}
