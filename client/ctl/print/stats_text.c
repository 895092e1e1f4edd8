#include "client/ctl/print/stats_text.h"

#include <string.h>

#include "client/ctl/print/render.h"

#define LABEL_COLUMNS 17u
#define VALUE_COLUMNS (RENDER_COLUMNS - LABEL_COLUMNS)
#define VALUE_SIZE 1024u

/* ---- rows of one group ---- */

typedef void value_fn(const struct figure_group *group, char value[VALUE_SIZE]);

/* Shown where the first name of `names` is there; `names` are what the row covers. */
struct row {
  const char *label;
  const char *names;
  value_fn *value;
};

#define N(name) ((unsigned long long)figures_integer(group, name))

static void value_version(const struct figure_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%s, pid %llu", figures_text(group, "version"), N("pid"));
}

static void value_uptime(const struct figure_group *group, char value[VALUE_SIZE]) {
  render_seconds(figures_real(group, "uptime_s"), value);
}

/* Of a limit, where there is one. */
static void count_of(const struct figure_group *group, const char *name, const char *limit,
                     char value[VALUE_SIZE]) {
  if (figures_find(group, limit))
    render_share(N(name), N(limit), value);
  else
    snprintf(value, VALUE_SIZE, "%llu", N(name));
}

static void value_clients(const struct figure_group *group, char value[VALUE_SIZE]) {
  count_of(group, "clients", "clients_max", value);
}

static void value_entries(const struct figure_group *group, char value[VALUE_SIZE]) {
  count_of(group, "entries", "max_entries", value);
}

static void value_memory(const struct figure_group *group, char value[VALUE_SIZE]) {
  if (figures_find(group, "max_bytes"))
    render_share_bytes(N("bytes"), N("max_bytes"), value);
  else
    render_bytes(N("bytes"), value);
}

static void value_total(const struct figure_group *group, char value[VALUE_SIZE]) {
  render_share_bytes(N("memory_used"), N("memory_bound"), value);
}

#define VALUE_MEMORY(part)                                                                         \
  static void value_memory_##part(const struct figure_group *group, char value[VALUE_SIZE]) {      \
    render_share_bytes(N("memory_" #part), N("memory_" #part "_bound"), value);                    \
  }
VALUE_MEMORY(region)
VALUE_MEMORY(messages)
VALUE_MEMORY(sockets)
VALUE_MEMORY(rings)
VALUE_MEMORY(clients)
VALUE_MEMORY(namespaces)
VALUE_MEMORY(leases)
VALUE_MEMORY(trace)
VALUE_MEMORY(daemon)

static void value_hits(const struct figure_group *group, char value[VALUE_SIZE]) {
  render_share(N("cache_hits"), N("cache_hits") + N("cache_misses"), value);
}

static void value_shared(const struct figure_group *group, char value[VALUE_SIZE]) {
  render_share(N("shared_hits"), N("cache_hits"), value);
}

static void value_planes(const struct figure_group *group, char value[VALUE_SIZE]) {
  int used = snprintf(value, VALUE_SIZE, "%llu by clients themselves, %llu by message",
                      N("hits_region"), N("hits_socket"));

  if (N("hits_unrecorded") > 0)
    snprintf(value + used, VALUE_SIZE - (size_t)used, ", %llu not recorded", N("hits_unrecorded"));
}

static void value_rings(const struct figure_group *group, char value[VALUE_SIZE]) {
  char bytes[RENDER_SIZE], each[RENDER_SIZE] = "-";

  if (N("ring_records") > 0)
    render_seconds(figures_real(group, "drain_s") / (double)N("ring_records"), each);
  snprintf(value, VALUE_SIZE, "%llu of %s, %llu records, %s each", N("rings"),
           render_bytes(N("rings_bytes"), bytes), N("ring_records"), each);
}

static void value_rings_now(const struct figure_group *group, char value[VALUE_SIZE]) {
  char bytes[RENDER_SIZE];

  snprintf(value, VALUE_SIZE, "%llu asleep, %llu clients without one, %s at most",
           N("rings_asleep"), N("clients_without_ring"), render_bytes(N("rings_bytes_max"), bytes));
}

static void value_leases(const struct figure_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu granted, %llu abandoned, %llu expired", N("leases_granted"),
           N("leases_abandoned"), N("leases_expired"));
}

