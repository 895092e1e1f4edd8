/* fleet_report.h - what the daemon reports of its tier: for the stats, and for `fcachectl tier`.
 *
 * Plain data. daemon/fleet fills in the part of the fleet, daemon/tier that of the tier servers.
 * requests/ reads both through the pointers of struct tier_source, as it reads the memory through
 * memory_report. Texts are borrowed from their owner: valid until the next turn
 * of the loop. No text has a secret: a URL has no password. Times are CLOCK_MONOTONIC in ns,
 * durations are in ns. Counters count from the start of the daemon. */
#ifndef FC_DAEMON_FLEET_REPORT_H
#define FC_DAEMON_FLEET_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fleet/breaker.h"
#include "proto/histogram.h"

/* The classes of operations. Each tier server has a breaker and a histogram for each. */
enum tier_class { TIER_READS, TIER_WRITES, TIER_CLASSES };

/* The states of a fill, for their numbers. */
enum tier_fill {
  TIER_FILL_ASKING,  /* reads the value from the tier */
  TIER_FILL_LEASING, /* the tier has no value: takes the fleet lease */
  TIER_FILL_OFFERED, /* this node has the fleet lease, and no worker has the local lease yet */
  TIER_FILL_HELD,    /* a worker of this node computes */
  TIER_FILL_REMOTE,  /* another node computes: this node waits for its value */
  TIER_FILLS,
};

/* Why a write was dropped: the tier never gets it. */
enum tier_drop {
  TIER_DROP_FULL,    /* the queue had no room */
  TIER_DROP_OLD,     /* it was in the queue for --tier-queue-age */
  TIER_DROP_REFUSED, /* so, and the tier refused the last attempt with an error */
  TIER_DROP_CLEARED, /* the tier has not acknowledged a clear of the key */
  TIER_DROP_STOP,    /* the daemon stopped before */
  TIER_DROPS,
};

/* The fleet, as this node sees it. */
struct tier_report {
  /* The configuration. */
  const char *url;        /* --tier, all of it, without a password */
  const char *mode;       /* "read-write", "read-only" or "write-only" */
  const char *prefix;     /* --tier-prefix */
  const char *namespaces; /* --tier-namespaces */

  char id[17];            /* of the tier, equal on all nodes that share it; "": not known yet */
  uint64_t clear_version; /* the latest that this node has applied */

  uint64_t fills[TIER_FILLS]; /* now, by state */
  uint64_t waits;             /* sessions that wait for a fill's answer, now */
  uint64_t queue_entries, queue_bytes, queue_bytes_max;
  uint64_t queue_age_ns; /* of the oldest write in the queue; 0: it is empty */

  /* Of this daemon. struct tier_totals has the counters of the whole cache. */
  uint64_t fills_begun;
  uint64_t fills_failed;   /* an error or a lost connection ended them */
  uint64_t fills_late;     /* their clients went on without the tier at the deadline */
  uint64_t skipped_down;   /* misses that began none while a breaker was open, */
  uint64_t skipped_full;   /* and at the bound of fills */
  uint64_t remote_fills;   /* that waited for another node, */
  uint64_t remote_hits;    /* and of these, those that got its value: tier_totals.hits has them */
  uint64_t leases_taken;   /* fleet leases that this node got */
  uint64_t leases_lost;    /* of these: they expired or were taken before they were released */
  uint64_t clears_learned; /* clears and deletes of other nodes that this node applied */
  uint64_t drops[TIER_DROPS]; /* of tier_totals.dropped */
};

struct fleet;
/* Fills in what the fleet knows: all but the configuration. *report is zero before. */
void fleet_report(const struct fleet *fleet, uint64_t now_ns, struct tier_report *report);

/* One breaker of a tier server. */
struct tier_breaker_report {
  enum breaker_state state;
  uint64_t since_ns; /* the time of its last change, or when the node began to use the server */
  const char *error; /* what opened it last, also after it has closed; "": it was never open */
};

/* One tier server. Its counters and times are of this daemon. */
struct tier_server_report {
  uint64_t serial;     /* rises with each server that the daemon learns of; at least 1 */
  const char *address; /* "10.0.0.7:6379", "unix:/run/valkey/valkey.sock" */
  const char *role;    /* "single", "primary" or "replica"; "": not known yet */
  uint32_t slots;      /* of a cluster, that it serves; 0 without a cluster */
  bool connected;
  struct tier_breaker_report breakers[TIER_CLASSES];
  uint32_t in_flight;                                 /* operations without a reply */
  const struct fc_histogram *latencies[TIER_CLASSES]; /* from submit to the reply */
  uint64_t reads, hits, misses;                       /* of values: hits + misses <= reads */
  uint64_t writes;                                    /* of values */
  uint64_t timeouts;                                  /* operations without a reply in time */
  uint64_t errors;     /* error replies, and operations that ended with the connection */
  uint64_t reconnects; /* connections after the first one */
  uint64_t redirects;  /* MOVED and ASK */
};

/* The functions behind the reports. Zeroed: the daemon has no tier. */
struct tier_source {
  /* Fills in *report, which is zero before. NULL: no tier. */
  void (*report)(void *arg, uint64_t now_ns, struct tier_report *report);
  /* Fills in *server, which is zero before, with the server whose serial is the first above
   * `after`. Returns false if there is none. */
  bool (*next_server)(void *arg, uint64_t after, struct tier_server_report *server);
  void *arg; /* of both */
};

#endif
