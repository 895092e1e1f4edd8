#include "client/ctl/top/top_model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wall.h"

const char *top_by_name(enum top_by by) {
  static const char *const names[TOP_BYS] = {"namespace", "op", "view", "client", "probe"};

  assert(by < TOP_BYS);
  return names[by];
}

const char *top_column_name(enum top_column column) {
  static const char *const names[TOP_COLUMNS] = {"name",  "hits",     "misses", "rate",
                                                 "saved", "computed", "put",    "stored"};

  assert(column < TOP_COLUMNS);
  return names[column];
}

/* ---- readings ---- */

void top_reading_init(struct top_reading *reading) {
  *reading = (struct top_reading){0};
}

void top_reading_deinit(struct top_reading *reading) {
  for (int by = 0; by < TOP_BYS; by++) {
    struct top_rows *rows = &reading->rows[by];

    for (size_t i = 0; i < rows->n; i++) {
      free(rows->at[i].name);
      free(rows->at[i].name_space);
    }
    free(rows->at);
    *rows = (struct top_rows){0};
  }
}

static bool grow(struct top_rows *rows) {
  size_t capacity = rows->capacity ? 2 * rows->capacity : 16;
  struct top_row *at;

  if (rows->n < rows->capacity)
    return true;
  at = reallocarray(rows->at, capacity, sizeof *at);
  if (!at)
    return false;
  rows->at = at;
  rows->capacity = capacity;
  return true;
}

void top_reading_add(struct top_reading *reading, enum top_by by, const struct top_row *row) {
  struct top_rows *rows = &reading->rows[by];
  struct top_row copy = *row;

  copy.name = row->name ? strdup(row->name) : NULL;
  copy.name_space = row->name_space ? strdup(row->name_space) : NULL;
  copy.has_rates = false;
  if (!copy.name != !row->name || !copy.name_space != !row->name_space || !grow(rows)) {
    free(copy.name);
    free(copy.name_space);
    reading->failed = true;
    return;
  }
  rows->at[rows->n++] = copy;
}

static int compare_numbers(uint64_t a, uint64_t b) {
  return (a > b) - (a < b);
}

/* Compares what identifies a row. */
static int compare_keys(const void *a, const void *b) {
  const struct top_row *one = a, *other = b;
  int order = (one->others > 0) - (other->others > 0);

  if (!order)
    order = compare_numbers(one->id, other->id);
  if (!order)
    order = (one->name != NULL) - (other->name != NULL);
  return order || !one->name ? order : strcmp(one->name, other->name);
}

static void add_counts(struct top_counts *counts, const struct top_counts *more) {
  fc_sum_add(&counts->hits, more->hits);
  fc_sum_add(&counts->misses, more->misses);
  fc_sum_add(&counts->saved_ns, more->saved_ns);
  fc_sum_add(&counts->computed_ns, more->computed_ns);
  fc_sum_add(&counts->put_bytes, more->put_bytes);
  fc_sum_add(&counts->stored_bytes, more->stored_bytes);
}

/* Sorts by key, and makes one row of those with the same key. */
static void merge(struct top_rows *rows) {
  size_t n = 0;

  if (rows->n == 0)
    return;
  qsort(rows->at, rows->n, sizeof *rows->at, compare_keys);
  for (size_t i = 1; i < rows->n; i++) {
    if (compare_keys(&rows->at[n], &rows->at[i]) != 0) {
      rows->at[++n] = rows->at[i];
      continue;
    }
    add_counts(&rows->at[n].counts, &rows->at[i].counts);
    free(rows->at[i].name);
    free(rows->at[i].name_space);
  }
  rows->n = n + 1;
}

/* ---- rates ---- */

static uint64_t growth_of(uint64_t now, uint64_t before) {
  return now >= before ? now - before : now;
}

static struct top_counts growth(const struct top_counts *now, const struct top_counts *before) {
  return (struct top_counts){
      .hits = growth_of(now->hits, before->hits),
      .misses = growth_of(now->misses, before->misses),
      .saved_ns = growth_of(now->saved_ns, before->saved_ns),
      .computed_ns = growth_of(now->computed_ns, before->computed_ns),
      .put_bytes = growth_of(now->put_bytes, before->put_bytes),
      .stored_bytes = now->stored_bytes,
  };
}

/* The others grow by whole rows that give way, which is no rate. */
static void set_rates(struct top_rows *rows, const struct top_rows *before) {
  static const struct top_counts none;

  for (size_t i = 0; i < rows->n; i++) {
    struct top_row *row = &rows->at[i];
    const struct top_row *earlier =
        before->n ? bsearch(row, before->at, before->n, sizeof *row, compare_keys) : NULL;

    row->has_rates = row->others == 0;
    row->growth = growth(&row->counts, earlier ? &earlier->counts : &none);
  }
}

double top_model_interval_s(const struct top_model *model) {
  return model->has_before ? (double)(model->now.time_ns - model->before.time_ns) / 1e9 : 0;
}

