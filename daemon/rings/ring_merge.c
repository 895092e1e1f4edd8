#include "daemon/rings/ring_merge.h"

#define EXACT_SLOTS                                                                                \
  4096u /* with more to read, up to RING_BATCH hits of a client are taken together */
#define RELEASE_SLOTS 4096u /* a waiting client gets room again while a ring is read */

/* What is read and not counted yet: of several rings, so that the entries of all are waited for
 * together even where every hit is another client's. */
struct batch {
  struct trace *trace;
  const struct client_clock *clock;
  enum ring_when_behind how;
  struct ring_reading *reading;
  bool trace_full; /* when it was begun */
  size_t n;
  struct ring_hit hits[RING_BATCH];
  struct client_ring *clients[RING_BATCH]; /* whose they are */
  struct hits_account *accounts[RING_BATCH];
};

/* ---- rings by the time of their next hit: a pairing heap ---- */

static struct client_ring *meld(struct client_ring *a, struct client_ring *b) {
  if (a == NULL || b == NULL)
    return a == NULL ? b : a;
  struct client_ring *first = b->next_ns < a->next_ns ? b : a, *second = first == a ? b : a;
  second->sibling = first->child;
  first->child = second;
  return first;
}

/* The heap without its first. */
static struct client_ring *rest_of(struct client_ring *first) {
  struct client_ring *pairs = NULL, *rest = NULL;
  for (struct client_ring *a = first->child; a != NULL;) {
    struct client_ring *b = a->sibling, *next = b == NULL ? NULL : b->sibling;
    struct client_ring *pair = meld(a, b);
    pair->sibling = pairs;
    pairs = pair;
    a = next;
  }
  while (pairs != NULL) {
    struct client_ring *next = pairs->sibling;
    rest = meld(rest, pairs);
    pairs = next;
  }
  return rest;
}

/* Adds a ring with something unread. Whatever is no hit is read at once: what comes after it is to
 * be compared. */
static struct client_ring *add(struct client_ring *heap, struct client_ring *client) {
  client->next_is_hit = ring_peek(&client->ring, &client->reader, &client->next_ns);
  if (!client->next_is_hit)
    client->next_ns = 0;
  client->child = client->sibling = NULL;
  return meld(heap, client);
}

/* ---- reading ---- */

static void count_batch(struct batch *batch) {
  if (batch->n == 0)
    return;
  batch->reading->hits += hits_count(batch->accounts, batch->clock, batch->hits, batch->n);
  for (size_t i = 0, end; i < batch->n; i = end) {
    struct client_ring *client = batch->clients[i];
    for (end = i + 1; end < batch->n && batch->clients[end] == client; end++)
      ;
    if (client->owes_lines)
      hits_owe(&client->account, &batch->hits[i], end - i);
    else
      hits_trace(&client->account, batch->clock, &batch->hits[i], end - i);
    if (client->reader.at - client->ring.tail >= RELEASE_SLOTS)
      client_ring_release(client);
  }
  batch->n = 0;
}

/* May hits of it be read on? Whether its lines are owed holds for the whole batch, since it is
 * decided before its first hit there. */
static bool may_read(struct batch *batch, struct client_ring *client) {
  if (batch->n == 0)
    batch->trace_full = trace_is_behind(batch->trace);
  if (!batch->trace_full && !client->owes_lines)
    return true;
  if (batch->how == RING_LEAVE_IT)
    return false;
  client_ring_owe(client);
  return true;
}

/* Reads on in one ring, as long as its hits are not younger than `until_ns`. */
static void read_run(struct batch *batch, struct client_ring *client, uint64_t until_ns) {
  const char *why;
  size_t n;
  if (ring_next_until(&client->ring, &client->reader, client->ring.head, until_ns,
                      &batch->hits[batch->n], RING_BATCH - batch->n, &n, &why) < 0) {
    count_batch(batch); /* what was good before it */
    client_ring_fail(client, why);
    return;
  }
  for (size_t end = batch->n + n; batch->n < end; batch->n++) {
    batch->clients[batch->n] = client;
    batch->accounts[batch->n] = &client->account;
  }
  batch->reading->records += n;
  if (batch->n == RING_BATCH)
    count_batch(batch);
}

void ring_merge_read(struct client_ring *list, struct trace *trace,
                     const struct client_clock *clock, enum ring_when_behind how, uint64_t budget,
                     struct ring_reading *reading) {
  struct batch batch;
  batch.trace = trace;
  batch.clock = clock;
  batch.how = how;
  batch.reading = reading;
  batch.n = 0;
  struct client_ring *heap = NULL;
  for (struct client_ring *client = list; client != NULL; client = client->also)
    if (client->fault == NULL && client->reader.at != client->ring.head)
      heap = add(heap, client);
  bool exact = reading->slots <= EXACT_SLOTS;
  uint64_t before = reading->records;
  while (heap != NULL && reading->records - before < budget) {
    struct client_ring *client = heap;
    if (!client->next_is_hit)
      count_batch(&batch); /* its hits there go out under the contexts that they were read with */
    if (!may_read(&batch, client))
      break;
    heap = rest_of(client);
    uint64_t others_ns = heap == NULL || !exact ? UINT64_MAX : heap->next_ns;
    read_run(&batch, client, client->next_is_hit || heap == NULL ? others_ns : 0);
    if (client->fault == NULL && client->reader.at != client->ring.head)
      heap = add(heap, client);
  }
  count_batch(&batch);
}
