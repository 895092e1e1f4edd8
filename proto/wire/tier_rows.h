/* tier_rows.h - the two kinds of rows of the reply to `tier`: the fleet as the daemon sees it, and
 * a tier server. Their strings are borrowed, like those of message.h. Durations are in ns. */
#ifndef FC_PROTO_TIER_ROWS_H
#define FC_PROTO_TIER_ROWS_H

#include "proto/histogram.h"
#include "proto/key.h"

struct fc_tier_entry {
  /* As configured. The URL has no password. It is empty if the daemon has no tier: then all other
   * fields are empty or 0, and there are no servers. */
  struct fc_str url, mode, prefix, namespaces;
  struct fc_str id; /* of the tier; empty: not known yet */
  uint64_t clear_version;
  uint64_t asking, leasing, offered, held, remote; /* fills now, by state */
  uint64_t waits;                                  /* sessions that wait for a fill's answer, now */
  uint64_t queue_entries, queue_bytes, queue_bytes_max;
  uint64_t queue_age_ns; /* of the oldest write in the queue */
  /* Since the start of the daemon: */
  uint64_t fills, fills_failed, fills_late;
  uint64_t skipped_down, skipped_full; /* misses that began no fill */
  uint64_t hits, misses, bad_values;   /* bad_values are among the misses */
  uint64_t remote_fills, remote_hits;  /* that waited for another node; that got its value */
  uint64_t leases, leases_lost;        /* fleet leases of this node; those that it lost */
  uint64_t clears_learned;
  uint64_t writes, kept; /* values that the tier stored; that it did not, as it had one */
  uint64_t dropped_full, dropped_old, dropped_refused, dropped_cleared, dropped_stop;
};

/* The breaker for one class of operations, and their times. */
struct fc_tier_class {
  struct fc_str state; /* "closed", "open" or "half-open" */
  uint64_t since_ns;   /* since its last change */
  struct fc_str error; /* what opened it last; empty: it was never open */
  struct fc_histogram times;
};

struct fc_tier_server_entry {
  struct fc_str address;
  struct fc_str role; /* "single", "primary" or "replica"; empty: not known yet */
  uint32_t slots;     /* 0: no cluster */
  bool connected;
  uint32_t in_flight; /* operations without a reply */
  struct fc_tier_class read, write;
  uint64_t reads, hits, misses, writes, timeouts, errors, reconnects, redirects;
};

#endif
