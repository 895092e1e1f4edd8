/* The stats reply: docs/operations.md says what each figure means. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/memory_total.h"
#include "daemon/requests/handlers.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"

/* What the figures of the daemon and of a namespace take at most, names of 255 bytes and a path of
 * 4,095 included; test_dispatch makes a reply of that size. The reply must fit in a frame, whose
 * limit may be as low as FC_FRAME_SLACK. */
#define DAEMON_BYTES_MAX 8192u
#define NAMESPACE_BYTES_MAX 830u
static_assert(DAEMON_BYTES_MAX + NAMESPACE_LIMIT_MAX * NAMESPACE_BYTES_MAX <= FC_FRAME_SLACK,
              "the stats of all namespaces fit in one reply");

/* A map's head stands before its members are counted, so they are made apart. */
struct figures {
  struct fc_buf members;
  uint32_t n;
};

static void add_uint(struct figures *f, const char *name, uint64_t value) {
  (void)fc_encode_stat_uint(&f->members, name, value); /* `failed` is looked at in the end */
  f->n++;
}

static void add_real(struct figures *f, const char *name, double value) {
  (void)fc_encode_stat_real(&f->members, name, value);
  f->n++;
}

static void add_text(struct figures *f, const char *name, struct fc_str value) {
  (void)fc_encode_stat_text(&f->members, name, value);
  f->n++;
}

static double seconds(uint64_t ns) {
  return (double)ns / 1e9;
}

static double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : (double)part / (double)whole;
}

static void add_counters(struct figures *f, const struct counters *c) {
  add_uint(f, "cache_hits", c->hits);
  add_uint(f, "cache_misses", c->misses);
  add_uint(f, "forward_passes", c->forward_passes);
  add_real(f, "hit_rate", ratio(c->hits, c->hits + c->misses));
  add_real(f, "scoring_wall_s", seconds(c->scoring_wall_ns));
  add_uint(f, "shared_hits", c->shared_hits);
  add_real(f, "saved_wall_s", seconds(c->saved_wall_ns));
  add_uint(f, "batches_sent", c->batches_sent);
  add_uint(f, "batched_prompts", c->batched_prompts);
  add_uint(f, "max_batch_size", c->max_batch_size);
  add_real(f, "avg_batch_size", ratio(c->batched_prompts, c->batches_sent));
  add_uint(f, "coalesced_hits", c->coalesced_hits);
  add_real(f, "lease_wait_s", seconds(c->lease_wait_ns));
  add_uint(f, "leases_granted", c->leases_granted);
  add_uint(f, "leases_abandoned", c->leases_abandoned);
  add_uint(f, "leases_expired", c->leases_expired);
}

static void add_store(struct figures *f, const struct dispatch *d) {
  add_uint(f, "namespaces", d->namespaces->n);
  add_uint(f, "entries", d->store->entries);
  add_uint(f, "bytes", d->store->bytes);
  add_uint(f, "max_bytes", d->store->max_bytes);
  add_uint(f, "max_value", d->store->max_value);
  add_uint(f, "evictions_entries", d->store->evictions[EVICT_ENTRIES]);
  add_uint(f, "evictions_bytes", d->store->evictions[EVICT_BYTES]);
  add_uint(f, "evictions_own_bytes", d->store->evictions[EVICT_OWN_BYTES]);
  add_uint(f, "evictions_forced", d->store->evictions[EVICT_FORCED]);
  add_uint(f, "evictions_chain", d->store->evictions[EVICT_CHAIN]);
  add_uint(f, "puts_kept", d->puts_kept);
  add_uint(f, "puts_stale", d->puts_stale);
  add_uint(f, "puts_too_big", d->puts_too_big);
  add_uint(f, "clears", d->clears);
}

/* How far the free bytes are from lying in one hole. */
static double fragmentation(const struct arena *arena) {
  uint64_t left = arena_free_bytes(arena);
  return left == 0 ? 0.0 : 1.0 - ratio(arena_largest(arena), left);
}

static void add_region(struct figures *f, const struct dispatch *d) {
  const struct arena *arena = &d->store->heap.arena;
  add_uint(f, "region_shared", d->store->region->fd >= 0);
  add_uint(f, "region_inode", region_inode(d->store->region));
  add_uint(f, "region_bytes", d->store->region->size);
  add_uint(f, "region_unlisted_bytes", store_unlisted_bytes(d->store));
  add_uint(f, "region_used_bytes", arena->used_bytes);
  add_real(f, "region_fragmentation", fragmentation(arena));
  add_uint(f, "region_moved_bytes", arena->moved_bytes);
}

static uint64_t clients_without_ring(const struct dispatch *d) {
  uint64_t n = 0;
  for (const struct session *session = d->first_session; session != NULL; session = session->next)
    n += session->asked_for_region && session->ring == NULL;
  return n;
}

/* Which way hits were served, and what it costs to hear of those that needed no message. */
static void add_planes(struct figures *f, const struct dispatch *d) {
  add_uint(f, "hits_socket", d->hits_socket);
  add_uint(f, "hits_region", d->rings.hits);
  add_uint(f, "hits_unrecorded", d->rings.unrecorded);
  add_uint(f, "rings", d->rings.n);
  add_uint(f, "rings_asleep", d->rings.n_asleep);
  add_uint(f, "rings_bytes", d->rings.used_bytes);
  add_uint(f, "rings_bytes_max", d->rings.config.pool_bytes);
  add_uint(f, "clients_without_ring", clients_without_ring(d));
  add_uint(f, "ring_records", d->rings.records);
  add_real(f, "drain_s", seconds(d->rings.drain_ns));
}

