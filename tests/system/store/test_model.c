/* Random operations through <fcache.h> on a real daemon, compared with a model after each: hits,
 * values and outcomes. At intervals all counters, entries, bytes and evictions are compared. The
 * charge of an entry is measured at the start, so the test holds for any allocator with a fixed
 * charge per size.
 *
 * The test runs on each hit path: hits that the library serves from the region, and the two ways to
 * have messages only. The results must be the same.
 *   FCACHE_TEST_SEED=N   repeats the run that printed "seed N" */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/model_run.h"

#define OPERATIONS 100000u
#define COMPARE_EVERY 250u

static const struct hit_path hit_paths[] = {
    {.name = "region", .region = true},
    {.name = "a client that asks not to map", .variable = "0"},
    {.name = "a daemon without a region", .option = "--no-region"},
};

/* ---- single gets and puts ---- */

static void expect_hit(struct model_handle *handle, const struct model_entry *entry,
                       const struct fcache_value *got, bool recorded) {
  model_assert_value(got, entry->value);
  handle->expected.cache_hits += recorded;
}

static void do_get(struct model_handle *handle) {
  struct model_key key = model_random_key(handle->space);
  struct fcache_key wire = model_wire_key(key);
  bool recorded = !model_one_in(10);
  int rc = fcache_get(handle->cache, &wire, recorded ? 0 : FCACHE_UNRECORDED, &model_run.value);
  const struct model_entry *entry = model_get(&model_run.model, key, recorded);

  EXPECT_EQUAL(rc, entry ? FCACHE_OK : FCACHE_MISS);
  if (entry) {
    expect_hit(handle, entry, &model_run.value, recorded);
    model_forget_misses(handle, &key, 1);
  } else {
    model_note_miss(handle, key);
  }
}

static struct model_put random_put(struct model_key key) {
  struct model_put put = {
      .key = key, .value = model_random_value(), .compute_ns = model_random_compute_ns()};
  put.charge = model_charge(key, put.value.size);
  return put;
}

static int expected_put(struct model_handle *handle, const struct model_put *put) {
  enum model_outcome outcome = model_put(&model_run.model, put);

  handle->expected.too_big += outcome == MODEL_TOO_BIG;
  model_run.kept += outcome == MODEL_KEPT;
  model_run.stale += outcome == MODEL_STALE;
  model_run.too_big += outcome == MODEL_TOO_BIG;
  return outcome == MODEL_STORED    ? FCACHE_OK
         : outcome == MODEL_TOO_BIG ? FCACHE_ETOOBIG
                                    : FCACHE_NOT_STORED;
}

static void do_put(struct model_handle *handle, bool keep_first) {
  struct model_key key = model_random_key(handle->space);
  /* often the key that was last looked up, as a worker would put */
  if (handle->has_missed && model_one_in(2))
    key = handle->missed;
  struct model_put put = random_put(key);
  struct fcache_key wire = model_wire_key(key);

  put.recorded = !model_one_in(10);
  put.keep_first = keep_first;
  model_date_puts(handle, &key, 1, &put);
  model_fill(&model_run.value, put.value);
  int rc = fcache_put(
      handle->cache, &wire, model_run.value.data, model_run.value.size, put.compute_ns,
      (put.recorded ? 0u : FCACHE_UNRECORDED) | (put.keep_first ? FCACHE_KEEP_FIRST : 0u));
  handle->expected.cache_misses += put.recorded;
  handle->expected.forward_passes += put.recorded;
  EXPECT_EQUAL(rc, expected_put(handle, &put));
  if (rc == FCACHE_OK)
    model_forget_misses(handle, &key, 1);
}

/* ---- many at once ---- */

struct many {
  struct model_key keys[MODEL_BATCH_MAX];
  struct fcache_hash prompts[MODEL_BATCH_MAX];
  size_t n;
};

/* All of one op, view and top_k. A prompt may occur twice. */
static struct many random_many(uint32_t space) {
  struct many many = {.n = 1 + model_random(MODEL_BATCH_MAX)};
  struct model_key key = model_random_key(space);

  for (size_t i = 0; i < many.n; i++) {
    key.prompt = model_random(MODEL_PROMPTS);
    many.keys[i] = key;
    many.prompts[i] = model_wire_key(key).prompt;
  }
  model_run.many++;
  return many;
}

/* Gets all keys from the model in the order of the daemon. */
static void expect_many(const struct many *many, bool recorded,
                        const struct model_entry *entries[MODEL_BATCH_MAX]) {
  for (size_t i = 0; i < many->n; i++)
    entries[i] = model_get(&model_run.model, many->keys[i], recorded);
}

