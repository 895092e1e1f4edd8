#include "client/demo/gang.h"

#include <errno.h>
#include <fcache.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/demo/child.h"
#include "client/demo/progress.h"
#include "client/demo/util.h"

#define GANG_LIMIT_NS 100000000000u /* 100 s: something hangs; the whole demo takes seconds */

struct gang_worker {
  pid_t pid;    /* 0: not started, or reaped */
  int progress; /* read end; -1: at its end */
  bool ready;
  uint64_t expected; /* lookups, as it announced them */
};

struct gang {
  const struct gang_options *options;
  struct gang_worker workers[GANG_WORKERS];
  int start[2]; /* the workers wait until the write end is closed */
  struct progress progress;
};

static const char *run_name(bool plain) {
  return plain ? "plain" : "shared";
}

void gang_path(char path[DEMO_PATH_SIZE], const char *folder, bool plain, unsigned index,
               const char *suffix) {
  demo_path(path, "%s/%s.%u%s", folder, run_name(plain), index, suffix);
}

/* In the child: the two descriptors survive exec, everything else is close-on-exec. */
static _Noreturn void become_worker(const struct gang *gang, unsigned index, int progress) {
  char out[DEMO_PATH_SIZE], index_text[16], workers_text[16], progress_text[16], start_text[16];
  gang_path(out, gang->options->folder, gang->options->plain, index, "");
  snprintf(index_text, sizeof index_text, "%u", index);
  snprintf(workers_text, sizeof workers_text, "%u", GANG_WORKERS);
  snprintf(progress_text, sizeof progress_text, "%d", progress);
  snprintf(start_text, sizeof start_text, "%d", gang->start[0]);
  if (fcntl(progress, F_SETFD, 0) == 0 && fcntl(gang->start[0], F_SETFD, 0) == 0)
    execl(gang->options->worker, "demo-worker", "--index", index_text, "--workers", workers_text,
          "--out", out, "--progress", progress_text, "--start", start_text,
          gang->options->plain ? "--plain" : NULL, (char *)NULL);
  fprintf(stderr, "demo: cannot start %s: %s\n", gang->options->worker, strerror(errno));
  _exit(127);
}

static int start_worker(struct gang *gang, unsigned index) {
  struct gang_worker *worker = &gang->workers[index];
  pid_t parent = getpid();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    fprintf(stderr, "demo: cannot make a pipe: %s\n", strerror(errno));
    return -1;
  }
  worker->pid = fork();
  if (worker->pid == 0) {
    child_die_with(parent);
    become_worker(gang, index, ends[1]);
  }
  (void)close(ends[1]); /* ours: a pipe */
  worker->progress = ends[0];
  if (worker->pid > 0)
    return 0;
  worker->pid = 0;
  fprintf(stderr, "demo: cannot fork: %s\n", strerror(errno));
  return -1;
}

/* First a number and a newline, then a byte per lookup. */
static void take_byte(struct gang *gang, struct gang_worker *worker, char byte) {
  if (worker->ready)
    progress_count(&gang->progress, byte);
  else if (byte >= '0' && byte <= '9' && worker->expected < 1000000)
    worker->expected = 10 * worker->expected + (uint64_t)(byte - '0');
  else if (byte == '\n')
    worker->ready = true;
}

/* One turn of waiting: reads what the workers wrote, within 100 ms. 0, or -1
 * where poll itself failed. */
static int listen_to_workers(struct gang *gang) {
  struct pollfd watched[GANG_WORKERS];
  char bytes[4096];
  for (unsigned i = 0; i < GANG_WORKERS; i++)
    watched[i] = (struct pollfd){.fd = gang->workers[i].progress, .events = POLLIN};
  if (poll(watched, GANG_WORKERS, 100) < 0 && errno != EINTR)
    return -1;
  for (unsigned i = 0; i < GANG_WORKERS; i++) {
    struct gang_worker *worker = &gang->workers[i];
    if (worker->progress < 0 || !(watched[i].revents & (POLLIN | POLLHUP | POLLERR)))
      continue;
    ssize_t got = read(worker->progress, bytes, sizeof bytes);
    for (ssize_t k = 0; k < got; k++)
      take_byte(gang, worker, bytes[k]);
    if (got == 0) {
      (void)close(worker->progress); /* ours: a pipe */
      worker->progress = -1;
    }
  }
  return 0;
}

