#include "daemon/rings/rings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/check.h"
#include "daemon/rings/rings_idle.h"
#include "proto/wall.h"

#define GROWTH_PART 4u            /* of the budget, at least, is for rings that grow */
#define GROWTH_SHARE 4u           /* a ring grows by at most that part of the free bytes */
#define SWEEP_RECORDS (64u << 10) /* a turn: some milliseconds */
#define LONG_SLOTS 256u   /* from here on, reading takes longer than reading the CPU's clock */
#define MANY_PART 8u      /* a ring with more than this part of its slots used is busy */
#define PERIOD_BUSY_MS 1u /* a fast client fills 32,768 slots in some 7 ms */
#define PERIOD_USED_MS 50u
#define PERIOD_IDLE_MS 100u

/* Returns the largest size at which half of the pool has room for all clients, so that the other
 * half is left for growth, but at least the smallest size. */
static uint32_t base_slots(const struct rings_config *config) {
  uint32_t n = FC_RING_SLOTS_MAX;
  while (n > FC_RING_SLOTS_MIN && config->max_clients * rings_charge(n) > config->pool_bytes / 2)
    n /= 2;
  return n;
}

void rings_init(struct rings *rings, const struct rings_config *config) {
  *rings = (struct rings){.config = *config, .base_slots = base_slots(config)};
}

void rings_set_pool(struct rings *rings, size_t pool_bytes, unsigned max_clients) {
  rings->config.pool_bytes = pool_bytes;
  rings->config.max_clients = max_clients;
  rings->base_slots = base_slots(&rings->config);
}

void rings_deinit(struct rings *rings) {
  check_eq(rings->n, 0);
  check_eq(rings->n_asleep, 0);
  check_eq(rings->used_bytes, 0);
  assert(rings->awake == NULL && rings->asleep == NULL);
}

static void check_list(const struct client_ring *first, bool is_asleep, uint32_t *n,
                       size_t *bytes) {
  for (const struct client_ring *client = first; client != NULL; client = client->next) {
    assert(client->is_asleep == is_asleep);
    assert(client->next == NULL || client->next->prev == client);
    check_le(client->reader.tail, client->reader.at);
    check_le(client->reader.at, client->reader.head);
    check_le(client->account.shared_hits, client->account.hits);
    *bytes += client->charge_bytes;
    ++*n;
  }
}

void rings_check(const struct rings *rings) {
  uint32_t n = 0, n_asleep = 0;
  size_t bytes = 0;
  assert(rings->awake == NULL || rings->awake->prev == NULL);
  assert(rings->asleep == NULL || rings->asleep->prev == NULL);
  check_list(rings->asleep, true, &n_asleep, &bytes);
  check_list(rings->awake, false, &n, &bytes);
  check_eq(rings->n_asleep, n_asleep);
  check_eq(rings->n, n + n_asleep);
  check_eq(rings->used_bytes, bytes);
}

/* ---- reading ---- */

/* Returns CPU time in ns, to take the difference of. The CPU's own clock costs 0.5 us a reading.
 * The wall clock costs a twentieth, and is exact enough for work too short to be preempted. */
