/* storm_worker - a good client of the storm. It gets, puts, sends batches and takes leases through
 * the library without a pause, with values of 1 KB, 100 KB and 4 MB that it checks byte by byte.
 *
 *   storm_worker SOCKET DAEMON_PID NUMBER DEADLINE_MS
 *
 * The time that this process and the daemon waited for a processor is subtracted from a call's
 * time, because other programs cause it.
 *
 * A line on stdin begins a measurement, and the next one ends it. Then the worker prints to stdout
 *   latency KIND SIZE NS:COUNT ... max:NS     for each kind of call and size
 *   processor NS:COUNT ... max:NS             time subtracted from calls
 *   count NAME N                              calls that failed, came late, ...
 *   fault TEXT                                the first of these
 *   end
 * The end of stdin ends it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fcache.h"
#include "proto/histogram.h"

#define SHORT_NS 300000u /* shorter calls count with their whole time */
#define RUN_AGAIN_NS UINT64_C(5000000000)
#define PAUSE_NS 2000000u /* on average, between calls: a worker computes most of the time */
#define SPACE "good"
#define FRESH_MS 40u    /* a new key for `cached` that often, the same one for all workers */
#define FAULTS_SHOWN 2u /* handles of each kind */
#define BATCH_MAX 16u

enum kind { KIND_REGION, KIND_SOCKET, KIND_MISS, KIND_PUT, KIND_BATCH, KIND_CACHED, KIND_OPEN };
#define KINDS 7
static const char *const kind_names[KINDS] = {"region", "socket", "miss", "put",
                                              "batch",  "cached", "open"};

/* How many values of a size there are, how many a batch has, and how often the size comes, in
 * percent. */
static const struct size {
  const char *name;
  uint32_t bytes, keys, batch;
  unsigned percent;
} sizes[] = {
    {"1 KB", 1000, 2000, BATCH_MAX, 82}, {"100 KB", 100000, 64, 4, 14}, {"4 MB", 4000000, 6, 2, 4}};
#define SIZES (sizeof sizes / sizeof sizes[0])

enum count {
  COUNT_CALLS,
  COUNT_FAILED,
  COUNT_DEGRADED,
  COUNT_WRONG,
  COUNT_LATE,
  COUNT_NO_REGION,
  COUNT_STALLED, /* failed or degraded after a deadline that was missed for want of a processor */
  COUNT_ALONE,   /* failed or degraded because an earlier call lost the connection */
};
#define COUNTS 8
static const char *const count_names[COUNTS] = {"calls", "failed",    "degraded", "wrong",
                                                "late",  "no_region", "stalled",  "alone"};

/* A handle. `lost` and `stalled` hold until a call succeeds over a connection. */
struct handle {
  struct fcache *cache;
  bool lost;    /* a call has lost the connection, and was counted */
  bool stalled; /* it was lost for want of a processor */
};

/* Before a call. */
struct start {
  uint64_t ns, waited_ns;
  struct fcache_counters counters;
};

struct worker {
  const char *socket;
  uint32_t deadline_ms;
  uint64_t late_ns;            /* the same */
  int own_times, daemon_times; /* schedstat files of this process and of the daemon's main thread */
  struct handle mapped, asking; /* one with the region, one without */
  struct fcache_value value, values[BATCH_MAX];
  uint8_t *computed; /* as large as the largest value */
  uint64_t random;
  struct fc_histogram latency[KINDS][SIZES];
  struct fc_histogram processor;
  uint64_t counts[COUNTS];
};

static uint64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t any_below(struct worker *worker, uint64_t n) {
  worker->random ^= worker->random << 13;
  worker->random ^= worker->random >> 7;
  worker->random ^= worker->random << 17;
  return worker->random % n;
}

/* ---- keys, and what belongs to them ---- */

static struct fcache_key key_of(size_t size, uint64_t number) {
  uint64_t prompt[2] = {size, number};
  return (struct fcache_key){
      .op = "op", .view = "base", .prompt = fcache_hash(prompt, sizeof prompt)};
}

static uint64_t word_of(const struct fcache_hash *prompt, size_t i) {
  uint64_t seed;
  memcpy(&seed, prompt->bytes, sizeof seed);
  return (seed | 1) * (i + 0x9e3779b97f4a7c15u);
}

static void compute(const struct fcache_hash *prompt, size_t bytes, uint8_t *to) {
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    uint64_t word = word_of(prompt, at);
    memcpy(to + at, &word, bytes - at < sizeof word ? bytes - at : sizeof word);
  }
}

static bool is_right(const struct fcache_hash *prompt, size_t bytes,
                     const struct fcache_value *value) {
  if (value->size != bytes)
    return false;
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    uint64_t word = word_of(prompt, at);
    if (memcmp((const uint8_t *)value->data + at, &word,
               bytes - at < sizeof word ? bytes - at : sizeof word) != 0)
      return false;
  }
  return true;
}

