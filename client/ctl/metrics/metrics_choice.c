#include "client/ctl/metrics/metrics_choice.h"

static uint64_t lookups(const struct stats_group *group) {
  return stats_group_integer(group, STATS_NAME(cache_hits)) +
         stats_group_integer(group, STATS_NAME(cache_misses));
}

static bool is_busier(const struct stats_group *a, const struct stats_group *b) {
  uint64_t lookups_a = lookups(a), lookups_b = lookups(b);

  if (lookups_a != lookups_b)
    return lookups_a > lookups_b;
  return stats_group_integer(a, STATS_NAME(entries)) > stats_group_integer(b, STATS_NAME(entries));
}

/* Inserts the group behind those that are as busy, and drops the last one if there is no room. */
static void insert(struct metrics_choice *choice, const struct stats_group *group) {
  size_t at = choice->n_shown;

  while (at > 0 && is_busier(group, choice->shown[at - 1]))
    at--;
  if (at == METRICS_NAMESPACES_MAX)
    return;
  if (choice->n_shown < METRICS_NAMESPACES_MAX)
    choice->n_shown++;
  for (size_t i = choice->n_shown - 1; i > at; i--)
    choice->shown[i] = choice->shown[i - 1];
  choice->shown[at] = group;
}

void metrics_choose(const struct stats_snapshot *snapshot, struct metrics_choice *choice) {
  *choice = (struct metrics_choice){.n_shown = 0};
  for (size_t i = 0; i < snapshot->n; i++)
    insert(choice, &snapshot->namespaces[i]);
  choice->n_others = snapshot->n - choice->n_shown;
}

bool metrics_is_shown(const struct metrics_choice *choice, const struct stats_group *group) {
  for (size_t i = 0; i < choice->n_shown; i++)
    if (choice->shown[i] == group)
      return true;
  return false;
}
