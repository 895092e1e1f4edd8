/* Many workers at once, as processes and as threads, over overlapping keys of two
 * namespaces. Every value is derived from its key, so each one that is returned is checked. In
 * the end the daemon's counters are the sums of the clients', and the trace has one line for each
 * counted lookup, those of each client in order. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"
#include "tests/support/trace_lines.h"

#define PROCESSES 8u
#define THREADS 16u
#define SLOWER 10u /* a sanitizer build makes a tenth of the operations */
#define OPERATIONS (100000u / (SANITIZER_SLOW ? SLOWER : 1u))
#define THREAD_OPERATIONS (5000u / (SANITIZER_SLOW ? SLOWER : 1u))
#define SPACES 2u
#define BATCH_MAX 8u
#define PROMPTS 400u
#define SMALL_SPACE 1500u /* of the 4,800 keys: there are misses to the end */
#define RUN_TIMEOUT_MS 140000u

static const char *const space_names[SPACES] = {"roomy", "small"};
static const char *const op_names[] = {"next_token_dist", "rolling_logprob"};
static const char *const view_names[] = {"base", "ft", "scaled_1.25"};

/* The results of a worker, in memory that it shares with the test. */
struct report {
  bool done;
  char error[256]; /* the first one; "": none */
  struct fcache_counters counters[SPACES];
  uint8_t hits[OPERATIONS], misses[OPERATIONS]; /* lines that each operation gets in the trace */
};

struct worker {
  const char *socket;
  unsigned number, operations;
  struct report *report;
  struct fcache *handles[SPACES];
  struct fcache_value value, wanted, values[BATCH_MAX];
  uint64_t random;
};

/* ---- keys, and the values that belong to them ---- */

struct key {
  uint32_t space, op, view, top_k, prompt;
};

static uint32_t below(struct worker *worker, uint32_t n) {
  worker->random ^= worker->random << 13;
  worker->random ^= worker->random >> 7;
  worker->random ^= worker->random << 17;
  return (uint32_t)((worker->random >> 11) % n);
}

static struct key random_key(struct worker *worker) {
  return (struct key){.space = below(worker, SPACES),
                      .op = below(worker, 2),
                      .view = below(worker, 3),
                      .top_k = below(worker, 2),
                      .prompt = below(worker, PROMPTS)};
}

static struct fcache_key wire_key(const struct key *key) {
  return (struct fcache_key){.op = op_names[key->op],
                             .view = view_names[key->view],
                             .prompt = fcache_hash(&key->prompt, sizeof key->prompt),
                             .top_k = key->top_k};
}

/* The size also depends on the key. Returns 0 or FCACHE_ENOMEM. */
static int derive(const struct key *key, struct fcache_value *value) {
  struct fcache_hash hash = fcache_hash(key, sizeof *key);
  uint8_t bytes[1024];
  size_t size = 16u + (size_t)(hash.bytes[0] | hash.bytes[1] << 8) % 1000u;

  for (size_t at = 0; at < size; at++)
    bytes[at] = (uint8_t)(hash.bytes[at % 16] + at);
  return fcache_value_set(value, bytes, size);
}

/* ---- a worker. It asserts nothing, since it may be a thread or a child ---- */

