/* breaker.h - the circuit breaker of a tier server: it stops requests to a server that does not
 * answer, and finds out when the server answers again.
 *
 * A state machine over time stamps that the caller passes, and that never go back. The tier has two
 * for each tier server, one for reads and one for writes, because a full server refuses writes and
 * still serves reads.
 *
 *   closed     Every request is admitted. A request without a reply in time, or a lost connection,
 *              opens the breaker at once, so that a hung server costs one deadline. Error replies
 *              cost nothing, so BREAKER_ERRORS_MAX of them in a row open it.
 *   open       No request is admitted. Probes are sent, one at a time, with back-off and jitter.
 *   half-open  Follows the probe if the breaker opened again soon after it had closed. A probe may
 *              succeed on a server that fails requests. So a few requests are admitted, and more
 *              with each that succeeds, as TCP starts slowly. Enough successes close the breaker.
 *              One failure opens it.
 *
 * The caller asks breaker_admit before each request, and reports the result of each request that
 * was admitted, with its permit, exactly once. The breaker ignores results of requests from before
 * its last change, so all requests of a lost connection may be reported. The caller calls
 * breaker_probe_due at breaker_next_ns, sends the probe if the result is true, and reports its
 * result once. A probe should be a request of the kind that it stands for: PING succeeds on a
 * cluster that is down.
 *
 * What is a failure is the caller's decision. A reply that says MOVED is none. The end of a
 * connection without requests in flight is none either: servers close idle connections.
 *
 * Promises, if each request and probe ends within its deadline of at most 50 ms:
 *   - A server that is well from some time on is used again within a second. With many requests and
 *     replies within 10 ms the breaker is closed by then.
 *   - At most one probe is in flight.
 *   - A server that fails all requests opens the breaker twice at most, even if its probes succeed.
 *
 * Plain memory. Nothing to free. One thread. */
#ifndef FC_DAEMON_BREAKER_H
#define FC_DAEMON_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/* A single error reply may concern one request. A server that is loading answers all with one. */
#define BREAKER_ERRORS_MAX 3u

/* From the opening to the first probe. Most interruptions are restarts and failovers, which take
 * longer. A probe costs the server as much as a request. */
#define BREAKER_PROBE_FIRST_NS UINT64_C(100000000)
/* The most between the beginnings of two probes. The back-off doubles up to it, and the jitter
 * takes away up to a half. With the requests that follow, a second is kept even if each takes 40
 * ms. Large fleets need both (docs/decisions/0105): 10,000 nodes with a quarter of 300 ms probed
 * together in bursts, which filled a server so much that all probes came too late. */
#define BREAKER_PROBE_MAX_NS UINT64_C(600000000)
/* At least from the end of a probe to the next. */
#define BREAKER_PROBE_GAP_NS UINT64_C(50000000)

/* An opening within this time of the last closing counts as a strike. A probe closes a breaker
 * without strikes. It makes one with n strikes half-open. Then 8^n successful requests close it, or
 * fewer that take this time. */
#define BREAKER_STABLE_NS UINT64_C(10000000000)
#define BREAKER_STRIKES_MAX 3u

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* Why a request or a probe failed. */
enum breaker_cause {
  BREAKER_TIMEOUT, /* no reply within the deadline */
  BREAKER_LOST,    /* the connection failed, or none could be made */
  BREAKER_ERROR,   /* the server replied that it cannot serve: LOADING, OOM, NOAUTH */
};

/* Other modules only read it. */
struct breaker {
  enum breaker_state state;
  enum breaker_cause cause;       /* of the latest failure */
  uint64_t random;                /* for the jitter; not 0 */
  uint64_t permit;                /* of requests that are admitted now; another after each change */
  uint64_t opened_ns, closed_ns;  /* the latest, from closed and to closed; 0: never */
  uint64_t half_open_ns;          /* the latest */
  uint64_t probe_ns, interval_ns; /* when the next probe is due, and the back-off after it */
  uint64_t probe_since_ns;        /* the beginning of the latest probe */
  bool probing;                   /* a probe is in flight */
  uint32_t errors;                /* closed: error replies in a row */
  uint32_t strikes;               /* openings soon after a closing, in a row */
  uint32_t trials, trials_ok;     /* half-open: in flight, and successful */
  uint64_t openings, refused, probes; /* counts for statistics */
};

/* Starts closed. `seed`: different for each breaker of the fleet; any value. */
void breaker_init(struct breaker *breaker, uint64_t seed);

/* Returns the permit of a request, or 0 if it must fail at once. */
uint64_t breaker_admit(struct breaker *breaker);

/* The request with this permit succeeded. Returns true if this closed the breaker. */
bool breaker_succeeded(struct breaker *breaker, uint64_t permit, uint64_t now_ns);

/* The request with this permit failed. Returns true if this opened the closed breaker. */
bool breaker_failed(struct breaker *breaker, uint64_t permit, enum breaker_cause cause,
                    uint64_t now_ns);

/* The request with this permit ended without a result: it was cancelled. */
void breaker_abandoned(struct breaker *breaker, uint64_t permit);

/* Returns when the next probe is due, or UINT64_MAX if none is. */
uint64_t breaker_next_ns(const struct breaker *breaker);

/* Returns true if the caller must send a probe now, and takes it as in flight. */
bool breaker_probe_due(struct breaker *breaker, uint64_t now_ns);

/* Returns whether the probes of the server's breaker for reads do for writes, too. Its connection
 * failed, and both use one. The caller then sends no probe for writes: half of the probes. */
static inline bool breaker_probes_for_both(const struct breaker *reads) {
  return reads->state == BREAKER_OPEN && reads->cause != BREAKER_ERROR;
}

/* The probe in flight succeeded. Returns true if this closed the breaker. */
bool breaker_probe_succeeded(struct breaker *breaker, uint64_t now_ns);

/* The probe in flight failed. */
void breaker_probe_failed(struct breaker *breaker, enum breaker_cause cause, uint64_t now_ns);

/* Texts for the log and for listings, such as "no reply within the deadline" and "half-open". */
const char *breaker_cause_text(enum breaker_cause cause);
const char *breaker_state_text(enum breaker_state state);

#endif