/* ---- records ---- */

/* Of a call that took `ns`, of which `waited` were for a processor. */
static void fault(struct worker *worker, enum count count, const char *what, uint64_t ns,
                  uint64_t waited, const char *text) {
  if (worker->counts[count]++ < FAULTS_SHOWN)
    printf("fault %s: %s, %.1f ms (and %.1f for a processor) %s\n", count_names[count], what,
           (double)(ns - waited) / 1e6, (double)waited / 1e6, text);
}

static struct fcache_counters counters_of(const struct fcache *cache) {
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  return counters;
}

/* The scheduler's times of a process: nanoseconds on a processor, and waiting for one. */
struct times {
  uint64_t run_ns, waited_ns;
};

/* Reads them from an open /proc/PID/schedstat. */
static struct times times_of(int fd) {
  char text[128], *rest;
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = '\0';
  uint64_t run_ns = strtoull(text, &rest, 10);
  return (struct times){run_ns, strtoull(rest, NULL, 10)};
}

static uint64_t all_waited_ns(const struct worker *worker) {
  return times_of(worker->own_times).waited_ns + times_of(worker->daemon_times).waited_ns;
}

/* Before a call on a handle; NULL: one that does not exist yet. */
static struct start start_call(const struct worker *worker, const struct handle *handle) {
  struct start start = {.waited_ns = all_waited_ns(worker)};
  if (handle != NULL)
    start.counters = counters_of(handle->cache);
  start.ns = now_ns();
  return start;
}

/* Returns the fault of a call that took `ns`, of which it waited `waited` for a processor. */
static void judge(struct worker *worker, struct handle *handle, const char *what, int rc,
                  const struct start *start, uint64_t ns, uint64_t waited) {
  struct fcache_counters now = counters_of(handle->cache);
  const char *text = rc > 0 ? fcache_strerror(rc) : fcache_last_error(handle->cache);
  bool late = ns > worker->late_ns, excused = late && ns - waited < worker->late_ns * 4 / 5;
  bool lost =
      now.degraded != start->counters.degraded || now.reconnects != start->counters.reconnects;
  bool failed = rc < 0 || rc == FCACHE_NOT_STORED;
  if (excused)
    handle->stalled = true;
  else if (!lost && fcache_connected(handle->cache)) {
    handle->stalled = false;
    handle->lost = handle->lost && failed;
  }
  if (handle->stalled && (late || lost || failed))
    worker->counts[COUNT_STALLED]++;
  else if (handle->lost && !late && (lost || failed))
    worker->counts[COUNT_ALONE]++; /* one lost connection is one fault, however many calls follow */
  else if (lost)
    fault(worker, COUNT_DEGRADED, what, ns, waited, fcache_last_error(handle->cache));
  else if (failed)
    fault(worker, COUNT_FAILED, what, ns, waited, text);
  else if (late)
    fault(worker, COUNT_LATE, what, ns, waited, "");
  handle->lost = handle->lost || lost;
}

/* The scheduler counts a wait at its end: after a late call, the daemon may still wait. */
static void let_daemon_run(const struct worker *worker) {
  struct timespec pause = {.tv_nsec = 5000000};
  uint64_t until_ns = now_ns() + RUN_AGAIN_NS;
  struct times before = times_of(worker->daemon_times), now = before;
  while (now.run_ns == before.run_ns && now_ns() < until_ns) {
    (void)nanosleep(&pause, NULL); /* a signal may shorten it, which does not matter */
    now = times_of(worker->daemon_times);
  }
}

static void end_call(struct worker *worker, struct handle *handle, enum kind kind, size_t size,
                     int rc, const struct start *start) {
  uint64_t ns = now_ns() - start->ns, waited = 0;
  char what[64];
  (void)snprintf(what, sizeof what, "%s %s", kind_names[kind], sizes[size].name); /* fits */
  if (ns > worker->late_ns)
    let_daemon_run(worker);
  if (ns > SHORT_NS)
    waited = all_waited_ns(worker) - start->waited_ns;
  if (waited > ns)
    waited = ns;
  fc_histogram_add(&worker->latency[kind][size], ns - waited);
  fc_histogram_add(&worker->processor, waited);
  worker->counts[COUNT_CALLS]++;
  judge(worker, handle, what, rc, start, ns, waited);
}

static void check(struct worker *worker, size_t size, const struct fcache_hash *prompt,
                  const struct fcache_value *value) {
  if (!is_right(prompt, sizes[size].bytes, value))
    fault(worker, COUNT_WRONG, sizes[size].name, 0, 0, "another value than was put");
}

