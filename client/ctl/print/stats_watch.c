#include "client/ctl/print/stats_watch.h"

#include "client/ctl/print/units.h"

#define WATCH_COLUMNS 9

static void print_watch(FILE *out, const char *const cells[WATCH_COLUMNS]) {
  static const int widths[WATCH_COLUMNS] = {7, 7, 8, 10, 9, 8, 7, 7, 7};

  for (int i = 0; i < WATCH_COLUMNS; i++)
    (void)fprintf(out, "%s%*s", i ? " " : "", widths[i], cells[i]);
  (void)fputc('\n', out); /* main checks the stream at the end */
}

void stats_watch_print_header(FILE *out) {
  static const char *const names[WATCH_COLUMNS] = {
      "CLIENTS", "ENTRIES", "SIZE", "LOOKUPS/S", "HITS", "PASSES/S", "EVICT/S", "SAVED", "WAITS"};

  print_watch(out, names);
}

/* Computes the growth of two counters together. Returns false if one fell: the daemon was replaced.
 */
static bool grew(const struct stats_group *before, const struct stats_group *now, const char *one,
                 const char *other, uint64_t *by) {
  uint64_t a = stats_group_integer(before, one), b = stats_group_integer(now, one);
  uint64_t c = stats_group_integer(before, other), d = stats_group_integer(now, other);

  *by = (b - a) + (d - c);
  return b >= a && d >= c;
}

static void per_second(uint64_t n, double seconds, char text[UNITS_SIZE]) {
  if (seconds > 0)
    units_count((uint64_t)((double)n / seconds + 0.5), text);
}

void stats_watch_print_line(FILE *out, const struct stats_group *before,
                            const struct stats_group *now, double seconds) {
  char texts[WATCH_COLUMNS][UNITS_SIZE] = {"-", "-", "-", "-", "-", "-", "-", "-", "-"};
  const char *cells[WATCH_COLUMNS];
  uint64_t hits, lookups, passes, evicted, evicted_own;

  units_count(stats_group_integer(now, STATS_NAME(clients)), texts[0]);
  units_count(stats_group_integer(now, STATS_NAME(entries)), texts[1]);
  units_bytes(stats_group_integer(now, STATS_NAME(bytes)), texts[2]);
  if (grew(before, now, STATS_NAME(cache_hits), STATS_NAME(cache_misses), &lookups)) {
    per_second(lookups, seconds, texts[3]);
    hits = stats_group_integer(now, STATS_NAME(cache_hits)) -
           stats_group_integer(before, STATS_NAME(cache_hits));
    units_percent(hits, lookups, texts[4]);
  }
  if (grew(before, now, STATS_NAME(forward_passes), "", &passes))
    per_second(passes, seconds, texts[5]);
  if (grew(before, now, STATS_NAME(evictions_entries), STATS_NAME(evictions_bytes), &evicted) &&
      grew(before, now, STATS_NAME(evictions_own_bytes), "", &evicted_own))
    per_second(evicted + evicted_own, seconds, texts[6]);
  units_seconds(stats_group_real(now, STATS_NAME(saved_wall_s)) -
                    stats_group_real(before, STATS_NAME(saved_wall_s)),
                texts[7]);
  if (stats_group_find(now, STATS_NAME(lease_waits))) /* absent in the stats of a namespace */
    units_count(stats_group_integer(now, STATS_NAME(lease_waits)), texts[8]);
  for (int i = 0; i < WATCH_COLUMNS; i++)
    cells[i] = texts[i];
  print_watch(out, cells);
}