static void value_leases_now(const struct figure_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu held, %llu waiting", N("leases"), N("lease_waits"));
}

static void value_waits(const struct figure_group *group, char value[VALUE_SIZE]) {
  char time[RENDER_SIZE];

  snprintf(value, VALUE_SIZE, "%s in all, %llu ended with a hit",
           render_seconds(figures_real(group, "lease_wait_s"), time), N("coalesced_hits"));
}

static void value_batches(const struct figure_group *group, char value[VALUE_SIZE]) {
  char average[RENDER_SIZE] = "-";

  if (N("batches_sent") > 0)
    snprintf(average, sizeof average, "%.2f", figures_real(group, "avg_batch_size"));
  snprintf(value, VALUE_SIZE, "%llu with %llu prompts, largest %llu, average %s", N("batches_sent"),
           N("batched_prompts"), N("max_batch_size"), average);
}

static void value_region(const struct figure_group *group, char value[VALUE_SIZE]) {
  char used[RENDER_SIZE];

  snprintf(value, VALUE_SIZE, "%s, %s", N("region_shared") ? "shared" : "private",
           render_share_bytes(N("region_used_bytes"), N("region_bytes"), used));
}

static void value_unlisted(const struct figure_group *group, char value[VALUE_SIZE]) {
  char bytes[RENDER_SIZE];

  snprintf(value, VALUE_SIZE, "%s of entries that left while clients read them",
           render_bytes(N("region_unlisted_bytes"), bytes));
}

static void value_holes(const struct figure_group *group, char value[VALUE_SIZE]) {
  char moved[RENDER_SIZE];

  snprintf(value, VALUE_SIZE, "%.2f%% fragmented, %s moved together",
           figures_real(group, "region_fragmentation") * 100,
           render_bytes(N("region_moved_bytes"), moved));
}

static void value_dead(const struct figure_group *group, char value[VALUE_SIZE]) {
  char bytes[RENDER_SIZE];

  snprintf(value, VALUE_SIZE, "%llu of ended daemons, up to %s, by process %s", N("dead_regions"),
           render_bytes(N("dead_regions_bytes"), bytes), figures_text(group, "dead_regions_pids"));
}

static void value_evictions(const struct figure_group *group, char value[VALUE_SIZE]) {
  int used = snprintf(value, VALUE_SIZE, "%llu over max_entries, %llu over max_bytes",
                      N("evictions_entries"), N("evictions_bytes"));

  if (N("evictions_own_bytes") > 0)
    used += snprintf(value + used, VALUE_SIZE - (size_t)used, ", %llu over a namespace's max_bytes",
                     N("evictions_own_bytes"));
  if (N("evictions_forced") > 0)
    used += snprintf(value + used, VALUE_SIZE - (size_t)used, ", %llu for a hole",
                     N("evictions_forced"));
  if (N("evictions_chain") > 0)
    snprintf(value + used, VALUE_SIZE - (size_t)used, ", %llu collided", N("evictions_chain"));
}

static void value_puts(const struct figure_group *group, char value[VALUE_SIZE]) {
  int used = snprintf(value, VALUE_SIZE, "%llu not the first, %llu from before a clear",
                      N("puts_kept"), N("puts_stale"));

  if (figures_find(group, "puts_too_big"))
    snprintf(value + used, VALUE_SIZE - (size_t)used, ", %llu too big", N("puts_too_big"));
}

static void value_connections(const struct figure_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%llu, %llu refused, %llu dropped", N("connections"), N("refused"),
           N("dropped"));
}

/* Refusals for a share, whatever they were of, and messages that waited for it. */
static void value_users(const struct figure_group *group, char value[VALUE_SIZE]) {
  unsigned long long refused = N("share_refused_clients") + N("share_refused_namespaces") +
                               N("share_refused_manifests") + N("share_refused_leases") +
                               N("share_refused_waits");

  snprintf(value, VALUE_SIZE, "%llu, each up to %llu%%, %llu refused more, %llu messages held",
           N("users"), N("user_share"), refused, N("share_held_messages"));
}

