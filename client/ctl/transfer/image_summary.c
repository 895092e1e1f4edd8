#include "client/ctl/transfer/image_summary.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "client/ctl/print/json_value.h"
#include "client/ctl/print/manifest.h"
#include "client/ctl/print/table.h"
#include "client/ctl/print/units.h"

#define LABEL "%-17s" /* as in stats */

void image_summary_init(struct image_summary *summary) {
  *summary = (struct image_summary){0};
}

void image_summary_deinit(struct image_summary *summary) {
  free(summary->spaces);
  summary->spaces = NULL;
  summary->n_spaces = 0;
}

/* ---- counting ---- */

static int compare_ids(const void *a, const void *b) {
  const struct image_space_sum *x = a, *y = b;

  return (x->id > y->id) - (x->id < y->id);
}

static bool add_space(struct image_summary *summary, const struct image_space *space) {
  struct image_space_sum *more =
      realloc(summary->spaces, (summary->n_spaces + 1) * sizeof *summary->spaces);

  if (!more)
    return false;
  summary->spaces = more;
  summary->spaces[summary->n_spaces++] = (struct image_space_sum){
      .id = space->numbers[IMAGE_SPACE_ID], .name = space->name, .manifest = space->manifest};
  return true;
}

bool image_summary_begin(struct image_summary *summary, const struct image_input *input) {
  struct image_preamble items;
  struct image_item item;
  struct image_space space;

  summary->clock_ns = input->reader.info.clock_ns;
  image_reader_items(&input->reader, &items);
  while (image_preamble_next(&items, &item))
    if (item.tag == IMAGE_SPACE && image_space_decode(&item, &space) && !add_space(summary, &space))
      return false;
  if (summary->n_spaces > 0)
    qsort(summary->spaces, summary->n_spaces, sizeof *summary->spaces, compare_ids);
  return true;
}

/* Returns the place of the namespace, or n_spaces. */
static size_t place_of(const struct image_summary *summary, uint64_t id) {
  const struct image_space_sum key = {.id = id}, *found = NULL;

  if (summary->n_spaces > 0)
    found = bsearch(&key, summary->spaces, summary->n_spaces, sizeof *summary->spaces, compare_ids);
  return found ? (size_t)(found - summary->spaces) : summary->n_spaces;
}

const struct image_space_sum *image_summary_space(const struct image_summary *summary,
                                                  uint64_t id) {
  size_t place = place_of(summary, id);

  return place < summary->n_spaces ? &summary->spaces[place] : NULL;
}

void image_summary_add(struct image_summary *summary, const struct image_record *record) {
  size_t place = place_of(summary, record->name_space);

  summary->entries++;
  summary->value_bytes += record->value_size;
  if (place == summary->n_spaces) {
    summary->unknown++;
    return;
  }
  summary->spaces[place].entries++;
  summary->spaces[place].value_bytes += record->value_size;
}

void image_summary_damage(struct image_summary *summary, uint64_t offset,
                          const struct image_record *record) {
  if (summary->n_damages < IMAGE_DAMAGES_MAX)
    summary->damages[summary->n_damages] = (struct image_damage){offset, record != NULL};
  summary->n_damages++;
}

/* An export has no cache behind it. */
static const char *kind_of(const struct image_info *info) {
  return info->cache_id == 0 ? "export" : "snapshot";
}

/* Returns how many entries are missing, if the image's end says how many there were. */
static uint64_t missing(const struct image_summary *summary, const struct image_input *input) {
  const struct image_reader *reader = &input->reader;

  return reader->has_last && reader->info.records > summary->entries
             ? reader->info.records - summary->entries
             : 0;
}

/* ---- JSON ---- */

static json_t *spaces_array(const struct image_summary *summary) {
  json_t *array = json_array();
  int failed = 0;

  for (size_t i = 0; i < summary->n_spaces; i++) {
    const struct image_space_sum *space = &summary->spaces[i];
    json_t *manifest = manifest_object(space->manifest);

    if (!manifest)
      manifest = json_value_name(space->manifest);
    failed |= json_array_append_new(
        array, json_pack("{s:o, s:o, s:o, s:o}", "namespace", json_value_name(space->name),
                         "entries", json_value_count(space->entries), "value_bytes",
                         json_value_count(space->value_bytes), "manifest", manifest));
  }
  if (!failed)
    return array;
  json_decref(array);
  return NULL;
}

