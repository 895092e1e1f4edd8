#include "daemon/fleet/breaker.h"

#include <assert.h>

#include "daemon/base/check.h"

void breaker_init(struct breaker *breaker, uint64_t seed) {
  *breaker = (struct breaker){.permit = 1, .random = seed | 1};
}

/* ---- times ---- */

static uint64_t later(uint64_t a_ns, uint64_t b_ns) {
  return a_ns > b_ns ? a_ns : b_ns;
}

/* Returns the time less up to a half (xorshift64). */
static uint64_t jittered(struct breaker *breaker, uint64_t time_ns) {
  breaker->random ^= breaker->random << 13;
  breaker->random ^= breaker->random >> 7;
  breaker->random ^= breaker->random << 17;
  return time_ns - (breaker->random >> 16) % (time_ns / 2);
}

static void double_interval(struct breaker *breaker) {
  uint64_t doubled_ns = breaker->interval_ns * 2;
  breaker->interval_ns = doubled_ns < BREAKER_PROBE_MAX_NS ? doubled_ns : BREAKER_PROBE_MAX_NS;
}

/* ---- changes of the state ---- */

static void set_state(struct breaker *breaker, enum breaker_state state) {
  breaker->state = state;
  breaker->permit++;
  breaker->errors = breaker->trials = breaker->trials_ok = 0;
}

static void reopen(struct breaker *breaker, uint64_t interval_ns, uint64_t now_ns) {
  set_state(breaker, BREAKER_OPEN);
  breaker->interval_ns = interval_ns;
  breaker->probe_ns = now_ns + jittered(breaker, interval_ns);
}

static void set_open(struct breaker *breaker, uint64_t now_ns) {
  bool soon = breaker->closed_ns != 0 && now_ns - breaker->closed_ns < BREAKER_STABLE_NS;
  if (!soon)
    breaker->strikes = 0;
  else if (breaker->strikes < BREAKER_STRIKES_MAX)
    breaker->strikes++;
  breaker->opened_ns = now_ns;
  breaker->openings++;
  reopen(breaker, BREAKER_PROBE_FIRST_NS, now_ns);
}

static void set_closed(struct breaker *breaker, uint64_t now_ns) {
  set_state(breaker, BREAKER_CLOSED);
  breaker->closed_ns = now_ns;
}

/* ---- requests ---- */

uint64_t breaker_admit(struct breaker *breaker) {
  bool half_open = breaker->state == BREAKER_HALF_OPEN;
  if (breaker->state == BREAKER_OPEN || (half_open && breaker->trials > breaker->trials_ok)) {
    breaker->refused++;
    return 0;
  }
  breaker->trials += half_open;
  return breaker->permit;
}

/* Returns false for a result from before the last change. */
static bool counts(struct breaker *breaker, uint64_t permit) {
  assert(permit != 0);
  check_le(permit, breaker->permit);
  if (permit != breaker->permit)
    return false;
  assert(breaker->state != BREAKER_OPEN);
  if (breaker->state == BREAKER_HALF_OPEN) {
    check_lt(0, breaker->trials);
    breaker->trials--;
  }
  return true;
}

bool breaker_succeeded(struct breaker *breaker, uint64_t permit, uint64_t now_ns) {
  if (!counts(breaker, permit))
    return false;
  breaker->errors = 0;
  if (breaker->state == BREAKER_CLOSED)
    return false;
  breaker->trials_ok++;
  if (breaker->trials_ok < 1u << 3 * breaker->strikes &&
      now_ns - breaker->half_open_ns < BREAKER_STABLE_NS)
    return false;
  set_closed(breaker, now_ns);
  return true;
}

bool breaker_failed(struct breaker *breaker, uint64_t permit, enum breaker_cause cause,
                    uint64_t now_ns) {
  if (!counts(breaker, permit))
    return false;
  breaker->cause = cause;
  if (breaker->state == BREAKER_HALF_OPEN) {
    reopen(breaker, BREAKER_PROBE_MAX_NS, now_ns);
    return false;
  }
  if (cause == BREAKER_ERROR && ++breaker->errors < BREAKER_ERRORS_MAX)
    return false;
  set_open(breaker, now_ns);
  return true;
}

void breaker_abandoned(struct breaker *breaker, uint64_t permit) {
  (void)counts(breaker, permit);
}

/* ---- probes ---- */

uint64_t breaker_next_ns(const struct breaker *breaker) {
  return breaker->state == BREAKER_OPEN && !breaker->probing ? breaker->probe_ns : UINT64_MAX;
}

bool breaker_probe_due(struct breaker *breaker, uint64_t now_ns) {
  if (now_ns < breaker_next_ns(breaker))
    return false;
  breaker->probing = true;
  breaker->probe_since_ns = now_ns;
  breaker->probes++;
  return true;
}

bool breaker_probe_succeeded(struct breaker *breaker, uint64_t now_ns) {
  assert(breaker->probing && breaker->state == BREAKER_OPEN);
  breaker->probing = false;
  if (breaker->strikes == 0) {
    set_closed(breaker, now_ns);
    return true;
  }
  set_state(breaker, BREAKER_HALF_OPEN);
  breaker->half_open_ns = now_ns;
  return false;
}

void breaker_probe_failed(struct breaker *breaker, enum breaker_cause cause, uint64_t now_ns) {
  assert(breaker->probing && breaker->state == BREAKER_OPEN);
  breaker->probing = false;
  breaker->cause = cause;
  double_interval(breaker);
  breaker->probe_ns = later(breaker->probe_since_ns + jittered(breaker, breaker->interval_ns),
                            now_ns + BREAKER_PROBE_GAP_NS);
}

/* ---- texts ---- */

const char *breaker_cause_text(enum breaker_cause cause) {
  static const char *const texts[] = {[BREAKER_TIMEOUT] = "no reply within the deadline",
                                      [BREAKER_LOST] = "the connection failed",
                                      [BREAKER_ERROR] = "error replies"};
  return texts[cause];
}

const char *breaker_state_text(enum breaker_state state) {
  static const char *const texts[] = {
      [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half-open"};
  return texts[state];
}
