/* stats: the counters of the cache, of this daemon and of the namespaces. Each is a row of
 * proto/stats/stats_rows.h, which explains it. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/requests/handlers.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"
#include "proto/stats/stats_table.h"

/* Encoded size of the daemon's stats and of a namespace's, at most, with names of 255 bytes and a
 * path of 4,095. The reply must fit in a frame, whose limit may be as low as FC_FRAME_SLACK.
 * test_admin_requests encodes a reply of that size. */
#define DAEMON_BYTES_MAX 10240u
#define NAMESPACE_BYTES_MAX 830u
static_assert(DAEMON_BYTES_MAX + NAMESPACE_LIMIT_MAX * NAMESPACE_BYTES_MAX <= FC_FRAME_SLACK,
              "the stats of all namespaces fit in one reply");

/* Members of a map. They are encoded apart, because the map's head has their number. */
struct stats {
  struct fc_buf members;
  uint32_t n;
  enum fc_stats_place place; /* of the members */
};

#define ROW(id) (&fc_stats_rows[FC_STATS_ROW_##id])

/* Returns the name of a row at this place, in `text` or as it is. */
static const char *name_of(const struct stats *stats, const struct fc_stats_row *row,
                           char text[FC_STATS_NAME_SIZE]) {
  assert((row->places & stats->place) != 0);
  if (stats->place != FC_STATS_IN_SINCE)
    return row->name;
  (void)snprintf(text, FC_STATS_NAME_SIZE, FC_STATS_SINCE_PREFIX "%s", row->name); /* fits */
  return text;
}

static void add_uint(struct stats *stats, const struct fc_stats_row *row, uint64_t value) {
  char text[FC_STATS_NAME_SIZE];
  assert(row->unit == FC_STATS_NONE || row->unit == FC_STATS_BYTES);
  (void)fc_encode_stat_uint(&stats->members, name_of(stats, row, text),
                            value); /* `flush` checks `failed` */
  stats->n++;
}

static void add_real(struct stats *stats, const struct fc_stats_row *row, double value) {
  char text[FC_STATS_NAME_SIZE];
  assert(row->unit == FC_STATS_SECONDS || row->unit == FC_STATS_RATIO ||
         row->unit == FC_STATS_MEAN);
  (void)fc_encode_stat_real(&stats->members, name_of(stats, row, text), value);
  stats->n++;
}

static void add_text(struct stats *stats, const struct fc_stats_row *row, struct fc_str value) {
  char text[FC_STATS_NAME_SIZE];
  assert(row->unit == FC_STATS_TEXT);
  (void)fc_encode_stat_text(&stats->members, name_of(stats, row, text), value);
  stats->n++;
}

static double seconds(uint64_t ns) {
  return (double)ns / 1e9;
}

static double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : (double)part / (double)whole;
}

/* ---- counters of the cache, or of this daemon alone ---- */

/* The longest batch is of the whole life of the cache. */
static void add_counters(struct stats *stats, const struct counters *c) {
  add_uint(stats, ROW(cache_hits), c->hits);
  add_uint(stats, ROW(cache_misses), c->misses);
  add_uint(stats, ROW(forward_passes), c->forward_passes);
  add_real(stats, ROW(hit_rate), ratio(c->hits, c->hits + c->misses));
  add_real(stats, ROW(scoring_wall_s), seconds(c->scoring_wall_ns));
  add_uint(stats, ROW(shared_hits), c->shared_hits);
  add_real(stats, ROW(saved_wall_s), seconds(c->saved_wall_ns));
  add_uint(stats, ROW(batches_sent), c->batches_sent);
  add_uint(stats, ROW(batched_prompts), c->batched_prompts);
  if (stats->place != FC_STATS_IN_SINCE)
    add_uint(stats, ROW(max_batch_size), c->max_batch_size);
  add_real(stats, ROW(avg_batch_size), ratio(c->batched_prompts, c->batches_sent));
  add_uint(stats, ROW(coalesced_hits), c->coalesced_hits);
  add_real(stats, ROW(lease_wait_s), seconds(c->lease_wait_ns));
  add_uint(stats, ROW(leases_granted), c->leases_granted);
  add_uint(stats, ROW(leases_abandoned), c->leases_abandoned);
  add_uint(stats, ROW(leases_expired), c->leases_expired);
}

