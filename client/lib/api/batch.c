/* Look up many, compute what nobody else computes in one call, put it, and only then wait for the
 * others. Nothing of the handle is held across a callback, which may use the same handle. */
#include <stdlib.h>

#include "client/lib/api/batch_wait.h"
#include "client/lib/api/handle.h"
#include "proto/errors.h"
#include "proto/wall.h"

#define MS_NS 1000000u
#define STALLS_MAX 8u /* waits in a row that ended at once and for nothing: see get.c */

struct computed {
  struct fcache_value value;
  bool skipped; /* it is not to be stored */
};

struct fcache_batch {
  struct computed *list;
  size_t n, capacity;
};

static int append(struct fcache_batch *batch, struct computed computed) {
  if (batch->n == batch->capacity) {
    size_t capacity = batch->capacity == 0 ? 16 : batch->capacity * 2;
    struct computed *list = realloc(batch->list, capacity * sizeof *list);
    if (list == NULL)
      return FCACHE_ENOMEM;
    batch->list = list;
    batch->capacity = capacity;
  }
  batch->list[batch->n++] = computed;
  return FCACHE_OK;
}

int fcache_batch_add(struct fcache_batch *batch, const void *data, size_t size) {
  struct computed computed = {0};
  int rc = fcache_value_set(&computed.value, data, size);
  if (rc == FCACHE_OK)
    rc = append(batch, computed);
  if (rc < 0)
    fcache_value_free(&computed.value);
  return rc;
}

int fcache_batch_skip(struct fcache_batch *batch) {
  return append(batch, (struct computed){.skipped = true});
}

static void batch_free(struct fcache_batch *batch) {
  for (size_t i = 0; i < batch->n; i++)
    fcache_value_free(&batch->list[i].value);
  free(batch->list);
}

/* One call of cached_batch. All lists have room for `n`, and are its own. */
struct batching {
  struct fcache *cache;
  struct fc_get_many get;
  const struct fcache_hash *prompts;
  struct fcache_value *values; /* the caller's */
  fcache_compute_misses_fn *compute_misses;
  void *arg;
  enum lookup_state *states;
  size_t *misses; /* the indices of what is to be computed now */
  struct fcache_hash *missed;
  struct fcache_bytes *bytes;
  size_t n_misses;
  struct fcache_batch batch;
  struct fc_epoch epoch; /* of the lookups that led to what is to be computed */
  uint64_t left_ns;      /* that it may wait */
  unsigned stalls;
};

static bool make_lists(struct batching *batching, size_t n) {
  batching->states = calloc(n, sizeof *batching->states); /* LOOKUP_ASK */
  batching->misses = calloc(n, sizeof *batching->misses);
  batching->missed = calloc(n, sizeof *batching->missed);
  batching->bytes = calloc(n, sizeof *batching->bytes);
  return batching->states != NULL && batching->misses != NULL && batching->missed != NULL &&
         batching->bytes != NULL;
}

static void batching_deinit(struct batching *batching) {
  batch_free(&batching->batch);
  free(batching->states);
  free(batching->misses);
  free(batching->missed);
  free(batching->bytes);
}

static size_t change(struct batching *batching, enum lookup_state from, enum lookup_state to) {
  size_t n = 0;
  for (size_t i = 0; i < batching->get.n; i++) {
    n += batching->states[i] == from;
    batching->states[i] = batching->states[i] == from ? to : batching->states[i];
  }
  return n;
}

static size_t count_taken(struct batching *batching) {
  return change(batching, LOOKUP_TAKEN, LOOKUP_TAKEN);
}

/* What is to be computed now. */
static void collect(struct batching *batching) {
  batching->n_misses = 0;
  for (size_t i = 0; i < batching->get.n; i++) {
    if (batching->states[i] != LOOKUP_FREE && batching->states[i] != LOOKUP_LEASED)
      continue;
    batching->misses[batching->n_misses] = i;
    batching->missed[batching->n_misses++] = batching->prompts[i];
  }
}

/* Of what was to be computed, all or only what was skipped: what was granted of it; what was not
 * may be somebody else's, or of a call that this one is nested in. */
static void give_up(struct batching *batching, bool only_skipped) {
  size_t n = 0;
  for (size_t i = 0; i < batching->n_misses; i++)
    if (batching->states[batching->misses[i]] == LOOKUP_LEASED &&
        (!only_skipped || batching->batch.list[i].skipped))
      batching->missed[n++] = batching->prompts[batching->misses[i]];
  (void)handle_give_up(batching->cache, &batching->get.key, batching->missed, n); /* all we can */
}

static void count_batch(struct fcache *cache, uint64_t n, uint64_t compute_ns) {
  struct fcache_counters *counters = &cache->counters;
  counters->cache_misses += n;
  counters->forward_passes += n;
  handle_charge(cache, compute_ns);
  counters->batches_sent++;
  counters->batched_prompts += n;
  if (n > counters->max_batch_size)
    counters->max_batch_size = n;
}

/* Makes the lists of what is to be put, the skipped left out; returns its number. */
static uint32_t gather(struct batching *batching) {
  uint32_t n = 0;
  for (size_t i = 0; i < batching->n_misses; i++) {
    const struct computed *computed = &batching->batch.list[i];
    if (computed->skipped)
      continue;
    batching->missed[n] = batching->missed[i];
    batching->bytes[n++] = (struct fcache_bytes){computed->value.data, computed->value.size};
  }
  return n;
}