static void do_get_many(struct model_handle *handle) {
  struct many many = random_many(handle->space);
  struct fcache_key wire = model_wire_key(many.keys[0]);
  const struct model_entry *entries[MODEL_BATCH_MAX];
  bool hit[MODEL_BATCH_MAX], recorded = !model_one_in(10);

  int rc = fcache_get_many(handle->cache, wire.op, wire.view, wire.top_k, many.prompts, many.n,
                           recorded ? 0 : FCACHE_UNRECORDED, model_run.values, hit);
  EXPECT_EQUAL(rc, FCACHE_OK);
  expect_many(&many, recorded, entries);
  for (size_t i = 0; i < many.n; i++) {
    EXPECT_EQUAL(hit[i], entries[i] != NULL);
    if (entries[i]) {
      expect_hit(handle, entries[i], &model_run.values[i], recorded);
      model_forget_misses(handle, &many.keys[i], 1);
    } else {
      model_note_miss(handle, many.keys[i]);
    }
  }
}

static void do_put_many(struct model_handle *handle) {
  struct many many = random_many(handle->space);
  struct fcache_key wire = model_wire_key(many.keys[0]);
  struct fcache_bytes bytes[MODEL_BATCH_MAX];
  struct model_put put, first = {.key = many.keys[0]};
  uint64_t compute_ns = model_random_compute_ns();
  bool recorded = !model_one_in(10), keep_first = model_one_in(2), too_big = false,
       not_stored = false;

  model_date_puts(handle, many.keys, many.n, &first);
  for (size_t i = 0; i < many.n; i++) {
    put = random_put(many.keys[i]);
    put.compute_ns = compute_ns / many.n;
    put.recorded = recorded;
    put.keep_first = keep_first;
    put.has_generation = first.has_generation;
    put.generation = first.generation;
    model_fill(&model_run.values[i], put.value);
    bytes[i] = (struct fcache_bytes){model_run.values[i].data, model_run.values[i].size};
    int one = expected_put(handle, &put);
    too_big = too_big || one == FCACHE_ETOOBIG;
    not_stored = not_stored || one == FCACHE_NOT_STORED;
  }
  int rc = fcache_put_many(
      handle->cache, wire.op, wire.view, wire.top_k, many.prompts, bytes, many.n, compute_ns,
      (recorded ? 0u : FCACHE_UNRECORDED) | (keep_first ? FCACHE_KEEP_FIRST : 0u));
  handle->expected.cache_misses += recorded ? many.n : 0;
  handle->expected.forward_passes += recorded ? many.n : 0;
  EXPECT_EQUAL(rc, too_big ? FCACHE_ETOOBIG : not_stored ? FCACHE_NOT_STORED : FCACHE_OK);
  if (rc == FCACHE_OK)
    model_forget_misses(handle, many.keys, many.n);
}

/* ---- cached ---- */

/* The library measures the time of a computation: its counter rises by that. */
static uint64_t scoring_ns(const struct model_handle *handle) {
  struct fcache_counters counters;

  fcache_get_counters(handle->cache, &counters);
  return counters.scoring_wall_ns;
}

struct computation {
  struct model_handle *handle;
  struct model_value values[MODEL_BATCH_MAX];
  size_t misses[MODEL_BATCH_MAX], n;
  uint64_t before_ns;
};

static int compute_one(void *arg, struct fcache_value *value) {
  struct computation *computation = arg;

  computation->n++;
  computation->before_ns = scoring_ns(computation->handle);
  computation->values[0] = model_random_value();
  model_fill(value, computation->values[0]);
  return 0;
}

static void do_cached(struct model_handle *handle) {
  struct model_key key = model_random_key(handle->space);
  struct fcache_key wire = model_wire_key(key);
  struct computation computation = {.handle = handle};
  int rc = fcache_cached(handle->cache, &wire, compute_one, &computation, &model_run.value);
  const struct model_entry *entry = model_get(&model_run.model, key, true);

  EXPECT_EQUAL(rc, FCACHE_OK);
  EXPECT_EQUAL(computation.n, entry ? 0 : 1);
  if (entry) {
    expect_hit(handle, entry, &model_run.value, true);
    return;
  }
  struct model_put put = {.key = key,
                          .value = computation.values[0],
                          .charge = model_charge(key, computation.values[0].size),
                          .compute_ns = scoring_ns(handle) - computation.before_ns,
                          .keep_first = true,
                          .recorded = true};
  model_assert_value(&model_run.value, put.value);
  handle->expected.cache_misses++;
  handle->expected.forward_passes++;
  (void)expected_put(handle, &put); /* the caller has the value in any case */
}

