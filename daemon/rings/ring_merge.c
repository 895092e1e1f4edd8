#include "daemon/rings/ring_merge.h"

#include <assert.h>

#include "daemon/base/check.h"

#define EXACT_SLOTS                                                                                \
  4096u /* with more unread, up to a batch of one client's hits is read together */
#define RELEASE_SLOTS                                                                              \
  4096u /* after so many, a waiting client gets room before the ring is drained */

/* Hits of several rings that are read and not yet applied. The memory of all their entries is
 * loaded together, even if each hit is another client's. */
struct batch {
  struct trace *trace;
  const struct client_clock *clock;
  enum trace_backpressure backpressure;
  struct ring_reading *reading;
  bool trace_behind; /* when the batch was begun */
  size_t n;
  struct ring_hit hits[RING_READER_BATCH];
  struct client_ring *clients[RING_READER_BATCH]; /* of the hits */
  struct hits_account *accounts[RING_READER_BATCH];
};

/* ---- rings by the time of their next hit: a pairing heap ---- */

static struct client_ring *meld(struct client_ring *a, struct client_ring *b) {
  if (a == NULL || b == NULL)
    return a == NULL ? b : a;
  struct client_ring *first = b->next_ns < a->next_ns ? b : a, *second = first == a ? b : a;
  check_le(first->next_ns, second->next_ns);
  second->sibling = first->child;
  first->child = second;
  return first;
}

/* Returns the heap without its first ring. */
static struct client_ring *remove_first(struct client_ring *first) {
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

/* Adds a ring that has an unread record. A context is read at once, so that the time of the hit
 * behind it can be compared. */
static struct client_ring *add(struct client_ring *heap, struct client_ring *client) {
  assert(client->error == NULL);
  client->next_is_hit = ring_reader_peek(&client->reader, &client->next_ns);
  if (!client->next_is_hit)
    client->next_ns = 0;
  client->child = client->sibling = NULL;
  return meld(heap, client);
}

/* ---- reading ---- */

static void apply_batch(struct batch *batch) {
  check_le(batch->n, RING_READER_BATCH);
  if (batch->n == 0)
    return;
  batch->reading->hits += hits_count(batch->accounts, batch->clock, batch->hits, batch->n);
  for (size_t i = 0, end; i < batch->n; i = end) {
    struct client_ring *client = batch->clients[i];
    for (end = i + 1; end < batch->n && batch->clients[end] == client; end++)
      ;
    hits_trace(&client->account, batch->clock, &batch->hits[i], end - i);
    hits_watch(&client->account, batch->clock, &batch->hits[i], end - i);
    if (client->reader.at - client->reader.tail >= RELEASE_SLOTS)
      ring_reader_release(&client->reader);
  }
  batch->n = 0;
}

/* Returns whether the next hit may be read. It is decided for a batch before its first hit. */
static bool may_read(struct batch *batch) {
  if (batch->n == 0)
    batch->trace_behind = trace_is_behind(batch->trace);
  return !batch->trace_behind || batch->backpressure == TRACE_WRITE_NOW;
}

/* Reads hits of one ring that were served up to `until_ns`. */
static void read_run(struct batch *batch, struct client_ring *client, uint64_t until_ns) {
  const char *why;
  size_t n;
  check_lt(batch->n, RING_READER_BATCH);
  if (ring_reader_next(&client->reader, until_ns, &batch->hits[batch->n],
                       RING_READER_BATCH - batch->n, &n, &why) < 0) {
    apply_batch(batch); /* the hits before the malformed record */
    client->error = why;
    return;
  }
  for (size_t end = batch->n + n; batch->n < end; batch->n++) {
    batch->clients[batch->n] = client;
    batch->accounts[batch->n] = &client->account;
  }
  batch->reading->records += n;
  if (batch->n == RING_READER_BATCH)
    apply_batch(batch);
}

void ring_merge_read(struct client_ring *list, struct trace *trace,
                     const struct client_clock *clock, enum trace_backpressure backpressure,
                     uint64_t budget, struct ring_reading *reading) {
  struct batch batch;
  batch.trace = trace;
  batch.clock = clock;
  batch.backpressure = backpressure;
  batch.reading = reading;
  batch.n = 0; /* the arrays are large: they stay uninitialised */
  struct client_ring *heap = NULL;
  for (struct client_ring *client = list; client != NULL; client = client->next_in_batch)
    if (!client_ring_is_drained(client))
      heap = add(heap, client);
  bool exact = reading->slots <= EXACT_SLOTS;
  uint64_t before = reading->records;
  while (heap != NULL && reading->records - before < budget) {
    struct client_ring *client = heap;
    if (!client->next_is_hit) { /* it may replace a context that hits refer to */
      apply_batch(&batch);
      hits_flush_usage(&client->account, &client->reader);
    }
    if (!may_read(&batch))
      break;
    heap = remove_first(client);
    uint64_t others_ns = heap == NULL || !exact ? UINT64_MAX : heap->next_ns;
    read_run(&batch, client, client->next_is_hit || heap == NULL ? others_ns : 0);
    if (!client_ring_is_drained(client))
      heap = add(heap, client);
  }
  apply_batch(&batch);
}