static json_t *damages_array(const struct image_summary *summary) {
  size_t n =
      summary->n_damages < IMAGE_DAMAGES_MAX ? (size_t)summary->n_damages : IMAGE_DAMAGES_MAX;
  json_t *array = json_array();
  int failed = 0;

  for (size_t i = 0; i < n; i++)
    failed |= json_array_append_new(
        array, json_pack("{s:o, s:s}", "offset", json_value_count(summary->damages[i].offset),
                         "what", summary->damages[i].has_head ? "value" : "head"));
  if (!failed)
    return array;
  json_decref(array);
  return NULL;
}

static bool print_json(FILE *out, const struct image_summary *summary,
                       const struct image_input *input) {
  const struct image_reader *reader = &input->reader;
  const struct image_info *info = &reader->info;
  char cache[24];
  json_t *object;

  (void)snprintf(cache, sizeof cache, "%016" PRIx64, info->cache_id);
  object = json_pack(
      "{s:s, s:i, s:s, s:f, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "kind", kind_of(info), "version",
      (int)info->version, "cache_id", cache, "written", (double)info->wall_ns / 1e9, "entries",
      json_value_count(summary->entries), "value_bytes", json_value_count(summary->value_bytes),
      "damaged", json_value_count(summary->n_damages), "missing",
      json_value_count(missing(summary, input)), "complete", reader->has_first && reader->has_last,
      "namespaces", spaces_array(summary), "damage", damages_array(summary));
  if (!json_value_print(out, object, 0))
    return false;
  (void)fputc('\n', out); /* main checks the stream at the end */
  return true;
}

/* ---- text ---- */

static void print_written(FILE *out, const struct image_info *info) {
  time_t seconds = (time_t)(info->wall_ns / 1000000000u), now = time(NULL);
  char text[64] = "?", age[UNITS_SIZE];
  struct tm tm;

  if (gmtime_r(&seconds, &tm))
    (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
  (void)fprintf(out, LABEL "%s, %s ago\n", "written", text,
                units_seconds(difftime(now, seconds), age));
}

static bool print_spaces(FILE *out, const struct image_summary *summary) {
  static const struct table_column columns[] = {
      {"NAMESPACE", TABLE_NAME}, {"ENTRIES", TABLE_NUMBER}, {"VALUES", TABLE_NUMBER}};
  char text[UNITS_SIZE];
  struct table table;
  bool failed;

  table_init(&table, columns, sizeof columns / sizeof columns[0], true);
  for (size_t i = 0; i < summary->n_spaces; i++) {
    table_row(&table);
    table_name(&table, summary->spaces[i].name);
    table_cell(&table, units_count(summary->spaces[i].entries, text));
    table_cell(&table, units_bytes(summary->spaces[i].value_bytes, text));
  }
  table_print(&table, out);
  failed = table.failed;
  table_deinit(&table);
  return !failed;
}

static bool print_text(FILE *out, const struct image_summary *summary,
                       const struct image_input *input) {
  const struct image_info *info = &input->reader.info;
  char count[UNITS_SIZE], bytes[UNITS_SIZE];

  (void)fprintf(out, LABEL "%s, version %" PRIu32 "\n", "image", kind_of(info), info->version);
  if (info->cache_id != 0)
    (void)fprintf(out, LABEL "%016" PRIx64 "\n", "cache", info->cache_id);
  print_written(out, info);
  (void)fprintf(out, LABEL "%s intact, %s of values\n", "entries",
                units_count(summary->entries, count), units_bytes(summary->value_bytes, bytes));
  (void)fprintf(out, LABEL "%s", "damaged", units_count(summary->n_damages, count));
  if (missing(summary, input) > 0)
    (void)fprintf(out, ", %s of %" PRIu64 " entries are missing",
                  units_count(missing(summary, input), count), info->records);
  (void)fputc('\n', out);
  if (summary->unknown > 0)
    (void)fprintf(out, LABEL "%s entries\n", "no namespace", units_count(summary->unknown, count));
  return print_spaces(out, summary);
}

bool image_summary_print(FILE *out, const struct image_summary *summary,
                         const struct image_input *input, bool json) {
  return json ? print_json(out, summary, input) : print_text(out, summary, input);
}
