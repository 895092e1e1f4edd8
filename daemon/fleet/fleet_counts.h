/* fleet_counts.h - what a fleet counts, for the stats and for fcachectl tier. Of this daemon only.
 */
#ifndef FC_DAEMON_FLEET_COUNTS_H
#define FC_DAEMON_FLEET_COUNTS_H

#include <stddef.h>
#include <stdint.h>

/* Only grow. */
struct fleet_counts {
  uint64_t fills;        /* begun */
  uint64_t found;        /* values that were read from the tier and stored */
  uint64_t found_queued; /* values that were taken from the write queue */
  uint64_t missed;       /* fills whose value the tier did not have when they asked first */
  uint64_t bad_values;   /* that failed a check */
  uint64_t too_big;      /* values above max_value, or without room in the store */
  uint64_t tombstones;   /* of deletes */
  uint64_t stale;        /* values that were cleared while they were read */
  uint64_t failed;       /* fills that an error or a lost connection ended */
  uint64_t late;         /* fills whose sessions went on without them at the deadline */
  uint64_t skipped_own;  /* misses of own keys */
  uint64_t skipped_down; /* misses while a breaker was open */
  uint64_t skipped_full; /* misses at the bound of fills, or without memory */
  uint64_t leases_taken; /* fleet leases, */
  uint64_t leases_renewed, leases_lost, leases_released;
  uint64_t remote;       /* fills that waited for another node, */
  uint64_t polls;        /* and how often they asked */
  uint64_t remote_found; /* of them: by the other node's value, which `found` counts too */
  uint64_t remote_taken; /* of them: the other node's lease ended without a value */
  uint64_t queued;       /* writes */
  uint64_t published;    /* that the tier stored */
  uint64_t refused;      /* that the tier did not store: it has a first, or a later one */
  uint64_t superseded;   /* by a later put of the key, before they were sent */
  uint64_t dropped_full, dropped_age, dropped_stop; /* lost writes, by cause */
  uint64_t dropped_refused; /* as dropped_age: the tier refused the last attempt with an error */
  uint64_t dropped_cleared; /* the tier has not acknowledged a clear of the key */
};

/* At this moment. */
struct fleet_gauges {
  uint32_t asking, leasing, offered, held, remote; /* fills */
  uint32_t parked;                                 /* sessions */
  uint32_t own_marks;
  uint32_t queue_items;
  size_t queue_bytes;
  uint64_t queue_age_ns; /* of the oldest write; 0: none */
};

#endif