struct top_counts top_model_growth(const struct top_model *model) {
  const struct top_summary *now = &model->now.summary, *before = &model->before.summary;
  const struct top_rows *rows = &model->now.rows[TOP_NAMESPACE];
  struct top_counts sum = {0};

  if (!model->has_before)
    return sum;
  for (size_t i = 0; i < rows->n; i++)
    if (rows->at[i].has_rates)
      add_counts(&sum, &rows->at[i].growth);
  sum.hits = growth_of(now->hits, before->hits);
  sum.misses = growth_of(now->misses, before->misses);
  sum.saved_ns =
      now->saved_s > before->saved_s ? (uint64_t)((now->saved_s - before->saved_s) * 1e9) : 0;
  return sum;
}

double top_model_value(const struct top_model *model, const struct top_row *row,
                       enum top_column column) {
  bool totals = model->options.totals || column == TOP_HIT_RATE || column == TOP_STORED;
  const struct top_counts *counts = model->options.totals ? &row->counts : &row->growth;
  double per = totals ? 1 : top_model_interval_s(model);

  if (column == TOP_STORED)
    return (double)row->counts.stored_bytes;
  if ((!model->options.totals && !row->has_rates) || per <= 0)
    return -1;
  switch (column) {
  case TOP_HITS:
    return (double)counts->hits / per;
  case TOP_MISSES:
    return (double)counts->misses / per;
  case TOP_HIT_RATE:
    if (counts->hits == 0 && counts->misses == 0)
      return -1;
    return 100.0 * (double)counts->hits / ((double)counts->hits + (double)counts->misses);
  case TOP_SAVED:
    return (double)counts->saved_ns / 1e9 / per;
  case TOP_COMPUTED:
    return (double)counts->computed_ns / 1e9 / per;
  case TOP_PUT:
    return (double)counts->put_bytes / per;
  default:
    return -1;
  }
}

/* ---- order ---- */

/* The largest first. */
static int compare_values(const struct top_model *model, const struct top_row *a,
                          const struct top_row *b) {
  double one = top_model_value(model, a, model->options.sort);
  double other = top_model_value(model, b, model->options.sort);

  return (one < other) - (one > other);
}

static int compare_names(const struct top_row *a, const struct top_row *b) {
  int order = strcmp(a->name ? a->name : "", b->name ? b->name : "");

  return order ? order : compare_numbers(a->id, b->id);
}

static int compare_rows(const void *a, const void *b, void *arg) {
  const struct top_model *model = arg;
  const struct top_row *one = *(const struct top_row *const *)a;
  const struct top_row *other = *(const struct top_row *const *)b;
  int order = (one->others > 0) - (other->others > 0);

  if (order)
    return order;
  order = model->options.sort == TOP_NAME ? compare_names(one, other)
                                          : compare_values(model, one, other);
  if (order)
    return model->options.reversed ? -order : order;
  return compare_names(one, other);
}

static bool matches(const struct top_row *row, const char *filter) {
  if (filter[0] == '\0')
    return true;
  return (row->name && strcasestr(row->name, filter)) ||
         (row->name_space && strcasestr(row->name_space, filter));
}

bool top_model_arrange(struct top_model *model) {
  const struct top_rows *rows = &model->now.rows[model->options.by];
  const struct top_row **shown = calloc(rows->n + 1, sizeof *shown);

  if (!shown)
    return false;
  free(model->shown);
  model->shown = shown;
  model->n_shown = 0;
  for (size_t i = 0; i < rows->n; i++)
    if (matches(&rows->at[i], model->options.filter))
      shown[model->n_shown++] = &rows->at[i];
  qsort_r(shown, model->n_shown, sizeof(struct top_row *), compare_rows, model);
  return true;
}

/* ---- the model ---- */

void top_model_init(struct top_model *model, const struct top_options *options) {
  *model = (struct top_model){.options = *options};
}

void top_model_restart(struct top_model *model) {
  if (model->has_before)
    top_reading_deinit(&model->before);
  model->has_before = false;
  if (!model->has_now)
    return;
  top_reading_deinit(&model->now);
  top_reading_init(&model->now);
  model->has_now = false;
  model->n_shown = 0;
}

void top_model_deinit(struct top_model *model) {
  top_model_restart(model);
  free(model->shown);
  model->shown = NULL;
}

bool top_model_read(struct top_model *model, struct top_reading *reading) {
  if (reading->failed) {
    top_reading_deinit(reading);
    return false;
  }
  if (model->has_before)
    top_reading_deinit(&model->before);
  model->has_before = model->has_now;
  model->before = model->now;
  model->now = *reading;
  model->has_now = true;
  *reading = (struct top_reading){0};
  for (int by = 0; by < TOP_BYS; by++) {
    merge(&model->now.rows[by]);
    if (model->has_before)
      set_rates(&model->now.rows[by], &model->before.rows[by]);
  }
  if (top_model_arrange(model))
    return true;
  model->n_shown = 0; /* its rows are freed */
  return false;
}
