/* Random operations against a model that is too simple to be wrong: one flat
 * array, searched from end to end. After every operation the results agree, and
 * every so often all figures, all entries and their order. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/namespace_table.h"
#include "daemon/store/store_clear.h"
#include "daemon/store/store_list.h"
#include "tests/support/private_store.h"
#include "tests/support/runner.h"

#define OPERATIONS 250000u
#define SPACES 3u
#define OPS 2u
#define VIEWS 3u
#define PROMPTS 12u
#define RECORDS (SPACES * OPS * VIEWS * PROMPTS)
#define VALUE_MAX 600u
#define CLIENTS 3u
#define RECENT 8u /* generations back that a put may have begun; the log remembers 16 */

static const char *const op_names[OPS] = {"next_token_dist", "roll"};
static const char *const view_names[VIEWS] = {"base", "ft", "scaled_1.25"};

/* ---- the model ---- */

struct record {
  bool there;
  uint64_t stamp, client, compute_ns, hits, charge;
  uint32_t value_size;
  uint8_t *value;
};

struct clear_made {
  uint64_t generation;
  uint32_t space, view, op; /* SPACES, VIEWS, OPS: any */
};

struct model {
  struct record records[RECORDS];
  uint8_t values[RECORDS][VALUE_MAX];
  uint64_t max_entries[SPACES], by_entries[SPACES], by_bytes[SPACES];
  struct counters counters[SPACES + CLIENTS + 1]; /* namespaces', clients', the daemon's */
  uint64_t stamp, generation, max_bytes;
  struct clear_made clears[RECENT];
  uint32_t n_clears; /* ever */
};

struct where {
  uint32_t space, op, view, prompt;
};

static struct fc_key key_at(struct where at) {
  struct fc_key key = {.op = fc_str_of(op_names[at.op]),
                       .view = fc_str_of(view_names[at.view]),
                       .top_k = at.prompt % 2};
  key.prompt.bytes[3] = (uint8_t)at.prompt;
  return key;
}

static uint32_t index_of(struct where at) {
  return ((at.space * OPS + at.op) * VIEWS + at.view) * PROMPTS + at.prompt;
}

static struct where where_of(uint32_t i) {
  return (struct where){i / (OPS * VIEWS * PROMPTS), i / (VIEWS * PROMPTS) % OPS,
                        i / PROMPTS % VIEWS, i % PROMPTS};
}

static struct record *record_at(struct model *model, struct where at) {
  return &model->records[index_of(at)];
}

/* The records of one namespace, or all (SPACES): [first, end). */
static uint32_t first_of(uint32_t space) {
  return space == SPACES ? 0 : index_of((struct where){.space = space});
}

static uint32_t end_of(uint32_t space) {
  return space == SPACES ? RECORDS : first_of(space) + OPS * VIEWS * PROMPTS;
}

static void model_totals(const struct model *model, uint32_t space, uint64_t *entries,
                         uint64_t *bytes) {
  *entries = *bytes = 0;
  for (uint32_t i = first_of(space); i < end_of(space); i++) {
    *entries += model->records[i].there ? 1 : 0;
    *bytes += model->records[i].there ? model->records[i].charge : 0;
  }
}

static struct record *model_oldest(struct model *model, uint32_t space, uint32_t *whose) {
  struct record *oldest = NULL;
  for (uint32_t i = first_of(space); i < end_of(space); i++) {
    struct record *record = &model->records[i];
    if (record->there && (oldest == NULL || record->stamp < oldest->stamp)) {
      oldest = record;
      *whose = where_of(i).space;
    }
  }
  return oldest;
}

static void model_trim(struct model *model, uint32_t space) {
  uint64_t entries, bytes;
  uint32_t whose = 0;
  for (model_totals(model, space, &entries, &bytes);
       model->max_entries[space] != 0 && entries > model->max_entries[space]; entries--) {
    model_oldest(model, space, &whose)->there = false;
    model->by_entries[space]++;
  }
  for (;;) {
    model_totals(model, SPACES, &entries, &bytes);
    if (bytes <= model->max_bytes)
      return;
    model_oldest(model, SPACES, &whose)->there = false;
    model->by_bytes[whose]++;
  }
}

