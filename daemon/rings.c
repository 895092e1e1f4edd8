#include "daemon/rings.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#define POOL_SHARE 32u            /* a ring gets at most that part of what is left */
#define RELEASE_SLOTS 4096u       /* a waiting client gets room again while a ring is read */
#define SWEEP_RECORDS (64u << 10) /* a turn: some milliseconds */
#define LONG_SLOTS 256u   /* from here on a drain takes longer than reading the CPU's clock */
#define MANY_PART 8u      /* a ring with more than this part of its slots used is busy */
#define PERIOD_BUSY_MS 2u /* a ring of 32,768 slots lasts a fast client some 15 ms */
#define PERIOD_USED_MS 50u
#define PERIOD_IDLE_MS 100u

struct client_ring {
  struct ring ring;
  struct client_ring *next, *prev;
  struct hits_account account;
  const char *fault;
  struct ring_reader reader; /* up to here hits are promoted and counted */
  /* Where the trace fell behind: its lines are made up to here. Else as `reader`, and unused. */
  struct ring_reader lines;
  bool owes_lines;
};

/* What to do with a hit whose line the trace has no room for. */
enum when_behind {
  LEAVE_IT, /* in the ring, uncounted: for who can come again */
  OWE_LINE, /* count it, make the line later */
  MAKE_LINE /* all the same: the trace may lose it, and counts that */
};

/* CPU time, to take the difference of. Its own clock costs 0.5 us a reading, and the clock on the
 * wall a twentieth of that: it will do where there is so little to read that we are hardly
 * preempted. */