static uint64_t time_ns(bool is_long) {
  struct timespec now;
  (void)clock_gettime(is_long ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
                      &now); /* cannot fail for these clocks */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Loads the ring's head, up to which it is then read. */
static void look(struct rings *rings, struct client_ring *client, struct ring_reading *reading) {
  const char *why;
  if (client->error != NULL)
    return;
  if (ring_reader_load_head(&client->reader, &why) < 0) {
    client->error = why;
    rings->attention = true;
    return;
  }
  uint64_t unrecorded = ring_reader_load_unrecorded(&client->reader);
  if (unrecorded > 0)
    reading->unrecorded +=
        hits_count_unrecorded(&client->account, client_clock_now().now_ns, unrecorded);
  uint64_t slots = client->reader.head - client->reader.at;
  reading->slots += slots;
  rings->seen_any = rings->seen_any || slots > 0;
  rings->seen_many = rings->seen_many || slots > client->reader.n_slots / MANY_PART;
}

/* Looks at `n` rings from `client` on and returns a list of those with unread records. It runs
 * before each request. Without news it loads each ring's header and does no more. */
static struct client_ring *collect_rings(struct rings *rings, struct client_ring *client,
                                         uint32_t n, struct ring_reading *reading) {
  struct client_ring *list = NULL, **last = &list;
  for (; n > 0; n--, client = client->next) {
    if (!client_ring_has_news(client))
      continue;
    client->had_news = true;
    look(rings, client, reading);
    if (client_ring_is_drained(client))
      continue;
    *last = client;
    last = &client->next_in_batch;
  }
  *last = NULL;
  return list;
}

static void read_list(struct rings *rings, struct client_ring *list,
                      enum trace_backpressure backpressure, uint64_t budget,
                      struct ring_reading *reading) {
  bool is_long = reading->slots > LONG_SLOTS;
  uint64_t start_ns = time_ns(is_long);
  struct client_clock clock = client_clock_now();
  ring_merge_read(list, rings->config.trace, &clock, backpressure, budget, reading);
  for (struct client_ring *client = list; client != NULL; client = client->next_in_batch) {
    ring_reader_release(&client->reader);
    if (client->error != NULL)
      rings->attention = true;
  }
  reading->cpu_ns += time_ns(is_long) - start_ns;
}

/* Reads `n` rings from `first` on as one, up to their present heads or about `budget` records.
 * Returns the records read. */
static uint64_t read_rings(struct rings *rings, struct client_ring *first, uint32_t n,
                           enum trace_backpressure backpressure, uint64_t budget) {
  struct ring_reading reading = {0};
  struct client_ring *list = collect_rings(rings, first, n, &reading);
  if (list != NULL)
    read_list(rings, list, backpressure, budget, &reading);
  check_le(reading.hits, reading.records);
  struct totals *totals = rings->config.totals;
  totals->ring_records += reading.records;
  totals->hits_region += reading.hits;
  if (reading.unrecorded > 0)
    fc_sum_add(&totals->hits_unrecorded, reading.unrecorded);
  totals->drain_ns += reading.cpu_ns;
  return reading.records;
}

static uint64_t read_awake(struct rings *rings, enum trace_backpressure backpressure,
                           uint64_t budget) {
  return read_rings(rings, rings->awake, rings_n_awake(rings), backpressure, budget);
}

/* Reads what precedes a request or the end of a client. `own` is its ring, or NULL. */
static void read_for(struct rings *rings, struct client_ring *own) {
  if (rings_n_awake(rings) <= RINGS_TOGETHER)
    (void)read_awake(rings, TRACE_LEAVE_RECORD, UINT64_MAX);
  else
    (void)read_rings(rings, own, own == NULL ? 0 : 1, TRACE_LEAVE_RECORD, UINT64_MAX);
}

bool rings_drain(struct rings *rings, struct client_ring *client) {
  if (client != NULL && client->is_asleep && client_ring_has_news(client))
    rings_wake(rings, client);
  read_for(rings, client);
  bool drained = client == NULL || client_ring_is_drained(client);
  if (!drained)
    rings->attention = true;
  return drained;
}

void rings_drain_before_eviction(struct rings *rings) {
  (void)read_awake(rings, TRACE_WRITE_NOW, UINT64_MAX);
}

void rings_drain_all(struct rings *rings) {
  rings_wake_all(rings);
  (void)read_awake(rings, TRACE_WRITE_NOW, UINT64_MAX);
}

static void flush_usage(struct client_ring *client) {
  for (; client != NULL; client = client->next)
    hits_flush_usage(&client->account, &client->reader);
}

void rings_flush_usage(struct rings *rings) {
  flush_usage(rings->awake);
  flush_usage(rings->asleep);
}

/* ---- the timer ---- */

unsigned rings_period_ms(const struct rings *rings) {
  if (rings->attention || rings->seen_many)
    return PERIOD_BUSY_MS;
  return rings->n == 0 ? 0 : rings->seen_any ? PERIOD_USED_MS : PERIOD_IDLE_MS;
}

unsigned rings_sweep(struct rings *rings, uint64_t now_ns) {
  rings->seen_any = rings->seen_many = rings->attention = false;
  if (rings->n == 0)
    return 0;
  if (trace_is_behind(rings->config.trace)) /* clients that are faster than the disk fill up */
    return PERIOD_BUSY_MS;
  rings_idle_look(rings, now_ns);
  if (read_awake(rings, TRACE_LEAVE_RECORD, SWEEP_RECORDS) >= SWEEP_RECORDS)
    rings->seen_many = true; /* more is left: come back soon */
  return rings_period_ms(rings);
}

bool rings_calibration_due(const struct rings *rings, uint64_t now_ns) {
  return rings->n > 0 && tsc_calibration_due(&rings->calibration, now_ns);
}

void rings_calibrate(struct rings *rings, bool usable) {
  const struct region *region = rings->config.store->heap.region;
  tsc_calibration_publish(&rings->calibration, region_writer_header(region), usable);
}

/* ---- the pool ---- */

size_t rings_charge(uint32_t n_slots) {
  return (size_t)fc_ring_bytes(n_slots) + sizeof(struct client_ring);
}

void rings_recharge(struct rings *rings, struct client_ring *client, size_t bytes) {
  struct user *user = client->account.user;
  size_t before = client->charge_bytes;
  check_le(before, rings->used_bytes);
  client->charge_bytes = bytes;
  rings->used_bytes = rings->used_bytes - before + bytes;
  if (bytes > before)
    user_charge(user, USER_RING_BYTES, bytes - before);
  else
    user_uncharge(user, USER_RING_BYTES, before - bytes);
}

size_t rings_pool_bytes(size_t budget_bytes, unsigned max_clients) {
  size_t least = (size_t)max_clients * rings_charge(FC_RING_SLOTS_MIN) + budget_bytes / GROWTH_PART;
  return budget_bytes > least ? budget_bytes : least;
}

/* Returns the bytes that are neither used nor reserved for future clients. */
static size_t left_to_grow(const struct rings *rings) {
  const struct rings_config *config = &rings->config;
  size_t to_come = config->max_clients > rings->n ? config->max_clients - rings->n : 0;
  size_t reserved = rings->used_bytes + to_come * rings_charge(rings->base_slots);
  return config->pool_bytes > reserved ? config->pool_bytes - reserved : 0;
}

/* Returns the size of a ring to replace `old`, up to `most`, within the share of its user, or 0 if
 * none larger fits. Rings of the base size are bounded by the user's share of connections. */
static uint32_t slots_to_grow(const struct rings *rings, const struct client_ring *old,
                              uint32_t most) {
  uint64_t room = user_quota_left(old->account.user, USER_RING_BYTES);
  size_t left = left_to_grow(rings) / GROWTH_SHARE;
  size_t share = old->charge_bytes + (room < left ? (size_t)room : left);
  uint32_t n = FC_RING_SLOTS_MAX;
  while (n > old->reader.n_slots && (n > most || rings_charge(n) > share))
    n /= 2;
  return n > old->reader.n_slots ? n : 0;
}

/* ---- attach and detach ---- */

static struct fc_str copy_name(char *to, struct fc_str name) {
  check_le(name.size, FC_NAME_MAX);
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

static struct client_ring *make_ring(uint32_t n_slots, const struct hits_account *account) {
  struct client_ring *client = calloc(1, sizeof *client);
  if (client == NULL)
    return NULL;
  if (ring_reader_init(&client->reader, n_slots) < 0) {
    free(client);
    return NULL;
  }
  client->account = *account;
  client->account.client = copy_name(client->names, account->client);
  client->account.name_space = copy_name(client->names + FC_NAME_MAX, account->name_space);
  client->account.has_pending = false; /* those of another ring are of its contexts */
  memset(client->account.pending, 0, sizeof client->account.pending);
  return client;
}

/* Makes a ring that is in no list yet. */
static struct client_ring *attach(struct rings *rings, uint32_t n_slots, bool knows_state,
                                  const struct hits_account *account) {
  struct client_ring *client = n_slots == 0 ? NULL : make_ring(n_slots, account);
  if (client == NULL) {
    rings->refused = true;
    return NULL;
  }
  client->reader.knows_state = knows_state;
  rings->n++;
  rings_recharge(rings, client, rings_charge(n_slots));
  return client;
}

struct client_ring *rings_attach(struct rings *rings, bool knows_state,
                                 const struct hits_account *account) {
  size_t pool = rings->config.pool_bytes, used = rings->used_bytes;
  bool fits = used <= pool && rings_charge(rings->base_slots) <= pool - used;
  struct client_ring *client = attach(rings, fits ? rings->base_slots : 0, knows_state, account);
  if (client != NULL)
    rings_add(rings, client);
  return client;
}

struct client_ring *rings_attach_anew(struct rings *rings, const struct client_ring *old,
                                      uint32_t most_slots) {
  /* A ring may be revoked while its client asks for a larger one. It must not be kept, either. */
  bool is_plain = most_slots == 0 || (old->state & FC_RING_REVOKED) != 0;
  uint32_t n_slots = is_plain ? rings->base_slots : slots_to_grow(rings, old, most_slots);
  if (!old->reader.knows_state && !is_plain) /* it could not be revoked */
    n_slots = 0;
  struct client_ring *client = attach(rings, n_slots, old->reader.knows_state, &old->account);
  if (client != NULL) /* awake, because the client is about to record a hit */
    rings_add_awake(rings, client);
  return client;
}

int rings_fd(const struct client_ring *client) {
  return client->reader.fd;
}

void rings_handed_over(struct client_ring *client) {
  ring_reader_close_fd(&client->reader);
}

bool rings_end(struct rings *rings, struct client_ring *client) {
  rings_wake(rings, client);
  if (client->reader.knows_state && !client->reader.is_replaced)
    ring_reader_set_state(&client->reader, FC_RING_ENDED); /* before the last reading */
  return rings_drain(rings, client);
}

void rings_detach(struct rings *rings, struct client_ring *client) {
  check_lt(0, rings->n);
  if (!rings_end(rings, client)) /* the trace is behind */
    (void)read_rings(rings, client, 1, TRACE_WRITE_NOW, UINT64_MAX);
  assert(client_ring_is_drained(client));
  hits_flush_usage(&client->account, &client->reader);
  rings_remove_awake(rings, client);
  rings->n--;
  rings_recharge(rings, client, 0);
  ring_reader_release(&client->reader);
  ring_reader_give_back(&client->reader);
  ring_reader_deinit(&client->reader);
  free(client);
}

void rings_detach_replaced(struct rings *rings, struct client_ring *client) {
  client->reader.is_replaced = true;
  rings_detach(rings, client);
}

bool rings_has_room(const struct client_ring *client) {
  const struct ring_reader *reader = &client->reader;
  return reader->head - reader->tail <= reader->n_slots - reader->n_slots / 4;
}

const char *rings_error(const struct client_ring *client) {
  return client->error;
}
