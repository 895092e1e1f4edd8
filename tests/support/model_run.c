#include "tests/support/model_run.h"

#include <stdlib.h>
#include <string.h>

const char *const model_space_names[MODEL_SPACES] = {"plain", "few", "a third one", "limited"};
const char *const model_op_names[MODEL_OPS] = {"next_token_dist", "roll", "o"};
const char *const model_view_names[MODEL_VIEWS] = {"base", "ft", "scaled_1.25"};
static const uint32_t top_ks[MODEL_TOP_KS] = {0, 50};
const uint32_t model_handle_spaces[MODEL_HANDLES] = {0, 0, 1, 2, 3, 3};

const uint32_t model_sizes[MODEL_SIZES] = {0,   1,    7,    16,   64,    100,   333,
                                           999, 1500, 2500, 4096, 30000, 65500, 70000};
struct model_run model_run;

uint32_t model_random(uint32_t n) {
  model_run.random ^= model_run.random << 13;
  model_run.random ^= model_run.random >> 7;
  model_run.random ^= model_run.random << 17;
  return (uint32_t)((model_run.random >> 11) % n);
}

bool model_one_in(uint32_t n) {
  return model_random(n) == 0;
}

struct model_key model_random_key(uint32_t space) {
  return (struct model_key){.space = space,
                            .op = model_random(MODEL_OPS),
                            .view = model_random(MODEL_VIEWS),
                            .top_k = model_random(MODEL_TOP_KS),
                            .prompt = model_random(1 + model_random(MODEL_PROMPTS))};
}

static uint32_t random_size_index(void) {
  return model_one_in(100) ? MODEL_SIZES - MODEL_RARE_SIZES + model_random(MODEL_RARE_SIZES)
                           : model_random(MODEL_SIZES - MODEL_RARE_SIZES);
}

uint64_t model_charge(struct model_key key, uint32_t size) {
  uint32_t i = 0;

  while (model_sizes[i] != size)
    i++;
  return model_run.charges[key.space][key.op][key.view][i];
}

struct model_value model_random_value(void) {
  return (struct model_value){.seed = ++model_run.values_made,
                              .size = model_sizes[random_size_index()]};
}

uint64_t model_random_compute_ns(void) {
  return model_random(2000000000);
}

void model_fill(struct fcache_value *to, struct model_value value) {
  uint64_t word = value.seed;

  EXPECT_EQUAL(fcache_value_set(to, NULL, 0), FCACHE_OK);
  if (value.size > to->capacity) {
    fcache_value_free(to);
    to->data = malloc(value.size);
    EXPECT(to->data != NULL);
    to->capacity = value.size;
  }
  to->size = value.size;
  for (size_t at = 0; at < value.size; at += 8) {
    size_t n = value.size - at < 8 ? value.size - at : 8;

    memcpy((char *)to->data + at, &word, n);
    word = word * 6364136223846793005u + 1442695040888963407u;
  }
}

void model_assert_value(const struct fcache_value *got, struct model_value value) {
  static struct fcache_value wanted;

  model_fill(&wanted, value);
  EXPECT_EQUAL(got->size, wanted.size);
  if (wanted.size > 0)
    EXPECT(memcmp(got->data, wanted.data, wanted.size) == 0);
}

struct fcache_key model_wire_key(struct model_key key) {
  return (struct fcache_key){.op = model_op_names[key.op],
                             .view = model_view_names[key.view],
                             .prompt = fcache_hash(&key.prompt, sizeof key.prompt),
                             .top_k = top_ks[key.top_k]};
}

void model_open_handle(uint32_t i, uint64_t max_entries) {
  struct model_handle *handle = &model_run.handles[i];
  uint32_t space = model_handle_spaces[i];

  *handle = (struct model_handle){.space = space};
  handle->cache =
      library_open(model_run.daemon.socket, model_space_names[space], NULL, (int64_t)max_entries);
  if (max_entries > 0)
    model_limit(&model_run.model, space, max_entries);
}

void model_note_miss(struct model_handle *handle, struct model_key key) {
  handle->has_missed = true;
  handle->missed = key;
  handle->noted[model_index(key)] = 1 + model_run.model.generation;
}

void model_date_puts(const struct model_handle *handle, const struct model_key *keys, size_t n,
                     struct model_put *put) {
  put->has_generation = false;
  for (size_t i = 0; i < n; i++) {
    uint64_t noted = handle->noted[model_index(keys[i])];
    if (noted == 0)
      continue;
    if (!put->has_generation || noted - 1 < put->generation)
      put->generation = noted - 1;
    put->has_generation = true;
  }
}

void model_forget_misses(struct model_handle *handle, const struct model_key *keys, size_t n) {
  for (size_t i = 0; i < n; i++)
    handle->noted[model_index(keys[i])] = 0;
}

uint64_t model_region_hits(const struct model_handle *handle) {
  struct fcache_counters counters;

  fcache_get_counters(handle->cache, &counters);
  ck_assert_uint_eq(counters.unrecorded, 0);
  return counters.region_hits;
}
