#include "daemon/rings/rings.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/rings/ring_merge.h"
#include "daemon/rings/rings_idle.h"
#include "proto/wall.h"

#define GROWTH_PART 4u            /* of the budget, at least, is for rings that grow */
#define GROWTH_SHARE 4u           /* a ring grows by at most that part of what is left */
#define SWEEP_RECORDS (64u << 10) /* a turn: some milliseconds */
#define LONG_SLOTS 256u           /* from here on a reading takes longer than the CPU's clock */
#define MANY_PART 8u              /* a ring with more than this part of its slots used is busy */
#define PERIOD_BUSY_MS 1u         /* a ring of 32,768 slots lasts a fast client some 7 ms */
#define PERIOD_USED_MS 50u
#define PERIOD_IDLE_MS 100u

/* The largest for which half of the pool has room for all clients, so that the other half is there
 * to grow; the smallest in any case. */
static uint32_t base_slots(const struct rings_config *config) {
  uint32_t n = FC_RING_SLOTS_MAX;
  while (n > FC_RING_SLOTS_MIN && config->max_clients * rings_charge(n) > config->pool_bytes / 2)
    n /= 2;
  return n;
}

void rings_init(struct rings *rings, const struct rings_config *config) {
  *rings = (struct rings){.config = *config, .base_slots = base_slots(config)};
}

void rings_deinit(struct rings *rings) {
  assert(rings->n == 0 && rings->orphans == NULL && rings->used_bytes == 0);
  (void)rings; /* without assertions */
}

void rings_recharge(struct rings *rings, struct client_ring *client, size_t bytes) {
  struct user *user = client->account.user;
  size_t before = client->charge_bytes;
  client->charge_bytes = bytes;
  rings->used_bytes += bytes - before; /* modulo 2^64: it may fall */
  if (bytes > before)
    user_charge(user, USER_RING_BYTES, bytes - before);
  else
    user_uncharge(user, USER_RING_BYTES, before - bytes);
}

/* Frees a ring that is in no list any more. */
static void discard(struct rings *rings, struct client_ring *client) {
  rings_recharge(rings, client, 0);
  client_ring_free(client);
}

/* ---- reading ---- */

/* Returns the work that it took, in records. */
static uint64_t add_up(struct rings *rings, const struct ring_reading *reading) {
  rings->records += reading->records;
  rings->hits += reading->hits;
  fc_sum_add(&rings->unrecorded, reading->unrecorded);
  rings->drain_ns += reading->cpu_ns;
  return reading->records + reading->lines_late;
}

static void look(struct rings *rings, struct client_ring *client, struct ring_reading *reading) {
  uint64_t before = reading->slots;
  client_ring_look(client, reading);
  if (client->fault != NULL)
    rings->attention = true;
  uint64_t slots = reading->slots - before;
  rings->seen_any = rings->seen_any || slots > 0;
  rings->seen_many = rings->seen_many || slots > client->ring.n_slots / MANY_PART;
}

/* Looks at `n` rings from `client` on, and lists those in which something is to be read or made. It
 * comes before each request: where nothing is new, it loads each ring's head and no more. */
static struct client_ring *gather(struct rings *rings, struct client_ring *client, uint32_t n,
                                  struct ring_reading *reading) {
  bool room = !trace_is_behind(rings->config.trace);
  struct client_ring *list = NULL, **last = &list;
  for (; n > 0; n--, client = client->next != NULL ? client->next : rings->first) {
    if (!client_ring_has_news(client, room))
      continue;
    client->had_news = true;
    look(rings, client, reading);
    if (client_ring_is_done(client))
      continue;
    *last = client;
    last = &client->also;
  }
  *last = NULL;
  return list;
}

/* Makes what the rings of the list owe; the one for which the trace has no room is the first the
 * next time. */
