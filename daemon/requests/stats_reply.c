/* stats: the counters of the daemon and of its namespaces. docs/operations.md explains each. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/requests/handlers.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"

/* Encoded size of the daemon's stats and of a namespace's, at most, with names of 255 bytes and a
 * path of 4,095. The reply must fit in a frame, whose limit may be as low as FC_FRAME_SLACK.
 * test_admin_requests encodes a reply of that size. */
#define DAEMON_BYTES_MAX 8192u
#define NAMESPACE_BYTES_MAX 830u
static_assert(DAEMON_BYTES_MAX + NAMESPACE_LIMIT_MAX * NAMESPACE_BYTES_MAX <= FC_FRAME_SLACK,
              "the stats of all namespaces fit in one reply");

/* Members of a map. They are encoded apart, because the map's head has their number. */
struct stats {
  struct fc_buf members;
  uint32_t n;
};

static void add_uint(struct stats *stats, const char *name, uint64_t value) {
  (void)fc_encode_stat_uint(&stats->members, name, value); /* `flush` checks `failed` */
  stats->n++;
}

static void add_real(struct stats *stats, const char *name, double value) {
  (void)fc_encode_stat_real(&stats->members, name, value);
  stats->n++;
}

static void add_text(struct stats *stats, const char *name, struct fc_str value) {
  (void)fc_encode_stat_text(&stats->members, name, value);
  stats->n++;
}

static double seconds(uint64_t ns) {
  return (double)ns / 1e9;
}

static double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : (double)part / (double)whole;
}

static void add_counters(struct stats *stats, const struct counters *c) {
  add_uint(stats, "cache_hits", c->hits);
  add_uint(stats, "cache_misses", c->misses);
  add_uint(stats, "forward_passes", c->forward_passes);
  add_real(stats, "hit_rate", ratio(c->hits, c->hits + c->misses));
  add_real(stats, "scoring_wall_s", seconds(c->scoring_wall_ns));
  add_uint(stats, "shared_hits", c->shared_hits);
  add_real(stats, "saved_wall_s", seconds(c->saved_wall_ns));
  add_uint(stats, "batches_sent", c->batches_sent);
  add_uint(stats, "batched_prompts", c->batched_prompts);
  add_uint(stats, "max_batch_size", c->max_batch_size);
  add_real(stats, "avg_batch_size", ratio(c->batched_prompts, c->batches_sent));
  add_uint(stats, "coalesced_hits", c->coalesced_hits);
  add_real(stats, "lease_wait_s", seconds(c->lease_wait_ns));
  add_uint(stats, "leases_granted", c->leases_granted);
  add_uint(stats, "leases_abandoned", c->leases_abandoned);
  add_uint(stats, "leases_expired", c->leases_expired);
}

static void add_store(struct stats *stats, const struct dispatch *d) {
  add_uint(stats, "namespaces", d->namespaces->n);
  add_uint(stats, "entries", d->store->entries);
  add_uint(stats, "bytes", d->store->bytes);
  add_uint(stats, "max_bytes", d->store->max_bytes);
  add_uint(stats, "max_value", d->store->max_value);
  add_uint(stats, "evictions_entries", d->store->evictions[EVICT_ENTRIES]);
  add_uint(stats, "evictions_bytes", d->store->evictions[EVICT_BYTES]);
  add_uint(stats, "evictions_own_bytes", d->store->evictions[EVICT_OWN_BYTES]);
  add_uint(stats, "evictions_forced", d->store->evictions[EVICT_FORCED]);
  add_uint(stats, "evictions_chain", d->store->evictions[EVICT_CHAIN]);
  add_uint(stats, "puts_kept", d->puts_kept);
  add_uint(stats, "puts_stale", d->puts_stale);
  add_uint(stats, "puts_too_big", d->puts_too_big);
  add_uint(stats, "clears", d->clears);
}

/* Returns 0 if all free bytes are one hole, and approaches 1 as they are scattered. */
static double fragmentation(const struct arena *arena) {
  uint64_t left = arena_free_bytes(arena);
  return left == 0 ? 0.0 : 1.0 - ratio(arena_largest(arena), left);
}

static void add_region(struct stats *stats, const struct dispatch *d) {
  const struct arena *arena = &d->store->heap.arena;
  add_uint(stats, "region_shared", d->store->region->fd >= 0);
  add_uint(stats, "region_inode", region_writer_inode(d->store->region));
  add_uint(stats, "region_bytes", d->store->region->size);
  add_uint(stats, "region_unlisted_bytes", store_unlisted_bytes(d->store));
  add_uint(stats, "region_used_bytes", arena->used_bytes);
  add_real(stats, "region_fragmentation", fragmentation(arena));
  add_uint(stats, "region_moved_bytes", arena->moved_bytes);
}

static uint64_t clients_without_ring(const struct dispatch *d) {
  uint64_t n = 0;
  for (const struct session *session = d->first_session; session != NULL; session = session->next)
    n += session->region_requested && session->ring == NULL;
  return n;
}

/* How hits were served, and the cost of draining rings. */
static void add_hit_paths(struct stats *stats, const struct dispatch *d) {
  add_uint(stats, "hits_socket", d->hits_socket);
  add_uint(stats, "hits_region", d->rings.hits);
  add_uint(stats, "hits_unrecorded", d->rings.unrecorded);
  add_uint(stats, "rings", d->rings.n);
  add_uint(stats, "rings_asleep", d->rings.n_asleep);
  add_uint(stats, "rings_bytes", d->rings.used_bytes);
  add_uint(stats, "rings_bytes_max", d->rings.config.pool_bytes);
  add_uint(stats, "clients_without_ring", clients_without_ring(d));
  add_uint(stats, "ring_records", d->rings.records);
  add_real(stats, "drain_s", seconds(d->rings.drain_ns));
}

