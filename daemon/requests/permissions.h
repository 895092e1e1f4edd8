/* permissions.h - which client may do what: the one place that decides. docs/operations.md has the
 * table.
 *
 * Whoever may connect may read and put everything, and needs no right of these. A namespace has an
 * owner: the user of the client that made it. One whose user is not known (id_map.h) leaves it
 * without: then the connection that made it has an owner's rights, and no other. */
#ifndef FC_DAEMON_RIGHTS_H
#define FC_DAEMON_RIGHTS_H

#include "daemon/requests/session.h"

enum permission {
  /* the owner's and the administrators' */
  PERMISSION_CLEAR_NAMESPACE,
  PERMISSION_SET_LIMIT,
  PERMISSION_SET_MANIFEST,
  /* the administrators': root, the daemon's user, the admin group (peer_is_admin) */
  PERMISSION_CLEAR_ALL,
  PERMISSION_TRACE,
  PERMISSION_SHUTDOWN,
};

/* `ns`: the namespace that it concerns; NULL where there is none of that name, or for a right that
 * concerns none. Only an administrator may clear what is not there. */
bool permissions_allow(const struct session *session, enum permission permission, const struct namespace *ns);

/* Makes the session's user the owner of the namespace that it has entered, if that is new. */
void permissions_claim_namespace(struct session *session);

#endif
