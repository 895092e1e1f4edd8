#include "daemon/requests/permissions.h"

#include "daemon/store/namespace.h"

static bool owns(const struct session *session, const struct namespace *ns) {
  if (ns == session->ns && session->made_namespace)
    return true;
  return !session->uid_unknown && ns->has_owner && ns->owner == session->uid;
}

bool rights_may(const struct session *session, enum right right, const struct namespace *ns) {
  switch (right) {
  case RIGHT_CLEAR_NAMESPACE:
  case RIGHT_SET_LIMIT:
  case RIGHT_SET_MANIFEST:
    return session->admin || (ns != NULL && owns(session, ns));
  case RIGHT_CLEAR_ALL:
  case RIGHT_TRACE:
  case RIGHT_SHUTDOWN:
    return session->admin;
  }
  return false;
}

void rights_claim(struct session *session) {
  struct namespace *ns = session->ns;
  if (ns->claimed)
    return;
  ns->claimed = true;
  ns->has_owner = !session->uid_unknown;
  ns->owner = session->uid;
  session->made_namespace = true;
}
