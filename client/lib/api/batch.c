/* fcache_cached_batch: looks up many keys, computes and puts in one call those that no other client
 * computes, and then waits for the rest. The callback may use the same handle, so nothing in the
 * handle belongs to the outer call while it runs. */
#include <assert.h>
#include <stdlib.h>

#include "client/lib/api/batch_wait.h"
#include "client/lib/api/handle.h"
#include "proto/errors.h"
#include "proto/wall.h"

#define STALLS_MAX 8u /* waits in a row without a new value; see ATTEMPTS_MAX in get.c */

struct computed {
  struct fcache_value value;
  bool skipped; /* by fcache_batch_skip: not stored */
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

/* One call of fcache_cached_batch. It owns its lists, which have room for get.n items. */
struct batch_call {
  struct fcache *cache;
  struct fc_get_many get;
  const struct fcache_hash *prompts;
  struct fcache_value *values; /* the caller's */
  fcache_compute_misses_fn *compute_misses;
  void *arg;
  enum lookup_state *states;
  size_t *misses;             /* indices of the prompts to compute now */
  struct fcache_hash *missed; /* their prompts */
  struct fcache_bytes *bytes;
  size_t n_misses;
  struct fcache_batch batch;
  struct fc_epoch epoch; /* of the lookups of these prompts */
  uint64_t left_ns;      /* time that the call may still wait */
  unsigned stalls;
};

static bool make_lists(struct batch_call *call, size_t n) {
  call->states = calloc(n, sizeof *call->states); /* LOOKUP_PENDING */
  call->misses = calloc(n, sizeof *call->misses);
  call->missed = calloc(n, sizeof *call->missed);
  call->bytes = calloc(n, sizeof *call->bytes);
  return call->states != NULL && call->misses != NULL && call->missed != NULL &&
         call->bytes != NULL;
}

static void batch_call_deinit(struct batch_call *call) {
  batch_free(&call->batch);
  free(call->states);
  free(call->misses);
  free(call->missed);
  free(call->bytes);
}

/* Changes all prompts in state `from` to `to`. Returns their number. */
static size_t change_states(struct batch_call *call, enum lookup_state from, enum lookup_state to) {
  size_t n = 0;
  for (size_t i = 0; i < call->get.n; i++) {
    n += call->states[i] == from;
    call->states[i] = call->states[i] == from ? to : call->states[i];
  }
  return n;
}

static size_t count_leased_elsewhere(struct batch_call *call) {
  return change_states(call, LOOKUP_LEASED_ELSEWHERE, LOOKUP_LEASED_ELSEWHERE);
}

/* Lists the prompts to compute now. */
static void collect_misses(struct batch_call *call) {
  call->n_misses = 0;
  for (size_t i = 0; i < call->get.n; i++) {
    if (call->states[i] != LOOKUP_MISS && call->states[i] != LOOKUP_LEASED)
      continue;
    call->misses[call->n_misses] = i;
    call->missed[call->n_misses++] = call->prompts[i];
  }
}

/* Gives up the leases on the current misses, or only on the skipped ones. A miss without a lease
 * may be leased to another client, or to the call that this one is nested in. */
static void give_up(struct batch_call *call, bool only_skipped) {
  size_t n = 0;
  for (size_t i = 0; i < call->n_misses; i++)
    if (call->states[call->misses[i]] == LOOKUP_LEASED &&
        (!only_skipped || call->batch.list[i].skipped))
      call->missed[n++] = call->prompts[call->misses[i]];
  (void)handle_send_give_up(call->cache, &call->get.key, call->missed,
                            n); /* a failed connection ends its leases */
}

static void count_batch(struct fcache *cache, uint64_t n, uint64_t compute_ns) {
  struct fcache_counters *counters = &cache->counters;
  handle_count_computed(cache, n, compute_ns);
  counters->batches_sent++;
  counters->batched_prompts += n;
  if (n > counters->max_batch_size)
    counters->max_batch_size = n;
}

/* Lists the values to put, without the skipped ones. Returns their number. */
static uint32_t collect_values(struct batch_call *call) {
  uint32_t n = 0;
  for (size_t i = 0; i < call->n_misses; i++) {
    const struct computed *computed = &call->batch.list[i];
    if (computed->skipped)
      continue;
    call->missed[n] = call->missed[i];
    call->bytes[n++] = (struct fcache_bytes){computed->value.data, computed->value.size};
  }
  return n;
}

/* Puts the computed values. Gives up the leases on values that were skipped or not put. */
static void put_values(struct batch_call *call, uint64_t compute_ns) {
  uint32_t n = collect_values(call);
  struct fc_put_many put = {.flags = FC_KEEP_FIRST,
                            .key = call->get.key,
                            .probe = handle_probe(call->cache),
                            .epoch = call->epoch,
                            .compute_ns = fc_part_of(compute_ns, n, (uint32_t)call->n_misses),
                            .prompts = (const uint8_t *)call->missed,
                            .n = n,
                            .batch = (uint32_t)call->n_misses};
  int rc = FCACHE_NOT_STORED;
  if (put.epoch.boot_id != 0) /* else the client does not know what was cleared since */
    rc = handle_send_put_many(call->cache, &put, call->bytes);
  bool received = rc == FCACHE_OK || rc == FCACHE_ETOOBIG; /* else the daemon may not have it */
  if (!received || n < call->n_misses)
    give_up(call, received);
}

/* Moves the computed values to the caller. */
static void move_values(struct batch_call *call) {
  for (size_t i = 0; i < call->n_misses; i++) {
    struct fcache_value *value = &call->values[call->misses[i]];
    fcache_value_free(value);
    *value = call->batch.list[i].value;
    call->batch.list[i].value = (struct fcache_value){0};
    call->states[call->misses[i]] = LOOKUP_DONE;
  }
}

/* Calls compute_misses for the current misses, and puts its values. */
static int compute(struct batch_call *call) {
  struct fcache *cache = call->cache;
  uint64_t start_ns = clock_now_ns(), before_ns = cache->counters.scoring_wall_ns;
  int rc = call->compute_misses(call->arg, call->misses, call->n_misses, &call->batch);
  uint64_t compute_ns = handle_compute_ns(cache, start_ns, before_ns);
  handle_enter(cache); /* compute may have forked */
  if (rc != 0 || call->batch.n != call->n_misses) {
    give_up(call, false);
    return rc != 0 ? rc
                   : connection_set_error(&cache->connection, FC_EBATCH,
                                          "batched compute returned %zu values for %zu misses",
                                          call->batch.n, call->n_misses);
  }
  count_batch(cache, call->n_misses, compute_ns);
  put_values(call, compute_ns); /* the caller gets its values, stored or not */
  move_values(call);
  call->batch.n = 0;
  return FCACHE_OK;
}

/* Waits until a prompt must be computed, or every prompt is done. Returns 0 or
 * HANDLE_WAIT_CANCELLED. */
static int wait_for_others(struct batch_call *call) {
  struct fcache *cache = call->cache;
  struct connection *connection = &cache->connection;
  size_t before = count_leased_elsewhere(call);
  struct fc_epoch unused;
  int granted = 0;
  bool may_wait = call->left_ns > 0 && call->stalls < STALLS_MAX && handle_ready(cache) &&
                  connection_has(connection, CONNECTION_LEASES);
  call->get.probe = handle_probe(cache); /* the callback may have set another */
  if (may_wait)
    granted = batch_wait_pending(cache, &call->get, &call->left_ns, call->values, call->states,
                                 &call->epoch);
  if (granted == HANDLE_WAIT_CANCELLED)
    return granted;
  call->stalls = count_leased_elsewhere(call) < before ? 0 : call->stalls + 1;
  if (granted > 0 && connection->state == CONNECTION_UP) {
    /* A client with a lease does not wait. But more leases or values may be available by now. */
    (void)change_states(call, LOOKUP_LEASED_ELSEWHERE, LOOKUP_PENDING);
    (void)handle_lookup_many(cache, &call->get, call->values, call->states, &unused);
  }
  if (!may_wait || call->left_ns == 0 || connection->state != CONNECTION_UP)
    (void)change_states(call, LOOKUP_LEASED_ELSEWHERE, LOOKUP_MISS);
  return 0;
}

static int run(struct batch_call *call) {
  int rc = FCACHE_OK;
  /* On an error too, prompts without a value are computed. */
  (void)handle_lookup_many(call->cache, &call->get, call->values, call->states, &call->epoch);
  if (call->left_ns == 0)
    (void)change_states(call, LOOKUP_LEASED_ELSEWHERE, LOOKUP_MISS);
  for (;;) {
    collect_misses(call);
    if (call->n_misses > 0)
      rc = compute(call);
    if (rc != 0 || count_leased_elsewhere(call) == 0)
      return rc;
    if (wait_for_others(call) == HANDLE_WAIT_CANCELLED)
      return call->cache->waiting.cancel_code;
  }
}

int fcache_cached_batch(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                        const struct fcache_hash *prompts, size_t n,
                        fcache_compute_misses_fn *compute_misses, void *arg,
                        struct fcache_value *values) {
  struct batch_call call = {
      .cache = cache,
      .get = {.flags = FC_LEASE, .prompts = (const uint8_t *)prompts, .n = (uint32_t)n},
      .prompts = prompts,
      .values = values,
      .compute_misses = compute_misses,
      .arg = arg};
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &call.get.key);
  if (rc < 0 || n == 0)
    return rc;
  if (prompts == NULL || compute_misses == NULL || values == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL,
                                "prompts, compute_misses or values is NULL");
  call.get.probe = handle_probe(cache);
  call.left_ns = (uint64_t)cache->wait_ms * CLOCK_MS_NS;
  if (make_lists(&call, n))
    rc = run(&call);
  else
    rc = connection_set_error(&cache->connection, FC_ENOMEM,
                              "out of memory for a batch of %zu prompts", n);
  batch_call_deinit(&call);
  return rc;
}
