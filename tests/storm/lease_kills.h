/* lease_kills.h - kills owners of leases, each its own process, at any moment, while two others
 * wait for the value. */
#ifndef FC_TESTS_LEASE_KILLS_H
#define FC_TESTS_LEASE_KILLS_H

#include <stdbool.h>
#include <stdint.h>

struct lease_kills {
  uint32_t kills;  /* of all processes that requested the lease */
  uint32_t owned;  /* of those that had been granted the lease */
  uint32_t values; /* owners whose put arrived before the kill took effect */
  uint32_t grants; /* to the first waiter, because the owner had died */
  uint64_t
      *grant_ns; /* owned: `grants` times from the kill to the grant's arrival, in rising order */
  uint32_t unanswered; /* waits without a reply in their time */
  uint32_t wrong;      /* waits that ended otherwise than with the value or the lease */
  uint32_t locked;     /* keys whose lease no client could get afterwards */
};

#define LEASE_KILLS_SPACE "kills" /* the namespace */

/* Runs until so many owners that had the lease are killed, or a check fails. Returns false, with
 * the reason on stderr, if the storm could not run. The caller frees `kills` either way, and runs
 * under Check. */
bool lease_kills_run(const char *socket, uint32_t owned, struct lease_kills *kills);
void lease_kills_free(struct lease_kills *kills);

/* Returns the time within which `percent` of the grants were made, in ns. */
uint64_t lease_kills_percentile(const struct lease_kills *kills, double percent);

/* Returns how many were made later. */
uint32_t lease_kills_later(const struct lease_kills *kills, uint64_t ns);

#endif
