/* fcachectl settings */
#include <jansson.h>
#include <stdio.h>

#include "client/ctl/command.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/table.h"
#include "client/ctl/report.h"
#include "client/lib/admin/configuration.h"

static bool as_json;

static const struct argp_option options[] = {
    COMMAND_NO_TRUNC, {"json", 'j', NULL, 0, "A JSON array of objects", 0}, {0}};

static const struct table_column columns[] = {{"SETTING", TABLE_TEXT},
                                              {"VALUE", TABLE_NAME},
                                              {"FROM", TABLE_NAME},
                                              {"CHANGE BY", TABLE_TEXT},
                                              {"AFTER A RESTART", TABLE_NAME}};
#define N_COLUMNS (sizeof columns / sizeof columns[0])

/* The output in progress. */
struct output {
  struct table table;
  json_t *array; /* with --json */
  bool failed;
};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state) {
  (void)arg, (void)state;
  if (key != 'j')
    return ARGP_ERR_UNKNOWN;
  as_json = true;
  return 0;
}

static json_t *text_or_null(struct fc_str text) {
  return text.size > 0 ? json_value_name(text) : json_null();
}

static void add(void *arg, const struct fc_setting_entry *setting) {
  struct output *output = arg;

  if (as_json) {
    json_t *object =
        json_pack("{s:o, s:o, s:o, s:b, s:o}", "name", json_value_name(setting->name), "value",
                  json_value_name(setting->value), "source", json_value_name(setting->source),
                  "live", setting->live, "after_restart", text_or_null(setting->next));
    output->failed |= json_array_append_new(output->array, object) < 0;
    return;
  }
  table_row(&output->table);
  table_name(&output->table, setting->name);
  table_name(&output->table, setting->value);
  table_name(&output->table, setting->source);
  table_cell(&output->table, setting->live ? "reload" : "restart");
  table_name(&output->table, setting->next);
}

static void print(struct output *output) {
  if (as_json) {
    output->failed |= !json_value_print(stdout, output->array, JSON_INDENT(2));
    output->array = NULL;
    (void)putchar('\n'); /* main checks the stream at the end */
  } else {
    table_print(&output->table, stdout);
    output->failed |= output->table.failed;
  }
}

static int run(struct admin *admin) {
  struct output output = {.array = json_array()};
  int status;

  table_init(&output.table, columns, N_COLUMNS, true);
  status = report_result(admin, admin_settings(admin, add, &output));
  if (status == CTL_DONE)
    print(&output);
  if (status == CTL_DONE && output.failed)
    status = report_error("out of memory: the output is incomplete");
  table_deinit(&output.table);
  json_decref(output.array);
  return status;
}

const struct command settings_command = {
    .name = "settings",
    .summary = "show each setting, where it is set and how to change it",
    .purpose = COMMAND_LOOK,
    .doc = "Show each option of the running fcached: its value, the file and line or the other "
           "source that sets it, and whether a reload or a restart applies a change. The last "
           "column has a value that the files have now and that waits for a restart."
           "\v"
           "Example:\n"
           "  fcachectl settings",
    .options = options,
    .parse = parse,
    .run = run};
