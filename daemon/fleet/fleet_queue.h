/* fleet_queue.h - the writes that the tier has not acknowledged yet. A put is acknowledged to its
 * worker at once, and goes to the tier from here.
 *
 * Bounded in bytes, with a copy of each value, and in age. A write that finds no room, or that the
 * tier did not take within queue->age_ns, is dropped: it is counted, and its key is marked as own.
 * A failed write is tried again every FLEET_QUEUE_RETRY_NS. At most FLEET_QUEUE_IN_FLIGHT writes
 * are in flight. After a failure it is one, and one more with each success: the queues of a whole
 * fleet must not meet a tier server at once that has just recovered.
 *
 *   keep_first   SET NX. If the tier has a value, the queue looks at its head. The write's own,
 * from an attempt whose reply was lost, is a success. A tombstone of a delete that the node knew at
 * the put, or what has no head, is replaced. Anything else was there first: the key is marked as
 * own, because this node has served another value. else         REPLACE by the stamp. A later value
 * stays, and is no reason for a mark.
 *
 * A second write of a key replaces one that waits. A first one that is in flight is found no more,
 * and is not tried again. The time is an argument (CLOCK_MONOTONIC). One thread. */
#ifndef FC_DAEMON_FLEET_QUEUE_H
#define FC_DAEMON_FLEET_QUEUE_H

#include "daemon/fleet/fleet_counts.h"
#include "daemon/fleet/fleet_io.h"
#include "daemon/fleet/fleet_key.h"
#include "daemon/fleet/fleet_own.h"
#include "daemon/fleet/fleet_value.h"
#include "daemon/store/totals.h"

#define FLEET_QUEUE_IN_FLIGHT 64u
#define FLEET_QUEUE_IN_FLIGHT_BYTES (1u << 20) /* one write may exceed it */
/* The deadline of a write grows with the bytes in flight: a network of 33 MB/s is in time. */
#define FLEET_QUEUE_BYTES_PER_MS (32u << 10)
#define FLEET_QUEUE_RETRY_NS UINT64_C(100000000)
#define FLEET_QUEUE_STEP 256u /* writes that one tick tries to send */

struct fleet_write;
struct fleet_write_list {
  struct fleet_write *first, *last;
};

struct fleet_queue {
  /* Set by the caller after fleet_queue_init, and at any time. */
  uint64_t deadline_ns, ttl_ns, age_ns;
  /* Called when a write that has an owner was submitted for the first time, or was dropped: what
   * the owner submits now reaches the tier behind the write. Called by fleet_queue_tick and by
   * replies. NULL: none. */
  void (*passed)(void *arg, void *owner, uint64_t now_ns);
  void *arg;
  struct tier_totals *totals; /* of the cache, borrowed: raised with the counts; NULL: none */

  /* read by all */
  uint32_t n;
  size_t bytes, bytes_max;

  /* private to the queue */
  struct fleet_io *io; /* borrowed, as the next three */
  struct fc_str prefix;
  struct fleet_own *own;
  struct fleet_counts *counts;
  struct fleet_write_list waiting;  /* not tried yet, oldest first */
  struct fleet_write_list retrying; /* by the time of the next attempt */
  struct fleet_write_list flying;
  uint32_t n_flying, window; /* window: at most so many */
  size_t flying_bytes;
  struct fleet_write **buckets; /* owned; by hash */
};

struct fleet_write_request {
  const struct fc_hash *hash; /* of the key */
  struct fleet_value value;   /* copied */
  uint64_t generation;        /* of the store, at the put: for fleet_queue_find */
  bool keep_first;
  uint64_t known_version; /* the node's fleet_clears_newest */
  const uint8_t *seen;    /* a head that may be replaced, as it was read; NULL: none */
  uint32_t seen_size;     /* at most FLEET_VALUE_HEAD */
  void *owner;            /* for queue->passed; NULL: none */
};

/* Makes an empty queue. Returns 0 or FC_ENOMEM. */
int fleet_queue_init(struct fleet_queue *queue, struct fleet_io *io, struct fc_str prefix,
                     struct fleet_own *own, struct fleet_counts *counts, size_t bytes_max);
/* Cancels and drops all writes, without `passed`. Idempotent. */
void fleet_queue_deinit(struct fleet_queue *queue);

/* Queues a write. Returns false if it was dropped. Submits nothing: fleet_queue_tick does. */
bool fleet_queue_add(struct fleet_queue *queue, const struct fleet_write_request *request,
                     uint64_t now_ns);

/* Finds the newest queued value of a key, and the store's generation when it was put. It is
 * borrowed until the next call. Returns false if there is none. */
bool fleet_queue_find(const struct fleet_queue *queue, const struct fc_hash *hash, uint64_t version,
                      struct fleet_value *value, uint64_t *generation);

/* Submits what may be sent. Call it at fleet_queue_next_ns. */
void fleet_queue_tick(struct fleet_queue *queue, uint64_t now_ns);
uint64_t fleet_queue_next_ns(const struct fleet_queue *queue);

/* Returns the age of the oldest write, or 0. Walks through the queue. */
uint64_t fleet_queue_oldest_ns(const struct fleet_queue *queue, uint64_t now_ns);

/* Returns the most memory that a queue takes. */
size_t fleet_queue_bytes_max(size_t bytes_max);

/* For tests. */
void fleet_queue_check(const struct fleet_queue *queue);

#endif