/* ---- the calls ---- */

static void put(struct worker *worker, struct handle *handle, size_t size,
                const struct fcache_key *key) {
  compute(&key->prompt, sizes[size].bytes, worker->computed);
  struct start start = start_call(worker, handle);
  int rc = fcache_put(handle->cache, key, worker->computed, sizes[size].bytes, 0, 0);
  end_call(worker, handle, KIND_PUT, size, rc, &start);
}

static void get(struct worker *worker, struct handle *handle, size_t size) {
  struct fcache_key key = key_of(size, any_below(worker, sizes[size].keys));
  struct start start = start_call(worker, handle);
  int rc = fcache_get(handle->cache, &key, 0, &worker->value);
  bool by_region = counters_of(handle->cache).region_hits != start.counters.region_hits;
  enum kind kind = rc == FCACHE_MISS ? KIND_MISS : by_region ? KIND_REGION : KIND_SOCKET;
  end_call(worker, handle, kind, size, rc, &start);
  if (rc == FCACHE_OK)
    check(worker, size, &key.prompt, &worker->value);
  else if (rc == FCACHE_MISS)
    put(worker, handle, size, &key);
}

struct computing {
  struct worker *worker;
  const struct fcache_hash *prompts;
  size_t size;
};

static int compute_one(void *arg, struct fcache_value *value) {
  const struct computing *computing = arg;
  size_t bytes = sizes[computing->size].bytes;
  compute(computing->prompts, bytes, computing->worker->computed);
  return fcache_value_set(value, computing->worker->computed, bytes);
}

static int compute_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  const struct computing *computing = arg;
  size_t bytes = sizes[computing->size].bytes;
  int rc = 0;
  for (size_t i = 0; i < n && rc == 0; i++) {
    compute(&computing->prompts[misses[i]], bytes, computing->worker->computed);
    rc = fcache_batch_add(batch, computing->worker->computed, bytes);
  }
  return rc;
}

static void cached_batch(struct worker *worker, struct handle *handle, size_t size) {
  struct fcache_hash prompts[BATCH_MAX];
  struct computing computing = {worker, prompts, size};
  for (size_t i = 0; i < sizes[size].batch; i++)
    prompts[i] = key_of(size, any_below(worker, sizes[size].keys)).prompt;
  struct start start = start_call(worker, handle);
  int rc = fcache_cached_batch(handle->cache, "op", "base", 0, prompts, sizes[size].batch,
                               compute_misses, &computing, worker->values);
  end_call(worker, handle, KIND_BATCH, size, rc, &start);
  for (size_t i = 0; rc == 0 && i < sizes[size].batch; i++)
    check(worker, size, &prompts[i], &worker->values[i]);
}

/* A new key: one worker gets its lease, and others may wait for it. */
static void cached(struct worker *worker, struct handle *handle, size_t size) {
  uint64_t number = now_ns() / 1000000 / FRESH_MS * FRESH_MS + sizes[size].keys;
  struct fcache_key key = key_of(size, number);
  struct computing computing = {worker, &key.prompt, size};
  struct start start = start_call(worker, handle);
  int rc = fcache_cached(handle->cache, &key, compute_one, &computing, &worker->value);
  end_call(worker, handle, KIND_CACHED, size, rc, &start);
  if (rc == 0)
    check(worker, size, &key.prompt, &worker->value);
}

/* Reports each fault with its call. */
static void say_nothing(void *arg, const char *line) {
  (void)arg;
  (void)line;
}

static struct fcache *open_handle(const struct worker *worker, bool region) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *cache = NULL;
  options.socket = worker->socket;
  options.name_space = SPACE;
  options.deadline_ms = worker->deadline_ms;
  options.log = say_nothing;
  if (setenv("FCACHE_REGION", region ? "1" : "0", 1) != 0 ||
      fcache_open(&options, &cache, &error) != 0) {
    fprintf(stderr, "worker: cannot open a handle: %s\n", cache == NULL ? error.text : "no memory");
    exit(1);
  }
  return cache;
}

/* The first calls of a worker that has just started. The second must need no message. */
static void open_new(struct worker *worker) {
  struct fcache_key key = key_of(0, any_below(worker, sizes[0].keys));
  struct start start = start_call(worker, NULL);
  struct handle handle = {.cache = open_handle(worker, true)};
  int rc = fcache_get(handle.cache, &key, 0, &worker->value);
  end_call(worker, &handle, KIND_OPEN, 0, rc, &start);
  if (rc == FCACHE_MISS)
    put(worker, &handle, 0, &key);
  if (fcache_connected(handle.cache) &&
      fcache_get(handle.cache, &key, 0, &worker->value) == FCACHE_OK &&
      counters_of(handle.cache).region_hits == 0)
    fault(worker, COUNT_NO_REGION, "a new worker", 0, 0, "its hits are messages");
  fcache_close(handle.cache);
}

