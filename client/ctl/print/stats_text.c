#include "client/ctl/print/stats_text.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/stats_survival.h"
#include "client/ctl/print/stats_tier.h"
#include "client/ctl/print/table.h"
#include "client/ctl/print/units.h"

#define VALUE_SIZE STATS_VALUE_SIZE

/* ---- rows of one group ---- */

typedef void value_fn(const struct stats_group *group, char value[VALUE_SIZE]);

/* A row is printed if its first item is present. It covers all its items. */
#define ROW_ITEMS_MAX 8u
struct row {
  const char *label;
  enum fc_stats_id items[ROW_ITEMS_MAX];
  unsigned n;
  value_fn *value;
};

#define N(id) ((unsigned long long)stats_group_integer(group, STATS_NAME(id)))
#define COUNTED(id) N(id), units_plural(N(id)) /* the arguments of "%llu hit%s" */

static void value_version(const struct stats_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%s, pid %llu", stats_group_text(group, STATS_NAME(version)), N(pid));
}

static void value_uptime(const struct stats_group *group, char value[VALUE_SIZE]) {
  units_seconds(stats_group_real(group, STATS_NAME(uptime_s)), value);
}

/* Formats the number, as a share of its limit if there is one. */
static void count_of(const struct stats_group *group, const char *name, const char *limit,
                     char value[VALUE_SIZE]) {
  unsigned long long count = stats_group_integer(group, name);

  if (stats_group_find(group, limit))
    units_share(count, stats_group_integer(group, limit), value);
  else
    snprintf(value, VALUE_SIZE, "%llu", count);
}

static void value_clients(const struct stats_group *group, char value[VALUE_SIZE]) {
  count_of(group, STATS_NAME(clients), STATS_NAME(clients_max), value);
}

static void value_entries(const struct stats_group *group, char value[VALUE_SIZE]) {
  count_of(group, STATS_NAME(entries), STATS_NAME(max_entries), value);
}

static void value_memory(const struct stats_group *group, char value[VALUE_SIZE]) {
  if (stats_group_find(group, STATS_NAME(max_bytes)))
    units_share_bytes(N(bytes), N(max_bytes), value);
  else
    units_bytes(N(bytes), value);
}

static void value_total(const struct stats_group *group, char value[VALUE_SIZE]) {
  units_share_bytes(N(memory_used), N(memory_bound), value);
}

#define VALUE_MEMORY(part)                                                                         \
  static void value_memory_##part(const struct stats_group *group, char value[VALUE_SIZE]) {       \
    units_share_bytes(N(memory_##part), N(memory_##part##_bound), value);                          \
  }
VALUE_MEMORY(region)
VALUE_MEMORY(messages)
VALUE_MEMORY(sockets)
VALUE_MEMORY(rings)
VALUE_MEMORY(clients)
VALUE_MEMORY(namespaces)
VALUE_MEMORY(leases)
VALUE_MEMORY(tier)
VALUE_MEMORY(trace)
VALUE_MEMORY(daemon)

static void value_hits(const struct stats_group *group, char value[VALUE_SIZE]) {
  units_share(N(cache_hits), N(cache_hits) + N(cache_misses), value);
}

static void value_shared(const struct stats_group *group, char value[VALUE_SIZE]) {
  units_share(N(shared_hits), N(cache_hits), value);
}

static void value_hit_path(const struct stats_group *group, char value[VALUE_SIZE]) {
  int used = snprintf(value, VALUE_SIZE, "%llu shared memory, %llu socket", N(hits_region),
                      N(hits_socket));

  if (N(hits_unrecorded) > 0)
    snprintf(value + used, VALUE_SIZE - (size_t)used, ", %llu not recorded", N(hits_unrecorded));
}

static void value_rings(const struct stats_group *group, char value[VALUE_SIZE]) {
  char bytes[UNITS_SIZE], each[UNITS_SIZE] = "-";

  if (N(ring_records) > 0)
    units_seconds(stats_group_real(group, STATS_NAME(drain_s)) / (double)N(ring_records), each);
  snprintf(value, VALUE_SIZE, "%llu (%s), %llu record%s drained, %s per record", N(rings),
           units_bytes(N(rings_bytes), bytes), COUNTED(ring_records), each);
}

static void value_rings_now(const struct stats_group *group, char value[VALUE_SIZE]) {
  char bytes[UNITS_SIZE];

  snprintf(value, VALUE_SIZE, "%llu asleep, %llu client%s without a ring, limit %s",
           N(rings_asleep), COUNTED(clients_without_ring), units_bytes(N(rings_bytes_max), bytes));
}

static void value_leases(const struct stats_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu granted, %llu abandoned, %llu expired", N(leases_granted),
           N(leases_abandoned), N(leases_expired));
}

