/* fcachectl namespaces */
#include <stdlib.h>
#include <string.h>

#include "client/ctl/commands/listing.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/manifest.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"

#define INDENT "    "
#define INDENT_COLUMNS 4u
#define KEY_COLUMNS 24u /* of a manifest's keys, at most */
#define DIGITS 15       /* of a real number in a manifest: 0.1 prints as 0.1 */

static const struct table_column columns[] = {
    {"NAMESPACE", TABLE_KEY}, {"ENTRIES", TABLE_NUMBER}, {"SIZE", TABLE_NUMBER},
    {"HITS", TABLE_NUMBER},   {"CLIENTS", TABLE_NUMBER}, {"LAST USE", TABLE_NUMBER},
};

const struct listing_kind namespaces_kind = {.columns = columns,
                                             .n_columns = sizeof columns / sizeof columns[0],
                                             .namespace_column = -1,
                                             .none = "no namespaces yet",
                                             .none_matching = "no such namespace"};

/* ---- tables ---- */

static void print_limit(FILE *out, const struct fc_namespace_entry *entry) {
  char bytes[UNITS_SIZE];

  if (entry->max_bytes > 0)
    (void)fprintf(out, INDENT "at most %s\n", units_bytes(entry->max_bytes, bytes));
}

static size_t widest_key(json_t *object, size_t line_columns) {
  size_t widest = 1;
  const char *key;
  json_t *value;

  json_object_foreach(object, key, value) {
    size_t width = text_width(key);

    if (width > widest)
      widest = width;
  }
  return widest < KEY_COLUMNS || line_columns == TEXT_UNLIMITED ? widest : KEY_COLUMNS;
}

/* Prints a string without quotes, any other value as JSON. Returns false without memory. */
static bool print_value(FILE *out, const json_t *value, size_t width) {
  char *text;

  if (json_is_string(value)) {
    text_cut_middle(out, json_string_value(value), width);
    return true;
  }
  text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS));
  if (text)
    text_cut_middle(out, text, width);
  free(text);
  return text != NULL;
}

static bool print_object(FILE *out, size_t line_columns, json_t *object) {
  size_t keys = widest_key(object, line_columns);
  bool printed = true;
  const char *key;
  json_t *value;

  json_object_foreach(object, key, value) {
    (void)fputs(INDENT, out);
    text_cut_middle(out, key, keys);
    (void)fprintf(out, "%*s", text_width(key) < keys ? (int)(keys - text_width(key)) + 2 : 2, "");
    printed = print_value(out, value, line_columns - INDENT_COLUMNS - keys - 2) && printed;
    (void)fputc('\n', out);
  }
  return printed;
}

static bool print_lines(FILE *out, size_t line_columns, struct fc_str manifest) {
  char *text = strndup(manifest.data, manifest.size), *rest = text, *line;

  while (rest && *rest) { /* a newline at the end adds no empty line */
    line = strsep(&rest, "\n");
    (void)fputs(INDENT, out);
    text_cut_middle(out, line, line_columns - INDENT_COLUMNS);
    (void)fputc('\n', out);
  }
  free(text);
  return text != NULL;
}

/* Returns false without memory. */
static bool print_manifest(FILE *out, size_t line_columns, struct fc_str manifest) {
  json_t *object = manifest_object(manifest);
  bool printed =
      object ? print_object(out, line_columns, object) : print_lines(out, line_columns, manifest);

  json_decref(object);
  return printed;
}

static void add_note(struct listing *listing, const struct fc_namespace_entry *entry) {
  size_t line_columns = text_columns_of(listing->out), size;
  bool printed = true;
  char *lines = NULL;
  FILE *out = open_memstream(&lines, &size);

  if (!out) {
    listing->failed = true;
    return;
  }
  print_limit(out, entry);
  if (!listing->no_manifest && entry->manifest.data)
    printed = print_manifest(out, line_columns, entry->manifest);
  if (fclose(out) != 0 || !printed) {
    free(lines);
    lines = NULL;
  }
  table_note(&listing->table, lines);
}

static void print_row(struct listing *listing, const struct fc_namespace_entry *entry) {
  struct table *table = &listing->table;
  char text[UNITS_SIZE];

  listing_row(listing);
  table_name(table, entry->name_space);
  table_cell(table, units_count(entry->entries, text));
  table_cell(table, units_bytes(entry->bytes, text));
  table_cell(table, units_share_short(entry->hits, entry->hits + entry->misses, text));
  table_cell(table, units_count(entry->clients, text));
  table_cell(table, units_ns(entry->idle_ns, text));
  add_note(listing, entry);
}

/* ---- JSON ---- */

/* The members have the names of the same stats. */
static json_t *namespace_object(const struct fc_namespace_entry *entry, bool no_manifest) {
  double lookups = (double)entry->hits + (double)entry->misses;
  double rate = lookups > 0 ? (double)entry->hits / lookups : 0;
  json_t *object =
      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:o}", "namespace",
                json_value_name(entry->name_space), "entries", json_value_count(entry->entries),
                "bytes", json_value_count(entry->bytes), "max_bytes",
                entry->max_bytes > 0 ? json_value_count(entry->max_bytes) : json_null(),
                "cache_hits", json_value_count(entry->hits), "cache_misses",
                json_value_count(entry->misses), "hit_rate", rate, "clients",
                json_value_count(entry->clients), "idle_s", json_value_seconds(entry->idle_ns));
  json_t *manifest;

  if (!object || no_manifest)
    return object;
  manifest = manifest_object(entry->manifest);
  if (!manifest)
    manifest = json_value_name(entry->manifest);
  if (json_object_set_new(object, "manifest", manifest) == 0) /* fails for NULL */
    return object;
  json_decref(object);
  return NULL;
}

void namespaces_print_namespace(void *arg, const struct fc_namespace_entry *entry) {
  struct listing *listing = arg;

  if (listing->json)
    listing_object(listing, namespace_object(entry, listing->no_manifest));
  else
    print_row(listing, entry);
}

static int fetch(struct admin *admin, struct listing *listing) {
  return admin_namespaces(admin, listing->filter.name_space, listing->limit,
                          namespaces_print_namespace, listing);
}

static int run(struct admin *admin) {
  return listing_run(admin, &namespaces_kind, fetch);
}

static const struct argp_option options[] = {
    KEY_FILTER_NAMESPACE,
    LISTING_OPTIONS("namespaces"),
    {"no-manifest", LISTING_NO_MANIFEST, NULL, 0, "Without the manifests", 0},
    {0}};

const struct command namespaces_command = {
    .name = "namespaces",
    .summary = "list namespaces with their manifest, oldest first",
    .doc = "List namespaces, oldest first: entries, size, hit rate, clients, last use, manifest."
           "\v"
           "Examples:\n"
           "  fcachectl namespaces\n"
           "  fcachectl namespaces --json | jq '.[] | select(.manifest.model == \"gpt2\")'",
    .options = options,
    .parse = listing_parse,
    .run = run};
