#include "client/demo/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/demo/util.h"

#define N_COUNTS 7u

static const char *const count_names[N_COUNTS] = {"lookups",  "computed", "hits", "forward_passes",
                                                  "degraded", "tokens",   "words"};

/* The counts in the order of their names. */
static void counts_of(struct worker_report *report, uint64_t *counts[N_COUNTS]) {
  counts[0] = &report->lookups;
  counts[1] = &report->computed;
  counts[2] = &report->hits;
  counts[3] = &report->forward_passes;
  counts[4] = &report->degraded;
  counts[5] = &report->tokens;
  counts[6] = &report->words;
}

int report_write(const struct worker_report *report, const char *path) {
  struct worker_report copy = *report;
  uint64_t *counts[N_COUNTS];
  counts_of(&copy, counts);
  FILE *file = fopen(path, "we");
  bool ok = file != NULL;
  for (size_t i = 0; i < N_COUNTS && ok; i++)
    ok = fprintf(file, "%" PRIu64 " %s\n", *counts[i], count_names[i]) > 0;
  for (size_t i = 0; i < report->probes.n && ok; i++)
    ok = fprintf(file, "%.17g %s\n", report->probes.numbers[i].value,
                 report->probes.numbers[i].name) > 0;
  if (file && fclose(file) != 0)
    ok = false;
  if (!ok)
    fprintf(stderr, "demo: cannot write %s: %s\n", path, strerror(errno));
  return ok ? 0 : FCACHE_EINVAL;
}

static bool read_all(struct worker_report *report, FILE *file) {
  uint64_t *counts[N_COUNTS];
  char name[PROBES_NAME_SIZE];
  counts_of(report, counts);
  for (size_t i = 0; i < N_COUNTS; i++)
    if (!demo_read_count(file, counts[i], name, sizeof name) || strcmp(name, count_names[i]) != 0)
      return false;
  struct probe_report *probes = &report->probes;
  while (probes->n < PROBES_MAX_NUMBERS &&
         demo_read_figure(file, &probes->numbers[probes->n].value, probes->numbers[probes->n].name,
                          PROBES_NAME_SIZE))
    probes->n++;
  return feof(file) && !ferror(file);
}

int report_read(struct worker_report *report, const char *path) {
  *report = (struct worker_report){0};
  FILE *file = fopen(path, "re");
  bool ok = file && read_all(report, file);
  if (!ok)
    fprintf(stderr, "demo: %s is not a worker's report\n", path);
  if (file)
    (void)fclose(file); /* only read from */
  return ok ? 0 : FCACHE_EINVAL;
}
