#include "client/ctl/print/print_namespaces.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/render.h"

#define INDENT "    " /* of what stands below a namespace's row */
#define INDENT_COLUMNS 4u
#define KEY_COLUMNS 24u /* of a manifest's keys, at most */
#define DIGITS 15       /* of a real in a manifest: 0.1 is to read 0.1 */

/* The manifest as an object; NULL: it is none, as far as jansson reads it. The caller's. */
static json_t *object_in(struct fc_str manifest) {
  json_t *object = NULL;

  if (manifest.data)
    object = json_loadb(manifest.data, manifest.size, 0, NULL);
  if (object && !json_is_object(object)) {
    json_decref(object);
    object = NULL;
  }
  return object;
}

/* ---- for people ---- */

#define NAME_COLUMNS 18u /* what the figures, at their widest, leave of RENDER_COLUMNS */

static void print_header(FILE *out) {
  rows_name(out, fc_str_of("NAMESPACE"), NAME_COLUMNS);
  (void)fprintf(out, "%7s %8s %27s %7s %8s\n", "ENTRIES", "SIZE", "HITS", "CLIENTS", "LAST USE");
}

/* A name that has no room in its column has a line of its own: it is what others are told. */
static void print_name(FILE *out, struct fc_str name) {
  char text[FC_NAME_MAX + 1];

  if (render_width(rows_text(name, text)) <= NAME_COLUMNS) {
    rows_name(out, name, NAME_COLUMNS);
    return;
  }
  render_fit(out, text, RENDER_COLUMNS, 0);
  (void)fputc('\n', out);
  rows_name(out, fc_str_of(""), NAME_COLUMNS);
}

static void print_row(FILE *out, const struct fc_namespace_entry *entry) {
  char entries[RENDER_SIZE], size[RENDER_SIZE], hits[RENDER_SIZE], clients[RENDER_SIZE],
      idle[RENDER_SIZE];

  print_name(out, entry->name_space);
  (void)fprintf(out, "%7s %8s %27s %7s %8s\n", render_count(entry->entries, entries),
                render_bytes(entry->bytes, size),
                render_share_short(entry->hits, entry->hits + entry->misses, hits),
                render_count(entry->clients, clients),
                render_seconds((double)entry->idle_ns / 1e9, idle));
}

static void print_limit(FILE *out, const struct fc_namespace_entry *entry) {
  char bytes[RENDER_SIZE];

  if (entry->max_bytes > 0)
    (void)fprintf(out, INDENT "at most %s\n", render_bytes(entry->max_bytes, bytes));
}

static size_t widest_key(json_t *object) {
  size_t widest = 1;
  const char *key;
  json_t *value;

  json_object_foreach(object, key, value) {
    size_t width = render_width(key);

    if (width > widest)
      widest = width;
  }
  return widest < KEY_COLUMNS ? widest : KEY_COLUMNS;
}

/* A string as it is, anything else as JSON writes it. False without memory. */
static bool print_value(FILE *out, const json_t *value, size_t columns) {
  char *text;

  if (json_is_string(value)) {
    render_fit(out, json_string_value(value), columns, 0);
    return true;
  }
  text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS));
  if (text)
    render_fit(out, text, columns, 0);
  free(text);
  return text != NULL;
}

static bool print_object(FILE *out, json_t *object) {
  size_t keys = widest_key(object);
  bool printed = true;
  const char *key;
  json_t *value;

  json_object_foreach(object, key, value) {
    (void)fputs(INDENT, out);
    render_fit(out, key, keys, 1);
    (void)fputs("  ", out);
    printed = print_value(out, value, RENDER_COLUMNS - INDENT_COLUMNS - keys - 2) && printed;
    (void)fputc('\n', out);
  }
  return printed;
}

static bool print_lines(FILE *out, struct fc_str manifest) {
  char *text = strndup(manifest.data, manifest.size), *rest = text, *line;

  while (rest && *rest) { /* what ends with a newline has no empty line behind it */
    line = strsep(&rest, "\n");
    (void)fputs(INDENT, out);
    render_fit(out, line, RENDER_COLUMNS - INDENT_COLUMNS, 0);
    (void)fputc('\n', out);
  }
  free(text);
  return text != NULL;
}

/* False without memory. */
static bool print_manifest(FILE *out, struct fc_str manifest) {
  json_t *object = object_in(manifest);
  bool printed;

  if (!manifest.data)
    return true;
  printed = object ? print_object(out, object) : print_lines(out, manifest);
  json_decref(object);
  return printed;
}

/* ---- for programs ---- */

static json_t *integer_or_null(uint64_t number) {
  return number > 0 ? rows_integer(number) : json_null();
}

/* The names are those of the stats: each is the same figure. */
static json_t *object_of(const struct fc_namespace_entry *entry, bool no_manifest) {
  double lookups = (double)entry->hits + (double)entry->misses;
  double rate = lookups > 0 ? (double)entry->hits / lookups : 0;
  json_t *object = json_pack(
      "{s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:o}", "namespace", rows_string(entry->name_space),
      "entries", rows_integer(entry->entries), "bytes", rows_integer(entry->bytes), "max_bytes",
      integer_or_null(entry->max_bytes), "cache_hits", rows_integer(entry->hits), "cache_misses",
      rows_integer(entry->misses), "hit_rate", rate, "clients", rows_integer(entry->clients),
      "idle_s", rows_seconds(entry->idle_ns));
  json_t *manifest;

  if (!object || no_manifest)
    return object;
  manifest = object_in(entry->manifest);
  if (!manifest)
    manifest = rows_string(entry->manifest);
  if (json_object_set_new(object, "manifest", manifest) == 0) /* fails where that is NULL */
    return object;
  json_decref(object);
  return NULL;
}

/* ---- both ---- */

void namespaces_print(void *arg, const struct fc_namespace_entry *name_space) {
  const struct namespaces_view *view = arg;
  struct rows *rows = view->rows;

  if (rows->json) {
    rows_object(rows, object_of(name_space, view->no_manifest));
    return;
  }
  if (rows->n == 0)
    print_header(rows->out);
  print_row(rows->out, name_space);
  print_limit(rows->out, name_space);
  if (!view->no_manifest && !print_manifest(rows->out, name_space->manifest))
    rows->failed = true;
  rows->n++;
}
