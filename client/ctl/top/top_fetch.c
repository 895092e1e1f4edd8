#include "client/ctl/top/top_fetch.h"

#include <stdio.h>
#include <time.h>

#include "client/ctl/print/stats_snapshot.h"
#include "client/ctl/print/text.h"
#include "proto/limits.h"
#include "proto/wire/message.h"

/* One listing, which becomes the rows of a grouping or of two. */
struct fetch {
  struct top_reading *reading;
  const char *name_space; /* NULL: all */
};

static bool is_wanted(const struct fetch *fetch, const struct fc_usage_entry *usage) {
  return !fetch->name_space || fc_str_equal(usage->name_space, fc_str_of(fetch->name_space));
}

/* Copies a name. Returns NULL for none. */
static char *name_of(struct fc_str name, char text[FC_NAME_MAX + 1]) {
  if (!name.data)
    return NULL;
  (void)snprintf(text, FC_NAME_MAX + 1, "%.*s", (int)name.size, name.data); /* it was checked */
  return text;
}

static void add(const struct fetch *fetch, enum top_by by, const struct fc_usage_entry *usage,
                struct fc_str name) {
  char text[FC_NAME_MAX + 1], name_space[FC_NAME_MAX + 1];
  struct top_row row = {.others = usage->others,
                        .name = name_of(name, text),
                        .id = usage->client_id,
                        .pid = usage->pid,
                        .counts = {.hits = usage->hits,
                                   .misses = usage->misses,
                                   .saved_ns = usage->saved_ns,
                                   .computed_ns = usage->computed_ns,
                                   .put_bytes = usage->put_bytes,
                                   .stored_bytes = usage->stored_bytes}};

  if (by == TOP_CLIENT)
    row.name_space = name_of(usage->name_space, name_space);
  if (is_wanted(fetch, usage))
    top_reading_add(fetch->reading, by, &row);
}

static void add_namespace(void *arg, const struct fc_usage_entry *usage) {
  add(arg, TOP_NAMESPACE, usage, usage->name_space);
}

static void add_key(void *arg, const struct fc_usage_entry *usage) {
  add(arg, TOP_OP, usage, usage->op);
  add(arg, TOP_VIEW, usage, usage->view);
}

static void add_client(void *arg, const struct fc_usage_entry *usage) {
  add(arg, TOP_CLIENT, usage, usage->client);
}

static void add_probe(void *arg, const struct fc_usage_entry *usage) {
  add(arg, TOP_PROBE, usage, usage->probe);
}

static void set_summary(struct top_summary *summary, const struct stats_group *daemon) {
  *summary = (struct top_summary){
      .pid = stats_group_integer(daemon, STATS_NAME(pid)),
      .clients = stats_group_integer(daemon, STATS_NAME(clients)),
      .clients_max = stats_group_integer(daemon, STATS_NAME(clients_max)),
      .entries = stats_group_integer(daemon, STATS_NAME(entries)),
      .bytes = stats_group_integer(daemon, STATS_NAME(bytes)),
      .max_bytes = stats_group_integer(daemon, STATS_NAME(max_bytes)),
      .memory_used = stats_group_integer(daemon, STATS_NAME(memory_used)),
      .memory_bound = stats_group_integer(daemon, STATS_NAME(memory_bound)),
      .hits = stats_group_integer(daemon, STATS_NAME(cache_hits)),
      .misses = stats_group_integer(daemon, STATS_NAME(cache_misses)),
      .uptime_s = stats_group_real(daemon, STATS_NAME(uptime_s)),
      .saved_s = stats_group_real(daemon, STATS_NAME(saved_wall_s)),
  };
  (void)text_clean(summary->version, sizeof summary->version,
                   stats_group_text(daemon, STATS_NAME(version)));
}

static int fetch_summary(struct admin *admin, const char *name_space, struct top_reading *reading) {
  struct stats_snapshot snapshot;
  int rc;

  stats_snapshot_init(&snapshot);
  rc = admin_stats(admin, name_space, stats_snapshot_add, &snapshot);
  set_summary(&reading->summary, &snapshot.daemon);
  reading->failed |= snapshot.failed;
  stats_snapshot_deinit(&snapshot);
  return rc;
}

int top_fetch(struct admin *admin, const char *name_space, struct top_reading *reading) {
  struct fetch fetch = {reading, name_space};
  struct timespec now;
  int rc = admin_usage(admin, FC_USAGE_NAMESPACE, add_namespace, &fetch);

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  reading->time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  if (rc == 0)
    rc = admin_usage(admin, FC_USAGE_KEY, add_key, &fetch);
  if (rc == 0)
    rc = admin_usage(admin, FC_USAGE_CLIENT, add_client, &fetch);
  if (rc == 0)
    rc = admin_usage(admin, FC_USAGE_PROBE, add_probe, &fetch);
  return rc == 0 ? fetch_summary(admin, name_space, reading) : rc;
}
