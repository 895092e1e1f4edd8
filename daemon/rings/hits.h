/* hits.h - applies ring hit records: promotes the entry, updates counters, emits the trace line.
 *
 * A hit on an entry that was evicted, replaced or cleared in between promotes nothing. It is
 * counted and traced like any other, because the client was served. One thread. */
#ifndef FC_DAEMON_HITS_H
#define FC_DAEMON_HITS_H

#include "daemon/base/users.h"
#include "daemon/rings/client_time.h"
#include "daemon/rings/ring_reader.h"
#include "daemon/store/counters.h"
#include "daemon/store/store.h"
#include "daemon/trace/trace.h"
#include "daemon/usage/usage.h"
#include "daemon/watch/watch.h"
#include "proto/histogram.h"

/* Hits of one label that are counted, and not yet in the usage. */
struct hits_pending {
  uint64_t hits, saved_ns;
};

/* Whose hits they are, and where they are counted. All pointers and strings are borrowed. */
struct hits_account {
  struct store *store;
  struct namespace *ns;
  struct counters *counters; /* of the daemon */
  struct user *user;         /* who is charged for the ring; NULL: not known */
  struct trace *trace;
  struct fc_histogram *times; /* of counted hits, as their clients measured them; NULL: none */
  struct watch *watch;        /* NULL: none */
  struct fc_str name_space;   /* its name */
  struct fc_str client;       /* its name */
  uint32_t origin;            /* of its session: hits on entries of other origins are shared */
  uint64_t started_ns;        /* CLOCK_MONOTONIC, when the daemon started */
  struct client_time *time;   /* of the connection: hits are not older than that */
  uint64_t hits, shared_hits; /* counted so far */
  uint64_t unrecorded;        /* hits that the client could not record, counted so far */
  struct usage *usage;        /* of the daemon: by names */
  struct usage_counts *client_usage; /* of the client's connection */
  bool has_pending;
  struct hits_pending pending[FC_RING_CONTEXTS]; /* by the index of the label */
};

/* Promotes and counts `n` hits (at most RING_READER_BATCH) in order, each for its own account. All
 * accounts have the same store. Sets the wall time of each to what its client was charged. Returns
 * how many were counted: those without FC_RING_UNRECORDED. */
size_t hits_count(struct hits_account *const accounts[], const struct client_clock *clock,
                  struct ring_hit *hits, size_t n);

/* Adds the pending hits to the usage, under the names that the reader's contexts have now. Call it
 * before a context is defined anew, before the usage is read, and before the account ends. To look
 * up the names for each hit would cost more than to count it. */
void hits_flush_usage(struct hits_account *account, const struct ring_reader *reader);

/* Counts up to `n` hits that the client says it could not record. Returns how many, which is
 * bounded by the hits that it can have served: as many as the fastest client since the daemon
 * started, and a ring that a former daemon did not read. */
uint64_t hits_count_unrecorded(struct hits_account *account, uint64_t now_ns, uint64_t n);

/* Writes the trace lines of the counted hits among these, if the trace is on. */
void hits_trace(const struct hits_account *account, const struct client_clock *clock,
                const struct ring_hit *hits, size_t n);

/* Reports the counted hits among these to the watchers. */
void hits_watch(const struct hits_account *account, const struct client_clock *clock,
                const struct ring_hit *hits, size_t n);

#endif