static void add_evictions(struct stats *stats, const uint64_t evictions[EVICT_CAUSES]) {
  add_uint(stats, ROW(evictions_entries), evictions[EVICT_ENTRIES]);
  add_uint(stats, ROW(evictions_bytes), evictions[EVICT_BYTES]);
  add_uint(stats, ROW(evictions_own_bytes), evictions[EVICT_OWN_BYTES]);
  add_uint(stats, ROW(evictions_forced), evictions[EVICT_FORCED]);
  add_uint(stats, ROW(evictions_chain), evictions[EVICT_CHAIN]);
}

static void add_shares(struct stats *stats, const uint64_t refused[USER_RESOURCES]) {
  add_uint(stats, ROW(share_refused_clients), refused[USER_CONNECTIONS]);
  add_uint(stats, ROW(share_refused_namespaces), refused[USER_NAMESPACES]);
  add_uint(stats, ROW(share_refused_manifests), refused[USER_MANIFEST_BYTES]);
  add_uint(stats, ROW(share_refused_leases), refused[USER_LEASES]);
  add_uint(stats, ROW(share_refused_waits), refused[USER_WAITS]);
  add_uint(stats, ROW(share_held_messages), refused[USER_FRAME_BYTES] + refused[USER_REPLY_BYTES]);
}

static void add_tier_totals(struct stats *stats, const struct tier_totals *t) {
  add_uint(stats, ROW(tier_hits), t->hits);
  add_uint(stats, ROW(tier_misses), t->misses);
  add_uint(stats, ROW(tier_bad_values), t->bad_values);
  add_uint(stats, ROW(tier_writes), t->writes);
  add_uint(stats, ROW(tier_writes_kept), t->kept);
  add_uint(stats, ROW(tier_writes_dropped), t->dropped);
}

/* All that only grows. */
static void add_totals(struct stats *stats, const struct totals *t,
                       const uint64_t evictions[EVICT_CAUSES], bool has_tier) {
  add_counters(stats, &t->counters);
  add_uint(stats, ROW(hits_socket), t->hits_socket);
  add_uint(stats, ROW(hits_region), t->hits_region);
  add_uint(stats, ROW(hits_unrecorded), t->hits_unrecorded);
  add_uint(stats, ROW(ring_records), t->ring_records);
  add_real(stats, ROW(drain_s), seconds(t->drain_ns));
  add_evictions(stats, evictions);
  add_uint(stats, ROW(puts_kept), t->puts_kept);
  add_uint(stats, ROW(puts_stale), t->puts_stale);
  add_uint(stats, ROW(puts_too_big), t->puts_too_big);
  add_uint(stats, ROW(clears), t->clears);
  add_uint(stats, ROW(deletes), t->deletes);
  add_uint(stats, ROW(region_moved_bytes), t->region_moved_bytes);
  add_uint(stats, ROW(connections), t->connections);
  add_uint(stats, ROW(refused), t->refused);
  add_uint(stats, ROW(dropped), t->dropped);
  add_uint(stats, ROW(settings_ignored), t->settings_ignored);
  add_shares(stats, t->share_refused);
  add_uint(stats, ROW(trace_lines), t->trace.events - t->trace.lost);
  add_uint(stats, ROW(trace_lost), t->trace.lost);
  add_uint(stats, ROW(snapshots_written), t->snapshots_written);
  add_uint(stats, ROW(snapshots_failed), t->snapshots_failed);
  add_uint(stats, ROW(adopted_entries), t->adopted_entries);
  add_uint(stats, ROW(adopt_dropped), t->adopt_dropped);
  add_uint(stats, ROW(restored_entries), t->restored_entries);
  add_uint(stats, ROW(restore_dropped), t->restore_dropped);
  if (has_tier)
    add_tier_totals(stats, &t->tier);
}

