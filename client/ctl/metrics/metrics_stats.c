#include "client/ctl/metrics/metrics_stats.h"

#include <string.h>

#include "client/ctl/metrics/metrics_choice.h"
#include "client/ctl/metrics/metrics_text.h"
#include "proto/stats/stats_metric.h"

/* A metric that is being printed. Its head is printed before its first sample. */
struct printer {
  FILE *out;
  bool has_head;
};

static void print_head(struct printer *printer, const struct fc_stats_metric *metric) {
  if (printer->has_head)
    return;
  printer->has_head = true;
  if (metric->counter)
    metrics_text_counter(printer->out, metric->name, metric->help);
  else
    metrics_text_gauge(printer->out, metric->name, metric->help);
}

/* Prints a value of the row. `name_space` NULL: without that label. */
static void print_item(struct printer *printer, const struct fc_stats_metric *metric,
                       const char *name_space, const struct stats_item *item) {
  struct metrics_label labels[2];
  size_t n = 0;

  if (!item || item->kind == FCACHE_STAT_TEXT)
    return;
  if (name_space)
    labels[n++] = (struct metrics_label){"namespace", name_space};
  if (metric->label)
    labels[n++] = (struct metrics_label){metric->label, metric->label_value};
  print_head(printer, metric);
  if (item->kind == FCACHE_STAT_COUNT || item->kind == FCACHE_STAT_BYTES)
    metrics_text_integer(printer->out, metric->name, labels, n, item->integer);
  else
    metrics_text_real(printer->out, metric->name, labels, n, item->real);
}

/* Adds up the row over the namespaces that have no metrics of their own. */
static struct stats_item sum_others(const struct stats_snapshot *snapshot,
                                    const struct metrics_choice *choice,
                                    const struct fc_stats_row *row) {
  bool is_real = row->unit == FC_STATS_SECONDS;
  struct stats_item sum = {.kind = is_real ? FCACHE_STAT_SECONDS : FCACHE_STAT_COUNT};

  for (size_t i = 0; i < snapshot->n; i++)
    if (!metrics_is_shown(choice, &snapshot->namespaces[i])) {
      sum.integer += stats_group_integer(&snapshot->namespaces[i], row->name);
      sum.real += stats_group_real(&snapshot->namespaces[i], row->name);
    }
  return sum;
}

static void print_row(struct printer *printer, const struct stats_snapshot *snapshot,
                      const struct metrics_choice *choice, const struct fc_stats_row *row,
                      enum fc_stats_metric_of of, const struct fc_stats_metric *metric) {
  struct stats_item sum;

  switch (of) {
  case FC_STATS_OF_DAEMON:
    print_item(printer, metric, NULL, stats_group_find(&snapshot->daemon, row->name));
    break;
  case FC_STATS_OF_NAMESPACE:
    for (size_t i = 0; i < choice->n_shown; i++)
      print_item(printer, metric, choice->shown[i]->name_space,
                 stats_group_find(choice->shown[i], row->name));
    break;
  case FC_STATS_OF_OTHERS:
    sum = sum_others(snapshot, choice, row);
    if (choice->n_others > 0)
      print_item(printer, metric, NULL, &sum);
    break;
  }
}

/* The metrics of all rows at one place. */
struct metric_names {
  bool has[FC_STATS_N_ROWS];
  struct fc_stats_metric metrics[FC_STATS_N_ROWS];
};

static bool is_same(const struct metric_names *names, size_t i, size_t j) {
  return names->has[i] && names->has[j] &&
         strcmp(names->metrics[i].name, names->metrics[j].name) == 0;
}

/* Returns whether a row before `i` is a part of the same metric. */
static bool is_printed(const struct metric_names *names, size_t i) {
  for (size_t before = 0; before < i; before++)
    if (is_same(names, i, before))
      return true;
  return false;
}

/* The format wants all samples of a metric together, and rows that are its parts may be apart. */
static void print_all(FILE *out, const struct stats_snapshot *snapshot,
                      const struct metrics_choice *choice, enum fc_stats_metric_of of) {
  struct metric_names names;

  for (size_t i = 0; i < FC_STATS_N_ROWS; i++)
    names.has[i] = fc_stats_metric(&fc_stats_rows[i], of, &names.metrics[i]);
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++) {
    struct printer printer = {.out = out};

    if (!names.has[i] || is_printed(&names, i))
      continue;
    for (size_t j = i; j < FC_STATS_N_ROWS; j++)
      if (is_same(&names, i, j))
        print_row(&printer, snapshot, choice, &fc_stats_rows[j], of, &names.metrics[j]);
  }
}

static void print_gauge(FILE *out, const char *name, const char *help,
                        const struct metrics_label *labels, size_t n_labels, uint64_t value) {
  metrics_text_gauge(out, name, help);
  metrics_text_integer(out, name, labels, n_labels, value);
}

static void print_up(FILE *out, bool is_up) {
  print_gauge(out, "fcached_up", "1 if the daemon replied, else 0.", NULL, 0, is_up);
}

void metrics_print_down(FILE *out) {
  print_up(out, false);
}

void metrics_print(FILE *out, const struct stats_snapshot *snapshot) {
  const struct metrics_label info[] = {
      {"version", stats_group_text(&snapshot->daemon, STATS_NAME(version))},
      {"cache_id", stats_group_text(&snapshot->daemon, STATS_NAME(cache_id))}};
  struct metrics_choice choice;

  metrics_choose(snapshot, &choice);
  print_up(out, true);
  print_gauge(out, "fcached_info", "Version of the daemon, and random number of its cache.", info,
              2, 1);
  print_all(out, snapshot, &choice, FC_STATS_OF_DAEMON);
  print_gauge(out, "fcached_namespaces_exported", "Namespaces that have metrics of their own.",
              NULL, 0, choice.n_shown);
  print_all(out, snapshot, &choice, FC_STATS_OF_NAMESPACE);
  print_gauge(out, "fcached_other_namespaces",
              "Namespaces without metrics of their own: their sums are "
              "fcached_other_namespaces_*.",
              NULL, 0, choice.n_others);
  print_all(out, snapshot, &choice, FC_STATS_OF_OTHERS);
}
