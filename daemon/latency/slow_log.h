/* slow_log.h - the slowest requests of the last 10 to 20 minutes: a fixed number, with copies of
 * their names.
 *
 * Two periods of SLOW_LOG_PERIOD_NS follow each other. The present one and the one before are kept,
 * each with its SLOW_LOG_REQUESTS slowest requests. So a burst of slow requests does not push out a
 * slower one, and an old one goes at some time. A period ends with the first request after its
 * time, so a daemon that had no requests for hours still has the slowest ones before that. A
 * request that does not enter costs two comparisons. No prompt hash, and no value, is kept. Plain
 * data; one thread. */
#ifndef FC_DAEMON_SLOW_LOG_H
#define FC_DAEMON_SLOW_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/key.h"
#include "proto/limits.h"

#define SLOW_LOG_REQUESTS 64u
#define SLOW_LOG_PERIODS 2u
#define SLOW_LOG_PERIOD_NS (UINT64_C(600) * 1000000000u)

enum slow_name { SLOW_CLIENT, SLOW_NAMESPACE, SLOW_OP, SLOW_VIEW, SLOW_NAMES };

/* Zeroed, but for what its maker knows. The names are copied by slow_log_add. */
struct slow_request {
  const char *request;                  /* static: "get_many" */
  uint64_t ended_ns;                    /* CLOCK_MONOTONIC */
  uint64_t total_ns;                    /* the sum of: */
  uint64_t queue_ns, serve_ns, send_ns; /* see latency.h */
  uint64_t bytes;                       /* of the request and its replies */
  uint64_t client_id;
  int64_t pid;                /* 0: in another pid namespace */
  uint32_t keys;              /* 0: the request has none */
  uint32_t sizes[SLOW_NAMES]; /* of the names; 0: it has none */
  char names[SLOW_NAMES][FC_NAME_MAX];
};

struct slow_log {
  struct slow_period {
    uint64_t begun_ns;
    uint32_t n;
    uint32_t fastest; /* index of the request that leaves next, if n is SLOW_LOG_REQUESTS */
    struct slow_request requests[SLOW_LOG_REQUESTS];
  } periods[SLOW_LOG_PERIODS];
  uint32_t now; /* index of the present period */
};

void slow_log_reset(struct slow_log *log, uint64_t now_ns);

/* Returns whether slow_log_add would keep a request that took `total_ns`. */
static inline bool slow_log_takes(const struct slow_log *log, uint64_t total_ns, uint64_t now_ns) {
  const struct slow_period *period = &log->periods[log->now];
  return period->n < SLOW_LOG_REQUESTS || total_ns > period->requests[period->fastest].total_ns ||
         now_ns - period->begun_ns >= SLOW_LOG_PERIOD_NS;
}

/* Keeps a request that has just ended, at request->ended_ns, in place of a faster one. Copies
 * names[]. A name without data is none. */
void slow_log_add(struct slow_log *log, const struct slow_request *request,
                  const struct fc_str names[SLOW_NAMES]);

/* Sets sorted[] to the kept requests, the slowest first. They are valid until the next call that
 * changes the log. Returns their number. */
#define SLOW_LOG_MAX (SLOW_LOG_PERIODS * SLOW_LOG_REQUESTS)
uint32_t slow_log_sort(const struct slow_log *log, const struct slow_request *sorted[SLOW_LOG_MAX]);

/* Returns the time since which requests are kept. */
uint64_t slow_log_since_ns(const struct slow_log *log);

/* Returns a name of a request, without data if it has none. Borrowed. */
struct fc_str slow_request_name(const struct slow_request *request, enum slow_name which);

#endif