/* The same counters twice: of the cache, and since this daemon's start. */
static void add_both_totals(struct stats *stats, struct dispatch *d) {
  struct totals since;
  uint64_t evictions[EVICT_CAUSES];
  bool has_tier = d->tier.report != NULL;
  dispatch_count_moved(d);
  since = totals_since(d->totals, &d->at_start);
  for (int cause = 0; cause < EVICT_CAUSES; cause++)
    evictions[cause] = d->store->saved->evictions[cause] - d->evictions_at_start[cause];
  add_totals(stats, d->totals, d->store->saved->evictions, has_tier);
  stats->place = FC_STATS_IN_SINCE;
  add_totals(stats, &since, evictions, has_tier);
  stats->place = FC_STATS_IN_DAEMON;
}

/* ---- the rest ---- */

static void add_store(struct stats *stats, const struct dispatch *d) {
  add_uint(stats, ROW(namespaces), d->namespaces->n);
  add_uint(stats, ROW(entries), d->store->entries);
  add_uint(stats, ROW(bytes), d->store->bytes);
  add_uint(stats, ROW(max_bytes), d->store->max_bytes);
  add_uint(stats, ROW(max_value), d->store->max_value);
}

/* Returns 0 if all free bytes are one hole, and approaches 1 as they are scattered. */
static double fragmentation(const struct arena *arena) {
  uint64_t left = arena_free_bytes(arena);
  return left == 0 ? 0.0 : 1.0 - ratio(arena_largest(arena), left);
}

static void add_region(struct stats *stats, const struct dispatch *d) {
  const struct arena *arena = &d->store->heap.arena;
  add_uint(stats, ROW(region_shared), d->store->region->index_fd >= 0);
  add_uint(stats, ROW(region_huge_pages), d->store->region->has_huge_pages);
  add_uint(stats, ROW(region_inode), region_writer_inode(d->store->region));
  add_uint(stats, ROW(region_bytes), d->store->region->size);
  add_uint(stats, ROW(region_unlisted_bytes), store_unlisted_bytes(d->store));
  add_uint(stats, ROW(region_used_bytes), arena->used_bytes);
  add_real(stats, ROW(region_fragmentation), fragmentation(arena));
}

static uint64_t clients_without_ring(const struct dispatch *d) {
  uint64_t n = 0;
  for (const struct session *session = d->first_session; session != NULL; session = session->next)
    n += session->region_requested && session->ring == NULL;
  return n;
}

static void add_rings(struct stats *stats, const struct dispatch *d) {
  add_uint(stats, ROW(rings), d->rings.n);
  add_uint(stats, ROW(rings_asleep), d->rings.n_asleep);
  add_uint(stats, ROW(rings_bytes), d->rings.used_bytes);
  add_uint(stats, ROW(rings_bytes_max), d->rings.config.pool_bytes);
  add_uint(stats, ROW(clients_without_ring), clients_without_ring(d));
}

/* The name of a part is that of daemon/memory_total.c. */
static void add_memory_amount(struct stats *stats, const char *part, const char *end,
                              uint64_t bytes) {
  char name[FC_STATS_NAME_SIZE];
  (void)snprintf(name, sizeof name, "memory_%s%s", part, end); /* fits */
  const struct fc_stats_row *row = fc_stats_find(name);
  assert(row != NULL);
  add_uint(stats, row, bytes);
}

static void add_memory_part(struct stats *stats, const struct memory_report_part *part) {
  add_memory_amount(stats, part->name, "", part->used_bytes);
  add_memory_amount(stats, part->name, "_bound", part->bound_bytes);
}

