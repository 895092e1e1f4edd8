#include "daemon/rings/client_ring.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The CPU's own clock costs 0.5 us a reading, and the clock on the wall a twentieth of that: it
 * will do where there is so little to read that we are hardly preempted. */
uint64_t client_ring_time_ns(bool long_work) {
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
  return client;
}

void client_ring_list(struct client_ring **list, struct client_ring *client) {
  client->prev = NULL;
  client->next = *list;
  if (client->next != NULL)
    client->next->prev = client;
  *list = client;
}

void client_ring_unlist(struct client_ring **list, struct client_ring *client) {
  if (client->prev != NULL)
    client->prev->next = client->next;
  else
    *list = client->next;
  if (client->next != NULL)
    client->next->prev = client->prev;
}

void client_ring_free(struct client_ring *client) {
  ring_give_back(&client->ring);
  ring_deinit(&client->ring);
  free(client);
}

/* ---- reading ---- */

void client_ring_fail(struct client_ring *client, const char *why) {
  client->fault = why;
  client->owes_lines = false; /* there is no telling where the next one is */
}

static bool trace_is_full(const struct client_ring *client, enum ring_when_behind how) {
  return how != RING_MAKE_LINE && trace_is_behind(client->account.trace);
}

void client_ring_make_lines(struct client_ring *client, const struct client_clock *clock,
                            enum ring_when_behind how, struct ring_reading *reading) {
  struct ring_hit hits[RING_BATCH];
  const char *why;
  size_t n;
  while (client->owes_lines && !trace_is_full(client, how)) {
    /* The slots are the client's to write: what was good once is checked again. */
    if (ring_next(&client->ring, &client->lines, client->reader.at, hits, &n, &why) < 0) {
      client_ring_fail(client, why);
      return;
    }
    hits_settle(&client->account, hits, n);
    hits_trace(&client->account, clock, hits, n);
    reading->lines_late += n;
    if (client->lines.at == client->reader.at)
      client->owes_lines = false;
  }
}

void client_ring_release(struct client_ring *client) {
  ring_release(&client->ring, client->owes_lines ? client->lines.at : client->reader.at);
}

void client_ring_owe(struct client_ring *client) {
  if (!client->owes_lines)
    client->lines = client->reader;
  client->owes_lines = true;
}

void client_ring_look(struct client_ring *client, struct ring_reading *reading) {
  const char *why;
  if (client->fault != NULL)
    return;
  if (ring_look(&client->ring, &why) < 0) {
    client_ring_fail(client, why);
    return;
  }
  uint64_t unrecorded = ring_unrecorded(&client->ring);
  if (unrecorded > 0)
    reading->unrecorded += hits_unrecorded(&client->account, client_clock_now().now_ns, unrecorded);
  reading->slots += client->ring.head - client->reader.at;
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
  client->own_time = *client->account.time;
  client->account.time = &client->own_time;
  return true;
}

struct ring_reading client_ring_pay(struct client_ring *orphan, enum ring_when_behind how) {
  struct ring_reading reading = {0};
  if (trace_is_full(orphan, how))
    return reading;
  uint64_t start_ns = client_ring_time_ns(true);
  struct client_clock clock = client_clock_now();
  client_ring_make_lines(orphan, &clock, how, &reading);
  reading.cpu_ns = client_ring_time_ns(true) - start_ns;
  return reading;
}
