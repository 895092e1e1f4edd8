/* client_time.h - the time of one client, as its connection has it: how much of it was charged to
 * scoring, and the time stamps of its trace lines.
 *
 * A client is charged at most the time that it was connected, whatever it claims: a handle is used
 * by one thread at a time, so its calls do not overlap. Its stamps never go back, also where the
 * system's clock is set back. No clock of its own; one thread. */
#ifndef FC_DAEMON_CLIENT_TIME_H
#define FC_DAEMON_CLIENT_TIME_H

#include <stdint.h>

/* A computation that took longer is stored as one of this length: one client's claim alone must
 * not spoil the sums of what hits saved. */
#define CLIENT_TIME_COMPUTE_MAX_NS (UINT64_C(86400) * 1000000000u)

/* One reading of both clocks, at about the same time. */
struct client_clock {
  uint64_t now_ns;  /* CLOCK_MONOTONIC */
  uint64_t real_ns; /* CLOCK_REALTIME */
};
struct client_clock client_clock_now(void);

/* Zero but for since_ns to start. */
struct client_time {
  uint64_t since_ns;   /* CLOCK_MONOTONIC, when it connected */
  uint64_t charged_ns; /* so far */
  uint64_t stamped_ns; /* CLOCK_MONOTONIC, of the latest stamp */
  int64_t offset_ns;   /* CLOCK_REALTIME less CLOCK_MONOTONIC, of the latest stamp; never falls */
};

/* Charges what the client claims, or what is left of its time: returns that. */
uint64_t client_time_charge(struct client_time *time, uint64_t now_ns, uint64_t claimed_ns);

/* The stamp (CLOCK_REALTIME) of a line for what ended at `end_ns`; `clock` is a reading of now. It
 * is not before the client's previous one. A clock that was set back does not move the stamps of
 * clients that are connected: it holds for those that come later. */
uint64_t client_time_stamp(struct client_time *time, const struct client_clock *clock,
                           uint64_t end_ns);

/* What a client says of the cost of a computation, bounded. */
static inline uint64_t client_time_compute_ns(uint64_t claimed_ns) {
  return claimed_ns < CLIENT_TIME_COMPUTE_MAX_NS ? claimed_ns : CLIENT_TIME_COMPUTE_MAX_NS;
}

#endif