static bool model_stale(const struct model *model, struct where at, uint64_t generation) {
  uint32_t n = model->n_clears < RECENT ? model->n_clears : RECENT;
  for (uint32_t i = 0; i < n; i++) {
    const struct clear_made *clear = &model->clears[i];
    if (clear->generation > generation && (clear->space == SPACES || clear->space == at.space) &&
        (clear->view == VIEWS || clear->view == at.view) &&
        (clear->op == OPS || clear->op == at.op))
      return true;
  }
  return false;
}

static enum fc_put_outcome model_put(struct model *model, struct where at, const uint8_t *value,
                                     uint32_t size, const struct store_put_info *info) {
  struct record *record = record_at(model, at);
  if (info->has_generation && model_stale(model, at, info->generation))
    return FC_STALE;
  record->stamp = ++model->stamp;
  if (record->there && info->keep_first)
    return FC_KEPT;
  record->there = true;
  record->client = info->origin;
  record->compute_ns = info->compute_ns;
  record->hits = 0;
  struct fc_key key = key_at(at);
  record->charge = heap_charge(&key, size);
  record->value_size = size;
  record->value = model->values[index_of(at)];
  memcpy(record->value, value, size);
  model_trim(model, at.space);
  return FC_STORED;
}

static uint64_t model_clear(struct model *model, uint32_t space, uint32_t view, uint32_t op) {
  uint64_t removed = 0;
  for (uint32_t i = 0; i < RECORDS; i++) {
    struct where at = where_of(i);
    struct record *record = record_at(model, at);
    if (record->there && (space == SPACES || space == at.space) &&
        (view == VIEWS || view == at.view) && (op == OPS || op == at.op)) {
      record->there = false;
      removed++;
    }
  }
  model->clears[model->n_clears++ % RECENT] =
      (struct clear_made){++model->generation, space, view, op};
  return removed;
}

/* ---- both side by side ---- */

struct world {
  struct region region;
  struct store store;
  struct namespace_table table;
  struct namespace *spaces[SPACES];
  struct counters counters[CLIENTS + 1];
  struct model model;
  uint64_t random;
  bool sliced; /* clears go on while other operations come between */
  bool clearing;
  struct store_clear clear;
  uint64_t clear_expected;
  uint64_t hits_seen, outcomes_seen[3], clears_seen;
};

static uint32_t below(struct world *world, uint32_t n) {
  world->random ^= world->random << 13;
  world->random ^= world->random >> 7;
  world->random ^= world->random << 17;
  return (uint32_t)((world->random >> 11) % n);
}

static struct where somewhere(struct world *world) {
  struct where at = {below(world, SPACES), below(world, OPS), below(world, VIEWS), 0};
  /* two draws: some prompts are far more popular than others */
  at.prompt = below(world, 1 + below(world, PROMPTS));
  return at;
}

static void do_get(struct world *world) {
  struct where at = somewhere(world);
  uint32_t client = below(world, CLIENTS);
  struct fc_key key = key_at(at);
  struct record *record = record_at(&world->model, at);
  struct entry *entry = store_peek(&world->store, world->spaces[at.space], &key);
  ck_assert(record->there == (entry != NULL));
  if (!record->there)
    return;
  store_use(&world->store, entry, 1);
  record->stamp = ++world->model.stamp;
  record->hits++;
  world->hits_seen++;
  private_store_check_value(entry, record->value, record->value_size);
  struct counters *sets[] = {&world->spaces[at.space]->counters, &world->counters[client],
                             &world->counters[CLIENTS]};
  counters_hit(sets, 3, 7, entry_compute_ns(entry), entry_origin(entry) != client);
  const uint32_t models[] = {at.space, SPACES + client, SPACES + CLIENTS};
  for (int i = 0; i < 3; i++) {
    struct counters *counters = &world->model.counters[models[i]];
    counters->hits++;
    counters->scoring_wall_ns += 7;
    counters->saved_wall_ns += record->compute_ns;
    if (record->client != client)
      counters->shared_hits++;
  }
}

