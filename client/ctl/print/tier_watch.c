#include "client/ctl/print/tier_watch.h"

#include <string.h>

#include "client/ctl/print/units.h"

#define COLUMNS 10

static void print(FILE *out, const char *const cells[COLUMNS]) {
  static const int widths[COLUMNS] = {6, 7, 7, 7, 6, 7, 7, 7, 8, 9};

  for (int i = 0; i < COLUMNS; i++)
    (void)fprintf(out, "%s%*s", i ? " " : "", widths[i], cells[i]);
  (void)fputc('\n', out); /* main checks the stream at the end */
}

void tier_watch_print_header(FILE *out) {
  static const char *const names[COLUMNS] = {"OPEN",     "HITS/S",   "MISS/S", "WRITE/S",
                                             "DROP/S",   "AWAITED",  "LEASES", "QUEUED",
                                             "READ P99", "WRITE P99"};

  print(out, names);
}

static void per_second(uint64_t before, uint64_t now, double seconds, char text[UNITS_SIZE]) {
  if (now >= before && seconds > 0)
    (void)units_count((uint64_t)((double)(now - before) / seconds + 0.5), text);
}

static const struct fc_histogram *times_of(const struct tier_server_reading *server, int class) {
  return class == 0 ? &server->is.read.times : &server->is.write.times;
}

static const struct tier_server_reading *find(const struct tier_reading *reading,
                                              const char *address) {
  for (size_t i = 0; i < reading->n; i++)
    if (strcmp(reading->servers[i].address, address) == 0)
      return &reading->servers[i];
  return NULL;
}

/* Formats the 99th percentile of the operations between the readings, over all servers. */
static void percentile(const struct tier_reading *before, const struct tier_reading *now, int class,
                       char text[UNITS_SIZE]) {
  static struct fc_histogram sum, since; /* large */

  memset(&sum, 0, sizeof sum);
  for (size_t i = 0; i < now->n; i++) {
    const struct tier_server_reading *earlier = find(before, now->servers[i].address);

    since = *times_of(&now->servers[i], class);
    if (earlier) /* if it was replaced, all its operations are new */
      (void)fc_histogram_subtract(&since, times_of(earlier, class));
    fc_histogram_merge(&sum, &since);
  }
  if (sum.count > 0)
    (void)units_ns(fc_histogram_quantile(&sum, 9900, 10000), text);
}

static uint64_t n_open(const struct tier_reading *reading) {
  uint64_t n = 0;

  for (size_t i = 0; i < reading->n; i++)
    n += strcmp(reading->servers[i].states[0], "open") == 0 ||
         strcmp(reading->servers[i].states[1], "open") == 0;
  return n;
}

void tier_watch_print_line(FILE *out, const struct tier_reading *before,
                           const struct tier_reading *now, double seconds) {
  char texts[COLUMNS][UNITS_SIZE] = {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-"};
  const struct fc_tier_entry *was = &before->is, *is = &now->is;
  const char *cells[COLUMNS];

  (void)snprintf(texts[0], UNITS_SIZE, "%llu/%zu", (unsigned long long)n_open(now), now->n);
  per_second(was->hits, is->hits, seconds, texts[1]);
  per_second(was->misses, is->misses, seconds, texts[2]);
  per_second(was->writes, is->writes, seconds, texts[3]);
  per_second(tier_reading_dropped(was), tier_reading_dropped(is), seconds, texts[4]);
  (void)units_count(is->remote, texts[5]);
  (void)units_count(is->offered + is->held, texts[6]);
  (void)units_count(is->queue_entries, texts[7]);
  percentile(before, now, 0, texts[8]);
  percentile(before, now, 1, texts[9]);
  for (int i = 0; i < COLUMNS; i++)
    cells[i] = texts[i];
  print(out, cells);
}