static void call_once(struct worker *worker) {
  uint64_t dice = any_below(worker, 100);
  size_t size = dice < sizes[0].percent ? 0 : dice < sizes[0].percent + sizes[1].percent ? 1 : 2;
  dice = any_below(worker, 100);
  if (dice < 35)
    get(worker, &worker->mapped, size);
  else if (dice < 65)
    get(worker, &worker->asking, size);
  else if (dice < 82) {
    struct fcache_key key = key_of(size, any_below(worker, sizes[size].keys));
    put(worker, dice < 73 ? &worker->mapped : &worker->asking, size, &key);
  } else if (dice < 90)
    cached_batch(worker, dice < 86 ? &worker->mapped : &worker->asking, size);
  else if (dice < 98)
    cached(worker, dice < 94 ? &worker->mapped : &worker->asking, size);
  else
    open_new(worker);
}

/* ---- measurements ---- */

/* Reads the next line of stdin, whose text is ignored. Does not wait if `now`. Returns 1, 0 if
 * there is no line yet, or -1 at the end. */
static int take_line(bool now) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  char c;
  int ready = poll(&input, 1, now ? 0 : -1);
  if (ready <= 0)
    return ready == 0 || errno == EINTR ? 0 : -1;
  while (read(STDIN_FILENO, &c, 1) == 1)
    if (c == '\n')
      return 1;
  return -1;
}

/* Prints " NS:COUNT" for each cell that is not empty, NS its upper end, and then " max:NS". */
static void print_histogram(const struct fc_histogram *histogram) {
  for (uint32_t i = 0; i < FC_HISTOGRAM_CELLS; i++)
    if (histogram->cells[i] > 0)
      printf(" %" PRIu64 ":%" PRIu64, fc_histogram_cell_max_ns(i), histogram->cells[i]);
  printf(" max:%" PRIu64, histogram->max_ns);
}

static void report(const struct worker *worker) {
  for (size_t kind = 0; kind < KINDS; kind++)
    for (size_t size = 0; size < SIZES; size++)
      if (worker->latency[kind][size].max_ns > 0) {
        printf("latency %s %s", kind_names[kind], sizes[size].name);
        print_histogram(&worker->latency[kind][size]);
        putchar('\n');
      }
  printf("processor");
  print_histogram(&worker->processor);
  putchar('\n');
  for (size_t i = 0; i < COUNTS; i++)
    printf("count %s %" PRIu64 "\n", count_names[i], worker->counts[i]);
  puts("end");
  (void)fflush(stdout); /* a reader sees missing lines */
}

static void rest(struct worker *worker) {
  struct timespec pause = {.tv_nsec = (long)any_below(worker, (uint64_t)2 * PAUSE_NS)};
  (void)nanosleep(&pause, NULL); /* a signal may shorten it, which does not matter */
}

/* Returns -1 if there is no such file: then no time is subtracted. */
static int open_times(const char *pid) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%.20s/schedstat", pid); /* fits */
  return open(path, O_RDONLY | O_CLOEXEC);
}

static void forget(struct worker *worker) {
  memset(worker->latency, 0, sizeof worker->latency);
  memset(&worker->processor, 0, sizeof worker->processor);
  memset(worker->counts, 0, sizeof worker->counts);
}

int main(int argc, char **argv) {
  static struct worker worker;
  if (argc != 5) {
    fprintf(stderr, "usage: worker SOCKET DAEMON_PID NUMBER DEADLINE_MS\n");
    return 2;
  }
  worker.socket = argv[1];
  worker.random = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
  worker.deadline_ms = (uint32_t)strtoul(argv[4], NULL, 10);
  worker.late_ns = worker.deadline_ms * UINT64_C(1000000);
  worker.computed = malloc(sizes[SIZES - 1].bytes);
  worker.own_times = open_times("self");
  worker.daemon_times = open_times(argv[2]);
  worker.mapped.cache = open_handle(&worker, true);
  worker.asking.cache = open_handle(&worker, false);
  if (worker.computed == NULL)
    return 1;
  while (take_line(false) >= 0) {
    int line;
    forget(&worker);
    while ((line = take_line(true)) == 0) {
      call_once(&worker);
      rest(&worker);
    }
    if (line < 0)
      break;
    report(&worker);
  }
  fcache_close(worker.mapped.cache);
  fcache_close(worker.asking.cache);
  for (size_t i = 0; i < BATCH_MAX; i++)
    fcache_value_free(&worker.values[i]);
  fcache_value_free(&worker.value);
  free(worker.computed);
  return 0;
}
