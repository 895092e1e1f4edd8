#include "daemon/requests/permissions.h"

#include "daemon/store/namespace.h"

static bool owns(const struct session *session, const struct namespace *ns) {
  if (ns == session->ns && session->made_namespace)
    return true;
  return !session->uid_unknown && ns->has_owner && ns->owner == session->uid;
}

bool permissions_allow(const struct session *session, enum permission permission,
                       const struct namespace *ns) {
  switch (permission) {
  case PERMISSION_CLEAR_NAMESPACE:
  case PERMISSION_SET_LIMIT:
  case PERMISSION_SET_MANIFEST:
    return session->admin || (ns != NULL && owns(session, ns));
  case PERMISSION_CLEAR_ALL:
  case PERMISSION_TRACE:
  case PERMISSION_SHUTDOWN:
  case PERMISSION_KILL:
  case PERMISSION_SNAPSHOT:
  case PERMISSION_SET:
  case PERMISSION_RESET_TIMES:
    return session->admin;
  }
  return false;
}

void permissions_claim_namespace(struct session *session) {
  struct namespace *ns = session->ns;
  if (ns->claimed)
    return;
  ns->claimed = true;
  ns->has_owner = !session->uid_unknown;
  ns->owner = session->uid;
  session->made_namespace = true;
}
