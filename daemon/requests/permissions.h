/* permissions.h - decides which client may clear, trace, shut down, write snapshots, and set a
 * namespace's limits or a setting of the daemon. docs/permissions.md has the table.
 *
 * Each client that may connect may read and put everything; no permission here concerns that. A
 * namespace has an owner: the user of the client that created it. If that user is unknown
 * (id_map.h), the namespace has no owner, and only the connection that created it has an owner's
 * permissions. */
#ifndef FC_DAEMON_PERMISSIONS_H
#define FC_DAEMON_PERMISSIONS_H

#include "daemon/requests/session.h"

enum permission {
  /* of the namespace's owner and of administrators */
  PERMISSION_CLEAR_NAMESPACE,
  PERMISSION_SET_LIMIT,
  PERMISSION_SET_MANIFEST,
  /* of administrators: root, the daemon's user, the admin group (peer_is_admin) */
  PERMISSION_CLEAR_ALL,
  PERMISSION_TRACE,
  PERMISSION_SHUTDOWN,
  PERMISSION_KILL,
  PERMISSION_SNAPSHOT,
  PERMISSION_SET,
  PERMISSION_RESET_TIMES,
};

/* `ns` is the namespace concerned; NULL if it does not exist, or for a permission that concerns
 * none. Only an administrator may clear a namespace that does not exist. */
bool permissions_allow(const struct session *session, enum permission permission,
                       const struct namespace *ns);

/* Makes the session's user the owner of the namespace that it has entered, if that is new. */
void permissions_claim_namespace(struct session *session);

#endif