static void make_lines(struct rings *rings, struct client_ring *list,
                       const struct client_clock *clock, enum ring_when_behind how, uint64_t budget,
                       struct ring_reading *reading) {
  for (struct client_ring *client = list; client != NULL; client = client->also) {
    if (!client->owes_lines)
      continue;
    if (reading->lines_late < budget)
      client_ring_make_lines(client, clock, how, reading);
    if (client->owes_lines) {
      rings->next = client;
      return;
    }
  }
}

/* Reads what gather has listed. */
static void read_list(struct rings *rings, struct client_ring *list, enum ring_when_behind how,
                      uint64_t budget, struct ring_reading *reading) {
  bool long_work = reading->slots > LONG_SLOTS || list->owes_lines;
  uint64_t start_ns = client_ring_time_ns(long_work);
  struct client_clock clock = client_clock_now();
  make_lines(rings, list, &clock, how, budget, reading);
  if (reading->lines_late < budget)
    ring_merge_read(list, rings->config.trace, &clock, how, budget - reading->lines_late, reading);
  for (struct client_ring *client = list; client != NULL; client = client->also) {
    client_ring_release(client);
    if (client->fault != NULL || client->owes_lines)
      rings->attention = true;
  }
  reading->cpu_ns += client_ring_time_ns(long_work) - start_ns;
}

/* Reads `n` rings from `first` on as if they were one, up to their heads as they are now or about
 * `budget` records. Returns the work, as add_up. */
static uint64_t read_rings(struct rings *rings, struct client_ring *first, uint32_t n,
                           enum ring_when_behind how, uint64_t budget) {
  struct ring_reading reading = {0};
  struct client_ring *list = gather(rings, first, n, &reading);
  if (list != NULL)
    read_list(rings, list, how, budget, &reading);
  return add_up(rings, &reading);
}

static uint64_t read_all(struct rings *rings, enum ring_when_behind how, uint64_t budget) {
  struct client_ring *first = rings->next != NULL ? rings->next : rings->first;
  return read_rings(rings, first, rings_n_awake(rings), how, budget);
}

/* What comes before a request of a client, or its end; `own` is its ring, of which it has `n_own`,
 * 0 or 1. */
static void read_for(struct rings *rings, struct client_ring *own, uint32_t n_own) {
  if (rings_n_awake(rings) <= RINGS_TOGETHER)
    (void)read_all(rings, RING_OWE_LINE, UINT64_MAX);
  else
    (void)read_rings(rings, own, n_own, RING_OWE_LINE, UINT64_MAX);
}

/* Makes orphans' lines, in the order in which their clients left, for about SWEEP_RECORDS at most
 * unless all are to be made. Returns the work, as add_up. */
static uint64_t pay(struct rings *rings, enum ring_when_behind how) {
  uint64_t work = 0;
  while (rings->orphans != NULL && (how == RING_MAKE_LINE || work < SWEEP_RECORDS)) {
    struct client_ring *orphan = rings->orphans;
    struct ring_reading reading = client_ring_pay(orphan, how);
    work += add_up(rings, &reading);
    if (orphan->owes_lines)
      break;
    rings->orphans = orphan->next;
    discard(rings, orphan);
  }
  return work;
}

/* Has it something for which the trace has no room? Then it is left to fill. */
static bool is_to_wait(struct rings *rings, struct client_ring *client) {
  if (client == NULL || !trace_is_behind(rings->config.trace))
    return false;
  struct ring_reading reading = {0};
  look(rings, client, &reading);
  (void)add_up(rings, &reading);
  return !client_ring_is_done(client);
}

bool rings_drain(struct rings *rings, struct client_ring *client) {
  if (client != NULL && client->asleep && client_ring_has_news(client, true))
    rings_wake(rings, client);
  bool done = !is_to_wait(rings, client);
  if (done) {
    read_for(rings, client, client == NULL ? 0 : 1);
    done = client == NULL || client_ring_is_done(client);
  }
  if (!done)
    rings->attention = true; /* whoever asked waits */
  return done;
}

