#include "proto/stats/stats_metric.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "fcached_"
#define NAMESPACE_PREFIX "fcached_namespace_"

/* The parts of an amount: statistics whose names begin with `prefix`. */
static const struct family {
  const char *prefix, *name, *label;
} families[] = {
    {"evictions_", "evictions", "cause"},
    {"share_refused_", "share_refused", "resource"},
    {"memory_", "memory_part", "part"},
};
/* These begin with memory_ and are the whole amount. */
static const enum fc_stats_id no_parts[] = {FC_STATS_ROW_memory_in_flight, FC_STATS_ROW_memory_used,
                                            FC_STATS_ROW_memory_bound};

static const struct family *family_of(const struct fc_stats_row *row) {
  for (size_t i = 0; i < sizeof no_parts / sizeof no_parts[0]; i++)
    if (row == &fc_stats_rows[no_parts[i]])
      return NULL;
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
    if (strncmp(row->name, families[i].prefix, strlen(families[i].prefix)) == 0)
      return &families[i];
  return NULL;
}

/* Removes `word` from the words of the name, which "_" separates. */
static void remove_word(char *name, const char *word) {
  size_t size = strlen(word);
  for (char *at = strstr(name, word); at != NULL; at = strstr(at + 1, word)) {
    bool starts = at == name || at[-1] == '_', ends = at[size] == '\0' || at[size] == '_';
    if (!starts || !ends)
      continue;
    char *from = at > name ? at - 1 : at, *rest = at + size;
    if (at == name && *rest == '_')
      rest++;
    memmove(from, rest, strlen(rest) + 1);
    return;
  }
}

/* Appends a word, which may be empty. */
static void append(char *name, const char *word) {
  size_t size = strlen(name);
  assert(size + strlen(word) + 2 <= FC_STATS_METRIC_SIZE);
  (void)snprintf(name + size, FC_STATS_METRIC_SIZE - size, "%s%s",
                 *word != '\0' && name[size - 1] != '_' ? "_" : "", word);
}

/* Sets the label to the part that the name has behind the family's prefix. The bounds of parts are
 * a metric of their own. */
static void use_family(const struct family *family, struct fc_stats_metric *metric, char *base) {
  static const char bound[] = "_bound";
  size_t size = strlen(base), end = sizeof bound - 1;
  bool is_bound = size > end && strcmp(base + size - end, bound) == 0;
  if (is_bound)
    base[size - end] = '\0';
  metric->label = family->label;
  (void)snprintf(metric->label_value, sizeof metric->label_value, "%s",
                 base + strlen(family->prefix));
  (void)snprintf(base, FC_STATS_METRIC_SIZE, "%s%s", family->name, is_bound ? bound : "");
}

bool fc_stats_metric(const struct fc_stats_row *row, bool of_namespace,
                     struct fc_stats_metric *metric) {
  const struct family *family = family_of(row);
  char base[FC_STATS_METRIC_SIZE];
  *metric = (struct fc_stats_metric){.label = NULL};
  if (row->kind == FC_STATS_INFO || row->kind == FC_STATS_DERIVED)
    return false;
  (void)snprintf(base, sizeof base, "%s", row->name); /* fits: test_stats_metric */
  if (family != NULL)
    use_family(family, metric, base);
  else if (row->unit == FC_STATS_SECONDS)
    remove_word(base, "s");
  else if (row->unit == FC_STATS_BYTES)
    remove_word(base, "bytes");
  (void)snprintf(metric->name, sizeof metric->name, "%s", of_namespace ? NAMESPACE_PREFIX : PREFIX);
  append(metric->name, base);
  if (row->unit == FC_STATS_SECONDS)
    append(metric->name, "seconds");
  if (row->unit == FC_STATS_BYTES)
    append(metric->name, "bytes");
  if (row->unit == FC_STATS_RATIO)
    append(metric->name, "ratio");
  if (row->kind == FC_STATS_COUNTER)
    append(metric->name, "total");
  return true;
}