static void do_put(struct world *world) {
  struct where at = somewhere(world);
  uint8_t value[VALUE_MAX];
  uint32_t size = below(world, 4) == 0 ? 64 : below(world, VALUE_MAX + 1);
  memset(value, (int)below(world, 256), sizeof value);
  uint64_t back = below(world, RECENT);
  struct store_put_info info = {.origin = below(world, CLIENTS),
                                .compute_ns = below(world, 1000),
                                .keep_first = below(world, 3) == 0,
                                .has_generation = below(world, 2) == 0,
                                .generation = world->store.generation - back};
  struct fc_key key = key_at(at);
  struct namespace *ns = world->spaces[at.space];
  int outcome = store_put(&world->store, ns, &key, value, size, &info);
  ck_assert_int_eq(outcome, model_put(&world->model, at, value, size, &info));
  world->outcomes_seen[outcome]++;
  struct counters *sets[] = {&ns->counters, &world->counters[info.origin],
                             &world->counters[CLIENTS]};
  counters_miss(sets, 3, 1, info.compute_ns);
  const uint32_t models[] = {at.space, SPACES + info.origin, SPACES + CLIENTS};
  for (int i = 0; i < 3; i++) {
    struct counters *counters = &world->model.counters[models[i]];
    counters->misses++;
    counters->forward_passes++;
    counters->scoring_wall_ns += info.compute_ns;
  }
}

static void step_clear(struct world *world, uint64_t max_entries) {
  if (!world->clearing || !store_clear_step(&world->store, &world->clear, max_entries))
    return;
  ck_assert_uint_eq(world->clear.removed, world->clear_expected);
  world->clearing = false;
}

static void do_clear(struct world *world) {
  step_clear(world, UINT64_MAX);
  uint32_t space = below(world, SPACES + 1), view = below(world, VIEWS + 1),
           op = below(world, OPS + 1);
  struct store_select select = {.ns = space == SPACES ? NULL : world->spaces[space]};
  if (view != VIEWS)
    select.view = fc_str_of(view_names[view]);
  if (op != OPS)
    select.op = fc_str_of(op_names[op]);
  store_clear_start(&world->store, &world->clear, &select);
  world->clearing = true;
  world->clears_seen++;
  world->clear_expected = model_clear(&world->model, space, view, op);
  ck_assert_uint_eq(world->store.generation, world->model.generation);
  if (!world->sliced)
    step_clear(world, UINT64_MAX);
}

static void do_limit(struct world *world) {
  uint32_t space = below(world, SPACES);
  uint64_t limit = 1 + below(world, OPS * VIEWS * PROMPTS);
  world->model.max_entries[space] = limit;
  model_trim(&world->model, space);
  ck_assert_int_eq(
      namespace_table_set_max_entries(&world->table, world->spaces[space], (int64_t)limit), 0);
}

/* ---- the comparison of everything ---- */

static void compare_space(struct world *world, uint32_t space) {
  const struct model *model = &world->model;
  const struct namespace *ns = world->spaces[space];
  uint64_t entries, bytes;
  model_totals(model, space, &entries, &bytes);
  ck_assert_uint_eq(ns->entries, entries);
  ck_assert_uint_eq(ns->bytes, bytes);
  ck_assert_uint_eq(ns->evictions[EVICT_ENTRIES], model->by_entries[space]);
  ck_assert_uint_eq(ns->evictions[EVICT_BYTES], model->by_bytes[space]);
  ck_assert_mem_eq(&ns->counters, &model->counters[space], sizeof ns->counters);
}

static void compare_figures(struct world *world) {
  const struct model *model = &world->model;
  uint64_t entries, bytes, by_entries = 0, by_bytes = 0;
  for (uint32_t i = 0; i < SPACES; i++) {
    compare_space(world, i);
    by_entries += model->by_entries[i];
    by_bytes += model->by_bytes[i];
  }
  model_totals(model, SPACES, &entries, &bytes);
  ck_assert_uint_eq(world->store.entries, entries);
  ck_assert_uint_eq(world->store.bytes, bytes);
  ck_assert_uint_le(bytes, world->store.max_bytes);
  ck_assert_uint_eq(world->store.evictions[EVICT_ENTRIES], by_entries);
  ck_assert_uint_eq(world->store.evictions[EVICT_BYTES], by_bytes);
  ck_assert_mem_eq(world->counters, &model->counters[SPACES], sizeof world->counters);
}

struct order {
  struct world *world;
  uint64_t last_stamp, n;
};

static uint32_t name_index(struct fc_str name, const char *const *names, uint32_t n) {
  uint32_t i = 0;
  while (i < n && !fc_str_equal(name, fc_str_of(names[i])))
    i++;
  ck_assert_uint_lt(i, n);
  return i;
}

