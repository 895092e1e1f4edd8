/* fake_tier.h - a tier in memory, on a clock that the test moves, and the transport of a node to
 * it. The scripts of the product run as C functions that do the same.
 *
 * An op that was submitted is executed after half of the transport's latency, and replied to after
 * the other half. Ops of one transport are executed in their order. Faults are fields, which the
 * test sets at any time. */
#ifndef FC_TESTS_FAKE_TIER_H
#define FC_TESTS_FAKE_TIER_H

#include "daemon/fleet/fleet_io.h"
#include "daemon/fleet/fleet_key.h"

struct fake_value;
struct fake_tier {
  struct fake_value *first;
  uint64_t executed[FLEET_OP_KINDS];         /* ops */
  uint64_t renewals, releases, replacements; /* scripts */
};

void fake_tier_init(struct fake_tier *tier);
void fake_tier_deinit(struct fake_tier *tier);

/* Sets a key, for ever if `until_ns` is 0. */
void fake_tier_set(struct fake_tier *tier, struct fc_str key, const void *data, size_t size,
                   uint64_t until_ns);
/* Returns the key's bytes, or NULL. Borrowed until the next call. */
const uint8_t *fake_tier_get(struct fake_tier *tier, struct fc_str key, uint64_t now_ns,
                             size_t *size);
bool fake_tier_delete(struct fake_tier *tier, struct fc_str key);
/* Removes all keys: a restart without data. */
void fake_tier_forget(struct fake_tier *tier);

struct fake_flight;
struct fake_io {
  struct fleet_io io; /* first */
  struct fake_tier *tier;
  uint64_t latency_ns;
  /* Faults */
  bool is_down;           /* submit returns false */
  bool forgets;           /* what is submitted never ends: a fault of the transport */
  bool refuses_writes;    /* every write gets FLEET_REFUSED, as a full tier does */
  bool streams;           /* a reply begins when its op is executed: it may take four deadlines */
  uint32_t lost_requests; /* of 1,000: not executed, and no reply */
  uint32_t lost_replies;  /* of 1,000: executed, and no reply */
  uint64_t random;        /* for the two above, and for the jitter of the latency */
  uint32_t jitter;        /* 0: none; n: a latency of up to n times as much, at random */
  /* Counts */
  uint32_t n; /* ops in flight */
  uint64_t submitted[FLEET_OP_KINDS];
  struct fake_flight *first, *last; /* in the order of submits */
  uint64_t last_execution_ns;
  uint64_t deliveries;
};

void fake_io_init(struct fake_io *io, struct fake_tier *tier, uint64_t latency_ns);
void fake_io_deinit(struct fake_io *io); /* asserts that no op is in flight */

/* The end of a turn: what was submitted is sent. */
void fake_io_flush(struct fake_io *io);

/* Returns when the next op is executed, replied to, or past its deadline; UINT64_MAX: never. */
uint64_t fake_io_next_ns(const struct fake_io *io);

/* Executes and answers what is due. */
void fake_io_step(struct fake_io *io, uint64_t now_ns);

/* Loses the connection: all ops in flight end with FLEET_DOWN. Those that were not executed are
 * not. */
void fake_io_break(struct fake_io *io, uint64_t now_ns);

#endif