static void value_leases_now(const struct stats_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu held, %llu waiting", N(leases), N(lease_waits));
}

static void value_waits(const struct stats_group *group, char value[VALUE_SIZE]) {
  char time[UNITS_SIZE];

  snprintf(value, VALUE_SIZE, "%s total, %llu hit%s after waiting",
           units_seconds(stats_group_real(group, STATS_NAME(lease_wait_s)), time),
           COUNTED(coalesced_hits));
}

static void value_batches(const struct stats_group *group, char value[VALUE_SIZE]) {
  char average[UNITS_SIZE] = "-";

  if (N(batches_sent) > 0)
    snprintf(average, sizeof average, "%.2f", stats_group_real(group, STATS_NAME(avg_batch_size)));
  int used = snprintf(value, VALUE_SIZE, "%llu with %llu prompt%s, average %s", N(batches_sent),
                      COUNTED(batched_prompts), average);

  if (stats_group_find(group, STATS_NAME(max_batch_size)))
    snprintf(value + used, VALUE_SIZE - (size_t)used, ", largest %llu", N(max_batch_size));
}

static void value_region(const struct stats_group *group, char value[VALUE_SIZE]) {
  char used[UNITS_SIZE];

  snprintf(value, VALUE_SIZE, "%s, %s%s", N(region_shared) ? "shared" : "private",
           N(region_huge_pages) ? "huge pages, " : "",
           units_share_bytes(N(region_used_bytes), N(region_bytes), used));
}

static void value_unlisted(const struct stats_group *group, char value[VALUE_SIZE]) {
  char bytes[UNITS_SIZE];

  snprintf(value, VALUE_SIZE, "%s in removed entries that replies still hold",
           units_bytes(N(region_unlisted_bytes), bytes));
}

static void value_fragmentation(const struct stats_group *group, char value[VALUE_SIZE]) {
  char moved[UNITS_SIZE];

  snprintf(value, VALUE_SIZE, "%.2f%%, %s compacted",
           stats_group_real(group, STATS_NAME(region_fragmentation)) * 100,
           units_bytes(N(region_moved_bytes), moved));
}

static void value_dead(const struct stats_group *group, char value[VALUE_SIZE]) {
  char bytes[UNITS_SIZE];

  snprintf(value, VALUE_SIZE, "%llu (up to %s), mapped by process %s", N(dead_regions),
           units_bytes(N(dead_regions_bytes), bytes),
           stats_group_text(group, STATS_NAME(dead_regions_pids)));
}

static void value_evictions(const struct stats_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu over max_entries, %llu over max_bytes", N(evictions_entries),
           N(evictions_bytes));
}

/* Formats the rarer reasons that occurred, or "" if none did. */
static void value_evictions_rare(const struct stats_group *group, char value[VALUE_SIZE]) {
  const struct {
    unsigned long long n;
    const char *reason;
  } reasons[] = {{N(evictions_own_bytes), "namespace limits"},
                 {N(evictions_forced), "contiguous space"},
                 {N(evictions_chain), "full buckets"}};
  int used = 0;

  value[0] = '\0';
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
    if (reasons[i].n > 0)
      used += snprintf(value + used, VALUE_SIZE - (size_t)used, "%s%llu for %s",
                       used > 0 ? ", " : "", reasons[i].n, reasons[i].reason);
}

static void value_rejected_puts(const struct stats_group *group, char value[VALUE_SIZE]) {
  int used = snprintf(value, VALUE_SIZE, "%llu already present, %llu stale (cleared)", N(puts_kept),
                      N(puts_stale));

  if (stats_group_find(group, STATS_NAME(puts_too_big)))
    snprintf(value + used, VALUE_SIZE - (size_t)used, ", %llu too large", N(puts_too_big));
}

static void value_connections(const struct stats_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu total, %llu refused, %llu dropped", N(connections), N(refused),
           N(dropped));
}

