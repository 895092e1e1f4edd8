#include "daemon/rings.h"

#include <assert.h>
#include <stdlib.h>

#define POOL_SHARE 32u            /* a ring gets at most that part of what is left */
#define SWEEP_RECORDS (64u << 10) /* a turn: some milliseconds */
#define MANY_PART 8u              /* a ring with more than this part of its slots used is busy */
#define PERIOD_BUSY_MS 2u         /* a ring of 32,768 slots lasts a fast client some 15 ms */
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
  client_ring_free(client);
}

/* ---- reading ---- */

/* Returns the work that it took, in records. */
static uint64_t add_up(struct rings *rings, const struct ring_reading *reading) {
  rings->records += reading->records;
  rings->hits += reading->hits;
  rings->unrecorded += reading->unrecorded;
  rings->drain_ns += reading->cpu_ns;
  return reading->records + reading->lines_late;
}

static uint64_t drain(struct rings *rings, struct client_ring *client, enum ring_when_behind how) {
  bool was_bad = client->fault != NULL;
  struct ring_reading reading = client_ring_read(client, how);
  if (client->fault != NULL && !was_bad)
    rings->attention = true;
  rings->seen_any = rings->seen_any || reading.slots > 0;
  rings->seen_many = rings->seen_many || reading.slots > client->ring.n_slots / MANY_PART;
  return add_up(rings, &reading);
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

bool rings_drain(struct rings *rings, struct client_ring *client) {
  (void)drain(rings, client, RING_LEAVE_IT);
  bool done = client_ring_is_done(client);
  if (!done)
    rings->attention = true; /* whoever asked waits */
  return done;
}

bool rings_drain_all(struct rings *rings) {
  (void)pay(rings, RING_OWE_LINE);
  bool owed = rings_owe_lines(rings);
  for (struct client_ring *client = rings->first; client != NULL; client = client->next) {
    (void)drain(rings, client, RING_OWE_LINE);
    owed = owed || client->owes_lines;
  }
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
  for (uint32_t i = 0; i < rings->n; i++) {
    if (work >= SWEEP_RECORDS) {
      rings->seen_many = true; /* the others soon */
      break;
    }
    struct client_ring *client = rings->next != NULL ? rings->next : rings->first;
    rings->next = client->next;
    work += drain(rings, client, RING_LEAVE_IT);
  }
  return rings_period_ms(rings);
}

/* ---- the beginning and the end ---- */

size_t rings_charge(uint32_t n_slots) {
  return (size_t)fc_ring_bytes(n_slots) + sizeof(struct client_ring);
}

/* The largest power of two of slots that the pool's share allows; 0: not even the smallest. */
static uint32_t slots_for(const struct rings *rings) {
  size_t left = rings->config.pool_bytes - rings->used_bytes;
  uint32_t n = FC_RING_SLOTS_MAX;
  while (n > FC_RING_SLOTS_MIN && n > left / POOL_SHARE / FC_RING_SLOT)
    n /= 2;
  return rings_charge(n) <= left ? n : 0;
}

struct client_ring *rings_attach(struct rings *rings, const struct hits_account *account) {
  uint32_t n_slots = slots_for(rings);
  struct client_ring *client = n_slots == 0 ? NULL : client_ring_new(n_slots, account);
  if (client == NULL)
    return NULL;
  client->next = rings->first;
  if (client->next != NULL)
    client->next->prev = client;
  rings->first = client;
  rings->n++;
  rings->used_bytes += rings_charge(n_slots);
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
  (void)drain(rings, client, RING_OWE_LINE);
  leave_list(rings, client);
  if (client->owes_lines && client_ring_orphan(client)) {
    join_orphans(rings, client);
    return;
  }
  if (client->owes_lines) /* no memory for an orphan: now or never */
    (void)drain(rings, client, RING_MAKE_LINE);
  discard(rings, client);
}

const char *rings_fault(const struct client_ring *client) {
  return client->fault;
}
