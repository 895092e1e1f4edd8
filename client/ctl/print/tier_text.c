#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/latency_report.h"
#include "client/ctl/print/table.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/tier_print.h"
#include "client/ctl/print/units.h"

#define LINE_SIZE 512u
#define INDENT "    "

/* ---- the fleet ---- */

static void add_line(struct table *table, const char *label, const char *value) {
  table_row(table);
  table_cell(table, label);
  table_cell(table, value);
}

static void add_configuration(struct table *table, const struct tier_reading *reading) {
  char line[TIER_READING_TEXT_SIZE + TIER_READING_NAME_SIZE + 64];

  add_line(table, "tier", reading->url);
  (void)snprintf(line, sizeof line, "%s, prefix %s", reading->mode, reading->prefix);
  add_line(table, "mode", line);
  add_line(table, "namespaces", reading->namespaces);
  (void)snprintf(line, sizeof line, "%llu, %llu learned from other nodes",
                 (unsigned long long)reading->is.clear_version,
                 (unsigned long long)reading->is.clears_learned);
  add_line(table, "clear version", line);
  if (reading->id[0] != '\0')
    add_line(table, "id", reading->id);
}

#define COUNT(i, number) units_count(is->number, texts[i])

static void add_lookups(struct table *table, const struct fc_tier_entry *is) {
  char texts[8][UNITS_SIZE], line[LINE_SIZE];

  (void)snprintf(line, sizeof line, "%s found, %s damaged",
                 units_share(is->hits, is->hits + is->misses, texts[0]), COUNT(1, bad_values));
  add_line(table, "lookups", line);
  (void)snprintf(line, sizeof line, "%s, %s failed, %s late", COUNT(0, fills),
                 COUNT(1, fills_failed), COUNT(2, fills_late));
  add_line(table, "fills", line);
  (void)snprintf(line, sizeof line, "%s asking, %s leasing, %s offered, %s held, %s remote",
                 COUNT(0, asking), COUNT(1, leasing), COUNT(2, offered), COUNT(3, held),
                 COUNT(4, remote));
  add_line(table, "  now", line);
  (void)snprintf(line, sizeof line, "%s breaker open, %s too many fills", COUNT(0, skipped_down),
                 COUNT(1, skipped_full));
  add_line(table, "  skipped", line);
}

static void add_leases(struct table *table, const struct fc_tier_entry *is) {
  char texts[4][UNITS_SIZE], line[LINE_SIZE];

  (void)snprintf(line, sizeof line, "%s now, %s taken, %s lost",
                 units_count(is->offered + is->held, texts[0]), COUNT(1, leases),
                 COUNT(2, leases_lost));
  add_line(table, "fleet leases", line);
  (void)snprintf(line, sizeof line, "%s key%s awaited now, %s awaited, %s received",
                 COUNT(0, remote), units_plural(is->remote), COUNT(1, remote_fills),
                 COUNT(2, remote_hits));
  add_line(table, "other nodes", line);
  (void)snprintf(line, sizeof line, "%s request%s for the tier's answer now", COUNT(0, waits),
                 units_plural(is->waits));
  add_line(table, "waiting", line);
}

static void add_writes(struct table *table, const struct fc_tier_entry *is) {
  char texts[6][UNITS_SIZE], line[LINE_SIZE];
  uint64_t dropped = tier_reading_dropped(is);

  (void)snprintf(line, sizeof line, "%s stored, %s already present", COUNT(0, writes),
                 COUNT(1, kept));
  add_line(table, "writes", line);
  int used = snprintf(line, sizeof line, "%s write%s, %s", COUNT(0, queue_entries),
                      units_plural(is->queue_entries),
                      units_share_bytes(is->queue_bytes, is->queue_bytes_max, texts[1]));
  if (is->queue_entries > 0)
    (void)snprintf(line + used, sizeof line - (size_t)used, ", oldest %s",
                   units_ns(is->queue_age_ns, texts[2]));
  add_line(table, "  queue", line);
  if (dropped == 0)
    (void)snprintf(line, sizeof line, "0");
  else
    (void)snprintf(line, sizeof line,
                   "%s: %s no room, %s old, %s refused, %s cleared, %s at the stop",
                   units_count(dropped, texts[0]), COUNT(1, dropped_full), COUNT(2, dropped_old),
                   COUNT(3, dropped_refused), COUNT(4, dropped_cleared), COUNT(5, dropped_stop));
  add_line(table, "  dropped", line);
}

/* Prints and frees the table. Returns 0, or -1 if out of memory. */
static int finish(struct table *table, FILE *out) {
  bool failed;

  table_print(table, out);
  failed = table->failed;
  table_deinit(table);
  return failed ? -1 : 0;
}

