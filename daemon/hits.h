/* hits.h - what the hits that a client recorded in its ring are good for: the entry
 * becomes the most recently used, the hit is counted, and its line goes into the
 * trace, as if each had been a message.
 *
 * An entry that is gone meanwhile (evicted, replaced, cleared) is not promoted; the
 * hit was served all the same, and is counted and traced. No loop, no ring. */
#ifndef FC_DAEMON_HITS_H
#define FC_DAEMON_HITS_H

#include "daemon/counters.h"
#include "daemon/ring.h"
#include "daemon/store.h"
#include "daemon/trace.h"

/* A computation that took longer is counted as one of this length: a client's word alone must not
 * poison the sums. */
#define HITS_COMPUTE_MAX_NS (UINT64_C(86400) * 1000000000u)

/* Whose hits, and who is charged. All is borrowed. */
struct hits_account {
  struct store *store;
  struct namespace *ns;
  struct counters *counters; /* of the daemon */
  struct trace *trace;
  struct fc_str name_space; /* its name, for the trace, for which `ns` need not be there any more */
  struct fc_str client;     /* its name */
  uint32_t origin;          /* session_origin: of what its process puts */
  uint64_t since_ns;        /* CLOCK_MONOTONIC, when it got its ring: no hit is older */
  uint64_t wall_ns; /* of its hits so far: they came one after another, so it is at most the time
                       since then, whatever the records say */
  uint64_t hits, shared_hits; /* that were counted */
};

/* One reading of both clocks, at about the same time. */
struct hits_clock {
  uint64_t now_ns;  /* CLOCK_MONOTONIC */
  uint64_t real_ns; /* CLOCK_REALTIME */
};
struct hits_clock hits_clock_now(void);

/* Promotes and counts `n` hits, RING_BATCH at most, in order, each for its own account; the store
 * is the same. Returns how many were counted: those that are not flagged FC_RING_UNRECORDED. */
size_t hits_count(struct hits_account *const accounts[], const struct hits_clock *clock,
                  const struct ring_hit *hits, size_t n);

/* Writes the trace's lines of those that are to be counted, if the trace is on. */
void hits_trace(const struct hits_account *account, const struct hits_clock *clock,
                const struct ring_hit *hits, size_t n);

#endif
