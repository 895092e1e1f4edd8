#include "proto/stats/stats_metric.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char maximum[] = "max_", bound[] = "_bound";

/* The parts of an amount: statistics whose names begin with `prefix`. Those that end with _bound
 * are a metric of their own. */
static const struct family {
  const char *prefix, *name, *label, *help, *bound_help;
} families[] = {
    {"evictions_", "evictions", "cause", "Entries that were evicted, by cause.", NULL},
    {"share_refused_", "share_refused", "resource",
     "Refusals because of a user's share, by resource.", NULL},
    {"memory_", "memory_part", "part", "Of memory_used, by part.", "Of memory_bound, by part."},
};
/* These begin with memory_ and are the whole amount. */
static const enum fc_stats_id no_parts[] = {FC_STATS_ROW_memory_in_flight, FC_STATS_ROW_memory_used,
                                            FC_STATS_ROW_memory_bound};

static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

static const struct family *family_of(const struct fc_stats_row *row) {
  for (size_t i = 0; i < sizeof no_parts / sizeof no_parts[0]; i++)
    if (row == &fc_stats_rows[no_parts[i]])
      return NULL;
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
    if (begins(row->name, families[i].prefix))
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

/* Sets the label to the part that `base` names, and `base` to the name of the amount. */
static void use_family(const struct family *family, struct fc_stats_metric *metric, char *base) {
  size_t size = strlen(base), end = sizeof bound - 1;
  bool is_bound = size > end && strcmp(base + size - end, bound) == 0;
  if (is_bound)
    base[size - end] = '\0';
  metric->label = family->label;
  metric->help = is_bound ? family->bound_help : family->help;
  (void)snprintf(metric->label_value, sizeof metric->label_value, "%s",
                 base + strlen(family->prefix)); /* fits, as a row's name does */
  (void)snprintf(base, FC_STATS_METRIC_SIZE, "%s%s", family->name, is_bound ? bound : "");
}

static bool has_metric(const struct fc_stats_row *row, enum fc_stats_metric_of of) {
  unsigned place = of == FC_STATS_OF_DAEMON ? FC_STATS_IN_DAEMON : FC_STATS_IN_NAMESPACE;
  return (row->places & place) != 0 && row->kind != FC_STATS_INFO &&
         row->kind != FC_STATS_DERIVED && (of != FC_STATS_OF_OTHERS || !begins(row->name, maximum));
}

bool fc_stats_metric(const struct fc_stats_row *row, enum fc_stats_metric_of of,
                     struct fc_stats_metric *metric) {
  static const char *const prefixes[] = {[FC_STATS_OF_DAEMON] = "fcached_",
                                         [FC_STATS_OF_NAMESPACE] = "fcached_namespace_",
                                         [FC_STATS_OF_OTHERS] = "fcached_other_namespaces_"};
  static const char *const units[] = {
      [FC_STATS_NONE] = "",       [FC_STATS_BYTES] = "bytes", [FC_STATS_SECONDS] = "seconds",
      [FC_STATS_RATIO] = "ratio", [FC_STATS_MEAN] = "",       [FC_STATS_TEXT] = ""};
  const struct family *family = family_of(row);
  char base[FC_STATS_METRIC_SIZE];
  if (!has_metric(row, of))
    return false;
  *metric = (struct fc_stats_metric){.help = row->help};
  metric->counter = row->kind == FC_STATS_COUNTER && of != FC_STATS_OF_OTHERS;
  (void)snprintf(base, sizeof base, "%s", row->name); /* fits: test_stats_metric */
  if (family != NULL)
    use_family(family, metric, base);
  else if (row->unit == FC_STATS_SECONDS)
    remove_word(base, "s");
  else if (row->unit == FC_STATS_BYTES)
    remove_word(base, "bytes");
  (void)snprintf(metric->name, sizeof metric->name, "%s", prefixes[of]);
  append(metric->name, base);
  append(metric->name, units[row->unit]);
  append(metric->name, metric->counter ? "total" : "");
  return true;
}
