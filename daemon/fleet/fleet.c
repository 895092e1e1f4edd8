#include "daemon/fleet/fleet.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "daemon/fleet/fleet_internal.h"
#include "proto/errors.h"

#define BUCKETS 4096u    /* of fills; a power of two */
#define TICK_FILLS 1024u /* whose time has come, in one turn */
static_assert(FILL_STATES <= sizeof(((struct fleet *)0)->n_in_state) / sizeof(uint32_t),
              "each state is counted");

/* ---- the fleet ---- */

static uint32_t max_fills(const struct fleet_config *config) {
  return config->max_fills < FLEET_FILLS_MAX ? config->max_fills : FLEET_FILLS_MAX;
}

/* A round has at least one fill. The heap doubles. */
size_t fleet_bytes_max(const struct fleet_config *config) {
  size_t each = sizeof(struct fleet_fill) + 2 * FC_NAME_MAX + sizeof(struct fleet_round) +
                2 * ALLOCATOR_OVERHEAD_BYTES + 3 * sizeof(void *);
  return max_fills(config) * each + BUCKETS * sizeof(void *) + FLEET_KEPT_ALL_MAX +
         FLEET_OWN_BYTES + fleet_queue_bytes_max(config->queue_bytes);
}

size_t fleet_bytes(const struct fleet *fleet) {
  return fleet->bytes + fleet->kept_bytes +
         (fleet->n_buckets + fleet->timers.capacity) * sizeof(void *) + FLEET_OWN_BYTES +
         fleet_queue_bytes_max(fleet->queue.bytes);
}

int fleet_init(struct fleet *fleet, const struct fleet_config *config) {
  *fleet = (struct fleet){.config = *config,
                          .random = config->seed | 1,
                          .n_buckets = BUCKETS,
                          .buckets = calloc(BUCKETS, sizeof(struct fleet_fill *))};
  assert(config->node != 0 && fleet_prefix_valid(config->prefix));
  int own = fleet_own_init(&fleet->own);
  int queue = fleet_queue_init(&fleet->queue, config->io, config->prefix, &fleet->own,
                               &fleet->counts, config->queue_bytes);
  if (own < 0 || queue < 0 || fleet->buckets == NULL) {
    fleet_deinit(fleet);
    return FC_ENOMEM;
  }
  fleet->queue.passed = fill_written;
  fleet->queue.arg = fleet;
  if (config->totals == NULL)
    fleet->config.totals = &fleet->own_totals;
  fleet->queue.totals = fleet->config.totals;
  fleet_set_options(fleet, &config->options);
  config->clears->refreshed = fleet_refreshed;
  config->clears->refreshed_arg = fleet;
  return 0;
}

/* Writes and rounds go first: they name fills. */
void fleet_deinit(struct fleet *fleet) {
  if (fleet->buckets == NULL)
    return;
  check_eq(fleet->n_parked, 0);
  fleet_queue_deinit(&fleet->queue);
  for (struct fleet_fill *fill = fleet->first; fill != NULL; fill = fill->next) {
    fill->has_lease = fill->is_writing = false;
    fill_leave_round(fill);
  }
  fleet_end_rounds(fleet);
  while (fleet->first != NULL) {
    struct fleet_fill *fill = fleet->first;
    if (fill->flying)
      fleet_io_cancel(fleet->config.io, &fill->op);
    fill->flying = false;
    fill_end(fill);
    fill_free(fill);
  }
  check_eq(fleet->bytes, 0);
  check_eq(fleet->kept_bytes, 0);
  timer_heap_deinit(&fleet->timers);
  fleet_own_deinit(&fleet->own);
  free(fleet->buckets);
  *fleet = (struct fleet){0};
}

void fleet_set_options(struct fleet *fleet, const struct fleet_options *options) {
  fleet->config.options = *options;
  fleet->queue.deadline_ns = options->deadline_ns;
  fleet->queue.ttl_ns = options->ttl_ns;
  fleet->queue.age_ns = options->queue_age_ns;
}