/* Sums up the refusals by a user's share of any resource. */
static void value_users(const struct stats_group *group, char value[VALUE_SIZE]) {
  unsigned long long refused = N(share_refused_clients) + N(share_refused_namespaces) +
                               N(share_refused_manifests) + N(share_refused_leases) +
                               N(share_refused_waits);

  snprintf(value, VALUE_SIZE, "%llu, share up to %llu%%, %llu refused, %llu message%s delayed",
           N(users), N(user_share), refused, COUNTED(share_held_messages));
}

static void value_trace(const struct stats_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%s, %llu line%s, %llu lost, %llu not written yet",
           N(trace_on) ? "on" : "off", COUNTED(trace_lines), N(trace_lost), N(trace_waiting));
}

static void value_watchers(const struct stats_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu, %llu event%s lost", N(watchers), COUNTED(events_lost));
}

static void format_plain(const struct stats_item *item, char value[VALUE_SIZE]) {
  switch (item->kind) {
  case FCACHE_STAT_BYTES:
    units_bytes(item->integer, value);
    break;
  case FCACHE_STAT_SECONDS:
    units_seconds(item->real, value);
    break;
  case FCACHE_STAT_RATIO:
    snprintf(value, VALUE_SIZE, "%.4g", item->real);
    break;
  case FCACHE_STAT_TEXT:
    snprintf(value, VALUE_SIZE, "%s", item->text);
    break;
  case FCACHE_STAT_COUNT:
  default:
    snprintf(value, VALUE_SIZE, "%llu", (unsigned long long)item->integer);
    break;
  }
}

#define ID(id) FC_STATS_ROW_##id
#define ITEMS(...)                                                                                 \
  {__VA_ARGS__}, sizeof((enum fc_stats_id[]){__VA_ARGS__}) / sizeof(enum fc_stats_id)

