#include "daemon/fleet/grace.h"

void grace_init(struct grace *grace, uint64_t seed) {
  *grace = (struct grace){.random = seed | 1};
}

void grace_served(struct grace *grace) {
  grace->is_earned = true;
  grace->until_ns = grace->retry_ns = 0;
}

void grace_end(struct grace *grace) {
  grace->is_earned = false;
  grace->until_ns = grace->retry_ns = 0;
}

/* Plans the next attempt (xorshift64). */
static void plan(struct grace *grace, uint64_t now_ns) {
  uint64_t doubled_ns = grace->interval_ns * 2;
  grace->random ^= grace->random << 13;
  grace->random ^= grace->random >> 7;
  grace->random ^= grace->random << 17;
  grace->retry_ns = now_ns + grace->interval_ns - (grace->random >> 16) % (grace->interval_ns / 2);
  grace->interval_ns = doubled_ns < GRACE_RETRY_MAX_NS ? doubled_ns : GRACE_RETRY_MAX_NS;
}

bool grace_lost(struct grace *grace, uint64_t deadline_ns, uint64_t now_ns) {
  if (grace->until_ns > now_ns) {
    plan(grace, now_ns);
    return true;
  }
  if (!grace->is_earned) {
    grace_end(grace);
    return false;
  }
  *grace = (struct grace){.until_ns = now_ns + deadline_ns,
                          .retry_ns = now_ns, /* at once */
                          .interval_ns = GRACE_RETRY_FIRST_NS,
                          .random = grace->random};
  return true;
}
