/* lease_owners.h - the owners of adopted leases: workers that were computing when the former daemon
 * ended, and are not connected yet.
 *
 * Each owner is a lease client without a connection. It is one handle of one process in one
 * namespace, and counts as a client of the namespace. It ends when
 *   - the handle connects again: its connection is the owner then. The handle's number is random
 *     and in its hello, so no other client can claim the leases;
 *   - its process exits, which is seen at once by a pidfd. The first waiters get its leases;
 *   - its leases have all ended, by puts, clears or their terms.
 *
 * The daemon cannot watch a process of another pid namespace, or one that /proc hides. Leases of
 * such an owner end after LEASE_OWNERS_UNSEEN_NS, unless its handle connects before.
 *
 * Owns the owners and the descriptors. One thread. */
#ifndef FC_DAEMON_LEASE_OWNERS_H
#define FC_DAEMON_LEASE_OWNERS_H

#include "daemon/leases/processes.h"
#include "daemon/store/namespace_table.h"

/* The same as the longest grace of a wait: others compute again if the owner is gone. */
#define LEASE_OWNERS_UNSEEN_NS LEASES_GRACE_MAX_NS

struct lease_owner;

/* What the owners borrow. */
struct lease_owners_config {
  struct leases *leases;
  struct namespace_table *namespaces;
  struct processes *processes;
  struct users *users;   /* NULL: owners have no user */
  uint64_t secret;       /* of the digests of leases, with the namespace's seed */
  uint64_t *last_number; /* the last number that a process was given; owners take the next ones */
};

struct lease_owners {
  struct lease_owners_config config;
  struct lease_owner *first;
  uint32_t n;
  int deaths_fd; /* an epoll of the pidfds: readable once one of the processes has exited; -1:
                    none */
};

void lease_owners_init(struct lease_owners *owners, const struct lease_owners_config *config);

/* Ends all owners. Their leases keep their records after leases_stop. Idempotent. */
void lease_owners_deinit(struct lease_owners *owners, uint64_t now_ns);

struct lease_owners_report {
  uint32_t adopted;
  uint32_t dropped; /* records whose process or namespace is gone, whose term is over, whose key is
                       stored, or which exceed a bound or are damaged */
};

/* Makes leases from all records in config.leases->records, in the order of their grants, and frees
 * the records of those that end with the former daemon. Call it once, before the first lease is
 * granted and after the entries are adopted. */
struct lease_owners_report lease_owners_adopt(struct lease_owners *owners, uint64_t now_ns);

/* A new connection whose identity and process are set in `client`, of the namespace `ns`: gives it
 * the leases of the absent owner that it is, if there is one. */
void lease_owners_claim(struct lease_owners *owners, struct lease_client *client,
                        const struct namespace *ns, uint64_t now_ns);

/* Ends the owners whose processes have exited. Call it when deaths_fd is readable. */
void lease_owners_check_deaths(struct lease_owners *owners, uint64_t now_ns);

/* Ends the owners without leases. One load if there are no owners. */
void lease_owners_sweep(struct lease_owners *owners);

#endif
