#include "daemon/rings.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/ring_merge.h"
#include "proto/wall.h"

#define POOL_SHARE 32u            /* a ring gets at most that part of what is left */
#define SWEEP_RECORDS (64u << 10) /* a turn: some milliseconds */
#define LONG_SLOTS 256u           /* from here on a reading takes longer than the CPU's clock */
#define MANY_PART 8u              /* a ring with more than this part of its slots used is busy */
#define PERIOD_BUSY_MS 1u         /* a ring of 32,768 slots lasts a fast client some 7 ms */
#define PERIOD_USED_MS 50u
#define PERIOD_IDLE_MS 100u

void rings_init(struct rings *rings, const struct rings_config *config) {
  *rings = (struct rings){.config = *config};
}

void rings_deinit(struct rings *rings) {
  assert(rings->n == 0 && rings->orphans == NULL && rings->used_bytes == 0);
  (void)rings; /* without assertions */
}

/* Frees a ring that is in no list any more. */
static void discard(struct rings *rings, struct client_ring *client) {
  rings->used_bytes -= rings_charge(client->ring.n_slots);
  user_release(client->account.user, USER_RING_BYTES, rings_charge(client->ring.n_slots));
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
  return read_rings(rings, first, rings->n, how, budget);
}

/* What comes before a request of a client, or its end; `own` is its ring, of which it has `n_own`,
 * 0 or 1. */
static void read_for(struct rings *rings, struct client_ring *own, uint32_t n_own) {
  if (rings->n <= RINGS_TOGETHER)
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
  bool done = !is_to_wait(rings, client);
  if (done) {
    read_for(rings, client, client == NULL ? 0 : 1);
    done = client == NULL || client_ring_is_done(client);
  }
  if (!done)
    rings->attention = true; /* whoever asked waits */
  return done;
}

bool rings_drain_all(struct rings *rings) {
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

unsigned rings_sweep(struct rings *rings) {
  rings->seen_any = rings->seen_many = rings->attention = false;
  if (rings->n == 0 && !rings_owe_lines(rings))
    return 0;
  if (trace_is_behind(rings->config.trace)) /* let them fill: it is they who are too fast */
    return PERIOD_BUSY_MS;
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

/* The largest power of two of slots that the pool and the user's share of it allow; 0: not even the
 * smallest. */
static uint32_t slots_for(const struct rings *rings, struct user *user) {
  size_t left = rings->config.pool_bytes - rings->used_bytes;
  uint64_t room = user_room(user, USER_RING_BYTES);
  if (room < left)
    left = room;
  uint32_t n = FC_RING_SLOTS_MAX;
  while (n > FC_RING_SLOTS_MIN && n > left / POOL_SHARE / FC_RING_SLOT)
    n /= 2;
  return rings_charge(n) <= left ? n : 0;
}

struct client_ring *rings_attach(struct rings *rings, const struct hits_account *account) {
  uint32_t n_slots = slots_for(rings, account->user);
  struct client_ring *client = n_slots == 0 ? NULL : client_ring_new(n_slots, account);
  if (client == NULL)
    return NULL;
  client->next = rings->first;
  if (client->next != NULL)
    client->next->prev = client;
  rings->first = client;
  rings->n++;
  rings->used_bytes += rings_charge(n_slots);
  user_charge(account->user, USER_RING_BYTES, rings_charge(n_slots));
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
  if (client->prev != NULL)
    client->prev->next = client->next;
  else
    rings->first = client->next;
  if (client->next != NULL)
    client->next->prev = client->prev;
  rings->n--;
}

static void join_orphans(struct rings *rings, struct client_ring *client) {
  struct client_ring **last = &rings->orphans;
  while (*last != NULL)
    last = &(*last)->next;
  client->next = NULL;
  *last = client;
}

void rings_detach(struct rings *rings, struct client_ring *client) {
  assert(client != NULL); /* rings->next may be */
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

bool rings_has_room(const struct client_ring *client) {
  const struct ring *ring = &client->ring;
  return ring->head - ring->tail <= ring->n_slots - ring->n_slots / 4;
}

const char *rings_fault(const struct client_ring *client) {
  return client->fault;
}