/* All memory, in use and as it is bounded; and the same of its parts. */
static void add_memory(struct figures *f, const struct memory_report *memory) {
  struct memory_amounts used;
  if (memory->bounds == NULL)
    return;
  memory->in_use(memory->arg, &used);
  add_uint(f, "memory_used", memory_total_sum(&used));
  add_uint(f, "memory_bound", memory_total_sum(memory->bounds));
  for (int part = 0; part < MEMORY_PARTS; part++) {
    char name[64];
    (void)snprintf(name, sizeof name, "memory_%s", memory_part_name((enum memory_part)part));
    add_uint(f, name, used.bytes[part]);
    (void)snprintf(name, sizeof name, "memory_%s_bound", memory_part_name((enum memory_part)part));
    add_uint(f, name, memory->bounds->bytes[part]);
  }
}

static void add_users(struct figures *f, const struct users *users) {
  const uint64_t *refused = users->refused;
  add_uint(f, "users", users->n);
  add_uint(f, "user_share", users->share_percent);
  add_uint(f, "share_refused_clients", refused[USER_CONNECTIONS]);
  add_uint(f, "share_refused_namespaces", refused[USER_NAMESPACES]);
  add_uint(f, "share_refused_manifests", refused[USER_MANIFEST_BYTES]);
  add_uint(f, "share_refused_leases", refused[USER_LEASES]);
  add_uint(f, "share_refused_waits", refused[USER_WAITS]);
  add_uint(f, "share_held_messages", refused[USER_FRAME_BYTES] + refused[USER_REPLY_BYTES]);
}

static void add_daemon(struct figures *f, const struct call *call) {
  const struct dispatch *d = call->dispatch;
  add_text(f, "version", fc_str_of(FC_VERSION));
  add_uint(f, "pid", (uint64_t)getpid());
  add_real(f, "uptime_s", seconds(call->start_ns - d->started_ns));
  add_uint(f, "clients", d->clients);
  add_uint(f, "clients_max", d->max_clients);
  add_store(f, d);
  add_region(f, d);
  add_counters(f, &d->counters);
  add_uint(f, "leases", d->leases.n);
  add_uint(f, "lease_waits", d->leases.waits);
  add_planes(f, d);
  add_uint(f, "connections", d->connections);
  add_uint(f, "refused", d->refused);
  add_uint(f, "dropped", d->dropped);
  add_uint(f, "settings_ignored", d->settings_ignored);
  add_users(f, d->users);
  add_uint(f, "memory_in_flight", *d->frames_bytes + *d->replies_bytes);
  add_memory(f, &d->memory);
  add_uint(f, "trace_on", trace_is_on(d->trace));
  if (trace_is_on(d->trace))
    add_text(f, "trace_path", fc_str_of(trace_path(d->trace)));
  add_uint(f, "trace_lines", trace_lines(d->trace));
  add_uint(f, "trace_lost", d->trace->lost);
  add_uint(f, "trace_waiting", trace_waiting(d->trace));
}

static void add_namespace(struct figures *f, const struct namespace *ns) {
  add_text(f, "namespace", ns->name);
  add_uint(f, "clients", ns->clients);
  add_uint(f, "entries", ns->entries);
  add_uint(f, "bytes", ns->bytes);
  if (ns->max_entries > 0)
    add_uint(f, "max_entries", ns->max_entries);
  if (ns->max_bytes > 0)
    add_uint(f, "max_bytes", ns->max_bytes);
  add_counters(f, &ns->counters);
  add_uint(f, "evictions_entries", ns->evictions[EVICT_ENTRIES]);
  add_uint(f, "evictions_bytes", ns->evictions[EVICT_BYTES]);
  add_uint(f, "evictions_own_bytes", ns->evictions[EVICT_OWN_BYTES]);
}

/* Appends the figures as a map, and empties them. */
static void flush(struct figures *f, struct fc_buf *reply) {
  (void)fc_encode_map_head(reply, f->n); /* `failed` is looked at in the end */
  (void)fc_buf_append(reply, f->members.data, f->members.size);
  if (f->members.failed)
    reply->failed = true;
  fc_buf_reset(&f->members);
  f->n = 0;
}

enum dispatch_result handle_stats(const struct call *call, struct fc_str name_space) {
  struct fc_buf *reply = &call->dispatch->reply;
  const struct namespace_table *table = call->dispatch->namespaces;
  struct namespace *only = NULL;
  bool all = name_space.data == NULL;
  if (!all)
    only = namespace_table_find(table, name_space);
  struct figures f = {.n = 0};
  (void)fc_encode_stats_reply_head(reply, call->id); /* `failed`: see call_reply */
  add_daemon(&f, call);
  flush(&f, reply);
  (void)fc_encode_array_head(reply, all ? table->n : only != NULL);
  for (const struct namespace *ns = table->first; ns != NULL; ns = ns->next) {
    if (!all && ns != only)
      continue;
    add_namespace(&f, ns);
    flush(&f, reply);
  }
  fc_buf_free(&f.members);
  if (!reply->failed)
    fc_frame_finish(reply, 0, 0);
  return call_reply_if_room(call);
}