/* A row without a function prints the value of its one item. */
static const struct row rows[] = {
    {"fcached", ITEMS(ID(version), ID(pid)), value_version},
    {"uptime", ITEMS(ID(uptime_s), ID(start_time_s)), value_uptime},
    {"cache", ITEMS(ID(restarts), ID(cache_age_s), ID(cache_id)), stats_survival_cache},
    {"  adopted", ITEMS(ID(adopted_entries), ID(adopt_dropped)), stats_survival_adopted},
    {"  restored", ITEMS(ID(restored_entries), ID(restore_dropped)), stats_survival_restored},
    {"  migrating", ITEMS(ID(migrating_bytes)), stats_survival_migrating},
    {"snapshots", ITEMS(ID(snapshots_written), ID(snapshots_failed)), stats_survival_snapshots},
    {"  last",
     ITEMS(ID(snapshot_result), ID(snapshot_late), ID(snapshot_interval_s), ID(snapshot_age_s),
           ID(snapshot_s), ID(snapshot_entries), ID(snapshot_bytes)),
     stats_survival_last},
    {"clients", ITEMS(ID(clients), ID(clients_max)), value_clients},
    {"namespaces", ITEMS(ID(namespaces)), NULL},
    {"entries", ITEMS(ID(entries), ID(max_entries)), value_entries},
    {"memory", ITEMS(ID(bytes), ID(max_bytes)), value_memory},
    {"  in flight", ITEMS(ID(memory_in_flight)), NULL},
    {"total memory", ITEMS(ID(memory_used), ID(memory_bound)), value_total},
    {"  region", ITEMS(ID(memory_region), ID(memory_region_bound)), value_memory_region},
    {"  messages", ITEMS(ID(memory_messages), ID(memory_messages_bound)), value_memory_messages},
    {"  sockets", ITEMS(ID(memory_sockets), ID(memory_sockets_bound)), value_memory_sockets},
    {"  rings", ITEMS(ID(memory_rings), ID(memory_rings_bound)), value_memory_rings},
    {"  clients", ITEMS(ID(memory_clients), ID(memory_clients_bound)), value_memory_clients},
    {"  namespaces", ITEMS(ID(memory_namespaces), ID(memory_namespaces_bound)),
     value_memory_namespaces},
    {"  leases", ITEMS(ID(memory_leases), ID(memory_leases_bound)), value_memory_leases},
    {"  tier", ITEMS(ID(memory_tier), ID(memory_tier_bound)), value_memory_tier},
    {"  trace", ITEMS(ID(memory_trace), ID(memory_trace_bound)), value_memory_trace},
    {"  daemon", ITEMS(ID(memory_daemon), ID(memory_daemon_bound)), value_memory_daemon},
    {"region",
     ITEMS(ID(region_shared), ID(region_huge_pages), ID(region_inode), ID(region_bytes),
           ID(region_used_bytes)),
     value_region},
    {"fragmentation", ITEMS(ID(region_fragmentation), ID(region_moved_bytes)), value_fragmentation},
    {"unlisted", ITEMS(ID(region_unlisted_bytes)), value_unlisted},
    {"dead regions", ITEMS(ID(dead_regions_pids), ID(dead_regions), ID(dead_regions_bytes)),
     value_dead},
    {"largest value", ITEMS(ID(max_value)), NULL},
    {"hits", ITEMS(ID(cache_hits), ID(cache_misses), ID(hit_rate)), value_hits},
    {"  shared", ITEMS(ID(shared_hits)), value_shared},
    {"hit path", ITEMS(ID(hits_region), ID(hits_socket), ID(hits_unrecorded)), value_hit_path},
    {"hit rings", ITEMS(ID(rings), ID(rings_bytes), ID(ring_records), ID(drain_s)), value_rings},
    {"  now", ITEMS(ID(rings_asleep), ID(clients_without_ring), ID(rings_bytes_max)),
     value_rings_now},
    {"forward passes", ITEMS(ID(forward_passes)), NULL},
    {"scoring time", ITEMS(ID(scoring_wall_s)), NULL},
    {"time saved", ITEMS(ID(saved_wall_s)), NULL},
    {"leases", ITEMS(ID(leases_granted), ID(leases_abandoned), ID(leases_expired)), value_leases},
    {"  now", ITEMS(ID(leases), ID(lease_waits)), value_leases_now},
    {"lease waits", ITEMS(ID(lease_wait_s), ID(coalesced_hits)), value_waits},
    {"batches",
     ITEMS(ID(batches_sent), ID(batched_prompts), ID(max_batch_size), ID(avg_batch_size)),
     value_batches},
    {"evicted", ITEMS(ID(evictions_entries), ID(evictions_bytes)), value_evictions},
    {"  others", ITEMS(ID(evictions_forced), ID(evictions_own_bytes), ID(evictions_chain)),
     value_evictions_rare},
    {"rejected puts", ITEMS(ID(puts_kept), ID(puts_stale), ID(puts_too_big)), value_rejected_puts},
    {"clears", ITEMS(ID(clears)), NULL},
    {"deletes", ITEMS(ID(deletes)), NULL},
    {"settings ignored", ITEMS(ID(settings_ignored)), NULL},
    {"connections", ITEMS(ID(connections), ID(refused), ID(dropped)), value_connections},
    {"users",
     ITEMS(ID(users), ID(user_share), ID(share_refused_clients), ID(share_refused_namespaces),
           ID(share_refused_manifests), ID(share_refused_leases), ID(share_refused_waits),
           ID(share_held_messages)),
     value_users},
    {"tier", ITEMS(ID(tier_servers), ID(tier_open)), stats_tier_servers},
    {"  lookups", ITEMS(ID(tier_hits), ID(tier_misses), ID(tier_bad_values)), stats_tier_reads},
    {"  fills",
     ITEMS(ID(tier_fills), ID(tier_fills_failed), ID(tier_fills_late), ID(tier_fills_skipped),
           ID(tier_remote_hits)),
     stats_tier_fills},
    {"  now", ITEMS(ID(tier_fleet_leases), ID(tier_remote_waits)), stats_tier_now},
    {"  writes", ITEMS(ID(tier_writes), ID(tier_writes_kept), ID(tier_writes_dropped)),
     stats_tier_writes},
    {"  queue",
     ITEMS(ID(tier_queue_entries), ID(tier_queue_bytes), ID(tier_queue_bytes_max),
           ID(tier_queue_age_s)),
     stats_tier_queue},
    {"  failures", ITEMS(ID(tier_timeouts), ID(tier_errors), ID(tier_reconnects)),
     stats_tier_failures},
    {"  clears", ITEMS(ID(tier_clears_learned)), stats_tier_clears},
    {"trace", ITEMS(ID(trace_on), ID(trace_lines), ID(trace_lost), ID(trace_waiting)), value_trace},
    {"  file", ITEMS(ID(trace_path)), NULL},
    {"watchers", ITEMS(ID(watchers), ID(events_lost)), value_watchers},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static bool covers(const struct row *row, const char *name) {
  for (unsigned i = 0; i < row->n; i++)
    if (strcmp(fc_stats_rows[row->items[i]].name, name) == 0)
      return true;
  return false;
}

static bool is_known(const char *name) {
  for (size_t i = 0; i < N_ROWS; i++)
    if (covers(&rows[i], name))
      return true;
  return false;
}

static void add_row(struct table *table, const char *label, const char *value) {
  table_row(table);
  table_cell(table, label);
  table_cell(table, value);
}

static void add_known(struct table *table, const struct stats_group *group, const struct row *row) {
  const struct stats_item *item = stats_group_find(group, fc_stats_rows[row->items[0]].name);
  char value[VALUE_SIZE];

  if (!item || (item->text && item->text[0] == '\0'))
    return;
  if (row->value)
    row->value(group, value);
  else
    format_plain(item, value);
  if (value[0] != '\0')
    add_row(table, row->label, value);
}

/* Prints and frees the table. Returns 0 or FCACHE_ENOMEM. */
static int finish(struct table *table, FILE *out) {
  bool failed;

  table_print(table, out);
  failed = table->failed;
  table_deinit(table);
  return failed ? FCACHE_ENOMEM : 0;
}

/* Returns whether the daemon has counted something of the row. */
static bool has_counts(const struct stats_group *since, const struct row *row) {
  for (size_t i = 0; i < since->n; i++)
    if (covers(row, since->items[i].name) &&
        (since->items[i].integer > 0 || since->items[i].real > 0))
      return true;
  return false;
}

/* Prints the counters since the daemon's start, if it has continued those of another one. */
static int print_since(FILE *out, const struct stats_group *group) {
  static const struct table_column columns[] = {{"", TABLE_NAME}, {"", TABLE_NAME}};
  struct stats_group since;
  struct table table;
  int result = stats_survival_since(group, &since);

  if (result < 0 || since.n == 0)
    return result;
  (void)fputs("\nsince the daemon's start:\n", out); /* main checks the stream at the end */
  table_init(&table, columns, 2, false);
  for (size_t i = 0; i < N_ROWS; i++)
    if (has_counts(&since, &rows[i]))
      add_known(&table, &since, &rows[i]);
  free(since.items);
  return finish(&table, out);
}

int stats_text_group(FILE *out, const struct stats_group *group) {
  static const struct table_column columns[] = {{"", TABLE_NAME}, {"", TABLE_NAME}};
  char value[VALUE_SIZE];
  struct table table;

  table_init(&table, columns, 2, false);
  if (group->name_space)
    add_row(&table, "namespace", group->name_space);
  for (size_t i = 0; i < N_ROWS; i++)
    add_known(&table, group, &rows[i]);
  for (size_t i = 0; i < group->n; i++) {
    if (is_known(group->items[i].name) || stats_survival_is_since(group, group->items[i].name))
      continue;
    format_plain(&group->items[i], value);
    add_row(&table, group->items[i].name, value);
  }
  int result = finish(&table, out);
  return result < 0 ? result : print_since(out, group);
}

/* ---- the table of namespaces ---- */

static int print_namespaces(FILE *out, const struct stats_snapshot *snapshot) {
  static const struct table_column columns[] = {
      {"NAMESPACE", TABLE_NAME}, {"ENTRIES", TABLE_NUMBER}, {"SIZE", TABLE_NUMBER},
      {"HITS", TABLE_NUMBER},    {"SHARED", TABLE_NUMBER},  {"SAVED", TABLE_NUMBER}};
  struct table table;
  char text[UNITS_SIZE];

  table_init(&table, columns, sizeof columns / sizeof columns[0], true);
  for (size_t i = 0; i < snapshot->n; i++) {
    const struct stats_group *group = &snapshot->namespaces[i];

    table_row(&table);
    table_cell(&table, group->name_space);
    table_cell(&table, units_count(N(entries), text));
    table_cell(&table, units_bytes(N(bytes), text));
    table_cell(&table, units_share_short(N(cache_hits), N(cache_hits) + N(cache_misses), text));
    table_cell(&table, units_count(N(shared_hits), text));
    table_cell(&table, units_seconds(stats_group_real(group, STATS_NAME(saved_wall_s)), text));
  }
  return finish(&table, out);
}

int stats_text_all(FILE *out, const struct stats_snapshot *snapshot) {
  int result = stats_text_group(out, &snapshot->daemon);

  if (result < 0 || snapshot->n == 0)
    return result;
  (void)fputc('\n', out); /* main checks the stream at the end */
  return print_namespaces(out, snapshot);
}