static void complain(struct worker *worker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void complain(struct worker *worker, const char *format, ...) {
  va_list args;

  if (worker->report->error[0])
    return;
  va_start(args, format);
  (void)vsnprintf(worker->report->error, sizeof worker->report->error, format, args);
  va_end(args);
}

static void check_value(struct worker *worker, const struct key *key,
                        const struct fcache_value *value) {
  if (derive(key, &worker->wanted) != 0 || value->size != worker->wanted.size ||
      memcmp(value->data, worker->wanted.data, value->size) != 0)
    complain(worker, "a wrong value for prompt %" PRIu32 ", op %s, view %s, namespace %s",
             key->prompt, op_names[key->op], view_names[key->view], space_names[key->space]);
}

static void check_result(struct worker *worker, const struct key *key, const char *call, int rc) {
  if (rc != FCACHE_OK)
    complain(worker, "%s: %s: %s", call, fcache_strerror(rc),
             fcache_last_error(worker->handles[key->space]));
}

static void do_get(struct worker *worker, uint8_t *hits) {
  struct key key = random_key(worker);
  struct fcache_key wire = wire_key(&key);
  int rc = fcache_get(worker->handles[key.space], &wire, 0, &worker->value);

  if (rc == FCACHE_MISS)
    return;
  check_result(worker, &key, "get", rc);
  check_value(worker, &key, &worker->value);
  ++*hits;
}

static void do_put(struct worker *worker, uint8_t *misses) {
  struct key key = random_key(worker);
  struct fcache_key wire = wire_key(&key);
  int rc = derive(&key, &worker->value);

  if (rc == FCACHE_OK)
    rc = fcache_put(worker->handles[key.space], &wire, worker->value.data, worker->value.size, 1000,
                    0);
  check_result(worker, &key, "put", rc);
  ++*misses;
}

struct computation {
  const struct key *keys;
  size_t n;
};

static int compute_one(void *arg, struct fcache_value *value) {
  struct computation *computation = arg;

  computation->n = 1;
  return derive(&computation->keys[0], value);
}

static void do_cached(struct worker *worker, uint8_t *hits, uint8_t *misses) {
  struct key key = random_key(worker);
  struct fcache_key wire = wire_key(&key);
  struct computation computation = {.keys = &key};

  check_result(
      worker, &key, "cached",
      fcache_cached(worker->handles[key.space], &wire, compute_one, &computation, &worker->value));
  check_value(worker, &key, &worker->value);
  *hits = (uint8_t)(1 - computation.n);
  *misses = (uint8_t)computation.n;
}

static int compute_many(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  struct computation *computation = arg;
  struct fcache_value value = {0};
  int rc = 0;

  computation->n = n;
  for (size_t i = 0; i < n && rc == 0; i++) {
    rc = derive(&computation->keys[misses[i]], &value);
    if (rc == 0)
      rc = fcache_batch_add(batch, value.data, value.size);
  }
  fcache_value_free(&value);
  return rc;
}

static void do_cached_batch(struct worker *worker, uint8_t *hits, uint8_t *misses) {
  struct key keys[BATCH_MAX], key = random_key(worker);
  struct fcache_hash prompts[BATCH_MAX];
  struct computation computation = {.keys = keys};
  size_t n = 1 + below(worker, BATCH_MAX);

  for (size_t i = 0; i < n; i++) {
    key.prompt = below(worker, PROMPTS);
    keys[i] = key;
    prompts[i] = wire_key(&key).prompt;
  }
  check_result(worker, &key, "cached_batch",
               fcache_cached_batch(worker->handles[key.space], op_names[key.op],
                                   view_names[key.view], key.top_k, prompts, n, compute_many,
                                   &computation, worker->values));
  for (size_t i = 0; i < n; i++)
    check_value(worker, &keys[i], &worker->values[i]);
  *hits = (uint8_t)(n - computation.n);
  *misses = (uint8_t)computation.n;
}

/* The probe is the operation's number: the trace then shows the order. */
static void operate(struct worker *worker, unsigned i) {
  uint8_t *hits = &worker->report->hits[i], *misses = &worker->report->misses[i];
  uint32_t dice = below(worker, 100);
  char probe[16];

  (void)snprintf(probe, sizeof probe, "%u", i);
  for (uint32_t space = 0; space < SPACES; space++)
    if (fcache_set_probe(worker->handles[space], probe) != FCACHE_OK)
      complain(worker, "set_probe %s", probe);
  if (dice < 35)
    do_get(worker, hits);
  else if (dice < 45)
    do_put(worker, misses);
  else if (dice < 90)
    do_cached(worker, hits, misses);
  else
    do_cached_batch(worker, hits, misses);
}

static void open_handles(struct worker *worker) {
  static const int64_t small = SMALL_SPACE;

  for (uint32_t space = 0; space < SPACES; space++) {
    struct fcache_options options = FCACHE_OPTIONS_INIT;
    struct fcache_error error;
    char name[32];

    (void)snprintf(name, sizeof name, "%u.%" PRIu32, worker->number, space);
    options.socket = worker->socket;
    options.name_space = space_names[space];
    options.client = name;
    options.deadline_ms = LIBRARY_PATIENT_MS;
    options.max_entries = space == 1 ? &small : NULL;
    if (fcache_open(&options, &worker->handles[space], &error) != FCACHE_OK)
      complain(worker, "open: %s", error.text);
  }
}

static void *work(void *arg) {
  struct worker *worker = arg;

  /* Lowers the priority below the daemon's. Among so many processes the daemon's trace writer could
   * starve until its 8 MiB buffer is full and lines are lost, which this test does not allow. On
   * Linux this affects the calling thread only. */
  errno = 0;
  if (nice(5) == -1 && errno != 0)
    complain(worker, "nice: %s", strerror(errno));
  worker->random = (worker->number + 1) * 0x9e3779b97f4a7c15u;
  open_handles(worker);
  for (unsigned i = 0; i < worker->operations && !worker->report->error[0]; i++)
    operate(worker, i);
  for (uint32_t space = 0; space < SPACES; space++) {
    if (worker->handles[space])
      fcache_get_counters(worker->handles[space], &worker->report->counters[space]);
    fcache_close(worker->handles[space]);
  }
  fcache_value_free(&worker->value);
  fcache_value_free(&worker->wanted);
  for (size_t i = 0; i < BATCH_MAX; i++)
    fcache_value_free(&worker->values[i]);
  worker->report->done = true;
  return NULL;
}

/* ---- the two ways to run them ---- */

static int work_alone(void *arg) {
  (void)work(arg);
  return 0;
}

static void run_processes(struct worker *workers, unsigned n) {
  pid_t pids[PROCESSES];

  for (unsigned i = 0; i < n; i++)
    pids[i] = child_start(work_alone, &workers[i], NULL);
  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(harness_wait(pids[i], RUN_TIMEOUT_MS), 0);
}

static void run_threads(struct worker *workers, unsigned n) {
  pthread_t threads[THREADS];

  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

/* ---- the end ---- */

static void add(struct fcache_counters *sum, const struct fcache_counters *counters) {
  sum->cache_hits += counters->cache_hits;
  sum->cache_misses += counters->cache_misses;
  sum->forward_passes += counters->forward_passes;
  sum->scoring_wall_ns += counters->scoring_wall_ns;
  sum->batches_sent += counters->batches_sent;
  sum->batched_prompts += counters->batched_prompts;
  sum->degraded += counters->degraded;
  sum->reconnects += counters->reconnects;
  if (counters->max_batch_size > sum->max_batch_size)
    sum->max_batch_size = counters->max_batch_size;
}

static void assert_counters(const struct library_stats *stats, const char *name_space,
                            const struct fcache_counters *sum) {
#define SAME(name) ck_assert_uint_eq(library_stats_count(stats, name_space, #name), sum->name)
  SAME(cache_hits);
  SAME(cache_misses);
  SAME(forward_passes);
  SAME(batches_sent);
  SAME(batched_prompts);
  SAME(max_batch_size);
  ck_assert_uint_gt(sum->cache_hits, 0);
  ck_assert_uint_gt(sum->cache_misses, 0);
  /* The daemon measures only its own part of a hit's time. */
  ck_assert_double_le(library_stats_real(stats, name_space, "scoring_wall_s"),
                      (double)sum->scoring_wall_ns / 1e9);
}

/* Returns the number of counted lookups. */
static uint64_t assert_sums(struct fcache *cache, const struct report *reports, unsigned n) {
  struct library_stats stats = {0};
  struct fcache_counters all = {0};

  library_stats_read(cache, &stats);
  for (uint32_t space = 0; space < SPACES; space++) {
    struct fcache_counters sum = {0};

    for (unsigned i = 0; i < n; i++)
      add(&sum, &reports[i].counters[space]);
    assert_counters(&stats, space_names[space], &sum);
    add(&all, &sum);
  }
  assert_counters(&stats, NULL, &all);
  ck_assert_uint_eq(all.degraded, 0);
  ck_assert_uint_eq(all.reconnects, 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "dropped"), 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "connections"), n * SPACES + 1);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "trace_lost"), 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "trace_lines"),
                    all.cache_hits + all.cache_misses);
  ck_assert_uint_le(library_stats_count(&stats, space_names[1], "entries"), SMALL_SPACE);
  ck_assert_uint_gt(library_stats_count(&stats, space_names[1], "evictions_entries"), 0);
  library_stats_free(&stats);
  return all.cache_hits + all.cache_misses;
}

