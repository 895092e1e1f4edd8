#include "tests/support/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"

#define STAT_TIMEOUT_MS 20000u

struct library_stats_item {
  char name_space[256], name[64]; /* name_space "": the whole daemon */
  enum fcache_stat_kind kind;
  uint64_t integer;
  double real;
};

static struct fcache_options options_of(const char *socket, const char *name_space,
                                        const char *client, uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;

  options.socket = socket;
  options.name_space = name_space;
  options.client = client;
  options.deadline_ms = deadline_ms;
  return options;
}

struct fcache *library_open(const char *socket, const char *name_space, const char *client,
                            int64_t max_entries) {
  struct fcache_options options = options_of(socket, name_space, client, LIBRARY_PATIENT_MS);
  struct fcache *cache;
  struct fcache_error error;

  options.max_entries = max_entries == 0 ? NULL : &max_entries;
  if (fcache_open(&options, &cache, &error) != FCACHE_OK)
    ck_abort_msg("a handle on %s: %s", socket, error.text);
  if (!fcache_connected(cache))
    ck_abort_msg("not connected to %s: %s", socket, fcache_last_error(cache));
  return cache;
}

struct fcache *library_open_in_child(const char *socket, const char *name_space, const char *client,
                                     uint32_t deadline_ms) {
  struct fcache_options options = options_of(socket, name_space, client, deadline_ms);
  struct fcache *cache;
  struct fcache_error error;

  if (fcache_open(&options, &cache, &error) != FCACHE_OK)
    (void)fprintf(stderr, "a handle on %s: %s\n", socket, error.text);
  return cache;
}

struct fcache_counters library_counters(const struct fcache *cache) {
  struct fcache_counters counters;

  fcache_get_counters(cache, &counters);
  return counters;
}

struct fcache_key library_key(const char *op, const char *view, const char *prompt,
                              uint32_t top_k) {
  return (struct fcache_key){
      .op = op, .view = view, .prompt = fcache_hash(prompt, strlen(prompt)), .top_k = top_k};
}

void library_put_text(struct fcache *cache, const struct fcache_key *key, const char *text) {
  int rc = fcache_put(cache, key, text, strlen(text), 0, FCACHE_UNRECORDED);

  if (rc != FCACHE_OK)
    ck_abort_msg("put: %s: %s", fcache_strerror(rc), fcache_last_error(cache));
}

char *library_get_text(struct fcache *cache, const struct fcache_key *key) {
  struct fcache_value value = {0};
  int rc = fcache_get(cache, key, FCACHE_UNRECORDED, &value);
  char *text = NULL;

  if (rc < 0)
    ck_abort_msg("get: %s: %s", fcache_strerror(rc), fcache_last_error(cache));
  if (rc == FCACHE_OK) {
    text = calloc(1, value.size + 1);
    if (!text)
      ck_abort_msg("out of memory over a value");
    memcpy(text, value.data, value.size);
  }
  fcache_value_free(&value);
  return text;
}

/* ---- statistics ---- */

static void add_stat(void *arg, const struct fcache_stat *stat) {
  struct library_stats *stats = arg;

  if (stats->n == stats->capacity) {
    stats->capacity = stats->capacity * 2 + 64;
    stats->list = realloc(stats->list, stats->capacity * sizeof *stats->list);
    if (!stats->list)
      ck_abort_msg("out of memory over the stats");
  }
  struct library_stats_item *item = &stats->list[stats->n++];
  *item =
      (struct library_stats_item){.kind = stat->kind, .integer = stat->integer, .real = stat->real};
  strncpy(item->name, stat->name, sizeof item->name - 1);
  if (stat->name_space)
    strncpy(item->name_space, stat->name_space, sizeof item->name_space - 1);
}

void library_stats_read(struct fcache *cache, struct library_stats *stats) {
  stats->n = 0;
  int rc = fcache_server_stats(cache, add_stat, stats);
  if (rc != FCACHE_OK)
    ck_abort_msg("stats: %s: %s", fcache_strerror(rc), fcache_last_error(cache));
}

void library_stats_free(struct library_stats *stats) {
  free(stats->list);
  *stats = (struct library_stats){0};
}

static const struct library_stats_item *find(const struct library_stats *stats,
                                             const char *name_space, const char *name) {
  const struct library_stats_item *found = NULL;

  for (size_t i = 0; i < stats->n; i++)
    if (strcmp(stats->list[i].name, name) == 0 &&
        strcmp(stats->list[i].name_space, name_space ? name_space : "") == 0)
      found = &stats->list[i];
  if (!found)
    ck_abort_msg("no item %s of %s", name, name_space ? name_space : "the daemon");
  return found;
}

uint64_t library_stats_count(const struct library_stats *stats, const char *name_space,
                             const char *name) {
  const struct library_stats_item *item = find(stats, name_space, name);

  if (item->kind != FCACHE_STAT_COUNT && item->kind != FCACHE_STAT_BYTES)
    ck_abort_msg("%s is no count", name);
  return item->integer;
}

double library_stats_real(const struct library_stats *stats, const char *name_space,
                          const char *name) {
  const struct library_stats_item *item = find(stats, name_space, name);

  if (item->kind != FCACHE_STAT_SECONDS && item->kind != FCACHE_STAT_RATIO)
    ck_abort_msg("%s is no real number", name);
  return item->real;
}

uint64_t library_stat(struct fcache *cache, const char *name) {
  struct library_stats stats = {0};

  library_stats_read(cache, &stats);
  uint64_t value = library_stats_count(&stats, NULL, name);
  library_stats_free(&stats);
  return value;
}

struct wanted {
  struct fcache *cache;
  const char *name;
  uint64_t value;
};

static bool has_value(void *arg) {
  struct wanted *wanted = arg;

  return library_stat(wanted->cache, wanted->name) == wanted->value;
}

void library_wait_stat(struct fcache *cache, const char *name, uint64_t value) {
  struct wanted wanted = {cache, name, value};

  if (!harness_wait_until(has_value, &wanted, STAT_TIMEOUT_MS))
    ck_abort_msg("%s is %llu, not %llu", name, (unsigned long long)library_stat(cache, name),
                 (unsigned long long)value);
}