static void add_memory_part(struct stats *stats, const struct memory_report_part *part) {
  char name[64];
  (void)snprintf(name, sizeof name, "memory_%s", part->name); /* fits */
  add_uint(stats, name, part->used_bytes);
  (void)snprintf(name, sizeof name, "memory_%s_bound", part->name); /* fits */
  add_uint(stats, name, part->bound_bytes);
}

/* Memory in use and its bound, in total and by part. */
static void add_memory(struct stats *stats, const struct dispatch *d) {
  struct memory_report report;
  if (d->memory_report == NULL)
    return;
  d->memory_report(d->memory_arg, &report);
  assert(report.n <= MEMORY_REPORT_PARTS_MAX);
  add_uint(stats, "memory_used", report.used_bytes);
  add_uint(stats, "memory_bound", report.bound_bytes);
  for (uint32_t i = 0; i < report.n; i++)
    add_memory_part(stats, &report.parts[i]);
}

static void add_users(struct stats *stats, const struct users *users) {
  const uint64_t *refused = users->refused;
  add_uint(stats, "users", users->n);
  add_uint(stats, "user_share", users->share_percent);
  add_uint(stats, "share_refused_clients", refused[USER_CONNECTIONS]);
  add_uint(stats, "share_refused_namespaces", refused[USER_NAMESPACES]);
  add_uint(stats, "share_refused_manifests", refused[USER_MANIFEST_BYTES]);
  add_uint(stats, "share_refused_leases", refused[USER_LEASES]);
  add_uint(stats, "share_refused_waits", refused[USER_WAITS]);
  add_uint(stats, "share_held_messages", refused[USER_FRAME_BYTES] + refused[USER_REPLY_BYTES]);
}

static void add_daemon(struct stats *stats, const struct call *call) {
  const struct dispatch *d = call->dispatch;
  add_text(stats, "version", fc_str_of(FC_VERSION));
  add_uint(stats, "pid", (uint64_t)getpid());
  add_real(stats, "uptime_s", seconds(call->start_ns - d->started_ns));
  add_uint(stats, "clients", d->clients);
  add_uint(stats, "clients_max", d->max_clients);
  add_store(stats, d);
  add_region(stats, d);
  add_counters(stats, &d->counters);
  add_uint(stats, "leases", d->leases.n);
  add_uint(stats, "lease_waits", d->leases.waits);
  add_hit_paths(stats, d);
  add_uint(stats, "connections", d->connections);
  add_uint(stats, "refused", d->refused);
  add_uint(stats, "dropped", d->dropped);
  add_uint(stats, "settings_ignored", d->settings_ignored);
  add_users(stats, d->users);
  add_uint(stats, "memory_in_flight", *d->frames_bytes + *d->replies_bytes);
  add_memory(stats, d);
  add_uint(stats, "trace_on", trace_is_on(d->trace));
  if (trace_is_on(d->trace))
    add_text(stats, "trace_path", fc_str_of(trace_path(d->trace)));
  add_uint(stats, "trace_lines", trace_lines(d->trace));
  add_uint(stats, "trace_lost", d->trace->lost);
  add_uint(stats, "trace_waiting", trace_waiting(d->trace));
}

static void add_namespace(struct stats *stats, const struct namespace *ns) {
  add_text(stats, "namespace", ns->name);
  add_uint(stats, "clients", ns->clients);
  add_uint(stats, "entries", ns->entries);
  add_uint(stats, "bytes", ns->bytes);
  if (ns->max_entries > 0)
    add_uint(stats, "max_entries", ns->max_entries);
  if (ns->max_bytes > 0)
    add_uint(stats, "max_bytes", ns->max_bytes);
  add_counters(stats, &ns->counters);
  add_uint(stats, "evictions_entries", ns->evictions[EVICT_ENTRIES]);
  add_uint(stats, "evictions_bytes", ns->evictions[EVICT_BYTES]);
  add_uint(stats, "evictions_own_bytes", ns->evictions[EVICT_OWN_BYTES]);
}

/* Appends the members to the reply as a map, and empties them. */
static void flush(struct stats *stats, struct fc_buf *reply) {
  (void)fc_encode_map_head(reply, stats->n); /* call_reply_if_room checks `failed` */
  (void)fc_buf_append(reply, stats->members.data, stats->members.size);
  if (stats->members.failed)
    reply->failed = true;
  fc_buf_reset(&stats->members);
  stats->n = 0;
}

enum dispatch_result handle_stats(const struct call *call, struct fc_str name_space) {
  struct fc_buf *reply = &call->dispatch->reply;
  const struct namespace_table *table = call->dispatch->namespaces;
  struct namespace *only = NULL;
  bool all = name_space.data == NULL;
  if (!all)
    only = namespace_table_find(table, name_space);
  struct stats stats = {.n = 0};
  (void)fc_encode_stats_reply_head(reply, call->id); /* call_reply_if_room checks `failed` */
  add_daemon(&stats, call);
  flush(&stats, reply);
  (void)fc_encode_array_head(reply, all ? table->n : only != NULL);
  for (const struct namespace *ns = table->first; ns != NULL; ns = ns->next) {
    if (!all && ns != only)
      continue;
    add_namespace(&stats, ns);
    flush(&stats, reply);
  }
  fc_buf_free(&stats.members);
  if (!reply->failed)
    fc_frame_finish(reply, 0, 0);
  return call_reply_if_room(call);
}
