/* Random operations on a store, compared with a model after each. At intervals all counters, all
 * entries, their order and the store's own structures are compared or checked. */
#include <check.h>
#include <stdlib.h>

#include "daemon/store/store_list.h"
#include "tests/support/cache_model.h"
#include "tests/support/expect.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

#define OPERATIONS 100000u
#define SPACES 3u
#define OPS 2u
#define PROMPTS 6u
#define VALUE_MAX 600u
#define RECENT 8u /* generations back that a put may have begun; the clear log has room for 16 */

static const char *const op_names[MODEL_OPS] = {"next_token_dist", "roll"};
static const char *const view_names[MODEL_VIEWS] = {"base", "ft", "scaled_1.25"};

struct run {
  struct model model;
  struct namespace *spaces[SPACES];
  bool sliced; /* other operations come between the steps of a clear */
  bool is_clearing;
  struct store_clear clear;
  uint64_t clear_expected;
  uint64_t hits, outcomes[4], clears, deleted;
};

static struct fc_key key_of(struct model_key at) {
  struct fc_key key = key_named(op_names[at.op], view_names[at.view], at.prompt);
  key.top_k = at.top_k;
  return key;
}

/* Some prompts are far more frequent than others. */
static struct model_key random_key(void) {
  return (struct model_key){.space = random_below(SPACES),
                            .op = random_below(OPS),
                            .view = random_below(MODEL_VIEWS),
                            .top_k = random_below(MODEL_TOP_KS),
                            .prompt = random_below(1 + random_below(PROMPTS))};
}

static void check_value(const struct entry *entry, struct model_value value) {
  private_store_check_value(entry, seeded_bytes(value.seed, value.size), value.size);
}

/* ---- operations ---- */

static void do_get(struct run *run) {
  struct model_key at = random_key();
  struct fc_key key = key_of(at);
  const struct model_entry *expected = model_get(&run->model, at, true);
  struct entry *entry = store_peek(&world.store, run->spaces[at.space], &key);
  EXPECT_EQUAL(entry != NULL, expected != NULL);
  if (entry == NULL)
    return;
  store_use(&world.store, entry, 1);
  check_value(entry, expected->value);
  run->hits++;
}

static void do_put(struct run *run) {
  static const enum model_outcome outcomes[] = {
      [FC_STORED] = MODEL_STORED, [FC_KEPT] = MODEL_KEPT, [FC_STALE] = MODEL_STALE};
  struct model_key at = random_key();
  struct fc_key key = key_of(at);
  uint32_t size = random_below(4) == 0 ? 64 : random_below(VALUE_MAX + 1);
  struct store_put_info info = {.compute_ns = random_below(1000),
                                .keep_first = random_below(3) == 0,
                                .has_generation = random_below(2) == 0,
                                .generation = world.store.saved->generation - random_below(RECENT)};
  struct model_put put = {.key = at,
                          .value = {.seed = 1 + random_below(1u << 30), .size = size},
                          .charge = heap_charge(&key, size),
                          .compute_ns = info.compute_ns,
                          .keep_first = info.keep_first,
                          .has_generation = info.has_generation,
                          .generation = info.generation};
  int outcome = store_put(&world.store, run->spaces[at.space], &key,
                          seeded_bytes(put.value.seed, size), size, &info);
  EXPECT(outcome >= 0);
  EXPECT_EQUAL(outcomes[outcome], model_put(&run->model, &put));
  run->outcomes[outcome]++;
}

static void step_clear(struct run *run, uint64_t max_entries) {
  if (!run->is_clearing || !store_clear_step(&world.store, &run->clear, max_entries))
    return;
  EXPECT_EQUAL(run->clear.removed, run->clear_expected);
  run->is_clearing = false;
}

static void do_clear(struct run *run) {
  step_clear(run, UINT64_MAX);
  uint32_t space = random_below(SPACES + 1), view = random_below(MODEL_VIEWS + 1),
           op = random_below(OPS + 1);
  struct store_select select = {0};
  if (space < SPACES)
    select.ns = run->spaces[space];
  if (view < MODEL_VIEWS)
    select.view = fc_str_of(view_names[view]);
  if (op < OPS)
    select.op = fc_str_of(op_names[op]);
  EXPECT(store_clear_start(&world.store, &run->clear, &select));
  run->is_clearing = true;
  run->clears++;
  run->clear_expected =
      model_clear(&run->model, space < SPACES ? space : MODEL_ANY,
                  view < MODEL_VIEWS ? view : MODEL_ANY, op < OPS ? op : MODEL_ANY);
  EXPECT_EQUAL(world.store.saved->generation, run->model.generation);
  if (!run->sliced)
    step_clear(run, UINT64_MAX);
}

static void do_delete(struct run *run) {
  struct model_key at = random_key();
  struct fc_key key = key_of(at);
  bool existed = store_delete(&world.store, run->spaces[at.space], &key);
  EXPECT_EQUAL(existed, model_delete(&run->model, at));
  EXPECT_EQUAL(world.store.saved->generation, run->model.generation);
  run->deleted += existed;
}

static void do_limit(struct run *run) {
  uint32_t space = random_below(SPACES);
  uint64_t limit = 1 + random_below(OPS * MODEL_VIEWS * MODEL_TOP_KS * PROMPTS);
  model_limit(&run->model, space, limit);
  EXPECT_EQUAL(namespace_table_set_max_entries(&world.table, run->spaces[space], (int64_t)limit),
               0);
}

