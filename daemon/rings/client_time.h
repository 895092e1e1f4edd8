/* client_time.h - the time of one client: how much of it was charged to lookups, and the time
 * stamps of its trace lines.
 *
 * A client is charged at most the time since it connected, whatever it claims: one thread uses a
 * handle at a time, so its calls do not overlap. Its stamps never go back, even if the system's
 * clock is set back. The caller reads the clocks. One thread. */
#ifndef FC_DAEMON_CLIENT_TIME_H
#define FC_DAEMON_CLIENT_TIME_H

#include <stdint.h>

/* A longer compute time is stored as this one, so that the false claim of one client does not spoil
 * the sums of saved time. */
#define CLIENT_TIME_COMPUTE_MAX_NS (UINT64_C(86400) * 1000000000u)

/* Both clocks, read at about the same time. */
struct client_clock {
  uint64_t now_ns;  /* CLOCK_MONOTONIC */
  uint64_t real_ns; /* CLOCK_REALTIME */
};
struct client_clock client_clock_now(void);

/* Zero to start, except for since_ns. */
struct client_time {
  uint64_t since_ns;   /* CLOCK_MONOTONIC, when it connected */
  uint64_t charged_ns; /* so far */
  uint64_t stamped_ns; /* CLOCK_MONOTONIC, of the latest stamp */
  int64_t offset_ns;   /* CLOCK_REALTIME minus CLOCK_MONOTONIC, of the latest stamp. Never falls */
};

/* Charges the claimed time, or the rest of the client's time if that is less. Returns the charge.
 */
uint64_t client_time_charge(struct client_time *time, uint64_t now_ns, uint64_t claimed_ns);

/* Returns the stamp (CLOCK_REALTIME) of a line for a lookup that ended at `end_ns`. `clock` is the
 * time now. The stamp is not before the client's previous one. A clock that is set back does not
 * affect connected clients, only later ones. */
uint64_t client_time_stamp(struct client_time *time, const struct client_clock *clock,
                           uint64_t end_ns);

/* Bounds the compute time that a client claims. */
static inline uint64_t client_time_compute_ns(uint64_t claimed_ns) {
  return claimed_ns < CLIENT_TIME_COMPUTE_MAX_NS ? claimed_ns : CLIENT_TIME_COMPUTE_MAX_NS;
}

#endif
