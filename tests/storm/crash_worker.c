#include "crash_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash_admin.h"
#include "crash_client.h"

#define HELD_MAX 3u

struct held {
  uint32_t key;
  struct crash_grant grant;
};

struct worker {
  const struct crash_worker_plan *plan;
  struct crash_board *board;
  struct crash_client client;
  struct crash_client reader; /* of the ordered phase: hits from the region */
  struct held held[HELD_MAX];
  uint32_t n_held;
  struct crash_snapshot snapshot;
};

static uint32_t below(struct worker *worker, uint32_t n) {
  return crash_client_below(&worker->client, n);
}

static uint32_t own_key(struct worker *worker) {
  bool first = worker->client.large && below(worker, 3) == 0;
  uint32_t n = first ? CRASH_LARGE_KEYS : CRASH_OWNED_KEYS;
  return below(worker, n / CRASH_WORKERS) * CRASH_WORKERS + worker->plan->number;
}

/* ---- steps of a worker ---- */

static void read_any(struct worker *worker) {
  uint64_t version;
  if (crash_client_get(&worker->client, below(worker, CRASH_OWNED_KEYS), &version) == CRASH_AWAY)
    crash_client_connect(&worker->client);
}

/* Replaces a value without a lookup, or looks up first, as fcache_cached does. */
static void put_own(struct worker *worker) {
  uint32_t key = own_key(worker);
  uint64_t version;
  enum crash_found found =
      below(worker, 3) > 0 ? crash_client_get(&worker->client, key, &version) : CRASH_HIT;
  if (found == CRASH_AWAY)
    crash_client_connect(&worker->client);
  else
    (void)crash_client_put(&worker->client, key, found == CRASH_MISS);
}

static void take_lease(struct worker *worker, uint32_t key, uint64_t asked) {
  struct crash_board *board = worker->board;
  struct crash_slot *slot = &board->slots[key];
  struct crash_grant grant = {asked, crash_tick(board), atomic_load(&board->daemons),
                              atomic_load(&board->starts)};
  uint64_t before = atomic_exchange(&slot->held, asked);
  uint32_t holder = atomic_exchange(&slot->holder, worker->plan->number + 1);
  atomic_fetch_add(&board->grants, 1);
  if (holder != 0 && crash_latest_clear(board, key) < before && !board->evicts &&
      before > board->restored)
    crash_report(board, CRASH_LEASE, "key %u is computed twice, by workers %u and %u", key,
                 holder - 1, worker->plan->number);
  worker->held[worker->n_held++] = (struct held){key, grant};
}

static void put_held(struct worker *worker) {
  struct held held = worker->held[--worker->n_held];
  uint32_t mine = worker->plan->number + 1;
  crash_client_put_leased(&worker->client, held.key, &held.grant);
  (void)atomic_compare_exchange_strong(&worker->board->slots[held.key].holder, &mine, 0);
}

static void use_lease(struct worker *worker) {
  uint32_t key = CRASH_OWNED_KEYS + below(worker, CRASH_LEASED_KEYS);
  uint64_t version;
  if (worker->n_held == HELD_MAX || (worker->n_held > 0 && below(worker, 2) == 0)) {
    put_held(worker);
    return;
  }
  for (uint32_t i = 0; i < worker->n_held; i++)
    if (worker->held[i].key == key)
      return;
  uint64_t asked = crash_tick(worker->board);
  enum crash_found found = crash_client_lease(&worker->client, key, &version);
  if (found == CRASH_LEASED)
    take_lease(worker, key, asked);
  else if (found == CRASH_AWAY)
    crash_client_connect(&worker->client);
}

static void work(struct worker *worker) {
  uint32_t kind = below(worker, 100);
  if (kind < 45)
    read_any(worker);
  else if (kind < 88)
    put_own(worker);
  else
    use_lease(worker);
}

/* ---- steps of the clearer ---- */

void crash_manifest(char text[CRASH_MANIFEST_SIZE], uint64_t version) {
  (void)snprintf(text, CRASH_MANIFEST_SIZE, "{\"version\": %llu}", (unsigned long long)version);
}

/* Mostly selects few keys, so that the cache does not stay empty. */
static void clear_some(struct worker *worker) {
  struct crash_place place = {below(worker, CRASH_SPACES), below(worker, CRASH_VIEWS),
                              below(worker, CRASH_OPS)};
  bool clears = worker->plan->kind->clears;
  bool is_admin = clears || below(worker, 2) == 0; /* the library repeats a clear after a kill */
  uint32_t wide = clears && below(worker, 2) == 0 ? 4 : below(worker, 40);
  place.view = wide < 6 ? CRASH_VIEWS : place.view;
  place.op = wide > 3 && wide < 9 ? CRASH_OPS : place.op;
  place.space = is_admin && (wide == 9 || wide == 4) ? CRASH_SPACES : place.space;
  crash_clear_begin(worker->board, place);
  uint64_t begun = crash_tick(worker->board);
  bool acked = is_admin
                   ? crash_admin_clear(worker->plan->socket, place)
                   : fcache_clear(worker->client.handles[place.space], crash_view_name(place.view),
                                  crash_op_name(place.op), NULL) == FCACHE_OK;
  crash_clear_end(worker->board, place, begun, acked);
  if (clears && !acked)
    crash_clear_half(worker->board, place, begun);
}

static void delete_one(struct worker *worker) {
  uint32_t key = below(worker, CRASH_KEYS);
  struct fcache_key wire = crash_key_of(key);
  bool is_admin = worker->plan->kind->clears || below(worker, 2) == 0; /* as in clear_some */
  crash_delete_begin(worker->board, key);
  uint64_t begun = crash_tick(worker->board);
  bool acked = is_admin
                   ? crash_admin_delete(worker->plan->socket, key)
                   : fcache_delete(worker->client.handles[crash_key_place(key).space], &wire) >= 0;
  crash_delete_end(worker->board, key, begun, acked);
}