/* Memory in use and its bound, in total and by part. */
static void add_memory(struct stats *stats, const struct dispatch *d) {
  struct memory_report report;
  add_uint(stats, ROW(memory_in_flight), *d->frames_bytes + *d->replies_bytes);
  if (d->memory_report == NULL)
    return;
  d->memory_report(d->memory_arg, &report);
  assert(report.n <= MEMORY_REPORT_PARTS_MAX);
  add_uint(stats, ROW(memory_used), report.used_bytes);
  add_uint(stats, ROW(memory_bound), report.bound_bytes);
  for (uint32_t i = 0; i < report.n; i++)
    add_memory_part(stats, &report.parts[i]);
}

/* The clock may have been set back since the cache began. It is no younger than its daemon. */
static double cache_age_s(const struct totals *totals, double uptime_s) {
  uint64_t now_ns = client_clock_now().real_ns, created_ns = totals->created_unix_ns;
  double age_s = created_ns == 0 || now_ns < created_ns ? 0 : seconds(now_ns - created_ns);
  return age_s < uptime_s ? uptime_s : age_s;
}

/* How old the cache is, and what makes it outlive the daemon. */
static void add_survival(struct stats *stats, const struct dispatch *d, double uptime_s) {
  struct survival_report report;
  char id[17];
  add_uint(stats, ROW(restarts), d->totals->daemons > 0 ? d->totals->daemons - 1 : 0);
  add_real(stats, ROW(cache_age_s), cache_age_s(d->totals, uptime_s));
  if (d->survival_report == NULL)
    return;
  d->survival_report(d->survival_arg, &report);
  (void)snprintf(id, sizeof id, "%016" PRIx64, report.cache_id); /* fits */
  add_text(stats, ROW(cache_id), fc_str_of(id));
  add_uint(stats, ROW(migrating_bytes), report.migrating_bytes);
  if (!report.keeps_snapshots)
    return;
  add_text(stats, ROW(snapshot_result), fc_str_of(report.snapshot_result));
  add_real(stats, ROW(snapshot_interval_s), seconds(report.snapshot_interval_ns));
  add_uint(stats, ROW(snapshot_late), report.snapshot_late);
  if (report.snapshot_age_ns == UINT64_MAX)
    return;
  add_real(stats, ROW(snapshot_age_s), seconds(report.snapshot_age_ns));
  add_real(stats, ROW(snapshot_s), seconds(report.snapshot_ns));
  add_uint(stats, ROW(snapshot_entries), report.snapshot_entries);
  add_uint(stats, ROW(snapshot_bytes), report.snapshot_bytes);
}

/* Adds up what the tier servers count. */
static void add_tier_servers(struct stats *stats, const struct tier_source *source) {
  uint64_t n = 0, open = 0, timeouts = 0, errors = 0, reconnects = 0;
  struct tier_server_report server = {0};
  for (uint64_t after = 0; source->next_server(source->arg, after, &server); n++) {
    after = server.serial;
    open += server.breakers[TIER_READS].state == BREAKER_OPEN ||
            server.breakers[TIER_WRITES].state == BREAKER_OPEN;
    timeouts += server.timeouts;
    errors += server.errors;
    reconnects += server.reconnects;
    server = (struct tier_server_report){0};
  }
  add_uint(stats, ROW(tier_servers), n);
  add_uint(stats, ROW(tier_open), open);
  add_uint(stats, ROW(tier_timeouts), timeouts);
  add_uint(stats, ROW(tier_errors), errors);
  add_uint(stats, ROW(tier_reconnects), reconnects);
}