void fleet_set_wall(struct fleet *fleet, uint64_t now_ns, uint64_t unix_ns) {
  fleet->wall_offset_ns = unix_ns - now_ns; /* modulo 2^64: the sum with now_ns is right */
}

uint64_t fleet_stamp(struct fleet *fleet, uint64_t now_ns) {
  uint64_t wall_ns = now_ns + fleet->wall_offset_ns;
  fleet->last_stamp = wall_ns > fleet->last_stamp ? wall_ns : fleet->last_stamp + 1;
  return fleet->last_stamp;
}

/* ---- misses ---- */

static bool is_selected(const struct fleet *fleet, const struct namespace *ns) {
  const struct fleet_config *config = &fleet->config;
  return config->selects == NULL || config->selects(config->arg, ns);
}

static bool is_asking(const struct fleet_fill *fill) {
  return (fill->state == FILL_ASKING || fill->state == FILL_LEASING) && !fill->is_late;
}

/* Stores a value that was put here and evicted before the tier had it. A clear or a delete since
 * then makes it stale. Then the tier may have an older one, so it is not asked either. */
static enum fleet_answer store_queued(struct fleet *fleet, struct namespace *ns,
                                      const struct fc_key *key, const struct fleet_value *value,
                                      uint64_t generation, uint64_t now_ns) {
  struct store_put_info info = {.compute_ns = value->compute_ns,
                                .now_ns = now_ns,
                                .keep_first = true,
                                .has_generation = true,
                                .generation = generation};
  int outcome = store_put(fleet->config.store, ns, key, value->data, (uint32_t)value->size, &info);
  fleet->counts.found_queued += outcome == FC_STORED;
  fleet->counts.skipped_own += outcome < 0 || outcome == FC_STALE;
  return outcome == FC_STORED || outcome == FC_KEPT ? FLEET_STORED : FLEET_GO_ON;
}

static enum fleet_answer begin(struct fleet *fleet, struct namespace *ns, uint64_t digest,
                               const struct fc_key *key, const struct fc_hash *hash,
                               uint64_t now_ns) {
  struct fleet_fill *fill = fill_new(fleet, ns, digest, key, hash, now_ns);
  if (fill == NULL) {
    fleet->counts.skipped_full++;
    return FLEET_GO_ON;
  }
  if (!fill_ask(fill, now_ns)) {
    fleet->counts.skipped_down++;
    fill_end(fill);
    return FLEET_GO_ON;
  }
  fleet->counts.fills++;
  return FLEET_WAITS;
}

enum fleet_answer fleet_begin(struct fleet *fleet, struct namespace *ns, uint64_t digest,
                              const struct fc_key *key, uint64_t now_ns) {
  if (!fleet->config.reads || fleet->stopping || !is_selected(fleet, ns))
    return FLEET_GO_ON;
  const struct fleet_fill *fill = fill_find(fleet, ns, digest, key);
  if (fill != NULL)
    return is_asking(fill) ? FLEET_WAITS : FLEET_GO_ON;
  uint64_t version = fleet_clears_version_of(fleet->config.clears, ns->name, key);
  if (version >= FLEET_CLEARS_LOCAL) {
    fleet->counts.skipped_down++; /* the tier has not acknowledged a clear of the key */
    return FLEET_GO_ON;
  }
  struct fc_hash hash = fleet_key_hash(ns->name, key);
  struct fleet_value queued;
  uint64_t generation;
  if (fleet_queue_find(&fleet->queue, &hash, version, &queued, &generation))
    return store_queued(fleet, ns, key, &queued, generation, now_ns);
  if (fleet_own_has(&fleet->own, &hash, version)) {
    fleet->counts.skipped_own++;
    return FLEET_GO_ON;
  }
  return begin(fleet, ns, digest, key, &hash, now_ns);
}

