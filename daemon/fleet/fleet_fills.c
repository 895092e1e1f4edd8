#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "daemon/fleet/fleet_internal.h"

#define NS_PER_MS 1000000u

/* ---- by key ---- */

static struct fleet_fill **bucket_of(const struct fleet *fleet, uint64_t digest) {
  return &fleet->buckets[digest & (fleet->n_buckets - 1)];
}

static bool has_key(const struct fleet_fill *fill, const struct namespace *ns,
                    const struct fc_key *key) {
  return fill->ns == ns && fill->key.top_k == key->top_k &&
         memcmp(fill->key.prompt.bytes, key->prompt.bytes, FC_HASH_SIZE) == 0 &&
         fc_str_equal(fill->key.op, key->op) && fc_str_equal(fill->key.view, key->view);
}

struct fleet_fill *fill_find(const struct fleet *fleet, const struct namespace *ns, uint64_t digest,
                             const struct fc_key *key) {
  if (fleet->n == 0)
    return NULL;
  struct fleet_fill *fill = *bucket_of(fleet, digest);
  while (fill != NULL && !(fill->digest == digest && has_key(fill, ns, key)))
    fill = fill->next_in_bucket;
  return fill;
}

static void remove_from_bucket(struct fleet_fill *fill) {
  struct fleet_fill **at = bucket_of(fill->fleet, fill->digest);
  while (*at != fill)
    at = &(*at)->next_in_bucket;
  *at = fill->next_in_bucket;
}

/* ---- memory ---- */

static size_t bytes_of(const struct fleet_fill *fill) {
  return sizeof *fill + fill->key.op.size + fill->key.view.size + ALLOCATOR_OVERHEAD_BYTES;
}