static void operate(struct run *run) {
  uint32_t dice = random_below(1000);
  if (dice < 500)
    do_get(run);
  else if (dice < 990)
    do_put(run);
  else if (dice < 993)
    do_clear(run);
  else if (dice < 997)
    do_delete(run);
  else if (!run->sliced)
    do_limit(run);
}

/* ---- comparison ---- */

static void compare_counts(const struct run *run) {
  uint64_t entries, bytes, by_entries = 0, by_bytes = 0;
  for (uint32_t i = 0; i < SPACES; i++) {
    const struct namespace *ns = run->spaces[i];
    const struct model_space *space = &run->model.spaces[i];
    model_totals(&run->model, i, &entries, &bytes);
    EXPECT_EQUAL(ns->entries, entries);
    EXPECT_EQUAL(ns->bytes, bytes);
    EXPECT_EQUAL(ns->evictions[EVICT_ENTRIES], space->evictions_entries);
    EXPECT_EQUAL(ns->evictions[EVICT_BYTES], space->evictions_bytes);
    by_entries += space->evictions_entries;
    by_bytes += space->evictions_bytes;
  }
  model_totals(&run->model, MODEL_ANY, &entries, &bytes);
  EXPECT_EQUAL(world.store.entries, entries);
  EXPECT_EQUAL(world.store.bytes, bytes);
  EXPECT(bytes <= world.store.max_bytes);
  EXPECT_EQUAL(world.store.saved->evictions[EVICT_ENTRIES], by_entries);
  EXPECT_EQUAL(world.store.saved->evictions[EVICT_BYTES], by_bytes);
  store_check(&world.store);
}

struct order {
  const struct run *run;
  uint64_t last_stamp, n;
};

static uint32_t name_index(struct fc_str name, const char *const *names, uint32_t n) {
  uint32_t i = 0;
  while (i < n && !fc_str_equal(name, fc_str_of(names[i])))
    i++;
  EXPECT(i < n);
  return i;
}

static bool compare_entry(void *arg, const struct entry *entry) {
  struct order *order = arg;
  struct fc_key key = entry_key(entry);
  struct model_key at = {.op = name_index(key.op, op_names, OPS),
                         .view = name_index(key.view, view_names, MODEL_VIEWS),
                         .top_k = key.top_k,
                         .prompt = key_number_of(&key, PROMPTS)};
  while (order->run->spaces[at.space] != entry_namespace(entry))
    at.space++;
  const struct model_entry *expected = &order->run->model.entries[model_index(at)];
  EXPECT(expected->there && expected->stamp < order->last_stamp);
  EXPECT_EQUAL(expected->hits, entry->hits);
  EXPECT_EQUAL(expected->compute_ns, entry_compute_ns(entry));
  check_value(entry, expected->value);
  order->last_stamp = expected->stamp;
  order->n++;
  return true;
}

/* Lists a namespace, or all, in pages of random size. */
static void compare_order(const struct run *run) {
  uint32_t space = random_below(SPACES + 1);
  struct store_select select = {.ns = space < SPACES ? run->spaces[space] : NULL};
  struct order order = {run, UINT64_MAX, 0};
  struct store_cursor cursor = {0};
  uint32_t limit = 1 + random_below(40), examined = 1 + random_below(60);
  while (store_list(&world.store, &select, limit, examined, &cursor, compare_entry, &order))
    EXPECT(order.n <= MODEL_KEYS);
  uint64_t entries, bytes;
  model_totals(&run->model, space < SPACES ? space : MODEL_ANY, &entries, &bytes);
  EXPECT_EQUAL(order.n, entries);
}

static void run_operations(struct run *run) {
  for (uint32_t i = 0; i < OPERATIONS; i++) {
    operate(run);
    step_clear(run, random_below(4));
    if (i % 499 == 0)
      compare_order(run);
    if (i % 199 == 0 && !run->is_clearing)
      compare_counts(run);
  }
  step_clear(run, UINT64_MAX);
  compare_counts(run);
}

static const struct {
  uint64_t max_bytes;
  bool sliced;
} runs[] = {
    {.max_bytes = 40000},    /* both limits */
    {.max_bytes = 1u << 26}, /* max_entries only */
    {.max_bytes = 3000},     /* one value evicts many */
    {.max_bytes = 1u << 26, .sliced = true},
};

START_TEST(random_operations_agree_with_model) {
  struct run *run = calloc(1, sizeof *run);
  ck_assert_ptr_nonnull(run);
  random_seed(88172645463325252u + (uint64_t)_i);
  world_open(runs[_i].max_bytes, VALUE_MAX, SPACES);
  run->sliced = runs[_i].sliced;
  run->spaces[0] = world_namespace("n0");
  run->spaces[1] = world_namespace("n1");
  run->spaces[2] = world_namespace("n2");
  /* far enough from 0 that no put claims to have begun before its namespace */
  for (uint32_t i = 0; i < 2 * RECENT; i++)
    store_clear_all(&world.store, &(struct store_select){.view = fc_str_of("unused")});
  run->model.generation = world.store.saved->generation;
  run->model.max_bytes = runs[_i].max_bytes;
  run_operations(run);
  ck_assert_uint_gt(run->hits, OPERATIONS / 100);
  ck_assert_uint_gt(run->clears, OPERATIONS / 1000);
  ck_assert_uint_gt(run->deleted, OPERATIONS / 10000);
  for (int i = 0; i < 3; i++)
    ck_assert_uint_gt(run->outcomes[i], OPERATIONS / 1000);
  world_close();
  free(run);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_model");
  TCase *tcase = tcase_create("store_model");
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, random_operations_agree_with_model, 0,
                      (int)(sizeof runs / sizeof runs[0]));
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
