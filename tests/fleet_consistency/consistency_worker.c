#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/fleet_consistency/consistency.h"
#include "tests/support/child_process.h"
#include "tests/support/library.h"

#define SPACE "consistency"
#define DEADLINE_MS 5000
#define HOT_KEYS 6

struct worker {
  const struct consistency_worker *plan;
  struct fcache *cache;
  uint64_t random;
  struct fcache_value value;
  uint64_t values; /* that it has made */
  /* the call in progress */
  struct history_event event;
  uint64_t computing_ns; /* since when it computes; 0: it has not */
  uint64_t made;
};

void consistency_note(struct consistency_board *board, const struct history_event *event) {
  uint64_t place = atomic_fetch_add(&board->n, 1);
  if (place < board->capacity)
    board->events[place] = *event;
  else
    atomic_store(&board->stop, true);
}

/* splitmix64: a number below `n`. */
static uint64_t below(uint64_t *state, uint64_t n) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return (z ^ z >> 31) % n;
}

static uint64_t next_value(struct worker *worker) {
  return (uint64_t)(worker->plan->number + 1) << 32 | ++worker->values;
}

static uint32_t life(const struct worker *worker) {
  return atomic_load(&worker->plan->board->lives[worker->event.node]);
}

static bool is_small(const struct consistency_worker *plan) {
  return plan->number % CONSISTENCY_NODES == CONSISTENCY_NODES - 1;
}

/* ---- events ---- */

static void begin(struct worker *worker, uint8_t key) {
  worker->event =
      (struct history_event){.node = (uint8_t)(worker->plan->number % CONSISTENCY_NODES),
                             .key = key,
                             .view = key % 2,
                             .op = key / 2 % 2};
  worker->event.life = life(worker);
  worker->event.begin_ns = harness_now_ns();
}

static void end(struct worker *worker) {
  worker->event.end_ns = harness_now_ns();
  if (worker->event.life != life(worker))
    worker->event.life = 0;
}

static void note(struct worker *worker, enum history_kind kind, uint64_t value) {
  worker->event.kind = (uint8_t)kind;
  worker->event.value = value;
  consistency_note(worker->plan->board, &worker->event);
}

/* A value that is no number was never put. */
static void note_hit(struct worker *worker) {
  uint64_t value = 0;
  if (worker->value.size == sizeof value)
    memcpy(&value, worker->value.data, sizeof value);
  note(worker, HISTORY_HIT, value);
}

/* ---- calls ---- */

static struct fcache_key key_of(uint8_t key) {
  static const char *const views[] = {"base", "ft"}, *const ops[] = {"a", "b"};
  char prompt[8];
  (void)snprintf(prompt, sizeof prompt, "%u", key / 4);
  return library_key(ops[key / 2 % 2], views[key % 2], prompt, 0);
}

static int compute(void *arg, struct fcache_value *value) {
  struct worker *worker = arg;
  const struct timespec time = {.tv_nsec = 500000};
  worker->computing_ns = harness_now_ns();
  worker->made = next_value(worker);
  (void)nanosleep(&time, NULL); /* a shorter one is fine */
  return fcache_value_set(value, &worker->made, sizeof worker->made);
}

static bool cached(struct worker *worker, uint8_t key) {
  struct fcache_key wire = key_of(key);
  worker->computing_ns = 0;
  begin(worker, key);
  int rc = fcache_cached(worker->cache, &wire, compute, worker, &worker->value);
  end(worker);
  if (worker->computing_ns == 0 && rc == FCACHE_OK)
    note_hit(worker);
  if (worker->computing_ns != 0) {
    worker->event.begin_ns = worker->computing_ns;
    note(worker, HISTORY_PUT, worker->made);
  }
  return rc == FCACHE_OK;
}

static bool get(struct worker *worker, uint8_t key) {
  struct fcache_key wire = key_of(key);
  begin(worker, key);
  int rc = fcache_get(worker->cache, &wire, 0, &worker->value);
  end(worker);
  if (rc == FCACHE_OK)
    note_hit(worker);
  return rc >= 0;
}

/* A put whose reply was lost may be executed at any later time. */
static bool put(struct worker *worker, uint8_t key) {
  struct fcache_key wire = key_of(key);
  uint64_t value = next_value(worker);
  begin(worker, key);
  int rc = fcache_put(worker->cache, &wire, &value, sizeof value, 0, 0);
  end(worker);
  if (rc == FCACHE_OK)
    note(worker, HISTORY_STORED, value);
  else
    worker->event.end_ns = UINT64_MAX;
  note(worker, HISTORY_PUT, value);
  return rc >= 0;
}

static void note_clear(struct worker *worker, int rc) {
  end(worker);
  note(worker, rc >= 0 ? HISTORY_CLEAR : HISTORY_FAILED_CLEAR, 0);
}

static void clear(struct worker *worker) {
  const char *const views[] = {"base", "ft", NULL}, *const ops[] = {"a", "b", NULL};
  unsigned view = (unsigned)below(&worker->random, 3), op = (unsigned)below(&worker->random, 3);
  begin(worker, HISTORY_ANY);
  worker->event.view = view == 2 ? HISTORY_ANY : (uint8_t)view;
  worker->event.op = op == 2 ? HISTORY_ANY : (uint8_t)op;
  note_clear(worker, fcache_clear(worker->cache, views[view], ops[op], NULL));
}

static void delete (struct worker *worker, uint8_t key) {
  struct fcache_key wire = key_of(key);
  begin(worker, key);
  note_clear(worker, fcache_delete(worker->cache, &wire));
}

/* Most calls are for a few keys, which are not put, and seldom deleted. So their values stay in a
 * cache until they are cleared, for longer than the bound of the check. The others are put,
 * deleted, evicted, and read from the tier again, and on the last node all are. */
static bool step(struct worker *worker) {
  bool is_hot = below(&worker->random, 10) < (is_small(worker->plan) ? 5u : 8u);
  uint8_t key = (uint8_t)below(&worker->random, is_hot ? HOT_KEYS : CONSISTENCY_KEYS);
  uint64_t kind = below(&worker->random, 8000);
  if (kind == 0)
    clear(worker);
  else if (kind < (key < HOT_KEYS ? 2u : 8u))
    delete (worker, key);
  else if (kind < 2400 && key >= HOT_KEYS)
    return put(worker, key);
  else
    return kind < 4000 ? get(worker, key) : cached(worker, key);
  return true;
}

int consistency_work(void *arg) {
  const struct consistency_worker *plan = arg;
  struct worker worker = {.plan = plan, .random = plan->seed};
  const int64_t max_entries = is_small(plan) ? 12 : 18; /* fewer than keys */
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  options.socket = plan->node->socket;
  options.name_space = SPACE;
  options.deadline_ms = DEADLINE_MS;
  options.max_entries = &max_entries;
  CHILD_EXPECT(fcache_open(&options, &worker.cache, NULL) == FCACHE_OK);
  while (!atomic_load(&plan->board->stop)) {
    const struct timespec pause = {.tv_nsec = (long)below(&worker.random, 1500000)};
    CHILD_EXPECT(step(&worker));
    (void)nanosleep(&pause, NULL);
  }
  fcache_value_free(&worker.value);
  fcache_close(worker.cache);
  return 0;
}