static bool compare_entry(void *arg, const struct entry *entry) {
  struct order *order = arg;
  struct world *world = order->world;
  struct where at = {.prompt = entry_key(entry).prompt.bytes[3]};
  struct fc_key key = entry_key(entry);
  while (world->spaces[at.space] != entry_namespace(entry))
    at.space++;
  at.op = name_index(key.op, op_names, OPS);
  at.view = name_index(key.view, view_names, VIEWS);
  const struct record *record = record_at(&world->model, at);
  ck_assert(record->there);
  ck_assert_uint_lt(record->stamp, order->last_stamp);
  ck_assert_uint_eq(record->hits, entry->hits);
  ck_assert_uint_eq(record->client, entry_origin(entry));
  private_store_check_value(entry, record->value, record->value_size);
  order->last_stamp = record->stamp;
  order->n++;
  return true;
}

static void compare_order(struct world *world) {
  uint32_t space = below(world, SPACES + 1);
  struct store_select select = {.ns = space == SPACES ? NULL : world->spaces[space]};
  struct order order = {world, UINT64_MAX, 0};
  struct store_cursor cursor = {0};
  uint32_t limit = 1 + below(world, 40), examined = 1 + below(world, 60);
  while (store_list(&world->store, &select, limit, examined, &cursor, compare_entry, &order))
    ck_assert_uint_le(order.n, RECORDS);
  uint64_t entries, bytes;
  model_totals(&world->model, space, &entries, &bytes);
  ck_assert_uint_eq(order.n, entries);
}

static void operate(struct world *world) {
  uint32_t dice = below(world, 1000);
  if (dice < 500)
    do_get(world);
  else if (dice < 990)
    do_put(world);
  else if (dice < 995)
    do_clear(world);
  else if (!world->sliced)
    do_limit(world);
}

static void run(uint64_t seed, uint64_t max_bytes, bool sliced) {
  struct world *world = calloc(1, sizeof *world);
  ck_assert_ptr_nonnull(world);
  world->random = seed;
  world->sliced = sliced;
  private_store_init(&world->store, &world->region, max_bytes, VALUE_MAX, seed);
  namespace_table_init(&world->table, &world->store, SPACES);
  for (uint32_t i = 0; i < SPACES; i++) {
    char name[8];
    snprintf(name, sizeof name, "n%u", i);
    ck_assert_int_eq(namespace_table_open(&world->table, fc_str_of(name), NULL, &world->spaces[i]),
                     0);
  }
  /* far enough from 0 that no put claims to have begun before its namespace */
  for (uint32_t i = 0; i < 2 * RECENT; i++)
    store_clear_all(&world->store, &(struct store_select){.view = fc_str_of("unused")});
  world->model.generation = world->store.generation;
  world->model.max_bytes = max_bytes;
  for (uint32_t i = 0; i < OPERATIONS; i++) {
    operate(world);
    step_clear(world, below(world, 4));
    if (i % 499 == 0)
      compare_order(world);
    if (i % 199 == 0 && !world->clearing)
      compare_figures(world);
  }
  step_clear(world, UINT64_MAX);
  compare_figures(world);
  /* the run was worth something */
  ck_assert_uint_gt(world->hits_seen, OPERATIONS / 100);
  ck_assert_uint_gt(world->clears_seen, OPERATIONS / 1000);
  for (int i = 0; i < 3; i++)
    ck_assert_uint_gt(world->outcomes_seen[i], OPERATIONS / 1000);
  namespace_table_deinit(&world->table);
  private_store_deinit(&world->store, &world->region);
  free(world);
}

START_TEST(test_both_limits) {
  run(88172645463325252u, 40000, false);
}
END_TEST

START_TEST(test_entries_alone) {
  run(1234567891011u, 1u << 30, false);
}
END_TEST

START_TEST(test_bytes_so_few_that_one_value_evicts_many) {
  run(987654321987u, 3000, false);
}
END_TEST

START_TEST(test_clears_in_slices_between_other_operations) {
  run(5555555555555u, 1u << 30, true);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_model");
  TCase *tcase = tcase_create("store_model");
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, test_both_limits);
  tcase_add_test(tcase, test_entries_alone);
  tcase_add_test(tcase, test_bytes_so_few_that_one_value_evicts_many);
  tcase_add_test(tcase, test_clears_in_slices_between_other_operations);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