static unsigned count_ready(const struct gang *gang) {
  unsigned n = 0;
  for (unsigned i = 0; i < GANG_WORKERS; i++)
    n += gang->workers[i].ready;
  return n;
}

static unsigned count_open(const struct gang *gang) {
  unsigned n = 0;
  for (unsigned i = 0; i < GANG_WORKERS; i++)
    n += gang->workers[i].progress >= 0;
  return n;
}

/* Lets all go at once when all are ready, and waits until all are done. */
static int watch(struct gang *gang, uint64_t *wall_ns) {
  uint64_t begin = demo_now_ns(), released = 0, now = begin;
  while (count_open(gang) > 0) {
    if (listen_to_workers(gang) != 0 || now - begin > GANG_LIMIT_NS) {
      fputs("demo: the workers do not get on; giving up\n", stderr);
      return -1;
    }
    now = demo_now_ns();
    if (!released && count_ready(gang) == GANG_WORKERS) {
      uint64_t expected = 0;
      for (unsigned i = 0; i < GANG_WORKERS; i++)
        expected += gang->workers[i].expected;
      progress_begin(&gang->progress, expected);
      (void)close(gang->start[1]); /* the start */
      gang->start[1] = -1;
      released = now;
    } else if (!released && count_open(gang) < GANG_WORKERS) {
      return -1; /* one ended before the start, and said why */
    }
    if (released)
      progress_show(&gang->progress, now - released);
  }
  *wall_ns = now - released;
  return 0;
}

/* Ends those that still run where `stop`, and takes all their statuses. */
static int reap(struct gang *gang, bool stop) {
  int r = 0;
  for (unsigned i = 0; i < GANG_WORKERS; i++) {
    struct gang_worker *worker = &gang->workers[i];
    int status = 0;
    if (worker->pid == 0)
      continue;
    if (stop)
      (void)kill(worker->pid, SIGKILL); /* it is ours and not reaped: the pid is right */
    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
      continue;
    worker->pid = 0;
    if (status != 0) {
      if (!stop)
        fprintf(stderr, "demo: worker %u failed\n", i);
      r = -1;
    }
  }
  return r;
}

static void add_stat(void *arg, const struct fcache_stat *stat) {
  struct gang_summary *summary = arg;
  const char *ours = getenv("FCACHE_NAMESPACE");
  if (!stat->name_space || !ours || strcmp(stat->name_space, ours) != 0)
    return;
  if (strcmp(stat->name, "cache_hits") == 0)
    summary->hits = stat->integer;
  else if (strcmp(stat->name, "cache_misses") == 0)
    summary->misses = stat->integer;
  else if (strcmp(stat->name, "forward_passes") == 0)
    summary->forward_passes = stat->integer;
  else if (strcmp(stat->name, "shared_hits") == 0)
    summary->shared_hits = stat->integer;
  else if (strcmp(stat->name, "coalesced_hits") == 0)
    summary->coalesced_hits = stat->integer;
}

/* The daemon's own figures, by the library and as fcachectl shows them. */
static int ask_daemon(const struct gang_options *options, struct gang_summary *summary) {
  char path[DEMO_PATH_SIZE];
  struct fcache_error error;
  struct fcache_options how = FCACHE_OPTIONS_INIT;
  struct fcache *cache = NULL;
  how.client = "demo";
  how.deadline_ms = 5000;
  int r = fcache_open(&how, &cache, &error);
  if (r < 0) {
    fprintf(stderr, "demo: cannot open the cache: %s\n", error.text);
    return -1;
  }
  r = fcache_server_stats(cache, add_stat, summary);
  if (r < 0)
    fprintf(stderr, "demo: no stats of the daemon: %s\n", fcache_last_error(cache));
  fcache_close(cache);
  demo_path(path, "%s/stats.txt", options->folder);
  char *argv[] = {(char *)(uintptr_t)options->ctl, (char *)(uintptr_t) "stats", NULL};
  if (r == 0 && child_run(argv, path) != 0) {
    fputs("demo: `fcachectl stats` failed\n", stderr);
    r = -1;
  }
  return r < 0 ? -1 : 0;
}

