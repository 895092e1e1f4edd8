/* Look up, else compute and put: what the library is for. Nothing of the handle is
 * held across a callback, which may use the same handle. */
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "proto/errors.h"

int fcache_cached(struct fcache *cache, const struct fcache_key *key, fcache_compute_fn *compute,
                  void *arg, struct fcache_value *value) {
  struct fc_put put = {.flags = FC_KEEP_FIRST};
  handle_enter(cache);
  int rc = handle_key(cache, key, &put.key);
  if (rc < 0)
    return rc;
  if (compute == NULL || value == NULL)
    return link_fault(&cache->link, FC_EINVAL, "compute or value is NULL");
  rc = handle_lookup(cache, &put.key, FCACHE_LEASE, cache->wait_ms, value, &put.epoch);
  if (rc == FCACHE_OK || rc == FCACHE_ENOMEM)
    return rc;
  bool leased = rc == FCACHE_LEASED;
  value->size = 0; /* a miss, or a daemon that refused: compute either way */
  uint64_t start_ns = channel_clock_ns();
  rc = compute(arg, value);
  put.compute_ns = channel_clock_ns() - start_ns;
  handle_enter(cache); /* compute may have forked */
  if (rc != 0) {
    if (leased)
      (void)handle_give_up(cache, &put.key, &key->prompt, 1); /* its failure is the one to tell */
    return rc;
  }
  cache->counters.cache_misses++;
  cache->counters.forward_passes++;
  cache->counters.scoring_wall_ns += put.compute_ns;
  /* Without a lookup that reached the daemon nobody knows what was cleared meanwhile. */
  if (put.epoch.boot_id == 0)
    return FCACHE_OK;
  rc = handle_put(cache, &put, value->data, value->size);
  if (rc == FCACHE_NOT_STORED && leased) /* the daemon need not have heard of it */
    (void)handle_give_up(cache, &put.key, &key->prompt, 1);
  return FCACHE_OK; /* the caller has its value anyway */
}

struct fcache_batch {
  struct fcache_value *values;
  size_t n, capacity;
};

int fcache_batch_add(struct fcache_batch *batch, const void *data, size_t size) {
  if (batch->n == batch->capacity) {
    size_t capacity = batch->capacity == 0 ? 16 : batch->capacity * 2;
    struct fcache_value *values = realloc(batch->values, capacity * sizeof *values);
    if (values == NULL)
      return FCACHE_ENOMEM;
    batch->values = values;
    batch->capacity = capacity;
  }
  struct fcache_value value = {0};
  if (fcache_value_set(&value, data, size) < 0)
    return FCACHE_ENOMEM;
  batch->values[batch->n++] = value;
  return FCACHE_OK;
}

static void batch_free(struct fcache_batch *batch) {
  for (size_t i = 0; i < batch->n; i++)
    fcache_value_free(&batch->values[i]);
  free(batch->values);
}

/* What missed, in memory of its own. */
struct misses {
  size_t *indices;
  struct fcache_hash *prompts;
  struct fcache_bytes *values;
  bool *hit; /* per prompt of the caller */
  size_t n;
  struct fcache_batch batch;
};

static bool misses_init(struct misses *misses, size_t n) {
  *misses = (struct misses){
      .indices = calloc(n, sizeof *misses->indices),
      .prompts = calloc(n, sizeof *misses->prompts),
      .values = calloc(n, sizeof *misses->values),
      .hit = calloc(n, sizeof *misses->hit),
  };
  return misses->indices != NULL && misses->prompts != NULL && misses->values != NULL &&
         misses->hit != NULL;
}

static void misses_deinit(struct misses *misses) {
  batch_free(&misses->batch);
  free(misses->indices);
  free(misses->prompts);
  free(misses->values);
  free(misses->hit);
}

static void collect(struct misses *misses, const struct fcache_hash *prompts, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (misses->hit[i])
      continue;
    misses->indices[misses->n] = i;
    misses->prompts[misses->n++] = prompts[i];
  }
}

static void count_batch(struct fcache *cache, uint64_t n, uint64_t compute_ns) {
  struct fcache_counters *counters = &cache->counters;
  counters->cache_misses += n;
  counters->forward_passes += n;
  counters->scoring_wall_ns += compute_ns;
  counters->batches_sent++;
  counters->batched_prompts += n;
  if (n > counters->max_batch_size)
    counters->max_batch_size = n;
}

/* Puts what was computed, and hands it to the caller. */
static void deliver(struct fcache *cache, struct misses *misses, struct fc_put_many *put,
                    struct fcache_value *values) {
  for (size_t i = 0; i < misses->n; i++)
    misses->values[i] =
        (struct fcache_bytes){misses->batch.values[i].data, misses->batch.values[i].size};
  put->prompts = (const uint8_t *)misses->prompts;
  put->n = put->batch = (uint32_t)misses->n;
  put->probe = handle_probe(cache);
  if (put->epoch.boot_id != 0) /* else nobody knows what was cleared meanwhile */
    (void)handle_put_many(cache, put, misses->values); /* the caller has its values either way */
  for (size_t i = 0; i < misses->n; i++) {
    struct fcache_value *value = &values[misses->indices[i]];
    fcache_value_free(value);
    *value = misses->batch.values[i];
    misses->batch.values[i] = (struct fcache_value){0};
  }
}

static int compute_batch(struct fcache *cache, struct misses *misses, struct fc_put_many *put,
                         fcache_compute_misses_fn *compute_misses, void *arg,
                         struct fcache_value *values) {
  uint64_t start_ns = channel_clock_ns();
  int rc = compute_misses(arg, misses->indices, misses->n, &misses->batch);
  put->compute_ns = channel_clock_ns() - start_ns;
  if (rc != 0)
    return rc;
  handle_enter(cache); /* compute may have forked */
  if (misses->batch.n != misses->n)
    return link_fault(&cache->link, FC_EBATCH, "batched compute returned %zu values for %zu misses",
                      misses->batch.n, misses->n);
  count_batch(cache, misses->n, put->compute_ns);
  deliver(cache, misses, put, values);
  return FCACHE_OK;
}

int fcache_cached_batch(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                        const struct fcache_hash *prompts, size_t n,
                        fcache_compute_misses_fn *compute_misses, void *arg,
                        struct fcache_value *values) {
  struct fc_get_many get = {.prompts = (const uint8_t *)prompts};
  struct fc_put_many put = {.flags = FC_KEEP_FIRST};
  struct misses misses;
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &get.key);
  if (rc < 0 || n == 0)
    return rc;
  if (prompts == NULL || compute_misses == NULL || values == NULL)
    return link_fault(&cache->link, FC_EINVAL, "prompts, compute_misses or values is NULL");
  if (!misses_init(&misses, n)) {
    misses_deinit(&misses);
    return link_fault(&cache->link, FC_ENOMEM, "no memory for a batch of %zu prompts", n);
  }
  get.n = (uint32_t)n;
  get.probe = handle_probe(cache);
  put.key = get.key;
  /* What did not come, for whatever reason, is computed. */
  (void)handle_lookup_many(cache, &get, values, misses.hit, &put.epoch);
  collect(&misses, prompts, n);
  if (misses.n > 0)
    rc = compute_batch(cache, &misses, &put, compute_misses, arg, values);
  misses_deinit(&misses);
  return rc;
}
