/* fleet_clears.h - the clear table: which clears the fleet has made, and so the clear version of
 * each key.
 *
 * A clear or delete of the fleet raises the clear version of the tier. A key's clear version is
 * that of the latest clear whose scope has the key (0: none), and is a part of its name in the tier
 * (fleet_key.h). So values from before a clear have names that no node reads any more.
 *
 * The fills (fleet.h) use what is declared here. One thread. */
#ifndef FC_DAEMON_FLEET_CLEARS_H
#define FC_DAEMON_FLEET_CLEARS_H

#include "daemon/fleet/fleet_io.h"

struct fleet_clears {
  uint64_t newest;
  /* Called when the refresh that fleet_clears_heard began has ended: the table is as new as that
   * reply, and what it cleared was applied to store and leases; or it failed (`ok` false). Never
   * called by fleet_clears_heard. Set by fleet_init. NULL: none. */
  void (*refreshed)(void *arg, bool ok, uint64_t now_ns);
  void *refreshed_arg;
};

/* Returns the clear version of a key. */
uint64_t fleet_clears_version_of(const struct fleet_clears *clears, struct fc_str name_space,
                                 const struct fc_key *key);

/* Returns the clear version up to which the table knows all clears and deletes. */
uint64_t fleet_clears_newest(const struct fleet_clears *clears);

/* Makes a FLEET_OP_VERSION of `op`, except for `done` and the deadline. `op` borrows from `clears`.
 */
void fleet_clears_version_op(const struct fleet_clears *clears, struct fleet_op *op);

/* Takes a reply to a FLEET_OP_VERSION with the status OK or NONE. Returns true if the table is as
 * new. Else returns false, and begins a refresh if none is in progress: `refreshed` follows. A
 * refresh in progress may have begun before this reply, and then continues until it has the version
 * of this one. */
bool fleet_clears_heard(struct fleet_clears *clears, const struct fleet_reply *reply,
                        uint64_t now_ns);

#endif
