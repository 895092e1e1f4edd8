/* delete: removes one entry. It takes effect at once. Only its acknowledgement may have to wait for
 * the record on disk. */
#include <stdio.h>

#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "proto/errors.h"

static enum dispatch_result denied(const struct call *call, const struct fc_delete *request,
                                   const struct namespace *ns) {
  char owner[64] = "";
  if (ns != NULL && ns->has_owner)
    (void)snprintf(owner, sizeof owner, "the user that made it (uid %lu), ",
                   (unsigned long)ns->owner);
  return call_error(call, FC_EDENIED,
                    "deleting from namespace %.*s: only %sthe daemon's user, root and its admin "
                    "group may do that",
                    (int)request->name_space.size, request->name_space.data, owner);
}

/* The lease ends after the delete, so that its next owner learns the new generation. A snapshot
 * has the totals, and with them the generation of the latest delete. */
static void delete_key(const struct call *call, const struct fc_delete *request,
                       struct namespace *ns) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  const struct fc_key *key = &request->key;
  session->deleting.existed = false;
  if (ns != NULL) {
    session->deleting.existed = store_delete(dispatch->store, ns, key);
    dispatch->totals->last_delete = dispatch->store->saved->generation;
    events_delete(call, request, session->deleting.existed);
    leases_delete(&dispatch->leases, ns, fc_key_digest(ns->seed ^ dispatch->secret, key), key,
                  call->start_ns);
  } /* else a snapshot may have the namespace */
  session->deleting.ticket = 0;
  if (dispatch->control.delete_record != NULL)
    session->deleting.ticket = dispatch->control.delete_record(dispatch->control.arg, request);
  session->deleting.active = true;
}

/* As record_state of clear_requests.c. */
static int record_state(const struct call *call) {
  const struct control *control = &call->dispatch->control;
  return control->delete_record == NULL
             ? 1
             : control->clear_state(control->arg, call->session->deleting.ticket);
}

enum dispatch_result handle_delete(const struct call *call, const struct fc_delete *request) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  if (!session->deleting.active) {
    struct namespace *ns = namespace_table_find(dispatch->namespaces, request->name_space);
    if (!permissions_allow(session, PERMISSION_CLEAR_NAMESPACE, ns))
      return denied(call, request, ns);
    delete_key(call, request, ns);
  }
  int recorded = call->sink->peer_gone ? 1 : record_state(call);
  if (recorded == 0) {
    session->waits_for_record = true;
    return DISPATCH_RETRY;
  }
  session->deleting.active = false;
  dispatch->totals->deletes++;
  if (recorded < 0)
    return call_error(call, recorded,
                      "the entry is deleted, but the state folder does not take the record of it: "
                      "a restart from the snapshot may restore it: see the daemon's log");
  (void)fc_encode_deleted(&dispatch->reply, call->id, session->deleting.existed);
  return call_reply(call); /* checks `failed` */
}
