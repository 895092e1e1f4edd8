#include "tests/support/model_run.h"

/* Compares a counter of `name_space`, a variable of the function. */
#define SAME(name, expected)                                                                       \
  ck_assert_uint_eq(library_stats_count(stats, name_space, name), expected)

static void compare_counters(const struct library_stats *stats, const char *name_space,
                             const struct model_counters *counters) {
  SAME("cache_hits", counters->hits);
  SAME("cache_misses", counters->misses);
  SAME("forward_passes", counters->misses);
  SAME("shared_hits", 0); /* all handles are of one process */
  SAME("batches_sent", counters->batches_sent);
  SAME("batched_prompts", counters->batched_prompts);
  SAME("max_batch_size", counters->max_batch_size);
  uint64_t lookups = counters->hits + counters->misses;
  double rate = lookups ? (double)counters->hits / (double)lookups : 0;
  ck_assert_double_eq_tol(library_stats_real(stats, name_space, "hit_rate"), rate, 1e-9);
  ck_assert_double_eq_tol(library_stats_real(stats, name_space, "saved_wall_s"),
                          (double)counters->saved_ns / 1e9, 1e-6);
  /* The puts claim more time than the run takes. The daemon counts at most the time that each
   * handle was connected. */
  double wall_s = library_stats_real(stats, name_space, "scoring_wall_s");
  ck_assert_double_le(wall_s, MODEL_HANDLES * library_stats_real(stats, NULL, "uptime_s"));
  ck_assert(counters->compute_ns == 0 || wall_s > 0);
}

static void compare_space(const struct library_stats *stats, uint32_t space) {
  const struct model_space *model = &model_run.model.spaces[space];
  const char *name_space = model_space_names[space];
  uint64_t entries, bytes;

  model_totals(&model_run.model, space, &entries, &bytes);
  SAME("entries", entries);
  SAME("bytes", bytes);
  SAME("evictions_entries", model->evictions_entries);
  SAME("evictions_bytes", model->evictions_bytes);
  if (model->max_entries > 0)
    SAME("max_entries", model->max_entries);
  compare_counters(stats, name_space, &model->counters);
}

static void compare_handle(const struct model_handle *handle) {
  struct fcache_counters counters;

  fcache_get_counters(handle->cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, handle->expected.cache_hits);
  ck_assert_uint_eq(counters.cache_misses, handle->expected.cache_misses);
  ck_assert_uint_eq(counters.forward_passes, handle->expected.forward_passes);
  ck_assert_uint_eq(counters.batches_sent, handle->expected.batches_sent);
  ck_assert_uint_eq(counters.batched_prompts, handle->expected.batched_prompts);
  ck_assert_uint_eq(counters.max_batch_size, handle->expected.max_batch_size);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_uint_eq(counters.reconnects, 0);
  ck_assert_uint_eq(counters.too_big, handle->expected.too_big);
}

/* Each hit was counted once, by the path that served it. */
static void compare_paths(const struct library_stats *stats) {
  uint64_t region_hits = model_run.region_hits;

  for (uint32_t i = 0; i < MODEL_HANDLES; i++)
    region_hits += model_region_hits(&model_run.handles[i]);
  ck_assert_uint_eq(library_stats_count(stats, NULL, "hits_region"), region_hits);
  ck_assert_uint_eq(library_stats_count(stats, NULL, "hits_socket"),
                    model_run.model.counters.hits - region_hits);
  ck_assert_uint_eq(library_stats_count(stats, NULL, "hits_unrecorded"), 0);
  ck_assert(model_run.path->region || region_hits == 0);
}

void model_run_compare(void) {
  static struct library_stats stats;
  uint64_t entries, bytes, evictions_entries = 0, evictions_bytes = 0;

  library_stats_read(model_run.handles[0].cache, &stats);
  for (uint32_t space = 0; space < MODEL_SPACES; space++) {
    compare_space(&stats, space);
    evictions_entries += model_run.model.spaces[space].evictions_entries;
    evictions_bytes += model_run.model.spaces[space].evictions_bytes;
  }
  model_totals(&model_run.model, MODEL_ANY, &entries, &bytes);
  ck_assert_uint_le(bytes, MODEL_MAX_BYTES);
#define SAME_ALL(name, expected)                                                                   \
  ck_assert_uint_eq(library_stats_count(&stats, NULL, name), expected)
  SAME_ALL("entries", entries);
  SAME_ALL("bytes", bytes);
  SAME_ALL("evictions_entries", evictions_entries);
  SAME_ALL("evictions_bytes", evictions_bytes);
  SAME_ALL("puts_kept", model_run.model.puts_kept);
  SAME_ALL("puts_stale", model_run.model.puts_stale);
  SAME_ALL("puts_too_big", model_run.model.puts_too_big);
  SAME_ALL("clears", model_run.model.clears);
  compare_counters(&stats, NULL, &model_run.model.counters);
  for (uint32_t i = 0; i < MODEL_HANDLES; i++)
    compare_handle(&model_run.handles[i]);
  compare_paths(&stats);
}