void rings_drain_awake(struct rings *rings) {
  (void)read_all(rings, RING_OWE_LINE, UINT64_MAX);
}

bool rings_drain_all(struct rings *rings) {
  rings_wake_all(rings);
  (void)pay(rings, RING_OWE_LINE);
  (void)read_all(rings, RING_OWE_LINE, UINT64_MAX);
  bool owed = rings_owe_lines(rings);
  for (struct client_ring *client = rings->first; client != NULL; client = client->next)
    owed = owed || client->owes_lines;
  if (owed)
    rings->attention = true;
  return !owed;
}

void rings_pay_all(struct rings *rings) {
  (void)pay(rings, RING_MAKE_LINE);
}

void rings_mark(struct rings *rings) {
  for (struct client_ring *client = rings->first; client != NULL; client = client->next)
    client->mark = client->reader.at;
  for (struct client_ring *orphan = rings->orphans; orphan != NULL; orphan = orphan->next)
    orphan->mark = orphan->reader.at;
}

bool rings_owe_to_mark(struct rings *rings) {
  bool owed = false;
  for (struct client_ring *client = rings->first; client != NULL; client = client->next)
    owed = owed || client_ring_owes_to_mark(client);
  for (struct client_ring *orphan = rings->orphans; orphan != NULL; orphan = orphan->next)
    owed = owed || client_ring_owes_to_mark(orphan);
  if (owed)
    rings->attention = true; /* whoever asked waits */
  return owed;
}

/* ---- the timer ---- */

unsigned rings_period_ms(const struct rings *rings) {
  if (rings->attention || rings->seen_many || rings_owe_lines(rings))
    return PERIOD_BUSY_MS;
  return rings->n == 0 ? 0 : rings->seen_any ? PERIOD_USED_MS : PERIOD_IDLE_MS;
}

unsigned rings_sweep(struct rings *rings, uint64_t now_ns) {
  rings->seen_any = rings->seen_many = rings->attention = false;
  if (rings->n == 0 && !rings_owe_lines(rings))
    return 0;
  if (trace_is_behind(rings->config.trace)) /* let them fill: it is they who are too fast */
    return PERIOD_BUSY_MS;
  rings_idle_look(rings, now_ns);
  uint64_t work = pay(rings, RING_OWE_LINE);
  if (work < SWEEP_RECORDS)
    work += read_all(rings, RING_LEAVE_IT, SWEEP_RECORDS - work);
  if (work >= SWEEP_RECORDS)
    rings->seen_many = true; /* the rest soon */
  return rings_period_ms(rings);
}

/* ---- the beginning and the end ---- */

size_t rings_charge(uint32_t n_slots) {
  return (size_t)fc_ring_bytes(n_slots) + sizeof(struct client_ring);
}

size_t rings_pool_bytes(size_t budget_bytes, unsigned max_clients) {
  size_t least = (size_t)max_clients * rings_charge(FC_RING_SLOTS_MIN) + budget_bytes / GROWTH_PART;
  return budget_bytes > least ? budget_bytes : least;
}

/* What is neither used nor reserved for clients that are still to come. */
static size_t left_to_grow(const struct rings *rings) {
  const struct rings_config *config = &rings->config;
  size_t to_come = config->max_clients > rings->n ? config->max_clients - rings->n : 0;
  size_t taken = rings->used_bytes + to_come * rings_charge(rings->base_slots);
  return config->pool_bytes > taken ? config->pool_bytes - taken : 0;
}

/* The size of a ring to take the place of `old`, up to `most`, in its user's share; 0: none larger
 * is to be had. Rings of the ordinary size are bounded by the user's share of connections. */