struct reading {
  struct report *reports;
  unsigned workers, operations;
  unsigned last[PROCESSES > THREADS ? PROCESSES : THREADS][SPACES]; /* operation seen */
};

static unsigned number(const char *text, char **end) {
  unsigned long n = strtoul(text, end, 10);

  EXPECT(*end != text && n < UINT32_MAX);
  return (unsigned)n;
}

static void take_line(void *arg, const struct trace_line *line) {
  struct reading *reading = arg;
  unsigned worker, space, i;
  char *end;

  EXPECT(line->probe != NULL);
  i = number(line->probe, &end);
  worker = number(line->client, &end);
  EXPECT(*end == '.'); /* of "WORKER.SPACE" */
  space = number(end + 1, &end);
  EXPECT(worker < reading->workers && space < SPACES && i < reading->operations);
  EXPECT(strcmp(line->name_space, space_names[space]) == 0);
  EXPECT(i >= reading->last[worker][space]); /* in the order of its lookups */
  reading->last[worker][space] = i;
  struct report *report = &reading->reports[worker];
  uint8_t *left = line->hit ? &report->hits[i] : &report->misses[i];
  EXPECT(*left > 0); /* no line twice, none too many */
  --*left; /* in a batch, a key that another client was computing is a hit after the own misses */
}