static struct fc_str copy_name(char *to, struct fc_str name) {
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

static void set_token(struct fleet_fill *fill) {
  struct fleet *fleet = fill->fleet;
  int size = snprintf(fill->token, sizeof fill->token, "%016llx:%llu",
                      (unsigned long long)fleet->config.node, (unsigned long long)++fleet->tokens);
  check_lt(size, FLEET_TOKEN_SIZE);
  fill->token_size = (uint32_t)size;
  (void)snprintf(fill->lease_ms, sizeof fill->lease_ms, "%llu",
                 (unsigned long long)(fleet->config.lease_ns / NS_PER_MS)); /* it fits */
}

static void add(struct fleet_fill *fill) {
  struct fleet *fleet = fill->fleet;
  struct fleet_fill **bucket = bucket_of(fleet, fill->digest);
  fill->next_in_bucket = *bucket;
  *bucket = fill;
  fill->next = fleet->first;
  if (fill->next != NULL)
    fill->next->prev = fill;
  fleet->first = fill;
  fleet->n++;
  fleet->n_in_state[fill->state]++;
  fleet->bytes += bytes_of(fill);
  namespace_table_hold(fill->ns);
}

struct fleet_fill *fill_new(struct fleet *fleet, struct namespace *ns, uint64_t digest,
                            const struct fc_key *key, const struct fc_hash *hash, uint64_t now_ns) {
  uint32_t max =
      fleet->config.max_fills < FLEET_FILLS_MAX ? fleet->config.max_fills : FLEET_FILLS_MAX;
  struct fleet_fill *fill =
      fleet->n >= max ? NULL : malloc(sizeof *fill + key->op.size + key->view.size);
  if (fill == NULL)
    return NULL;
  *fill = (struct fleet_fill){.fleet = fleet,
                              .ns = ns,
                              .key = *key,
                              .digest = digest,
                              .hash = *hash,
                              .state = FILL_ASKING,
                              .began_ns = now_ns,
                              .due_ns = now_ns + fleet->config.options.deadline_ns};
  if (!timer_heap_add(&fleet->timers, &fill->timer, fill->due_ns)) {
    free(fill);
    return NULL;
  }
  fill->key.op = copy_name(fill->names, key->op);
  fill->key.view = copy_name(fill->names + key->op.size, key->view);
  set_token(fill);
  fill_set_version(fill);
  /* It may have begun while the tier could not be asked, or under the daemon before. */
  if (fleet->config.leases->n > 0)
    fill->lease = leases_find(fleet->config.leases, ns, digest, key);
  add(fill);
  return fill;
}

void fill_set_version(struct fleet_fill *fill) {
  const struct fleet_config *config = &fill->fleet->config;
  fill->version = fleet_clears_version_of(config->clears, fill->ns->name, &fill->key);
  fill->generation = config->store->saved->generation;
  fleet_key_set(&fill->value_name, config->prefix, &fill->hash, fill->version, FLEET_KEY_VALUE);
  fleet_key_set(&fill->lease_name, config->prefix, &fill->hash, fill->version, FLEET_KEY_LEASE);
  fill->seen_size = 0;
}

static void drop_kept(struct fleet_fill *fill) {
  fill->fleet->kept_bytes -= fill->kept == NULL ? 0 : fill->kept_size;
  free(fill->kept);
  fill->kept = NULL;
}

void fill_free(struct fleet_fill *fill) {
  struct fleet *fleet = fill->fleet;
  assert(fill->state == FILL_ENDED && !fill->flying && !fill->is_writing);
  assert(fill->first_waiter == NULL && fill->round == NULL);
  timer_heap_remove(&fleet->timers, &fill->timer);
  drop_kept(fill);
  *(fill->prev == NULL ? &fleet->first : &fill->prev->next) = fill->next;
  if (fill->next != NULL)
    fill->next->prev = fill->prev;
  check_lt(0, fleet->n);
  check_le(bytes_of(fill), fleet->bytes);
  fleet->n--;
  fleet->n_in_state[FILL_ENDED]--;
  fleet->bytes -= bytes_of(fill);
  namespace_table_release(fleet->config.namespaces, fill->ns);
  free(fill);
}

/* ---- state and time ---- */

void fill_set_state(struct fleet_fill *fill, enum fill_state state) {
  fill->fleet->n_in_state[fill->state]--;
  fill->fleet->n_in_state[state]++;
  fill->state = state;
}

/* A fill is in the heap from its beginning to its end, so no later change needs memory. */
void fill_set_timer(struct fleet_fill *fill, uint64_t at_ns) {
  uint64_t lost_ns = fill->flying ? fill->op.lost_ns : UINT64_MAX;
  fill->due_ns = at_ns;
  timer_heap_move(&fill->fleet->timers, &fill->timer, at_ns < lost_ns ? at_ns : lost_ns);
}

void fill_stop_timer(struct fleet_fill *fill) {
  fill_set_timer(fill, UINT64_MAX);
}

/* ---- parked sessions ---- */

void fill_park(struct fleet_fill *fill, struct fleet_waiter *waiter, uint64_t now_ns) {
  assert(waiter->fill == NULL);
  *waiter = (struct fleet_waiter){.fill = fill, .prev = fill->last_waiter, .since_ns = now_ns};
  *(waiter->prev == NULL ? &fill->first_waiter : &waiter->prev->next) = waiter;
  fill->last_waiter = waiter;
  fill->fleet->n_parked++;
}

void fill_unpark(struct fleet_waiter *waiter) {
  struct fleet_fill *fill = waiter->fill;
  *(waiter->prev == NULL ? &fill->first_waiter : &waiter->prev->next) = waiter->next;
  *(waiter->next == NULL ? &fill->last_waiter : &waiter->next->prev) = waiter->prev;
  waiter->fill = NULL;
  waiter->next = waiter->prev = NULL;
  check_lt(0, fill->fleet->n_parked);
  fill->fleet->n_parked--;
}

void fill_resume_all(struct fleet_fill *fill) {
  const struct fleet_config *config = &fill->fleet->config;
  while (fill->first_waiter != NULL) {
    struct fleet_waiter *waiter = fill->first_waiter;
    fill_unpark(waiter);
    config->resume(config->arg, waiter);
  }
}

/* ---- the op, and the end ---- */

bool fill_submit(struct fleet_fill *fill, uint64_t now_ns) {
  const struct fleet_config *config = &fill->fleet->config;
  assert(!fill->flying);
  fill->op.deadline_ns = now_ns + config->options.deadline_ns;
  fill->flying = fleet_io_submit(config->io, &fill->op, now_ns);
  if (fill->flying && fill->op.lost_ns < fill->timer.at_ns)
    fill_set_timer(fill, fill->due_ns);
  return fill->flying;
}

bool fill_landed(struct fleet_fill *fill) {
  fill->flying = false;
  if (fill->state != FILL_ENDED)
    return true;
  fill_free(fill);
  return false;
}

void fill_leave(struct fleet_fill *fill) {
  if (fill->state < FILL_RELEASING)
    remove_from_bucket(fill);
  fill_leave_round(fill);
  drop_kept(fill);
  fill->lease = NULL;
  fill_resume_all(fill);
}

void fill_end(struct fleet_fill *fill) {
  assert(!fill->has_lease && !fill->is_writing);
  fill_leave(fill);
  fill_set_state(fill, FILL_ENDED);
  fill_set_timer(fill, fill->flying ? UINT64_MAX : 0);
}