static int print_fleet(FILE *out, const struct tier_reading *reading) {
  static const struct table_column columns[] = {{"", TABLE_TEXT}, {"", TABLE_NAME}};
  struct table table;

  table_init(&table, columns, 2, false);
  add_configuration(&table, reading);
  add_lookups(&table, &reading->is);
  add_leases(&table, &reading->is);
  add_writes(&table, &reading->is);
  return finish(&table, out);
}

/* ---- the servers ---- */

/* Returns a line with the cause of the breaker's last opening, "" without one, or NULL without
 * memory. The caller frees it. */
static char *cause_line(FILE *out, const struct tier_server_reading *server, int class) {
  const char *before = strcmp(server->states[class], "closed") == 0 ? "last cause: " : "cause: ";
  size_t columns = text_columns_of(out), size, fixed = strlen(INDENT) + strlen(before);
  char *line = NULL;
  FILE *text = open_memstream(&line, &size);

  if (!text)
    return NULL;
  if (server->errors[class][0] != '\0') {
    (void)fprintf(text, INDENT "%s", before);
    text_cut_middle(text, server->errors[class],
                    columns == TEXT_UNLIMITED ? TEXT_UNLIMITED : columns - fixed);
    (void)fputc('\n', text);
  }
  if (fclose(text) == 0)
    return line;
  free(line);
  return NULL;
}

static void add_class(struct table *table, FILE *out, const struct tier_server_reading *server,
                      int class) {
  const struct fc_tier_class *is = class == 0 ? &server->is.read : &server->is.write;
  static const uint32_t quantiles[] = {5000, 9900, 9990};
  char text[UNITS_SIZE];
  char *note = cause_line(out, server, class);

  table_row(table);
  table_cell(table, class == 0 ? server->address : "");
  table_cell(table, class == 0 ? "reads" : "writes");
  table_cell(table, server->states[class]);
  table_cell(table, units_ns(is->since_ns, text));
  table_cell(table, units_count(is->times.count, text));
  for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
    table_cell(table, is->times.count == 0
                          ? "-"
                          : units_ns(fc_histogram_quantile(&is->times, quantiles[i], 10000), text));
  if (!note || note[0] != '\0') {
    table_note(table, note);
    return;
  }
  free(note);
}

/* The breakers and the times, two rows for each server. */
static int print_breakers(FILE *out, const struct tier_reading *reading) {
  static const struct table_column columns[] = {
      {"SERVER", TABLE_NAME},  {"CLASS", TABLE_TEXT},   {"BREAKER", TABLE_TEXT},
      {"SINCE", TABLE_NUMBER}, {"OPS", TABLE_NUMBER},   {"P50", TABLE_NUMBER},
      {"P99", TABLE_NUMBER},   {"P99.9", TABLE_NUMBER},
  };
  struct table table;

  table_init(&table, columns, sizeof columns / sizeof columns[0], true);
  for (size_t i = 0; i < reading->n; i++)
    for (int class = 0; class < 2; class ++)
      add_class(&table, out, &reading->servers[i], class);
  return finish(&table, out);
}

static void add_server(struct table *table, const struct tier_server_reading *server) {
  const struct fc_tier_server_entry *is = &server->is;
  const uint64_t counts[] = {is->hits,     is->misses, is->writes,
                             is->timeouts, is->errors, is->reconnects};
  char text[UNITS_SIZE];

  table_row(table);
  table_cell(table, server->address);
  table_cell(table, server->role[0] != '\0' ? server->role : "-");
  table_cell(table, is->slots > 0 ? units_count(is->slots, text) : "-");
  table_cell(table, is->connected ? units_count(is->in_flight, text) : "-");
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    table_cell(table, units_count(counts[i], text));
}

/* The counters, a row for each server. */
static int print_counters(FILE *out, const struct tier_reading *reading) {
  static const struct table_column columns[] = {
      {"SERVER", TABLE_NAME},   {"ROLE", TABLE_TEXT},       {"SLOTS", TABLE_NUMBER},
      {"FLIGHT", TABLE_NUMBER}, {"HITS", TABLE_NUMBER},     {"MISSES", TABLE_NUMBER},
      {"WRITES", TABLE_NUMBER}, {"TIMEOUTS", TABLE_NUMBER}, {"ERRORS", TABLE_NUMBER},
      {"RECONN", TABLE_NUMBER},
  };
  struct table table;

  table_init(&table, columns, sizeof columns / sizeof columns[0], true);
  for (size_t i = 0; i < reading->n; i++)
    add_server(&table, &reading->servers[i]);
  return finish(&table, out);
}

int tier_print_text(FILE *out, const struct tier_reading *reading) {
  if (print_fleet(out, reading) < 0)
    return -1;
  (void)fputc('\n', out); /* main checks the stream at the end */
  if (reading->n == 0) {
    (void)fputs("no servers yet\n", out);
    return 0;
  }
  if (print_breakers(out, reading) < 0)
    return -1;
  (void)fputc('\n', out);
  return print_counters(out, reading);
}
