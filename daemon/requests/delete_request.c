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
bool call_delete_key(struct dispatch *dispatch, const struct session *client,
                     const struct fc_delete *request, uint64_t now_ns, uint64_t *ticket) {
  struct namespace *ns = namespace_table_find(dispatch->namespaces, request->name_space);
  const struct fc_key *key = &request->key;
  bool existed = false;
  if (ns != NULL) {
    existed = store_delete(dispatch->store, ns, key);
    dispatch->totals->last_delete = dispatch->store->saved->generation;
    events_delete(dispatch, client, request, existed);
    leases_delete(&dispatch->leases, ns, fc_key_digest(ns->seed ^ dispatch->secret, key), key,
                  now_ns);
  } /* else a snapshot may have the namespace */
  *ticket = 0;
  if (dispatch->control.delete_record != NULL)
    *ticket = dispatch->control.delete_record(dispatch->control.arg, request);
  return existed;
}

/* As record_state of clear_requests.c. */
static int record_state(const struct call *call) {
  const struct control *control = &call->dispatch->control;
  return control->delete_record == NULL
             ? 1
             : control->clear_state(control->arg, call->session->deleting.ticket);
}

/* Replies once the delete is complete. */
static enum dispatch_result deleted(const struct call *call, int recorded) {
  struct deleting *deleting = &call->session->deleting;
  const char *error = call_step_error(deleting->step);
  bool existed = deleting->existed;
  enum dispatch_result result = DISPATCH_DONE;
  if (error != NULL)
    result = call_error(call, FC_EREFUSED,
                        "the entry is deleted in this daemon, but not in the fleet (%s): this "
                        "daemon deletes it there when the tier answers. If it stops before, delete "
                        "once more",
                        error);
  call_leave_step(call->dispatch, &deleting->step);
  *deleting = (struct deleting){0};
  call->dispatch->totals->deletes++;
  if (error != NULL)
    return result;
  if (recorded < 0)
    return call_error(call, recorded,
                      "the entry is deleted, but the state folder does not take the record of it: "
                      "a restart from the snapshot may restore it: see the daemon's log");
  (void)fc_encode_deleted(&call->dispatch->reply, call->id, existed);
  return call_reply(call); /* checks `failed` */
}

/* Begins the delete in the fleet. Returns 0, or an error with its reply sent. */
static int begin_in_fleet(const struct call *call, const struct fc_delete *request,
                          enum dispatch_result *result) {
  struct dispatch *dispatch = call->dispatch;
  if (!dispatch->fleet->config.writes) {
    *result = call_fleet_is_read_only(call);
    return FC_EREFUSED;
  }
  call->session->deleting.step = fleet_clears_delete(
      dispatch->fleet->config.clears, request->name_space, &request->key, call->start_ns);
  if (call->session->deleting.step != NULL)
    return 0;
  *result = call_error_code(call, FC_ENOMEM);
  return FC_ENOMEM;
}

/* Begins the delete, where its client may do so. */
static int begin(const struct call *call, const struct fc_delete *request,
                 enum dispatch_result *result) {
  struct namespace *ns = namespace_table_find(call->dispatch->namespaces, request->name_space);
  if (!permissions_allow(call->session, PERMISSION_CLEAR_NAMESPACE, ns)) {
    *result = denied(call, request, ns);
    return FC_EDENIED;
  }
  return call_is_of_fleet(call, request->name_space, request->local)
             ? begin_in_fleet(call, request, result)
             : 0;
}

enum dispatch_result handle_delete(const struct call *call, const struct fc_delete *request) {
  struct session *session = call->session;
  struct deleting *deleting = &session->deleting;
  enum dispatch_result refused;
  if (!deleting->active) {
    if (deleting->step == NULL && begin(call, request, &refused) < 0)
      return refused;
    /* Without its client, the fleet has it come back as a step of another node. */
    if (deleting->step != NULL && !call->sink->peer_gone &&
        call_waits_for_step(call, deleting->step))
      return DISPATCH_RETRY;
    deleting->existed =
        call_delete_key(call->dispatch, session, request, call->start_ns, &deleting->ticket);
    deleting->active = true;
  }
  int recorded = call->sink->peer_gone ? 1 : record_state(call);
  if (recorded == 0) {
    session->waits_for_record = true;
    return DISPATCH_RETRY;
  }
  return deleted(call, recorded);
}
