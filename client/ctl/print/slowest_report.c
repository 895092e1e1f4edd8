#include "client/ctl/print/slowest_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/json_value.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"
#include "proto/limits.h"

#define INDENT "    "

static const struct table_column request_columns[] = {
    {"TOTAL", TABLE_NUMBER}, {"QUEUE", TABLE_NUMBER}, {"SERVE", TABLE_NUMBER},
    {"SEND", TABLE_NUMBER},  {"AGO", TABLE_NUMBER},   {"REQUEST", TABLE_TEXT},
    {"KEYS", TABLE_NUMBER},  {"SIZE", TABLE_NUMBER},  {"PID", TABLE_NUMBER},
};
static const struct table_column entry_columns[] = {
    {"COST", TABLE_NUMBER}, {"HITS", TABLE_NUMBER}, {"SIZE", TABLE_NUMBER},
    {"IDLE", TABLE_NUMBER}, {"PROMPT", TABLE_HASH}, {"NAMESPACE", TABLE_COMMON},
    {"OP", TABLE_KEY},      {"VIEW", TABLE_KEY},    {"TOP_K", TABLE_NUMBER},
};

static const struct {
  const char *title, *none;
  const struct table_column *columns;
  size_t n_columns;
} kinds[SLOWEST_KINDS] = {
    [SLOWEST_REQUESTS] = {"Slowest requests", "no requests", request_columns,
                          sizeof request_columns / sizeof request_columns[0]},
    [SLOWEST_ENTRIES] = {"Most expensive entries", "no entries", entry_columns,
                         sizeof entry_columns / sizeof entry_columns[0]},
};

void slowest_report_deinit(struct slowest_report *report) {
  for (int kind = 0; kind < SLOWEST_KINDS; kind++) {
    json_decref(report->arrays[kind]);
    report->arrays[kind] = NULL;
  }
}

void slowest_report_begin(struct slowest_report *report, enum slowest_kind kind) {
  report->kind = kind;
  report->n = 0;
  table_init(&report->table, kinds[kind].columns, kinds[kind].n_columns, true);
  if (!report->json)
    return;
  report->arrays[kind] = json_array();
  report->failed = report->failed || !report->arrays[kind];
}

static void add_object(struct slowest_report *report, json_t *object) {
  if (json_array_append_new(report->arrays[report->kind], object) < 0)
    report->failed = true;
}

/* ---- requests ---- */

static void print_part(FILE *out, const char *before, struct fc_str name) {
  char text[FC_NAME_MAX + 1];

  if (!name.data)
    return;
  (void)snprintf(text, sizeof text, "%.*s", (int)name.size, name.data);
  (void)fputs(before, out);
  text_cut_middle(out, text, TEXT_UNLIMITED);
}

/* The names are below the row: they would not fit beside the numbers. */
static void add_names(struct slowest_report *report, const struct fc_slow_entry *request) {
  char *line = NULL, *lines = NULL;
  size_t line_size, size;
  FILE *out = open_memstream(&line, &line_size);
  FILE *wrapped = open_memstream(&lines, &size);

  if (out) {
    print_part(out, "", request->client);
    print_part(out, ", namespace ", request->name_space);
    print_part(out, ", op ", request->op);
    print_part(out, ", view ", request->view);
  }
  if (out && fclose(out) == 0 && wrapped)
    text_wrap(wrapped, INDENT, line, text_columns_of(report->out) - strlen(INDENT));
  if (wrapped && fclose(wrapped) != 0) {
    free(lines);
    lines = NULL;
  }
  free(line);
  table_note(&report->table, lines);
}

static void add_request_row(struct slowest_report *report, const struct fc_slow_entry *request) {
  struct table *table = &report->table;
  char text[UNITS_SIZE];

  table_row(table);
  table_cell(table, units_ns(request->total_ns, text));
  table_cell(table, units_ns(request->queue_ns, text));
  table_cell(table, units_ns(request->serve_ns, text));
  table_cell(table, units_ns(request->send_ns, text));
  table_cell(table, units_ns(request->age_ns, text));
  table_name(table, request->request);
  table_cell(table, units_count(request->keys, text));
  table_cell(table, units_bytes(request->bytes, text));
  table_cell(table, units_pid(request->pid, text));
  add_names(report, request);
}