static uint32_t slots_to_grow(const struct rings *rings, const struct client_ring *old,
                              uint32_t most) {
  uint64_t room = user_quota_left(old->account.user, USER_RING_BYTES);
  size_t left = left_to_grow(rings) / GROWTH_SHARE;
  size_t share = old->charge_bytes + (room < left ? (size_t)room : left);
  uint32_t n = FC_RING_SLOTS_MAX;
  while (n > old->ring.n_slots && (n > most || rings_charge(n) > share))
    n /= 2;
  return n > old->ring.n_slots ? n : 0;
}

/* In no list yet. */
static struct client_ring *attach(struct rings *rings, uint32_t n_slots, bool knows_state,
                                  const struct hits_account *account) {
  struct client_ring *client = n_slots == 0 ? NULL : client_ring_new(n_slots, account);
  if (client == NULL) {
    rings->refused = true;
    return NULL;
  }
  client->ring.knows_state = knows_state;
  rings->n++;
  rings_recharge(rings, client, rings_charge(n_slots));
  return client;
}

struct client_ring *rings_attach(struct rings *rings, bool knows_state,
                                 const struct hits_account *account) {
  size_t left = rings->config.pool_bytes - rings->used_bytes; /* orphans may have taken it */
  bool fits =
      rings->used_bytes <= rings->config.pool_bytes && rings_charge(rings->base_slots) <= left;
  struct client_ring *client = attach(rings, fits ? rings->base_slots : 0, knows_state, account);
  if (client != NULL)
    rings_begin(rings, client);
  return client;
}

struct client_ring *rings_attach_anew(struct rings *rings, const struct client_ring *old,
                                      uint32_t most_slots) {
  /* One that was revoked while the client asked for a larger one is not to be kept, either. */
  bool is_plain = most_slots == 0 || (old->state & FC_RING_REVOKED) != 0;
  uint32_t n_slots = is_plain ? rings->base_slots : slots_to_grow(rings, old, most_slots);
  if (!old->ring.knows_state && !is_plain) /* it could not be taken back */
    n_slots = 0;
  struct client_ring *client = attach(rings, n_slots, old->ring.knows_state, &old->account);
  if (client != NULL) /* for a hit that is at hand */
    client_ring_list(&rings->first, client);
  return client;
}

int rings_fd(const struct client_ring *client) {
  return client->ring.fd;
}

void rings_handed_over(struct client_ring *client) {
  ring_close_fd(&client->ring);
}

static void leave_list(struct rings *rings, struct client_ring *client) {
  if (rings->next == client)
    rings->next = client->next;
  client_ring_unlist(&rings->first, client);
  rings->n--;
}

static void join_orphans(struct rings *rings, struct client_ring *client) {
  client->next = NULL;
  *(rings->orphans == NULL ? &rings->orphans : &rings->last_orphan->next) = client;
  rings->last_orphan = client;
}

void rings_detach(struct rings *rings, struct client_ring *client) {
  assert(client != NULL); /* rings->next may be */
  rings_wake(rings, client);
  if (client->ring.knows_state && !client->ring.replaced)
    ring_set_state(&client->ring, FC_RING_ENDED); /* before the last reading: see ring_give_back */
  read_for(rings, client, 1);
  leave_list(rings, client);
  if (client->owes_lines && client_ring_orphan(client)) {
    join_orphans(rings, client);
    return;
  }
  if (client->owes_lines) { /* no memory for an orphan: now or never */
    struct ring_reading reading = client_ring_pay(client, RING_MAKE_LINE);
    (void)add_up(rings, &reading);
  }
  client_ring_release(client);
  discard(rings, client);
}

void rings_detach_replaced(struct rings *rings, struct client_ring *client) {
  client->ring.replaced = true;
  rings_detach(rings, client);
}

bool rings_has_room(const struct client_ring *client) {
  const struct ring *ring = &client->ring;
  return ring->head - ring->tail <= ring->n_slots - ring->n_slots / 4;
}

const char *rings_fault(const struct client_ring *client) {
  return client->fault;
}
