/* demo - four worker processes evaluate a language model through libfcache.
 *
 *   demo run OUT TEXT...             runs the workers. Without FCACHE_DISABLE=1 they share the
 * results of the daemon that the environment names. Writes the outcome to OUT demo compare LINES
 * PLAIN OUT...  compares outcomes, each with a daemon of its own, with PLAIN, without. LINES is the
 * number of lines in the daemons' traces
 *
 * demo.sh runs both with one daemon, and demo_fleet.sh with three. The model reads the texts. It
 * keeps the last quarter of the last one for the prompts, and only its view `ft` reads the rest of
 * the last one. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/examples/demo_outcome.h"

enum { LIMIT_S = 100 }; /* of a run, which takes a few seconds */

static uint64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock always exists */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void add_stat(void *arg, const struct fcache_stat *stat) {
  struct outcome *outcome = arg;
  const char *ours = getenv("FCACHE_NAMESPACE");
  if (!stat->name_space && strcmp(stat->name, "tier_hits") == 0)
    outcome->tier_hits = stat->integer;
  if (!stat->name_space || !ours || strcmp(stat->name_space, ours) != 0)
    return;
  if (strcmp(stat->name, "cache_hits") == 0)
    outcome->hits = stat->integer;
  else if (strcmp(stat->name, "forward_passes") == 0)
    outcome->forward_passes = stat->integer;
  else if (strcmp(stat->name, "shared_hits") == 0)
    outcome->shared_hits = stat->integer;
  else if (strcmp(stat->name, "coalesced_hits") == 0)
    outcome->coalesced_hits = stat->integer;
}

static void read_daemon_stats(struct outcome *outcome) {
  struct fcache *cache;
  struct fcache_error error;
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  options.deadline_ms = 5000;
  if (fcache_open(&options, &cache, &error) != FCACHE_OK)
    die("cannot open the cache", error.text);
  int r = fcache_server_stats(cache, add_stat, outcome);
  if (r != FCACHE_OK)
    die("no statistics of the daemon", fcache_last_error(cache));
  fcache_close(cache);
}

static void run_workers(struct worker *worker, struct outcome *outcome) {
  pid_t parent = getpid(), workers[WORKERS];
  uint64_t begin = now_ns();
  int failed = 0, status;
  for (unsigned i = 0; i < WORKERS; i++) {
    workers[i] = fork();
    if (workers[i] < 0)
      die("cannot fork", strerror(errno));
    if (workers[i] == 0) {
      if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(1);
      (void)alarm(LIMIT_S);
      worker->index = i;
      worker->out = &outcome->workers[i];
      worker_run(worker);
      _exit(0);
    }
  }
  for (unsigned i = 0; i < WORKERS; i++)
    failed += waitpid(workers[i], &status, 0) < 0 || status != 0;
  if (failed > 0)
    die("cannot go on", "a worker failed");
  outcome->wall_ns = now_ns() - begin;
}

/* Reads the texts, one after the other. Of repeated spaces, dashes and line breaks it keeps one, so
 * that no two prompts are the same ruled line. */
static uint8_t *read_texts(char **paths, size_t *size, size_t *last_size) {
  static uint8_t bytes[4 << 20];
  *size = 0;
  for (; *paths; paths++) {
    size_t begin = *size;
    int byte, before = EOF;
    FILE *file = fopen(*paths, "re");
    if (!file)
      die(*paths, strerror(errno));
    for (; (byte = getc(file)) != EOF && *size < sizeof bytes; before = byte)
      if (byte != before || isalnum(byte))
        bytes[(*size)++] = (uint8_t)byte;
    (void)fclose(file); /* only read from */
    *last_size = *size - begin;
  }
  if (*last_size < 8192 || *size == sizeof bytes)
    die("unsuitable texts", "the last one needs 8 KiB, and all together less than 4 MiB");
  return bytes;
}

/* One line for each number of a probe, with a column for each worker. */
static void print_probes(const struct outcome *outcome) {
  static const struct {
    const char *name;
    size_t offset;
  } numbers[] = {{"accuracy", offsetof(struct worker_outcome, accuracy)},
                 {"perplexity per byte", offsetof(struct worker_outcome, perplexity)},
                 {"log-prob of completions", offsetof(struct worker_outcome, completion)}};
  printf("%-12s%-24s worker 0 worker 1 worker 2 worker 3\n", "view", "number");
  for (size_t v = 0; v < N_VIEWS; v++)
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
      printf("%-12s%-24s", demo_views[v], numbers[k].name);
      for (size_t i = 0; i < WORKERS; i++) {
        double of_views[N_VIEWS];
        memcpy(of_views, (const char *)&outcome->workers[i] + numbers[k].offset, sizeof of_views);
        printf(" %8.4g", of_views[v]);
      }
      putchar('\n');
    }
}

static void print_outcome(const struct outcome *outcome, bool shared) {
  uint64_t computed = 0;
  for (size_t i = 0; i < WORKERS; i++)
    computed += outcome->workers[i].computed;
  printf("%s: %d lookups, %" PRIu64 " computed, %" PRIu64 " cached, %.2f s\n",
         shared ? "with one daemon" : "without a daemon", WORKERS * LOOKUPS, computed,
         WORKERS * LOOKUPS - computed, (double)outcome->wall_ns / 1e9);
  if (!shared)
    return;
  printf("  %" PRIu64 " hits on results of another worker, %" PRIu64 " of them after a wait\n\n",
         outcome->shared_hits, outcome->coalesced_hits);
  print_probes(outcome);
}

static int demo_run(const char *path, char **texts) {
  const char *off = getenv("FCACHE_DISABLE");
  bool shared = !off || strcmp(off, "1") != 0;
  size_t size = 0, last_size = 0;
  const uint8_t *text = read_texts(texts, &size, &last_size);
  struct byte_model model = {text, size - last_size, size - last_size / 4};
  struct worker worker = {
      .model = &model, .held_out = text + model.ft_size, .held_out_size = last_size / 4};
  struct outcome *outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* the workers write to it */
  if (outcome == MAP_FAILED)
    die("no memory", strerror(errno));
  run_workers(&worker, outcome);
  if (shared)
    read_daemon_stats(outcome);
  FILE *file = fopen(path, "we");
  if (!file || fwrite(outcome, sizeof *outcome, 1, file) != 1 || fclose(file) != 0)
    die(path, strerror(errno));
  print_outcome(outcome, shared);
  return 0;
}

int main(int argc, char **argv) {
  if (argc >= 4 && strcmp(argv[1], "run") == 0)
    return demo_run(argv[2], argv + 3);
  if (argc >= 5 && strcmp(argv[1], "compare") == 0)
    return demo_compare(strtoull(argv[2], NULL, 10), argv[3], argv + 4, (size_t)argc - 4);
  fputs("usage: demo run OUT TEXT... | demo compare LINES PLAIN OUT...\n", stderr);
  return 2;
}
