/* hits.h - what the hits that a client recorded in its ring are good for: the entry
 * becomes the most recently used, the hit is counted, and its line goes into the
 * trace, as if each had been a message.
 *
 * An entry that is gone meanwhile (evicted, replaced, cleared) is not promoted; the
 * hit was served all the same, and is counted and traced. No loop, no ring. */
#ifndef FC_DAEMON_HITS_H
#define FC_DAEMON_HITS_H

#include "daemon/base/users.h"
#include "daemon/rings/client_time.h"
#include "daemon/rings/ring_reader.h"
#include "daemon/store/counters.h"
#include "daemon/store/store.h"
#include "daemon/trace/trace.h"

/* Whose hits, and who is charged. All is borrowed. */
struct hits_account {
  struct store *store;
  struct namespace *ns;
  struct counters *counters; /* of the daemon */
  struct user *user;         /* whose ring it is; NULL: not known */
  struct trace *trace;
  struct fc_str name_space; /* its name, for the trace, for which `ns` need not be there any more */
  struct fc_str client;     /* its name */
  uint32_t origin;          /* session_origin: of what its process puts */
  uint64_t started_ns;      /* CLOCK_MONOTONIC, when the daemon started */
  struct client_time *time; /* of the connection: no hit is older */
  uint64_t owed_ns;         /* charged for hits whose lines are to be made later */
  uint64_t hits, shared_hits; /* that were counted */
  uint64_t unrecorded;        /* hits that the client could not record, counted */
};

/* Promotes and counts `n` hits, RING_BATCH at most, in order, each for its own account; the store
 * is the same. The wall time of each becomes what its client was charged for it. Returns how many
 * were counted: those that are not flagged FC_RING_UNRECORDED. */
size_t hits_count(struct hits_account *const accounts[], const struct client_clock *clock,
                  struct ring_hit *hits, size_t n);

/* The client says of `n` more hits that it could not record them. Returns how many of these it can
 * have served: since the daemon started, at the speed of the fastest client; and before that, what
 * a ring held that a former daemon did not read. */
uint64_t hits_unrecorded(struct hits_account *account, uint64_t now_ns, uint64_t n);

/* The lines of hits that were counted are to be made later, from the records as they will be read
 * then. hits_settle makes the wall times of these add up to what was charged for all of them. */
void hits_owe(struct hits_account *account, const struct ring_hit *hits, size_t n);
void hits_settle(struct hits_account *account, struct ring_hit *hits, size_t n);

/* Writes the trace's lines of those that are to be counted, if the trace is on. */
void hits_trace(const struct hits_account *account, const struct client_clock *clock,
                const struct ring_hit *hits, size_t n);

#endif
