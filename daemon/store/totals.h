/* totals.h - the counters of the whole cache. They only grow, over all of its daemons.
 *
 * A POD of uint64_t. It lies in the catalog (CATALOG_TOTALS), which the next daemon adopts in place
 * after any end of this one, and the snapshot has a copy. So each counter has its value of the last
 * instruction that a killed daemon executed. A changed layout needs another CATALOG_LAYOUT, and
 * another version of the snapshot. A new counter takes a place of `reserved`, which is zero, and
 * needs neither.
 *
 * Nothing depends on these values but the stats and the uniqueness of numbers: a damaged one is a
 * wrong statistic. Do not assert on them. One thread. */
#ifndef FC_DAEMON_TOTALS_H
#define FC_DAEMON_TOTALS_H

#include <assert.h>

#include "daemon/base/trace_counts.h"
#include "daemon/base/users.h"
#include "daemon/store/counters.h"

#define TOTALS_SHARES 16u /* resources that a user has a share of, at most */
static_assert(USER_RESOURCES <= TOTALS_SHARES, "each resource has a counter");

/* Values between the cache and its tier. daemon/fleet counts them. */
struct tier_totals {
  uint64_t hits;       /* keys whose value the tier had, and which this cache stored */
  uint64_t misses;     /* keys whose value the tier did not have */
  uint64_t bad_values; /* of misses: the tier had a value that failed its check */
  uint64_t writes;     /* values that the tier stored */
  uint64_t kept;       /* values that it did not store: it had one from another node */
  uint64_t dropped;    /* writes that the tier never got */
};

/* What the cache knows of the clears of its fleet: see fleet_clears.h. Zero: nothing. */
struct tier_version {
  uint64_t id;     /* of the tier */
  uint64_t number; /* of the latest step that was applied, */
  uint64_t tag;    /* and its tag */
};

struct totals {
  struct counters counters; /* lookups of all namespaces */

  uint64_t connections; /* welcomes */
  uint64_t refused;     /* connections and hellos that were not accepted */
  uint64_t dropped;     /* connections closed for an error, a deadline or by an administrator */
  uint64_t clears;      /* that have ended */
  uint64_t settings_ignored; /* limits and manifests of hellos that may not set them */
  uint64_t puts_kept, puts_stale, puts_too_big;
  uint64_t share_refused[TOTALS_SHARES]; /* by enum user_resource: see users_set_refused */

  uint64_t hits_socket;     /* recorded hits by message */
  uint64_t hits_region;     /* hits that rings had recorded: of ring_records, those counted */
  uint64_t ring_records;    /* hits read from rings */
  uint64_t hits_unrecorded; /* hits that did not fit into a ring */
  uint64_t drain_ns;        /* CPU time spent reading rings */

  struct trace_counts trace;

  uint64_t region_moved_bytes; /* by compaction */

  uint64_t snapshots_written, snapshots_failed;
  uint64_t adopted_entries;  /* taken over from the memory of earlier daemons */
  uint64_t adopt_dropped;    /* entries that were in such memory and were damaged, or had no room */
  uint64_t restored_entries; /* read from a snapshot */
  uint64_t restore_dropped;

  /* Not statistics: numbers that no two clients of the cache share. */
  uint64_t next_client_id;
  uint64_t lease_secret; /* random; no client can find it out. 0: the next daemon chooses it */

  uint64_t daemons;         /* that had the cache, this one included */
  uint64_t created_unix_ns; /* CLOCK_REALTIME at the start of the first one */
  uint64_t deletes;         /* of single keys */
  uint64_t last_delete;     /* the store's generation after the latest, for a restore */
  struct tier_totals tier;
  struct tier_version tier_version; /* not a statistic */
  uint64_t reserved[5];             /* zero */
};
static_assert(sizeof(struct totals) % sizeof(uint64_t) == 0, "only words of 64 bits");

/* Begins the time of one more daemon, before its other modules have the totals. `totals` are zero,
 * or those of the daemon before, which may have been killed: trace lines that it had not written
 * are lost. `now_unix_ns` is CLOCK_REALTIME. */
void totals_begin(struct totals *totals, uint64_t now_unix_ns);

/* Returns the counters of the time since `before`, which is a copy of earlier totals. The longest
 * batch and the numbers that are no statistics are those of `now`. */
struct totals totals_since(const struct totals *now, const struct totals *before);

#endif