#define N_FIGURES 6u
static const char *const figure_names[N_FIGURES] = {
    "wall_ns", "hits", "misses", "forward_passes", "shared_hits", "coalesced_hits"};

/* The figures in the order of their names. */
static void figures_of(struct gang_summary *summary, uint64_t *figures[N_FIGURES]) {
  figures[0] = &summary->wall_ns;
  figures[1] = &summary->hits;
  figures[2] = &summary->misses;
  figures[3] = &summary->forward_passes;
  figures[4] = &summary->shared_hits;
  figures[5] = &summary->coalesced_hits;
}

static int write_summary(const struct gang_options *options, struct gang_summary *summary) {
  char path[DEMO_PATH_SIZE];
  uint64_t *figures[N_FIGURES];
  figures_of(summary, figures);
  demo_path(path, "%s/%s.summary", options->folder, run_name(options->plain));
  FILE *file = fopen(path, "we");
  bool ok = file != NULL;
  for (size_t i = 0; i < N_FIGURES && ok; i++)
    ok = fprintf(file, "%" PRIu64 " %s\n", *figures[i], figure_names[i]) > 0;
  if (file && fclose(file) != 0)
    ok = false;
  if (!ok)
    fprintf(stderr, "demo: cannot write %s: %s\n", path, strerror(errno));
  return ok ? 0 : -1;
}

int gang_read_summary(struct gang_summary *summary, const char *folder, bool plain) {
  char path[DEMO_PATH_SIZE], name[32];
  uint64_t *figures[N_FIGURES];
  figures_of(summary, figures);
  demo_path(path, "%s/%s.summary", folder, run_name(plain));
  FILE *file = fopen(path, "re");
  bool ok = file != NULL;
  for (size_t i = 0; i < N_FIGURES && ok; i++)
    ok = demo_read_count(file, figures[i], name, sizeof name) && strcmp(name, figure_names[i]) == 0;
  if (file)
    (void)fclose(file); /* only read from */
  if (!ok)
    fprintf(stderr, "demo: cannot read %s\n", path);
  return ok ? 0 : -1;
}

int gang_run(const struct gang_options *options) {
  struct gang gang = {.options = options, .start = {-1, -1}};
  struct gang_summary summary = {0};
  int r = 0;
  progress_init(&gang.progress, options->plain ? "without a daemon" : "with one daemon");
  for (unsigned i = 0; i < GANG_WORKERS; i++)
    gang.workers[i].progress = -1;
  if (pipe2(gang.start, O_CLOEXEC) != 0) {
    fprintf(stderr, "demo: cannot make a pipe: %s\n", strerror(errno));
    return -1;
  }
  for (unsigned i = 0; i < GANG_WORKERS && r == 0; i++)
    r = start_worker(&gang, i);
  if (r == 0)
    r = watch(&gang, &summary.wall_ns);
  if (reap(&gang, r != 0) != 0)
    r = -1;
  progress_end(&gang.progress, summary.wall_ns, r == 0);
  for (unsigned i = 0; i < GANG_WORKERS; i++)
    if (gang.workers[i].progress >= 0)
      (void)close(gang.workers[i].progress); /* ours: a pipe */
  for (unsigned i = 0; i < 2; i++)
    if (gang.start[i] >= 0)
      (void)close(gang.start[i]); /* likewise */
  if (r == 0 && !options->plain)
    r = ask_daemon(options, &summary);
  return r == 0 ? write_summary(options, &summary) : r;
}