static int compute_many(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  struct computation *computation = arg;

  computation->n = n;
  computation->before_ns = scoring_ns(computation->handle);
  for (size_t i = 0; i < n; i++) {
    computation->misses[i] = misses[i];
    computation->values[i] = model_random_value();
    model_fill(&model_run.value, computation->values[i]);
    EXPECT_EQUAL(fcache_batch_add(batch, model_run.value.data, model_run.value.size), FCACHE_OK);
  }
  return 0;
}

static void expect_batch(struct model_handle *handle, const struct many *many,
                         const struct computation *computation) {
  uint64_t each_ns = (scoring_ns(handle) - computation->before_ns) / computation->n;

  for (size_t i = 0; i < computation->n; i++) {
    struct model_put put = {.key = many->keys[computation->misses[i]],
                            .value = computation->values[i],
                            .compute_ns = each_ns,
                            .keep_first = true,
                            .recorded = true};
    put.charge = model_charge(put.key, put.value.size);
    model_assert_value(&model_run.values[computation->misses[i]], put.value);
    (void)expected_put(handle, &put);
  }
  model_batch(&model_run.model, handle->space, computation->n);
  handle->expected.cache_misses += computation->n;
  handle->expected.forward_passes += computation->n;
  handle->expected.batches_sent++;
  handle->expected.batched_prompts += computation->n;
  if (computation->n > handle->expected.max_batch_size)
    handle->expected.max_batch_size = computation->n;
  model_run.batches++;
}

static void do_cached_batch(struct model_handle *handle) {
  struct many many = random_many(handle->space);
  struct fcache_key wire = model_wire_key(many.keys[0]);
  struct computation computation = {.handle = handle};
  const struct model_entry *entries[MODEL_BATCH_MAX];
  size_t misses = 0;

  int rc = fcache_cached_batch(handle->cache, wire.op, wire.view, wire.top_k, many.prompts, many.n,
                               compute_many, &computation, model_run.values);
  EXPECT_EQUAL(rc, FCACHE_OK);
  expect_many(&many, true, entries);
  for (size_t i = 0; i < many.n; i++) {
    if (entries[i]) {
      expect_hit(handle, entries[i], &model_run.values[i], true);
      continue;
    }
    EXPECT(misses < computation.n);
    EXPECT_EQUAL(computation.misses[misses], i);
    misses++;
  }
  EXPECT_EQUAL(computation.n, misses);
  if (misses > 0)
    expect_batch(handle, &many, &computation);
}

/* ---- clear and reopen ---- */

static void do_clear(struct model_handle *handle) {
  uint32_t view = model_one_in(3) ? MODEL_ANY : model_random(MODEL_VIEWS);
  uint32_t op = model_one_in(3) ? MODEL_ANY : model_random(MODEL_OPS);
  uint64_t removed;
  int rc = fcache_clear(handle->cache, view == MODEL_ANY ? NULL : model_view_names[view],
                        op == MODEL_ANY ? NULL : model_op_names[op], &removed);

  EXPECT_EQUAL(rc, FCACHE_OK);
  EXPECT_EQUAL(removed, model_clear(&model_run.model, handle->space, view, op));
}

static void do_delete(struct model_handle *handle) {
  struct model_key key = model_random_key(handle->space);
  struct fcache_key wire = model_wire_key(key);
  int rc = fcache_delete(handle->cache, &wire);
  bool existed = model_delete(&model_run.model, key);

  EXPECT_EQUAL(rc, existed ? FCACHE_OK : FCACHE_MISS);
  model_run.deleted += existed;
}

static void do_reopen(uint32_t i) {
  uint32_t space = model_handle_spaces[i];

  model_run.region_hits += model_region_hits(&model_run.handles[i]);
  fcache_close(model_run.handles[i].cache);
  model_open_handle(i, space % 2 == 1 && model_one_in(2) ? 1 + model_random(60) : 0);
}

/* ---- the run ---- */

/* Measures the charge of a value by storing it alone. */
static uint64_t measure(struct model_handle *handle, struct model_key key, uint32_t size) {
  struct fcache_key wire = model_wire_key(key);

  model_fill(&model_run.value, (struct model_value){.size = size});
  int rc = fcache_put(handle->cache, &wire, model_run.value.data, size, 0, FCACHE_UNRECORDED);
  if (rc == FCACHE_ETOOBIG)
    return UINT64_MAX;
  ck_assert_int_eq(rc, FCACHE_OK);
  uint64_t charge = library_stat(handle->cache, "bytes");
  ck_assert_uint_ge(charge, size);
  ck_assert_int_eq(fcache_clear(handle->cache, NULL, NULL, NULL), FCACHE_OK);
  return charge;
}