static void add_tier(struct stats *stats, const struct dispatch *d, uint64_t now_ns) {
  struct tier_report report = {0};
  if (d->tier.report == NULL)
    return;
  d->tier.report(d->tier.arg, now_ns, &report);
  add_tier_servers(stats, &d->tier);
  add_uint(stats, ROW(tier_queue_entries), report.queue_entries);
  add_uint(stats, ROW(tier_queue_bytes), report.queue_bytes);
  add_uint(stats, ROW(tier_queue_bytes_max), report.queue_bytes_max);
  add_real(stats, ROW(tier_queue_age_s), seconds(report.queue_age_ns));
  add_uint(stats, ROW(tier_fills), report.fills_begun);
  add_uint(stats, ROW(tier_fills_failed), report.fills_failed);
  add_uint(stats, ROW(tier_fills_late), report.fills_late);
  add_uint(stats, ROW(tier_fills_skipped), report.skipped_down + report.skipped_full);
  add_uint(stats, ROW(tier_fleet_leases),
           report.fills[TIER_FILL_OFFERED] + report.fills[TIER_FILL_HELD]);
  add_uint(stats, ROW(tier_remote_waits), report.fills[TIER_FILL_REMOTE]);
  add_uint(stats, ROW(tier_remote_hits), report.remote_hits);
  add_uint(stats, ROW(tier_clears_learned), report.clears_learned);
}

static void add_trace(struct stats *stats, const struct trace *trace) {
  add_uint(stats, ROW(trace_on), trace_is_on(trace));
  if (trace_is_on(trace))
    add_text(stats, ROW(trace_path), fc_str_of(trace_path(trace)));
  add_uint(stats, ROW(trace_waiting), trace_waiting(trace));
}

static void add_watch(struct stats *stats, const struct watch *watch) {
  add_uint(stats, ROW(watchers), watch->n);
  add_uint(stats, ROW(events_lost), watch->lost);
}

static void add_daemon(struct stats *stats, const struct call *call) {
  struct dispatch *d = call->dispatch;
  double uptime_s = seconds(call->start_ns - d->started_ns);
  add_text(stats, ROW(version), fc_str_of(FC_VERSION));
  add_uint(stats, ROW(pid), (uint64_t)getpid());
  add_real(stats, ROW(start_time_s), seconds(d->started_unix_ns));
  add_real(stats, ROW(uptime_s), uptime_s);
  add_survival(stats, d, uptime_s);
  add_uint(stats, ROW(clients), d->clients);
  add_uint(stats, ROW(clients_max), d->max_clients);
  add_store(stats, d);
  add_region(stats, d);
  add_uint(stats, ROW(leases), d->leases.n);
  add_uint(stats, ROW(lease_waits), d->leases.waits);
  add_rings(stats, d);
  add_uint(stats, ROW(users), d->users->n);
  add_uint(stats, ROW(user_share), d->users->share_percent);
  add_memory(stats, d);
  add_tier(stats, d, call->start_ns);
  add_trace(stats, d->trace);
  add_watch(stats, &d->watch);
  add_both_totals(stats, d);
}

static void add_namespace(struct stats *stats, const struct namespace *ns) {
  /* The reply has the name first. */
  (void)fc_encode_stat_text(&stats->members, "namespace", ns->name);
  stats->n++;
  add_uint(stats, ROW(clients), namespace_clients(ns));
  add_uint(stats, ROW(entries), ns->entries);
  add_uint(stats, ROW(bytes), ns->bytes);
  if (ns->max_entries > 0)
    add_uint(stats, ROW(max_entries), ns->max_entries);
  if (ns->max_bytes > 0)
    add_uint(stats, ROW(max_bytes), ns->max_bytes);
  add_counters(stats, &ns->counters);
  add_uint(stats, ROW(evictions_entries), ns->evictions[EVICT_ENTRIES]);
  add_uint(stats, ROW(evictions_bytes), ns->evictions[EVICT_BYTES]);
  add_uint(stats, ROW(evictions_own_bytes), ns->evictions[EVICT_OWN_BYTES]);
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
  struct stats stats = {.place = FC_STATS_IN_DAEMON};
  (void)fc_encode_stats_reply_head(reply, call->id); /* call_reply_if_room checks `failed` */
  add_daemon(&stats, call);
  flush(&stats, reply);
  stats.place = FC_STATS_IN_NAMESPACE;
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