/* Puts what was computed. What could not be put, or is not to be, is given up. */
static void put_all(struct batching *batching, uint64_t compute_ns) {
  uint32_t n = gather(batching);
  struct fc_put_many put = {.flags = FC_KEEP_FIRST,
                            .key = batching->get.key,
                            .probe = handle_probe(batching->cache),
                            .epoch = batching->epoch,
                            .compute_ns = fc_part_of(compute_ns, n, (uint32_t)batching->n_misses),
                            .prompts = (const uint8_t *)batching->missed,
                            .n = n,
                            .batch = (uint32_t)batching->n_misses};
  int rc = FCACHE_NOT_STORED;
  if (put.epoch.boot_id != 0) /* else nobody knows what was cleared meanwhile */
    rc = handle_put_many(batching->cache, &put, batching->bytes);
  bool heard = rc == FCACHE_OK || rc == FCACHE_ETOOBIG; /* else the daemon need not know of it */
  if (!heard || n < batching->n_misses)
    give_up(batching, heard);
}

/* Hands what was computed to the caller. */
static void deliver(struct batching *batching) {
  for (size_t i = 0; i < batching->n_misses; i++) {
    struct fcache_value *value = &batching->values[batching->misses[i]];
    fcache_value_free(value);
    *value = batching->batch.list[i].value;
    batching->batch.list[i].value = (struct fcache_value){0};
    batching->states[batching->misses[i]] = LOOKUP_DONE;
  }
}

static int compute(struct batching *batching) {
  struct fcache *cache = batching->cache;
  uint64_t start_ns = channel_clock_ns(), before_ns = cache->counters.scoring_wall_ns;
  int rc = batching->compute_misses(batching->arg, batching->misses, batching->n_misses,
                                    &batching->batch);
  uint64_t compute_ns = handle_compute_ns(cache, start_ns, before_ns);
  handle_enter(cache); /* compute may have forked */
  if (rc != 0 || batching->batch.n != batching->n_misses) {
    give_up(batching, false);
    return rc != 0 ? rc
                   : link_fault(&cache->link, FC_EBATCH,
                                "batched compute returned %zu values for %zu misses",
                                batching->batch.n, batching->n_misses);
  }
  count_batch(cache, batching->n_misses, compute_ns);
  put_all(batching, compute_ns); /* the caller has its values either way */
  deliver(batching);
  batching->batch.n = 0; /* all its values have gone to the caller */
  return FCACHE_OK;
}

/* Waits until there is something to compute, or everything is there. 0 or HANDLE_ENDED. */
static int wait_for_others(struct batching *batching) {
  struct fcache *cache = batching->cache;
  size_t before = count_taken(batching);
  struct fc_epoch none;
  int granted = 0;
  bool patient = batching->left_ns > 0 && batching->stalls < STALLS_MAX && handle_ready(cache) &&
                 link_has_leases(&cache->link);
  batching->get.probe = handle_probe(cache); /* compute may have set another */
  if (patient)
    granted = others_await(cache, &batching->get, &batching->left_ns, batching->values,
                           batching->states, &batching->epoch);
  if (granted == HANDLE_ENDED)
    return granted;
  batching->stalls = count_taken(batching) < before ? 0 : batching->stalls + 1;
  if (granted > 0 && cache->link.state == LINK_UP) {
    /* While we hold a lease we do not wait; but it may be that more is to be had by now. */
    (void)change(batching, LOOKUP_TAKEN, LOOKUP_ASK);
    (void)handle_lookup_many(cache, &batching->get, batching->values, batching->states, &none);
  }
  if (!patient || batching->left_ns == 0 || cache->link.state != LINK_UP)
    (void)change(batching, LOOKUP_TAKEN, LOOKUP_FREE);
  return 0;
}

static int run(struct batching *batching) {
  int rc = FCACHE_OK;
  /* What did not come, for whatever reason, is computed. */
  (void)handle_lookup_many(batching->cache, &batching->get, batching->values, batching->states,
                           &batching->epoch);
  if (batching->left_ns == 0)
    (void)change(batching, LOOKUP_TAKEN, LOOKUP_FREE);
  for (;;) {
    collect(batching);
    if (batching->n_misses > 0)
      rc = compute(batching);
    if (rc != 0 || count_taken(batching) == 0)
      return rc;
    if (wait_for_others(batching) == HANDLE_ENDED)
      return batching->cache->asker.verdict;
  }
}

int fcache_cached_batch(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                        const struct fcache_hash *prompts, size_t n,
                        fcache_compute_misses_fn *compute_misses, void *arg,
                        struct fcache_value *values) {
  struct batching batching = {
      .cache = cache,
      .get = {.flags = FC_LEASE, .prompts = (const uint8_t *)prompts, .n = (uint32_t)n},
      .prompts = prompts,
      .values = values,
      .compute_misses = compute_misses,
      .arg = arg};
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &batching.get.key);
  if (rc < 0 || n == 0)
    return rc;
  if (prompts == NULL || compute_misses == NULL || values == NULL)
    return link_fault(&cache->link, FC_EINVAL, "prompts, compute_misses or values is NULL");
  batching.get.probe = handle_probe(cache);
  batching.left_ns = (uint64_t)cache->wait_ms * MS_NS;
  if (make_lists(&batching, n))
    rc = run(&batching);
  else
    rc = link_fault(&cache->link, FC_ENOMEM, "no memory for a batch of %zu prompts", n);
  batching_deinit(&batching);
  return rc;
}
