#include "tests/support/cache_model.h"

#include "tests/support/expect.h"

/* Namespaces come first, so that each one's entries are neighbours. */
uint32_t model_index(struct model_key key) {
  uint32_t i = key.space;

  i = i * MODEL_OPS + key.op;
  i = i * MODEL_VIEWS + key.view;
  i = i * MODEL_TOP_KS + key.top_k;
  i = i * MODEL_PROMPTS + key.prompt;
  return i;
}

static struct model_entry *entry_at(struct model *model, struct model_key key) {
  return &model->entries[model_index(key)];
}

static struct model_key key_of(uint32_t i) {
  struct model_key key;

  key.prompt = i % MODEL_PROMPTS;
  i /= MODEL_PROMPTS;
  key.top_k = i % MODEL_TOP_KS;
  i /= MODEL_TOP_KS;
  key.view = i % MODEL_VIEWS;
  i /= MODEL_VIEWS;
  key.op = i % MODEL_OPS;
  key.space = i / MODEL_OPS;
  return key;
}

void model_totals(const struct model *model, uint32_t space, uint64_t *entries, uint64_t *bytes) {
  *entries = *bytes = 0;
  for (uint32_t i = 0; i < MODEL_KEYS; i++) {
    const struct model_entry *entry = &model->entries[i];

    if (!entry->there || (space != MODEL_ANY && space != key_of(i).space))
      continue;
    ++*entries;
    *bytes += entry->charge;
  }
}

/* Removes the least recently used entry of a namespace, or of all. Returns its namespace. */
static uint32_t remove_oldest(struct model *model, uint32_t space) {
  uint32_t oldest = MODEL_KEYS;

  for (uint32_t i = 0; i < MODEL_KEYS; i++)
    if (model->entries[i].there && (space == MODEL_ANY || space == key_of(i).space) &&
        (oldest == MODEL_KEYS || model->entries[i].stamp < model->entries[oldest].stamp))
      oldest = i;
  EXPECT(oldest < MODEL_KEYS);
  model->entries[oldest].there = false;
  return key_of(oldest).space;
}

static void trim(struct model *model, uint32_t space) {
  struct model_space *own = &model->spaces[space];
  uint64_t entries, bytes;

  model_totals(model, space, &entries, &bytes);
  for (; own->max_entries > 0 && entries > own->max_entries; entries--) {
    (void)remove_oldest(model, space); /* it is of this namespace */
    own->evictions_entries++;
  }
  for (;;) {
    model_totals(model, MODEL_ANY, &entries, &bytes);
    if (bytes <= model->max_bytes)
      return;
    model->spaces[remove_oldest(model, MODEL_ANY)].evictions_bytes++;
  }
}

static bool is_stale(const struct model *model, const struct model_put *put) {
  const struct model_space *space = &model->spaces[put->key.space];

  for (size_t i = 0; put->has_generation && i < space->n_clears; i++) {
    const struct model_clear *clear = &space->clears[i];

    if (clear->generation > put->generation &&
        (clear->view == MODEL_ANY || clear->view == put->key.view) &&
        (clear->op == MODEL_ANY || clear->op == put->key.op))
      return true;
  }
  return put->has_generation && model->deleted[model_index(put->key)] > put->generation;
}

static void count_hit(struct model_counters *counters, const struct model_entry *entry) {
  counters->hits++;
  counters->saved_ns += entry->compute_ns;
}

const struct model_entry *model_get(struct model *model, struct model_key key, bool recorded) {
  struct model_entry *entry = entry_at(model, key);

  if (!entry->there)
    return NULL;
  entry->stamp = ++model->stamp;
  entry->hits++;
  if (recorded) {
    count_hit(&model->counters, entry);
    count_hit(&model->spaces[key.space].counters, entry);
  }
  return entry;
}

static enum model_outcome store(struct model *model, const struct model_put *put) {
  struct model_entry *entry = entry_at(model, put->key);

  if (put->charge > model->max_bytes)
    return MODEL_TOO_BIG;
  if (is_stale(model, put))
    return MODEL_STALE;
  if (entry->there && put->keep_first) {
    entry->stamp = ++model->stamp;
    return MODEL_KEPT;
  }
  *entry = (struct model_entry){.there = true,
                                .stamp = ++model->stamp,
                                .compute_ns = put->compute_ns,
                                .charge = put->charge,
                                .value = put->value};
  trim(model, put->key.space);
  return MODEL_STORED;
}

enum model_outcome model_put(struct model *model, const struct model_put *put) {
  struct model_counters *own = &model->spaces[put->key.space].counters;
  enum model_outcome outcome = store(model, put);

  model->puts_kept += outcome == MODEL_KEPT;
  model->puts_stale += outcome == MODEL_STALE;
  model->puts_too_big += outcome == MODEL_TOO_BIG;
  if (put->recorded) { /* the forward pass counts, stored or not */
    own->misses++;
    own->compute_ns += put->compute_ns;
    model->counters.misses++;
    model->counters.compute_ns += put->compute_ns;
  }
  return outcome;
}

static void count_batch(struct model_counters *counters, uint64_t prompts) {
  counters->batches_sent++;
  counters->batched_prompts += prompts;
  if (prompts > counters->max_batch_size)
    counters->max_batch_size = prompts;
}

void model_batch(struct model *model, uint32_t space, uint64_t prompts) {
  count_batch(&model->counters, prompts);
  count_batch(&model->spaces[space].counters, prompts);
}

uint64_t model_clear(struct model *model, uint32_t space, uint32_t view, uint32_t op) {
  uint64_t removed = 0, generation = ++model->generation;

  for (uint32_t i = 0; i < MODEL_KEYS; i++) {
    struct model_key key = key_of(i);

    if (!model->entries[i].there || (space != MODEL_ANY && key.space != space) ||
        (view != MODEL_ANY && key.view != view) || (op != MODEL_ANY && key.op != op))
      continue;
    model->entries[i].there = false;
    removed++;
  }
  for (uint32_t i = 0; i < MODEL_SPACES; i++) {
    struct model_space *own = &model->spaces[i];

    if (space != MODEL_ANY && space != i)
      continue;
    EXPECT(own->n_clears < MODEL_CLEARS);
    own->clears[own->n_clears++] = (struct model_clear){view, op, generation};
  }
  model->clears++;
  return removed;
}

bool model_delete(struct model *model, struct model_key key) {
  struct model_entry *entry = entry_at(model, key);
  bool there = entry->there;

  model->deleted[model_index(key)] = ++model->generation;
  model->deletes++;
  entry->there = false;
  return there;
}

void model_limit(struct model *model, uint32_t space, uint64_t max_entries) {
  model->spaces[space].max_entries = max_entries;
  trim(model, space);
}
