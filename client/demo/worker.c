#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/demo/report.h"
#include "client/demo/util.h"

/* demo-worker - one of the processes that share: makes its model, waits until all
 * are ready, runs its probes through the cache, and writes what it found.
 *
 *   --index I --workers N   which of how many it is: decides its prompts
 *   --out FILE              FILE gets every result, FILE.report the figures
 *   --plain                 no daemon: sharing off, everything computed
 *   --progress FD           writes the number of its lookups in decimal, a newline
 *                           when its model is made, then a byte per lookup
 *   --start FD              begins when this reads as closed
 */

#define DEADLINE_MS 5000u /* more than the default: all processors are busy here */

struct worker_options {
  unsigned index, workers;
  const char *out;
  bool plain;
  int progress, start;
};

/* 0, or -1 where the text is not a whole number up to `limit`. */
static int parse_number(const char *text, unsigned long limit, unsigned long *out) {
  char *end = NULL;
  errno = 0;
  *out = strtoul(text, &end, 10);
  return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out <= limit ? 0 : -1;
}

static int parse_options(int argc, char **argv, struct worker_options *options) {
  static const struct option known[] = {{"index", required_argument, NULL, 'i'},
                                        {"workers", required_argument, NULL, 'w'},
                                        {"out", required_argument, NULL, 'o'},
                                        {"plain", no_argument, NULL, 'p'},
                                        {"progress", required_argument, NULL, 'f'},
                                        {"start", required_argument, NULL, 's'},
                                        {NULL, 0, NULL, 0}};
  *options = (struct worker_options){.workers = 1, .progress = -1, .start = -1};
  int letter, r = 0;
  while (r == 0 && (letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
    unsigned long number = 0;
    if (strchr("iwfs", letter))
      r = parse_number(optarg, 1000, &number);
    if (letter == 'i')
      options->index = (unsigned)number;
    else if (letter == 'w')
      options->workers = (unsigned)number;
    else if (letter == 'o')
      options->out = optarg;
    else if (letter == 'p')
      options->plain = true;
    else if (letter == 'f')
      options->progress = (int)number;
    else if (letter == 's')
      options->start = (int)number;
    else
      r = -1;
  }
  if (r == 0 && optind == argc && options->out && options->index < options->workers)
    return 0;
  fputs("usage: demo-worker --index I --workers N --out FILE [--plain]\n", stderr);
  return -1;
}

/* Says that it is ready, and waits for the others. */
static int wait_for_start(const struct worker_options *options, size_t lookups) {
  char byte;
  if (options->progress >= 0 && dprintf(options->progress, "%zu\n", lookups) < 0)
    return -1;
  while (options->start >= 0) {
    ssize_t got = read(options->start, &byte, 1);
    if (got == 0)
      break;
    if (got < 0 && errno != EINTR)
      return -1;
  }
  return 0;
}

static int open_cache(const struct worker_options *options, struct fcache **cache) {
  char client[32];
  struct fcache_error error;
  struct fcache_options how = FCACHE_OPTIONS_INIT;
  snprintf(client, sizeof client, "worker-%u", options->index);
  how.client = client;
  how.deadline_ms = DEADLINE_MS;
  if (options->plain) {
    how.name_space = "demo"; /* any: nothing is shared */
    if (setenv("FCACHE_DISABLE", "1", 1) != 0)
      return FCACHE_ENOMEM;
  }
  int r = fcache_open(&how, cache, &error);
  if (r < 0)
    fprintf(stderr, "demo: worker %u cannot open the cache: %s\n", options->index, error.text);
  return r;
}

static int work(const struct worker_options *options, struct session *session,
                const struct corpus *corpus, struct worker_report *report) {
  struct prompts prompts;
  prompts_init(&prompts, corpus, options->index, options->workers);
  size_t expected = probes_lookups(&prompts);
  int r = wait_for_start(options, expected);
  if (r == 0)
    r = probes_run(session, &prompts, &report->probes);
  prompts_deinit(&prompts);
  if (r == 0 && session->lookups != expected) {
    fprintf(stderr, "demo: worker %u made other lookups than it announced\n", options->index);
    r = FCACHE_EINVAL;
  }
  struct fcache_counters counters;
  fcache_get_counters(session->cache, &counters);
  report->lookups = session->lookups;
  report->computed = session->computed;
  report->hits = counters.cache_hits;
  report->forward_passes = counters.forward_passes;
  report->degraded = counters.degraded;
  report->tokens = session->model->n_tokens;
  report->words = session->model->vocabulary.n_words;
  return r;
}

static int run(const struct worker_options *options, const struct corpus *corpus) {
  struct model model;
  struct worker_report report = {0};
  struct session session = {.model = &model, .progress = options->progress};
  char path[DEMO_PATH_SIZE];
  int r = 0;
  demo_path(path, "%s.report", options->out);
  model_init(&model, corpus);
  session.results = fopen(options->out, "we");
  if (!session.results) {
    fprintf(stderr, "demo: cannot write %s: %s\n", options->out, strerror(errno));
    r = -1;
  }
  if (r == 0)
    r = open_cache(options, &session.cache);
  if (r == 0)
    r = work(options, &session, corpus, &report);
  if (session.results && fclose(session.results) != 0) {
    fprintf(stderr, "demo: cannot write %s: %s\n", options->out, strerror(errno));
    r = -1;
  }
  if (r == 0)
    r = report_write(&report, path);
  fcache_close(session.cache);
  model_deinit(&model);
  return r;
}

int main(int argc, char **argv) {
  struct worker_options options;
  struct corpus corpus;
  char error[DEMO_ERROR_SIZE];
  if (parse_options(argc, argv, &options) != 0)
    return 2;
  if (corpus_load(&corpus, getenv("DEMO_TEXT"), error) != 0) {
    fprintf(stderr, "demo: %s\n", error);
    return 1;
  }
  int r = run(&options, &corpus);
  corpus_deinit(&corpus);
  return r == 0 ? 0 : 1;
}
