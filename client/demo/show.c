#include "client/demo/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_WIDTH 78u

void show_plan(const struct corpus *corpus) {
  size_t tokens = 0;
  for (size_t i = 0; i < corpus->n; i++)
    tokens += corpus->texts[i].n;
  const char *path = corpus->texts[corpus->n - 1].path, *slash = strrchr(path, '/');
  printf("Four worker processes probe a small language model: interpolated trigrams, which\n"
         "each learns at its start from %zu texts of %zu tokens. Its view `ft` is adapted\n"
         "on three quarters of %.40s; no view has seen the rest. Their prompts\n"
         "overlap, and they start together: what several miss at the same time, one\n"
         "computes, and the others wait for it. They run with one daemon, then without.\n\n",
         corpus->n, tokens, slash ? slash + 1 : path);
}

void show_probes(const struct run_outcome *outcome) {
  const struct probe_report *first = &outcome->reports[0].probes;
  printf("\n%-42s", "What the probes found");
  for (unsigned i = 0; i < GANG_WORKERS; i++)
    printf(" worker %u", i);
  putchar('\n');
  for (size_t k = 0; k < first->n; k++) {
    printf("%-42s", first->numbers[k].name);
    for (unsigned i = 0; i < GANG_WORKERS; i++)
      printf(" %8.4g", outcome->reports[i].probes.numbers[k].value);
    putchar('\n');
  }
}

int show_file(const char *path) {
  char bytes[4096];
  size_t got;
  FILE *file = fopen(path, "re");
  if (!file) {
    fprintf(stderr, "demo: cannot read %s: %s\n", path, strerror(errno));
    return -1;
  }
  while ((got = fread(bytes, 1, sizeof bytes, file)) > 0)
    (void)fwrite(bytes, 1, got, stdout); /* seen at the last fflush */
  (void)fclose(file);                    /* only read from */
  return 0;
}

/* Breaks a line after commas where it can. */
static void print_folded(const char *line, size_t size) {
  for (size_t at = 0, n; at < size; at += n) {
    n = size - at;
    if (n > TRACE_WIDTH) {
      n = TRACE_WIDTH;
      while (n > 1 && line[at + n - 1] != ',')
        n--;
      if (n == 1)
        n = TRACE_WIDTH;
    }
    printf("%s%.*s\n", at ? " " : "", (int)n, line + at);
  }
}

int show_trace(const char *path, unsigned n, uint64_t *lines) {
  char *line = NULL;
  size_t room = 0;
  ssize_t size;
  FILE *file = fopen(path, "re");
  *lines = 0;
  if (!file) {
    fprintf(stderr, "demo: cannot read the trace %s: %s\n", path, strerror(errno));
    return -1;
  }
  printf("\nThe first lines of the trace (folded here)\n");
  while ((size = getline(&line, &room, file)) > 0 && line[size - 1] == '\n') {
    if (*lines < n)
      print_folded(line, (size_t)size - 1);
    ++*lines;
  }
  printf("... %" PRIu64 " lines, one per lookup\n\n", *lines);
  free(line);
  (void)fclose(file); /* only read from */
  return 0;
}

void show_times(const struct run_outcome *shared, const struct run_outcome *plain) {
  printf("\n%.2f s with the daemon, %.2f s without. Of %" PRIu64 " hits, %" PRIu64
         " were on what\nanother worker had computed, %" PRIu64
         " of them after a wait until it was done.\n",
         (double)shared->summary.wall_ns / 1e9, (double)plain->summary.wall_ns / 1e9, shared->hits,
         shared->summary.shared_hits, shared->summary.coalesced_hits);
}