static void assert_trace(const char *path, struct report *reports, unsigned workers,
                         unsigned operations, uint64_t lookups) {
  static struct reading reading;

  reading = (struct reading){.reports = reports, .workers = workers, .operations = operations};
  /* the numbers are equal, and no line is too many, so none is missing */
  ck_assert_uint_eq(trace_lines_read(path, take_line, &reading), lookups);
}

static void run(unsigned n, unsigned operations,
                void (*run_them)(struct worker *workers, unsigned n), bool are_processes) {
  struct worker workers[PROCESSES > THREADS ? PROCESSES : THREADS] = {0};
  struct daemon daemon = {0};
  char trace[64];
  size_t size = n * sizeof(struct report);
  struct report *reports =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  ck_assert_ptr_ne(reports, MAP_FAILED);
  if (SANITIZER_SLOW)
    printf("%u operations a worker instead of %u: a sanitizer build\n", operations,
           operations * SLOWER);
  /* The trace is in memory: a disk that stalls for a second would cost lines, and this test allows
   * no loss. */
  int trace_fd = memfd_create("trace", MFD_CLOEXEC);
  ck_assert_int_ge(trace_fd, 0);
  (void)snprintf(trace, sizeof trace, "/proc/%d/fd/%d", (int)getpid(), trace_fd);
  harness_start(&daemon, "--trace", trace, NULL);
  for (unsigned i = 0; i < n; i++)
    workers[i] = (struct worker){
        .socket = daemon.socket, .number = i, .operations = operations, .report = &reports[i]};
  struct fcache *look = library_open(daemon.socket, "look", NULL, 0);
  run_them(workers, n);
  for (unsigned i = 0; i < n; i++) {
    ck_assert_str_eq(reports[i].error, "");
    ck_assert(reports[i].done);
  }
  uint64_t lookups = assert_sums(look, reports, n);
  ck_assert_int_eq(library_stat(look, "shared_hits") > 0, are_processes);
  fcache_close(look);
  ck_assert_int_eq(harness_stop(&daemon), 0);
  assert_trace(trace, reports, n, operations, lookups);
  ck_assert_int_eq(close(trace_fd), 0);
  ck_assert_int_eq(munmap(reports, size), 0);
}

START_TEST(eight_processes_counters_and_trace_match) {
  run(PROCESSES, OPERATIONS, run_processes, true);
}
END_TEST

START_TEST(sixteen_threads_counters_and_trace_match) {
  run(THREADS, THREAD_OPERATIONS, run_threads, false);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("many processes");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, eight_processes_counters_and_trace_match);
  tcase_add_test(tcase, sixteen_threads_counters_and_trace_match);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