static void calibrate(void) {
  for (uint32_t i = 0; i < MODEL_HANDLES; i++) {
    struct model_handle *handle = &model_run.handles[i];
    struct model_key key = {.space = handle->space};

    for (key.op = 0; key.op < MODEL_OPS; key.op++)
      for (key.view = 0; key.view < MODEL_VIEWS; key.view++)
        for (uint32_t size = 0; size < MODEL_SIZES; size++)
          model_run.charges[key.space][key.op][key.view][size] =
              measure(handle, key, model_sizes[size]);
    fcache_get_counters(handle->cache, &handle->expected); /* puts that did not fit are counted */
  }
  model_run.model.clears = library_stat(model_run.handles[0].cache, "clears");
  model_run.model.puts_too_big = library_stat(model_run.handles[0].cache, "puts_too_big");
}

static void operate(void) {
  uint32_t i = model_random(MODEL_HANDLES), dice = model_random(1000);
  struct model_handle *handle = &model_run.handles[i];

  if (dice < 400)
    do_get(handle);
  else if (dice < 600)
    do_put(handle, false);
  else if (dice < 680)
    do_put(handle, true);
  else if (dice < 740)
    do_get_many(handle);
  else if (dice < 790)
    do_put_many(handle);
  else if (dice < 930)
    do_cached(handle);
  else if (dice < 980)
    do_cached_batch(handle);
  else if (dice < 990)
    do_clear(handle);
  else if (dice < 995)
    do_delete(handle);
  else
    do_reopen(i);
}

static uint64_t choose_seed(void) {
  const char *given = getenv("FCACHE_TEST_SEED");
  uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

  if (seed == 0)
    seed = 1;
  printf("seed %" PRIu64 " (FCACHE_TEST_SEED=%" PRIu64 " repeats it)\n", seed, seed);
  (void)fflush(stdout); /* a failed assertion does not */
  return seed * 0x9e3779b97f4a7c15u;
}

/* Checks that the run met all cases. The bounds are far below the numbers of any seed (for example
 * 10,300 hits, which vary by 210). */
static void assert_worth(void) {
  uint64_t by_entries = 0, by_bytes = 0;

  for (uint32_t space = 0; space < MODEL_SPACES; space++) {
    by_entries += model_run.model.spaces[space].evictions_entries;
    by_bytes += model_run.model.spaces[space].evictions_bytes;
  }
  ck_assert_uint_gt(model_run.model.counters.hits, OPERATIONS / 20);
  ck_assert_uint_gt(model_run.model.counters.misses, OPERATIONS / 10);
  ck_assert_uint_gt(by_entries, 1000);
  ck_assert_uint_gt(by_bytes, OPERATIONS / 10);
  ck_assert_uint_gt(model_run.kept, 100);
  ck_assert_uint_gt(model_run.stale, 10);
  ck_assert_uint_gt(model_run.too_big, 50);
  ck_assert_uint_gt(model_run.batches, 100);
  ck_assert_uint_gt(model_run.deleted, 10);
  if (model_run.path->region) /* all but reads during a change, which are rare */
    ck_assert_uint_gt(library_stat(model_run.handles[0].cache, "hits_region"),
                      model_run.model.counters.hits / 2);
}

START_TEST(random_operations_agree_with_model) {
  model_run = (struct model_run){.path = &hit_paths[_i], .random = choose_seed()};
  printf("hits served by: %s\n", model_run.path->name);
  (void)fflush(stdout);
  if (model_run.path->variable)
    ck_assert_int_eq(setenv("FCACHE_REGION", model_run.path->variable, 1), 0);
  harness_start(&model_run.daemon, "--max-bytes", "64K", model_run.path->option, NULL);
  model_run.model.max_bytes = MODEL_MAX_BYTES;
  for (uint32_t i = 0; i < MODEL_HANDLES; i++)
    model_open_handle(i, 0);
  calibrate();
  for (uint32_t i = 0; i < OPERATIONS; i++) {
    operate();
    if (i % COMPARE_EVERY == 0)
      model_run_compare();
  }
  model_run_compare();
  assert_worth();
  for (uint32_t i = 0; i < MODEL_HANDLES; i++)
    fcache_close(model_run.handles[i].cache);
  ck_assert_int_eq(harness_stop(&model_run.daemon), 0);
  ck_assert_int_eq(unsetenv("FCACHE_REGION"), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("model");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, random_operations_agree_with_model, 0,
                      (int)(sizeof hit_paths / sizeof hit_paths[0]));
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