/* The hello of a new handle sets the manifest. */
static void set_manifest(struct worker *worker) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  uint32_t space = below(worker, CRASH_SPACES);
  uint64_t version = crash_tick(worker->board);
  char text[CRASH_MANIFEST_SIZE];
  struct fcache *handle;
  crash_manifest(text, version);
  options.socket = worker->plan->socket;
  options.name_space = crash_space_name(space);
  options.manifest = text;
  options.deadline_ms = CRASH_DEADLINE_MS;
  options.log = crash_client_drop_line;
  atomic_store(&worker->board->manifest_begun[space], version);
  if (fcache_open(&options, &handle, NULL) != FCACHE_OK)
    return;
  if (fcache_connected(handle))
    atomic_store(&worker->board->manifest_acked[space], version);
  fcache_close(handle);
}

/* Between these sizes all keys have room. */
static void resize(struct worker *worker) {
  static const char *const sizes[] = {"44M", "52M", "64M", "96M"};
  uint32_t n = below(worker, sizeof sizes / sizeof sizes[0]);
  crash_admin_resize(worker->board, worker->plan->socket, sizes[n]);
}

static void administer(struct worker *worker) {
  const struct crash_kind *kind = worker->plan->kind;
  uint32_t one = below(worker, 100);
  if (one < 4 || (kind->clears && one >= 90))
    clear_some(worker);
  else if (one < 5)
    set_manifest(worker);
  else if (one < 12 && kind->files)
    crash_admin_snapshot(&worker->snapshot, worker->board, worker->plan->socket);
  else if (one < 14 && kind->resizes)
    resize(worker);
  else if (one < 40)
    delete_one(worker);
  else
    read_any(worker);
}

/* ---- the ordered phase ---- */

/* Returns how many steps are complete after step `n`. A put is, with its reply, and so are all
 * steps before, since the daemon drains the rings before each request. A hit over the socket is
 * promoted after its reply, and a hit from the region when it is drained. */
static uint32_t complete_after(uint32_t n, enum crash_outcome outcome, enum crash_found found,
                               bool from_region) {
  if (outcome != CRASH_UNKNOWN || found == CRASH_MISS)
    return n + 1;
  return found == CRASH_HIT && !from_region ? n : 0;
}

static void do_ordered_step(struct worker *worker) {
  struct crash_board *board = worker->board;
  uint32_t n = atomic_load(&board->steps), kind = below(worker, 10);
  if (n == CRASH_STEPS) {
    (void)crash_phase_wait(board, CRASH_ORDER);
    return;
  }
  bool is_put = kind < 4;
  uint32_t key = is_put ? own_key(worker) : below(worker, CRASH_OWNED_KEYS);
  struct crash_client *client = kind < 7 ? &worker->client : &worker->reader;
  uint64_t version;
  board->step[n] = (struct crash_step){.key = key, .is_put = is_put};
  atomic_store(&board->steps, n + 1);
  enum crash_outcome outcome = CRASH_UNKNOWN;
  enum crash_found found = CRASH_AWAY;
  if (is_put)
    outcome = crash_client_put(client, key, false);
  else
    found = crash_client_get(client, key, &version);
  board->step[n].without_effect = outcome == CRASH_REJECTED || found == CRASH_MISS;
  board->step[n].in_ring = found == CRASH_HIT && client->region;
  uint32_t done = complete_after(n, outcome, found, client->region);
  /* A request that was repeated with the next daemon says nothing about the steps before. */
  if (atomic_load(&board->phase) != CRASH_ORDER)
    atomic_store(&board->last_step_done, outcome != CRASH_UNKNOWN || found != CRASH_AWAY);
  else if (done > 0)
    atomic_store(&board->steps_done, done);
}

/* ---- the process ---- */

static bool begin(struct worker *worker, const struct crash_worker_plan *plan) {
  bool region = plan->number != 0 && plan->number % 2 == 0;
  worker->plan = plan;
  worker->board = plan->board;
  if (!crash_client_open(&worker->client, plan->board, plan->socket, region, plan->seed))
    return false;
  worker->client.large = plan->kind->clears || plan->kind->dies_early;
  return plan->number != 0 ||
         crash_client_open(&worker->reader, plan->board, plan->socket, true, plan->seed + 1);
}

static enum crash_phase rest(struct worker *worker, enum crash_phase phase) {
  crash_admin_snapshot_forget(&worker->snapshot); /* its daemon is dead */
  phase = crash_phase_wait(worker->board, phase);
  crash_client_connect(&worker->client);
  if (worker->plan->number == 0)
    crash_client_connect(&worker->reader);
  return phase;
}

int crash_worker_run(void *arg) {
  const struct crash_worker_plan *plan = arg;
  struct worker worker = {0};
  if (!begin(&worker, plan))
    return 1;
  enum crash_phase phase = CRASH_PARK;
  while (phase != CRASH_STOP) {
    if (phase == CRASH_RUN && plan->number < CRASH_WORKERS)
      work(&worker);
    else if (phase == CRASH_RUN)
      administer(&worker);
    else if (phase == CRASH_ORDER && plan->number == 0)
      do_ordered_step(&worker);
    else
      phase = rest(&worker, phase);
    phase = phase == CRASH_STOP ? phase : (enum crash_phase)atomic_load(&worker.board->phase);
  }
  crash_admin_snapshot_forget(&worker.snapshot);
  crash_client_close(&worker.client);
  if (plan->number == 0)
    crash_client_close(&worker.reader);
  return 0;
}
