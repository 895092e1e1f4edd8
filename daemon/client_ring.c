#include "daemon/client_ring.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RELEASE_SLOTS 4096u /* a waiting client gets room again while a ring is read */
#define LONG_SLOTS 256u     /* from here on a drain takes longer than reading the CPU's clock */

/* CPU time, to take the difference of. Its own clock costs 0.5 us a reading, and the clock on the
 * wall a twentieth of that: it will do where there is so little to read that we are hardly
 * preempted. */
static uint64_t time_ns(bool long_work) {
  struct timespec now;
  (void)clock_gettime(long_work ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
                      &now); /* cannot fail for these clocks */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the beginning and the end ---- */

static struct fc_str keep_name(char *to, struct fc_str name) {
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

struct client_ring *client_ring_new(uint32_t n_slots, const struct hits_account *account) {
  struct client_ring *client = calloc(1, sizeof *client);
  if (client == NULL)
    return NULL;
  if (ring_init(&client->ring, n_slots) < 0) {
    free(client);
    return NULL;
  }
  client->account = *account;
  client->account.client = keep_name(client->names, account->client);
  client->account.name_space = keep_name(client->names + FC_NAME_MAX, account->name_space);
  client->account.since_ns = hits_clock_now().now_ns;
  client->account.wall_ns = 0;
  return client;
}

void client_ring_free(struct client_ring *client) {
  ring_deinit(&client->ring);
  free(client);
}

/* ---- reading ---- */

static void fail(struct client_ring *client, const char *why) {
  client->fault = why;
  client->owes_lines = false; /* there is no telling where the next one is */
}

static bool trace_is_full(const struct client_ring *client, enum ring_when_behind how) {
  return how != RING_MAKE_LINE && trace_is_behind(client->account.trace);
}

/* Makes the lines that are owed. */
static void make_lines(struct client_ring *client, const struct hits_clock *clock,
                       enum ring_when_behind how, struct ring_reading *reading) {
  struct ring_hit hits[RING_BATCH];
  const char *why;
  size_t n;
  while (client->owes_lines && !trace_is_full(client, how)) {
    /* The slots are the client's to write: what was good once is checked again. */
    if (ring_next(&client->ring, &client->lines, client->reader.at, hits, &n, &why) < 0) {
      fail(client, why);
      return;
    }
    hits_trace(&client->account, clock, hits, n);
    reading->lines_late += n;
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
static void read_on(struct client_ring *client, const struct hits_clock *clock,
                    enum ring_when_behind how, struct ring_reading *reading) {
  struct ring_hit hits[RING_BATCH];
  const char *why;
  size_t n;
  while (client->reader.at != client->ring.head) {
    if (client->owes_lines || trace_is_full(client, how)) {
      if (how == RING_LEAVE_IT)
        return;
      owe_lines(client);
    }
    if (ring_next(&client->ring, &client->reader, client->ring.head, hits, &n, &why) < 0) {
      fail(client, why);
      return;
    }
    reading->records += n;
    reading->hits += hits_count(&client->account, clock, hits, n);
    if (!client->owes_lines)
      hits_trace(&client->account, clock, hits, n);
    if (client->reader.at - client->ring.tail >= RELEASE_SLOTS)
      release(client);
  }
}

struct ring_reading client_ring_read(struct client_ring *client, enum ring_when_behind how) {
  struct ring_reading reading = {0};
  const char *why;
  if (client->fault != NULL)
    return reading;
  if (ring_look(&client->ring, &why) < 0) {
    fail(client, why);
    return reading;
  }
  reading.unrecorded = ring_unrecorded(&client->ring);
  reading.slots = client->ring.head - client->reader.at;
  if (reading.slots == 0 && !client->owes_lines)
    return reading;
  bool long_work = client->owes_lines || reading.slots > LONG_SLOTS;
  uint64_t start_ns = time_ns(long_work);
  struct hits_clock clock = hits_clock_now();
  make_lines(client, &clock, how, &reading);
  if (client->fault == NULL)
    read_on(client, &clock, how, &reading);
  release(client);
  reading.cpu_ns = time_ns(long_work) - start_ns;
  return reading;
}

bool client_ring_is_done(const struct client_ring *client) {
  return client->fault != NULL || (client->reader.at == client->ring.head && !client->owes_lines);
}

/* ---- orphans ---- */

bool client_ring_orphan(struct client_ring *client) {
  if (!ring_keep(&client->ring, client->lines.at, client->reader.at))
    return false;
  client->account.store = NULL;
  client->account.ns = NULL;
  client->account.counters = NULL;
  return true;
}

struct ring_reading client_ring_pay(struct client_ring *orphan, enum ring_when_behind how) {
  struct ring_reading reading = {0};
  if (trace_is_full(orphan, how))
    return reading;
  uint64_t start_ns = time_ns(true);
  struct hits_clock clock = hits_clock_now();
  make_lines(orphan, &clock, how, &reading);
  reading.cpu_ns = time_ns(true) - start_ns;
  return reading;
}
