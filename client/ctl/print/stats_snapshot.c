#include "client/ctl/print/stats_snapshot.h"

#include <stdlib.h>
#include <string.h>

void figures_init(struct figures *figures) {
  *figures = (struct figures){0};
}

static void group_deinit(struct figure_group *group) {
  for (size_t i = 0; i < group->n; i++) {
    free(group->figures[i].name);
    free(group->figures[i].text);
  }
  free(group->figures);
  free(group->name_space);
  *group = (struct figure_group){0};
}

void figures_deinit(struct figures *figures) {
  group_deinit(&figures->daemon);
  for (size_t i = 0; i < figures->n; i++)
    group_deinit(&figures->namespaces[i]);
  free(figures->namespaces);
  figures_init(figures);
}

/* Room for one more element of `size` bytes: the array, moved perhaps, or NULL
 * where there is no memory (then it is as it was). */
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

static struct figure_group *group_of(struct figures *figures, const char *name_space) {
  struct figure_group *last = figures->n ? &figures->namespaces[figures->n - 1] : NULL, *groups;

  if (!name_space)
    return &figures->daemon;
  if (last && strcmp(last->name_space, name_space) == 0)
    return last;
  groups = grown(figures->namespaces, figures->n, &figures->capacity, sizeof *groups);
  if (!groups)
    return NULL;
  figures->namespaces = groups;
  last = &figures->namespaces[figures->n];
  *last = (struct figure_group){.name_space = strdup(name_space)};
  if (!last->name_space)
    return NULL;
  figures->n++;
  return last;
}

void figures_add(void *arg, const struct fcache_stat *stat) {
  struct figures *figures = arg;
  struct figure_group *group = group_of(figures, stat->name_space);
  struct figure figure = {.kind = stat->kind, .integer = stat->integer, .real = stat->real};
  bool is_text = stat->kind == FCACHE_STAT_TEXT;
  struct figure *array =
      group ? grown(group->figures, group->n, &group->capacity, sizeof *array) : NULL;

  if (!array) {
    figures->failed = true;
    return;
  }
  group->figures = array;
  figure.name = strdup(stat->name);
  figure.text = is_text ? strdup(stat->text ? stat->text : "") : NULL;
  if (!figure.name || (is_text && !figure.text)) {
    free(figure.name);
    free(figure.text);
    figures->failed = true;
    return;
  }
  group->figures[group->n++] = figure;
}

const struct figure *figures_find(const struct figure_group *group, const char *name) {
  for (size_t i = 0; i < group->n; i++)
    if (strcmp(group->figures[i].name, name) == 0)
      return &group->figures[i];
  return NULL;
}

const struct figure_group *figures_namespace(const struct figures *figures,
                                             const char *name_space) {
  for (size_t i = 0; i < figures->n; i++)
    if (strcmp(figures->namespaces[i].name_space, name_space) == 0)
      return &figures->namespaces[i];
  return NULL;
}

uint64_t figures_integer(const struct figure_group *group, const char *name) {
  const struct figure *figure = figures_find(group, name);

  if (!figure || (figure->kind != FCACHE_STAT_COUNT && figure->kind != FCACHE_STAT_BYTES))
    return 0;
  return figure->integer;
}

double figures_real(const struct figure_group *group, const char *name) {
  const struct figure *figure = figures_find(group, name);

  if (!figure || (figure->kind != FCACHE_STAT_SECONDS && figure->kind != FCACHE_STAT_RATIO))
    return 0;
  return figure->real;
}

const char *figures_text(const struct figure_group *group, const char *name) {
  const struct figure *figure = figures_find(group, name);

  return figure && figure->text ? figure->text : "";
}