static json_t *request_object(const struct fc_slow_entry *request) {
  return json_pack(
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "request",
      json_value_name(request->request), "total_s", json_value_seconds(request->total_ns),
      "queue_s", json_value_seconds(request->queue_ns), "serve_s",
      json_value_seconds(request->serve_ns), "send_s", json_value_seconds(request->send_ns),
      "age_s", json_value_seconds(request->age_ns), "keys", json_value_count(request->keys),
      "bytes", json_value_count(request->bytes), "client", json_value_name(request->client),
      "client_id", json_value_count(request->client_id), "pid", json_value_pid(request->pid),
      "namespace", json_value_name(request->name_space), "op", json_value_name(request->op), "view",
      json_value_name(request->view));
}

void slowest_report_add_request(struct slowest_report *report,
                                const struct fc_slow_entry *request) {
  report->n++;
  if (report->json)
    add_object(report, request_object(request));
  else
    add_request_row(report, request);
}

/* ---- entries ---- */

static void add_entry_row(struct table *table, const struct fc_list_entry *entry) {
  char text[UNITS_SIZE], hash[FC_HASH_HEX_SIZE];

  fc_hash_hex(&entry->key.prompt, hash);
  table_row(table);
  table_cell(table, units_ns(entry->compute_ns, text));
  table_cell(table, units_count(entry->hits, text));
  table_cell(table, units_bytes(entry->value_size, text));
  table_cell(table, units_ns(entry->idle_ns, text));
  table_cell(table, hash);
  table_name(table, entry->name_space);
  table_name(table, entry->key.op);
  table_name(table, entry->key.view);
  (void)snprintf(text, sizeof text, "%" PRIu32, entry->key.top_k); /* exact: part of the key */
  table_cell(table, text);
}

static json_t *entry_object(const struct fc_list_entry *entry) {
  json_t *rest =
      json_pack("{s:o, s:o, s:o, s:o}", "compute_s", json_value_seconds(entry->compute_ns), "hits",
                json_value_count(entry->hits), "value_bytes", json_value_count(entry->value_size),
                "idle_s", json_value_seconds(entry->idle_ns));

  return json_value_key(&entry->name_space, &entry->key, rest);
}

void slowest_report_add_entry(struct slowest_report *report, const struct fc_list_entry *entry) {
  report->n++;
  if (report->json)
    add_object(report, entry_object(entry));
  else
    add_entry_row(&report->table, entry);
}

/* ---- the end ---- */

void slowest_report_end(struct slowest_report *report, bool found, uint64_t period_ns) {
  char text[UNITS_SIZE];
  enum slowest_kind kind = report->kind;

  if (period_ns > 0)
    report->period_s = (double)period_ns / 1e9;
  if (!report->json && found) {
    if (report->headings && kind == SLOWEST_REQUESTS)
      (void)fprintf(report->out, "%s of the last %s:\n", kinds[kind].title,
                    units_ns(period_ns, text)); /* main checks the stream at the end */
    else if (report->headings)
      (void)fprintf(report->out, "\n%s:\n", kinds[kind].title);
    if (report->n == 0)
      (void)fprintf(report->out, "%s\n", kinds[kind].none);
    table_print(&report->table, report->out);
  }
  report->failed = report->failed || report->table.failed;
  table_deinit(&report->table);
}

json_t *slowest_report_json(struct slowest_report *report) {
  json_t *all = json_object();
  json_t *requests = report->arrays[SLOWEST_REQUESTS], *entries = report->arrays[SLOWEST_ENTRIES];
  bool failed = !all;

  if (requests && !failed)
    failed = json_object_set_new(all, "period_s", json_real(report->period_s)) < 0 ||
             json_object_set(all, "requests", requests) < 0;
  if (entries && !failed)
    failed = json_object_set(all, "entries", entries) < 0;
  if (!failed)
    return all;
  json_decref(all);
  return NULL;
}