enum fleet_answer fleet_wait(struct fleet *fleet, struct fleet_waiter *waiter,
                             const struct namespace *ns, uint64_t digest, const struct fc_key *key,
                             uint64_t now_ns) {
  struct fleet_fill *fill = fill_find(fleet, ns, digest, key);
  if (fill == NULL || !is_asking(fill))
    return FLEET_GO_ON;
  fill_park(fill, waiter, now_ns);
  return FLEET_WAITS;
}

enum fleet_answer fleet_miss(struct fleet *fleet, struct fleet_waiter *waiter, struct namespace *ns,
                             uint64_t digest, const struct fc_key *key, uint64_t now_ns) {
  enum fleet_answer answer = fleet_begin(fleet, ns, digest, key, now_ns);
  if (answer == FLEET_WAITS)
    answer = fleet_wait(fleet, waiter, ns, digest, key, now_ns);
  return answer;
}

void fleet_leave(struct fleet *fleet, struct fleet_waiter *waiter) {
  (void)fleet;
  if (waiter->fill != NULL)
    fill_unpark(waiter);
}

/* ---- puts and leases ---- */

/* Queues the write, for `fill` if the key has one. */
static void write_behind(struct fleet *fleet, struct fleet_fill *fill,
                         struct fleet_write_request *request, uint64_t now_ns) {
  if (fill != NULL && fill->version == request->value.version) {
    request->seen = fill->seen_size > 0 ? fill->seen : NULL;
    request->seen_size = fill->seen_size;
    if (fill->has_lease && !fill->is_writing)
      request->owner = fill;
  }
  bool queued = fleet_queue_add(&fleet->queue, request, now_ns);
  if (queued && fill != NULL && request->owner == fill)
    fill->is_writing = true;
}

void fleet_put(struct fleet *fleet, const struct namespace *ns, uint64_t digest,
               const struct fc_key *key, const struct store_put_info *info, const void *value,
               uint32_t size, uint64_t now_ns) {
  const struct fleet_config *config = &fleet->config;
  if (!is_selected(fleet, ns))
    return;
  struct fc_hash hash = fleet_key_hash(ns->name, key);
  uint64_t version = fleet_clears_version_of(config->clears, ns->name, key);
  struct fleet_fill *fill = fill_find(fleet, ns, digest, key);
  if (fill != NULL)
    fill->is_overtaken = true;
  if (!config->writes) {
    fleet_own_mark(&fleet->own, &hash, version);
    return;
  }
  if (version >= FLEET_CLEARS_LOCAL) {
    fleet->counts.dropped_cleared++; /* no node would read it under this version */
    fleet->config.totals->dropped++;
    return;
  }
  struct fleet_write_request request = {.hash = &hash,
                                        .value = {.data = value,
                                                  .size = size,
                                                  .compute_ns = info->compute_ns,
                                                  .stamp = fleet_stamp(fleet, now_ns),
                                                  .node = config->node,
                                                  .version = version},
                                        .generation = config->store->saved->generation,
                                        .known_version = fleet_clears_newest(config->clears),
                                        .keep_first = info->keep_first};
  write_behind(fleet, fill, &request, now_ns);
}

void fleet_lease_changed(struct fleet *fleet, const struct lease *lease, enum lease_change change,
                         uint64_t now_ns) {
  struct fleet_fill *fill = fill_find(fleet, lease->ns, lease->digest, &lease->key);
  if (fill == NULL)
    return;
  if (change == LEASE_BEGINS)
    fill_lease_begins(fill, lease, now_ns);
  else
    fill_lease_ends(fill, change, now_ns);
}

bool fleet_is_remote(const struct fleet *fleet, const struct lease *lease) {
  return lease->owner == fleet->config.client;
}

/* ---- time ---- */

static struct fleet_fill *fill_of(struct timer_heap_entry *timer) {
  return (struct fleet_fill *)(void *)((char *)timer - offsetof(struct fleet_fill, timer));
}

