/* backoff.h - the pause between two attempts to connect. It doubles from BACKOFF_MIN_MS to
 * BACKOFF_MAX_MS while attempts fail. Times are of clock_now_ns. One thread. */
#ifndef FC_CLIENT_BACKOFF_H
#define FC_CLIENT_BACKOFF_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/lib/util/clock.h"

#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 2000u

struct backoff {
  uint64_t pause_ns; /* after the next failure */
  uint64_t retry_ns; /* no attempt before; 0: at once */
};

/* After a success, or in a new process: the next pause is the shortest. */
static inline void backoff_reset(struct backoff *backoff) {
  *backoff = (struct backoff){.pause_ns = (uint64_t)BACKOFF_MIN_MS * CLOCK_MS_NS};
}

/* After a failure: starts a pause, and doubles the next one. */
static inline void backoff_fail(struct backoff *backoff, uint64_t now_ns) {
  const uint64_t max_ns = (uint64_t)BACKOFF_MAX_MS * CLOCK_MS_NS;
  assert(backoff->pause_ns > 0 && backoff->pause_ns <= max_ns);
  backoff->retry_ns = now_ns + backoff->pause_ns;
  backoff->pause_ns = 2 * backoff->pause_ns < max_ns ? 2 * backoff->pause_ns : max_ns;
}

/* Returns whether the pause is over. */
static inline bool backoff_is_over(const struct backoff *backoff, uint64_t now_ns) {
  return now_ns >= backoff->retry_ns;
}

#endif