static uint64_t time_ns(bool long_work) {
  struct timespec now;
  (void)clock_gettime(long_work ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
                      &now); /* cannot fail for these clocks */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rings_init(struct rings *rings, const struct rings_config *config) {
  *rings = (struct rings){.config = *config};
}

void rings_deinit(struct rings *rings) {
  assert(rings->n == 0 && rings->used_bytes == 0);
  (void)rings; /* without assertions */
}

/* ---- reading ---- */

static void fail(struct rings *rings, struct client_ring *client, const char *why) {
  if (client->fault == NULL)
    client->fault = why;
  client->owes_lines = false; /* there is no telling where the next one is */
  rings->attention = true;
}

/* Makes the lines that are owed. */
static void make_lines(struct rings *rings, struct client_ring *client,
                       const struct hits_clock *clock, enum when_behind how) {
  struct ring_hit hits[RING_BATCH];
  const char *why;
  size_t n;
  while (client->owes_lines && (how == MAKE_LINE || !trace_is_behind(rings->config.trace))) {
    /* The slots are the client's to write: what was good once is checked again. */
    if (ring_next(&client->ring, &client->lines, client->reader.at, hits, &n, &why) < 0) {
      fail(rings, client, why);
      return;
    }
    hits_trace(&client->account, clock, hits, n);
    if (client->lines.at == client->reader.at)
      client->owes_lines = false;
  }
}

static void release(struct client_ring *client) {
  ring_release(&client->ring, client->owes_lines ? client->lines.at : client->reader.at);
}

static void owe_lines(struct client_ring *client) {
  if (!client->owes_lines)
    client->lines = client->reader;
  client->owes_lines = true;
}

/* Promotes and counts up to the head, and makes the lines, unless some are owed before them. */
static void read_on(struct rings *rings, struct client_ring *client, const struct hits_clock *clock,
                    enum when_behind how) {
  struct ring_hit hits[RING_BATCH];
  const char *why;
  size_t n;
  while (client->reader.at != client->ring.head) {
    if (how != MAKE_LINE && (client->owes_lines || trace_is_behind(rings->config.trace))) {
      if (how == LEAVE_IT)
        return;
      owe_lines(client);
    }
    if (ring_next(&client->ring, &client->reader, client->ring.head, hits, &n, &why) < 0) {
      fail(rings, client, why);
      return;
    }
    rings->records += n;
    rings->hits += hits_count(&client->account, clock, hits, n);
    if (!client->owes_lines)
      hits_trace(&client->account, clock, hits, n);
    if (client->reader.at - client->ring.tail >= RELEASE_SLOTS)
      release(client);
  }
}

static void note_fill(struct rings *rings, const struct client_ring *client, uint64_t slots) {
  rings->seen_any = rings->seen_any || slots > 0;
  rings->seen_many = rings->seen_many || slots > client->ring.n_slots / MANY_PART;
}

static void drain(struct rings *rings, struct client_ring *client, enum when_behind how) {
  const char *why;
  if (client->fault != NULL)
    return;
  if (ring_look(&client->ring, &why) < 0) {
    fail(rings, client, why);
    return;
  }
  rings->unrecorded += ring_unrecorded(&client->ring);
  if (client->reader.at == client->ring.head && !client->owes_lines)
    return;
  uint64_t slots = client->ring.head - client->reader.at;
  bool long_work = client->owes_lines || slots > LONG_SLOTS;
  note_fill(rings, client, slots);
  uint64_t start_ns = time_ns(long_work);
  struct hits_clock clock = hits_clock_now();
  make_lines(rings, client, &clock, how);
  if (client->fault == NULL)
    read_on(rings, client, &clock, how);
  release(client);
  rings->drain_ns += time_ns(long_work) - start_ns;
}

bool rings_drain(struct rings *rings, struct client_ring *client) {
  drain(rings, client, LEAVE_IT);
  bool done =
      client->fault != NULL || (client->reader.at == client->ring.head && !client->owes_lines);
  if (!done)
    rings->attention = true; /* whoever asked waits */
  return done;
}

bool rings_drain_all(struct rings *rings) {
  bool owed = false;
  for (struct client_ring *client = rings->first; client != NULL; client = client->next) {
    drain(rings, client, OWE_LINE);
    owed = owed || client->owes_lines;
  }
  if (owed)
    rings->attention = true;
  return !owed;
}

/* ---- the timer ---- */

unsigned rings_period_ms(const struct rings *rings) {
  if (rings->attention || rings->seen_many)
    return PERIOD_BUSY_MS;
  return rings->n == 0 ? 0 : rings->seen_any ? PERIOD_USED_MS : PERIOD_IDLE_MS;
}

unsigned rings_sweep(struct rings *rings) {
  rings->seen_any = rings->seen_many = rings->attention = false;
  if (rings->n == 0)
    return 0;
  if (trace_is_behind(rings->config.trace)) /* let them fill: it is they who are too fast */
    return PERIOD_BUSY_MS;
  uint64_t start = rings->records;
  for (uint32_t i = 0; i < rings->n; i++) {
    if (rings->records - start >= SWEEP_RECORDS) {
      rings->seen_many = true; /* the others soon */
      break;
    }
    struct client_ring *client = rings->next != NULL ? rings->next : rings->first;
    rings->next = client->next;
    drain(rings, client, LEAVE_IT);
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
  struct client_ring *client = n_slots == 0 ? NULL : calloc(1, sizeof *client);
  if (client == NULL)
    return NULL;
  if (ring_init(&client->ring, n_slots) < 0) {
    free(client);
    return NULL;
  }
  client->account = *account;
  client->account.since_ns = hits_clock_now().now_ns;
  client->account.wall_ns = 0;
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

void rings_detach(struct rings *rings, struct client_ring *client) {
  drain(rings, client, MAKE_LINE);
  if (rings->next == client)
    rings->next = client->next;
  if (client->prev != NULL)
    client->prev->next = client->next;
  else
    rings->first = client->next;
  if (client->next != NULL)
    client->next->prev = client->prev;
  rings->n--;
  rings->used_bytes -= rings_charge(client->ring.n_slots);
  ring_deinit(&client->ring);
  free(client);
}

const char *rings_fault(const struct client_ring *client) {
  return client->fault;
}
