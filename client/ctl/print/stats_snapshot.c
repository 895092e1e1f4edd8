#include "client/ctl/print/stats_snapshot.h"

#include <stdlib.h>
#include <string.h>

void stats_snapshot_init(struct stats_snapshot *snapshot) {
  *snapshot = (struct stats_snapshot){0};
}

static void group_deinit(struct stats_group *group) {
  for (size_t i = 0; i < group->n; i++) {
    free(group->items[i].name);
    free(group->items[i].text);
  }
  free(group->items);
  free(group->name_space);
  *group = (struct stats_group){0};
}

void stats_snapshot_deinit(struct stats_snapshot *snapshot) {
  group_deinit(&snapshot->daemon);
  for (size_t i = 0; i < snapshot->n; i++)
    group_deinit(&snapshot->namespaces[i]);
  free(snapshot->namespaces);
  stats_snapshot_init(snapshot);
}

/* Makes room for one more element of `size` bytes. Returns the array, or NULL without memory: then
 * it is unchanged. */
static void *grown(void *array, size_t n, size_t *capacity, size_t size) {
  size_t more = *capacity ? *capacity * 2 : 32;
  void *moved;

  if (n < *capacity)
    return array;
  moved = reallocarray(array, more, size);
  if (moved)
    *capacity = more;
  return moved;
}

static struct stats_group *group_of(struct stats_snapshot *snapshot, const char *name_space) {
  struct stats_group *last = snapshot->n ? &snapshot->namespaces[snapshot->n - 1] : NULL, *groups;

  if (!name_space)
    return &snapshot->daemon;
  if (last && strcmp(last->name_space, name_space) == 0)
    return last;
  groups = grown(snapshot->namespaces, snapshot->n, &snapshot->capacity, sizeof *groups);
  if (!groups)
    return NULL;
  snapshot->namespaces = groups;
  last = &snapshot->namespaces[snapshot->n];
  *last = (struct stats_group){.name_space = strdup(name_space)};
  if (!last->name_space)
    return NULL;
  snapshot->n++;
  return last;
}

void stats_snapshot_add(void *arg, const struct fcache_stat *stat) {
  struct stats_snapshot *snapshot = arg;
  struct stats_group *group = group_of(snapshot, stat->name_space);
  struct stats_item item = {.kind = stat->kind, .integer = stat->integer, .real = stat->real};
  bool is_text = stat->kind == FCACHE_STAT_TEXT;
  struct stats_item *array =
      group ? grown(group->items, group->n, &group->capacity, sizeof *array) : NULL;

  if (!array) {
    snapshot->failed = true;
    return;
  }
  group->items = array;
  item.name = strdup(stat->name);
  item.text = is_text ? strdup(stat->text ? stat->text : "") : NULL;
  if (!item.name || (is_text && !item.text)) {
    free(item.name);
    free(item.text);
    snapshot->failed = true;
    return;
  }
  group->items[group->n++] = item;
}

const struct stats_item *stats_group_find(const struct stats_group *group, const char *name) {
  for (size_t i = 0; i < group->n; i++)
    if (strcmp(group->items[i].name, name) == 0)
      return &group->items[i];
  return NULL;
}

const struct stats_group *stats_snapshot_namespace(const struct stats_snapshot *snapshot,
                                                   const char *name_space) {
  for (size_t i = 0; i < snapshot->n; i++)
    if (strcmp(snapshot->namespaces[i].name_space, name_space) == 0)
      return &snapshot->namespaces[i];
  return NULL;
}

uint64_t stats_group_integer(const struct stats_group *group, const char *name) {
  const struct stats_item *item = stats_group_find(group, name);

  if (!item || (item->kind != FCACHE_STAT_COUNT && item->kind != FCACHE_STAT_BYTES))
    return 0;
  return item->integer;
}

double stats_group_real(const struct stats_group *group, const char *name) {
  const struct stats_item *item = stats_group_find(group, name);

  if (!item || (item->kind != FCACHE_STAT_SECONDS && item->kind != FCACHE_STAT_RATIO))
    return 0;
  return item->real;
}

const char *stats_group_text(const struct stats_group *group, const char *name) {
  const struct stats_item *item = stats_group_find(group, name);

  return item && item->text ? item->text : "";
}
