/* recent.h - the keys that a handle's own gets missed lately, each with the epoch of
 * its lookup: a put of such a key says by it when its computation began, so that a
 * clear in between is not undone.
 *
 * A fixed table; a miss may push out an older one, whose put then goes without. Pure
 * memory, no I/O; zero it to start, nothing to free. One thread. */
#ifndef FC_CLIENT_RECENT_H
#define FC_CLIENT_RECENT_H

#include "proto/message.h"

#define RECENT_SLOTS 64u

struct recent {
  struct {
    bool known;
    uint64_t digest;       /* of the key */
    struct fc_epoch epoch; /* {0, 0}: the lookup did not reach the daemon */
  } slots[RECENT_SLOTS];
};

void recent_note(struct recent *recent, const struct fc_key *key, struct fc_epoch epoch);

/* Forgets the key. False where it is not known; *epoch is then untouched. */
bool recent_take(struct recent *recent, const struct fc_key *key, struct fc_epoch *epoch);

#endif