void fleet_tick(struct fleet *fleet, uint64_t now_ns) {
  struct fleet_round *oldest = fleet->first_round;
  if (oldest != NULL)
    (void)fleet_io_end_lost(fleet->config.io, &oldest->op, now_ns); /* true: it is gone */
  for (uint32_t i = 0; i < TICK_FILLS; i++) {
    struct timer_heap_entry *first = timer_heap_first(&fleet->timers);
    if (first == NULL || first->at_ns > now_ns)
      break;
    fill_timer(fill_of(first), now_ns);
  }
  fleet_queue_tick(&fleet->queue, now_ns);
}

uint64_t fleet_next_ns(const struct fleet *fleet) {
  const struct timer_heap_entry *first = timer_heap_first(&fleet->timers);
  uint64_t queue_ns = fleet_queue_next_ns(&fleet->queue);
  uint64_t fill_ns = first == NULL ? UINT64_MAX : first->at_ns;
  uint64_t round_ns = fleet->first_round == NULL ? UINT64_MAX : fleet->first_round->op.lost_ns;
  uint64_t next_ns = fill_ns < queue_ns ? fill_ns : queue_ns;
  return next_ns < round_ns ? next_ns : round_ns;
}

/* Each fill ends, and releases its fleet lease behind the write of its value. */
void fleet_stop(struct fleet *fleet, uint64_t now_ns) {
  fleet->stopping = true;
  for (struct fleet_fill *fill = fleet->first, *next; fill != NULL; fill = next) {
    next = fill->next;
    if (fill->state < FILL_RELEASING)
      fill_finish(fill, now_ns);
  }
}

bool fleet_is_idle(const struct fleet *fleet) {
  return fleet->queue.n == 0 && fleet->n == fleet->n_in_state[FILL_ENDED];
}

/* ---- what there is ---- */

struct fleet_gauges fleet_gauges(const struct fleet *fleet, uint64_t now_ns) {
  return (struct fleet_gauges){
      .asking = fleet->n_in_state[FILL_ASKING],
      .leasing = fleet->n_in_state[FILL_LEASING],
      .offered = fleet->n_in_state[FILL_OFFERED],
      .held = fleet->n_in_state[FILL_HELD],
      .remote = fleet->n_in_state[FILL_REMOTE],
      .parked = fleet->n_parked,
      .own_marks = fleet->own.n,
      .queue_items = fleet->queue.n,
      .queue_bytes = fleet->queue.bytes,
      .queue_age_ns = fleet_queue_oldest_ns(&fleet->queue, now_ns),
  };
}

static void check_fill(const struct fleet *fleet, const struct fleet_fill *fill, uint32_t *parked) {
  bool is_found = fill_find(fleet, fill->ns, fill->digest, &fill->key) == fill;
  assert(is_found == (fill->state < FILL_RELEASING)); /* one a key */
  assert(fill->timer.place > 0 && fill->fleet == fleet);
  assert(fill->state != FILL_HELD || fill->lease != NULL);
  bool owns = fill->lease != NULL && fill->lease->owner == fleet->config.client;
  assert(fill->state == FILL_REMOTE ? owns || fill->lease == NULL : !owns);
  assert(fill->state != FILL_RELEASING || fill->flying || fill->is_writing);
  assert(fill->first_waiter == NULL || is_asking(fill));
  for (const struct fleet_waiter *waiter = fill->first_waiter; waiter != NULL;
       waiter = waiter->next) {
    assert(waiter->fill == fill);
    (*parked)++;
  }
}

void fleet_check(const struct fleet *fleet) {
  uint32_t n = 0, parked = 0, in_state[FILL_STATES] = {0};
  for (const struct fleet_fill *fill = fleet->first; fill != NULL; fill = fill->next) {
    check_fill(fleet, fill, &parked);
    in_state[fill->state]++;
    n++;
  }
  check_eq(fleet->n, n);
  check_eq(fleet->timers.n, n);
  check_eq(fleet->n_parked, parked);
  for (uint32_t i = 0; i < FILL_STATES; i++)
    check_eq(fleet->n_in_state[i], in_state[i]);
  timer_heap_check(&fleet->timers);
  fleet_queue_check(&fleet->queue);
}
