/* latency.h - how long the daemon's requests and its loop take, since the daemon started or an
 * administrator reset the times: a histogram for each kind, and the slowest requests.
 *
 * They are always on, and of this daemon alone: a restart begins anew. Their memory is fixed, and
 * memory_total.c counts it. The modules that measure add to `kinds`. One thread. */
#ifndef FC_DAEMON_LATENCY_H
#define FC_DAEMON_LATENCY_H

#include "daemon/latency/slow_log.h"
#include "proto/histogram.h"

enum latency_kind {
  /* As the client measured it, without a message. */
  LATENCY_REGION_HIT,
  /* Requests: from the arrival of the whole message until the daemon has done with it. */
  LATENCY_HIT,
  LATENCY_MISS,
  LATENCY_PUT,
  LATENCY_GET_MANY,
  LATENCY_PUT_MANY,
  LATENCY_DELETE,
  LATENCY_CLEAR,
  LATENCY_LISTING,    /* lists, statistics */
  LATENCY_OTHER,      /* hello, ping, give_up, settings */
  LATENCY_LEASE_WAIT, /* a get that waited for another client's value. In no other kind */
  /* The parts of each request but the waits. */
  LATENCY_QUEUE, /* it waited: for a turn, for a slice, for memory, for the client to read */
  LATENCY_SERVE, /* it was executed, until its reply was ready */
  LATENCY_SEND,  /* the reply was given to the kernel, and the request counted */
  LATENCY_TIER,  /* it waited for the tier. Requests that did not are not counted */
  /* What requests wait for. */
  LATENCY_TURN,       /* a turn of the loop with requests */
  LATENCY_BACKGROUND, /* a slice of a clear, of migration or of compaction */
  LATENCY_SNAPSHOT,   /* the part of a turn that a snapshot takes */
  LATENCY_KINDS
};

struct latency {
  uint64_t since_ns; /* CLOCK_MONOTONIC, of the start or the last reset */
  struct fc_histogram kinds[LATENCY_KINDS];
  struct slow_log slow;
};

/* Empties all of it. */
void latency_reset(struct latency *latency, uint64_t now_ns);

/* The names of a kind on the wire, static strings: its path ("region", "socket" or "daemon"), and
 * its operation ("hit", "queue", ...). */
const char *latency_path(enum latency_kind kind);
const char *latency_operation(enum latency_kind kind);

/* Adds to a kind. `latency` NULL: nothing is measured. */
static inline void latency_add(struct latency *latency, enum latency_kind kind, uint64_t ns) {
  if (latency != NULL)
    fc_histogram_add(&latency->kinds[kind], ns);
}

#endif