static void value_trace(const struct figure_group *group, char value[VALUE_SIZE]) {
  snprintf(value, VALUE_SIZE, "%s, %llu lines, %llu lost, %llu not written yet",
           N("trace_on") ? "on" : "off", N("trace_lines"), N("trace_lost"), N("trace_waiting"));
}

static void plain(const struct figure *figure, char value[VALUE_SIZE]) {
  switch (figure->kind) {
  case FCACHE_STAT_BYTES:
    render_bytes(figure->integer, value);
    break;
  case FCACHE_STAT_SECONDS:
    render_seconds(figure->real, value);
    break;
  case FCACHE_STAT_RATIO:
    snprintf(value, VALUE_SIZE, "%.4g", figure->real);
    break;
  case FCACHE_STAT_TEXT:
    snprintf(value, VALUE_SIZE, "%s", figure->text);
    break;
  case FCACHE_STAT_COUNT:
  default:
    snprintf(value, VALUE_SIZE, "%llu", (unsigned long long)figure->integer);
    break;
  }
}

/* A row without a function shows its one figure plainly. */
static const struct row rows[] = {
    {"fcached", "version pid", value_version},
    {"up", "uptime_s", value_uptime},
    {"clients", "clients clients_max", value_clients},
    {"namespaces", "namespaces", NULL},
    {"entries", "entries max_entries", value_entries},
    {"memory", "bytes max_bytes", value_memory},
    {"  in flight", "memory_in_flight", NULL},
    {"total memory", "memory_used memory_bound", value_total},
    {"  region", "memory_region memory_region_bound", value_memory_region},
    {"  messages", "memory_messages memory_messages_bound", value_memory_messages},
    {"  sockets", "memory_sockets memory_sockets_bound", value_memory_sockets},
    {"  rings", "memory_rings memory_rings_bound", value_memory_rings},
    {"  clients", "memory_clients memory_clients_bound", value_memory_clients},
    {"  namespaces", "memory_namespaces memory_namespaces_bound", value_memory_namespaces},
    {"  leases", "memory_leases memory_leases_bound", value_memory_leases},
    {"  trace", "memory_trace memory_trace_bound", value_memory_trace},
    {"  daemon", "memory_daemon memory_daemon_bound", value_memory_daemon},
    {"region", "region_shared region_inode region_bytes region_used_bytes", value_region},
    {"  holes", "region_fragmentation region_moved_bytes", value_holes},
    {"  unlisted", "region_unlisted_bytes", value_unlisted},
    {"  dead", "dead_regions_pids dead_regions dead_regions_bytes", value_dead}, /* if there are */
    {"largest value", "max_value", NULL},
    {"hits", "cache_hits cache_misses hit_rate", value_hits},
    {"  shared", "shared_hits", value_shared},
    {"  served", "hits_region hits_socket hits_unrecorded", value_planes},
    {"rings", "rings rings_bytes ring_records drain_s", value_rings},
    {"  now", "rings_asleep clients_without_ring rings_bytes_max", value_rings_now},
    {"forward passes", "forward_passes", NULL},
    {"scoring time", "scoring_wall_s", NULL},
    {"time saved", "saved_wall_s", NULL},
    {"leases", "leases_granted leases_abandoned leases_expired", value_leases},
    {"  now", "leases lease_waits", value_leases_now},
    {"  waits", "lease_wait_s coalesced_hits", value_waits},
    {"batches", "batches_sent batched_prompts max_batch_size avg_batch_size", value_batches},
    {"evicted",
     "evictions_entries evictions_bytes evictions_own_bytes evictions_forced evictions_chain",
     value_evictions},
    {"puts not stored", "puts_kept puts_stale puts_too_big", value_puts},
    {"clears", "clears", NULL},
    {"settings ignored", "settings_ignored", NULL},
    {"connections", "connections refused dropped", value_connections},
    {"users",
     "users user_share share_refused_clients share_refused_namespaces share_refused_manifests "
     "share_refused_leases share_refused_waits share_held_messages",
     value_users},
    {"trace", "trace_on trace_lines trace_lost trace_waiting", value_trace},
    {"  file", "trace_path", NULL},
    {"idle", "idle_s", NULL},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static bool covers(const char *names, const char *name) {
  size_t size = strlen(name);

  for (const char *at = strstr(names, name); at; at = strstr(at + 1, name))
    if ((at == names || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
      return true;
  return false;
}

static bool is_known(const char *name) {
  for (size_t i = 0; i < N_ROWS; i++)
    if (covers(rows[i].names, name))
      return true;
  return false;
}

static void print_row(FILE *out, const char *label, const char *value) {
  size_t width = render_width(label);

  render_fit(out, label, width < LABEL_COLUMNS ? LABEL_COLUMNS - 1 : RENDER_COLUMNS / 2, 1);
  (void)fputc(' ', out); /* the stream's error is checked at the end */
  render_fit(out, value,
             width < LABEL_COLUMNS ? VALUE_COLUMNS : RENDER_COLUMNS - RENDER_COLUMNS / 2 - 1, 0);
  (void)fputc('\n', out);
}

static void print_known(FILE *out, const struct figure_group *group, const struct row *row) {
  char first[32], value[VALUE_SIZE];
  const struct figure *figure;

  snprintf(first, sizeof first, "%.*s", (int)strcspn(row->names, " "), row->names);
  figure = figures_find(group, first);
  if (!figure || (figure->text && figure->text[0] == '\0'))
    return;
  if (row->value)
    row->value(group, value);
  else
    plain(figure, value);
  print_row(out, row->label, value);
}

void stats_text_group(FILE *out, const struct figure_group *group) {
  char value[VALUE_SIZE];

  if (group->name_space)
    print_row(out, "namespace", group->name_space);
  for (size_t i = 0; i < N_ROWS; i++)
    print_known(out, group, &rows[i]);
  for (size_t i = 0; i < group->n; i++) {
    if (is_known(group->figures[i].name))
      continue;
    plain(&group->figures[i], value);
    print_row(out, group->figures[i].name, value);
  }
}

/* ---- the namespaces' table ---- */

enum column { ENTRIES, SIZE, HITS, SHARED, SAVED, N_COLUMNS };

static const char *const column_names[N_COLUMNS] = {"ENTRIES", "SIZE", "HITS", "SHARED", "SAVED"};

static const char *cell(const struct figure_group *group, enum column column,
                        char text[RENDER_SIZE]) {
  switch (column) {
  case ENTRIES:
    return render_count(N("entries"), text);
  case SIZE:
    return render_bytes(N("bytes"), text);
  case HITS:
    return render_share_short(N("cache_hits"), N("cache_hits") + N("cache_misses"), text);
  case SHARED:
    return render_count(N("shared_hits"), text);
  case SAVED:
    return render_seconds(figures_real(group, "saved_wall_s"), text);
  case N_COLUMNS:
  default:
    return "";
  }
}

static void print_line(FILE *out, const char *name, size_t name_columns,
                       const size_t widths[N_COLUMNS], const struct figure_group *group) {
  char text[RENDER_SIZE];

  render_fit(out, name, name_columns, 1);
  for (int i = 0; i < N_COLUMNS; i++)
    (void)fprintf(out, "  %*s", (int)widths[i],
                  group ? cell(group, (enum column)i, text) : column_names[i]);
  (void)fputc('\n', out); /* the stream's error is checked at the end */
}

void stats_text_namespaces(FILE *out, const struct figures *figures) {
  size_t widths[N_COLUMNS], name_columns = strlen("NAMESPACE"), room = RENDER_COLUMNS;
  char text[RENDER_SIZE];

  for (int i = 0; i < N_COLUMNS; i++) {
    widths[i] = strlen(column_names[i]);
    for (size_t k = 0; k < figures->n; k++) {
      size_t width = strlen(cell(&figures->namespaces[k], (enum column)i, text));

      if (width > widths[i])
        widths[i] = width;
    }
    room -= widths[i] + 2;
  }
  if (room > RENDER_COLUMNS || room < 1) /* figures out of all bounds: keep the line's shape */
    room = 1;
  for (size_t k = 0; k < figures->n; k++) {
    size_t width = render_width(figures->namespaces[k].name_space);

    if (width > name_columns)
      name_columns = width;
  }
  if (name_columns > room)
    name_columns = room;

  print_line(out, "NAMESPACE", name_columns, widths, NULL);
  for (size_t k = 0; k < figures->n; k++)
    print_line(out, figures->namespaces[k].name_space, name_columns, widths,
               &figures->namespaces[k]);
}

void stats_text_all(FILE *out, const struct figures *figures) {
  stats_text_group(out, &figures->daemon);
  if (figures->n == 0)
    return;
  (void)fputc('\n', out); /* the stream's error is checked at the end */
  stats_text_namespaces(out, figures);
}

/* ---- the view that goes on ---- */

#define WATCH_COLUMNS 9

static void print_watch(FILE *out, const char *const cells[WATCH_COLUMNS]) {
  static const int widths[WATCH_COLUMNS] = {7, 7, 8, 10, 9, 8, 7, 7, 7};

  for (int i = 0; i < WATCH_COLUMNS; i++)
    (void)fprintf(out, "%s%*s", i ? " " : "", widths[i], cells[i]);
  (void)fputc('\n', out); /* the stream's error is checked at the end */
}

void stats_text_watch_header(FILE *out) {
  static const char *const names[WATCH_COLUMNS] = {
      "CLIENTS", "ENTRIES", "SIZE", "LOOKUPS/S", "HITS", "PASSES/S", "EVICT/S", "SAVED", "WAITS"};

  print_watch(out, names);
}

/* What two counters grew by together; false where one fell: another daemon has taken over. */
static bool grew(const struct figure_group *before, const struct figure_group *now, const char *one,
                 const char *other, uint64_t *by) {
  uint64_t a = figures_integer(before, one), b = figures_integer(now, one);
  uint64_t c = figures_integer(before, other), d = figures_integer(now, other);

  *by = (b - a) + (d - c);
  return b >= a && d >= c;
}

static void per_second(uint64_t n, double seconds, char text[RENDER_SIZE]) {
  if (seconds > 0)
    render_count((uint64_t)((double)n / seconds + 0.5), text);
}

void stats_text_watch_line(FILE *out, const struct figure_group *before,
                           const struct figure_group *now, double seconds) {
  char texts[WATCH_COLUMNS][RENDER_SIZE] = {"-", "-", "-", "-", "-", "-", "-", "-", "-"};
  const char *cells[WATCH_COLUMNS];
  uint64_t hits, lookups, passes, evicted, evicted_own;

  render_count(figures_integer(now, "clients"), texts[0]);
  render_count(figures_integer(now, "entries"), texts[1]);
  render_bytes(figures_integer(now, "bytes"), texts[2]);
  if (grew(before, now, "cache_hits", "cache_misses", &lookups)) {
    per_second(lookups, seconds, texts[3]);
    hits = figures_integer(now, "cache_hits") - figures_integer(before, "cache_hits");
    render_percent(hits, lookups, texts[4]);
  }
  if (grew(before, now, "forward_passes", "", &passes))
    per_second(passes, seconds, texts[5]);
  if (grew(before, now, "evictions_entries", "evictions_bytes", &evicted) &&
      grew(before, now, "evictions_own_bytes", "", &evicted_own))
    per_second(evicted + evicted_own, seconds, texts[6]);
  render_seconds(figures_real(now, "saved_wall_s") - figures_real(before, "saved_wall_s"),
                 texts[7]);
  if (figures_find(now, "lease_waits")) /* of the whole daemon alone */
    render_count(figures_integer(now, "lease_waits"), texts[8]);
  for (int i = 0; i < WATCH_COLUMNS; i++)
    cells[i] = texts[i];
  print_watch(out, cells);
}
