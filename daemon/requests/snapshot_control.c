/* snapshot: begins a snapshot, and reports the one that is running and the latest that has ended.
 */
#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "proto/errors.h"

static struct control_snapshot query(const struct control *control) {
  struct control_snapshot state = {.error = ""};
  if (control->snapshot_query != NULL)
    control->snapshot_query(control->arg, &state);
  return state;
}

static int start(const struct call *call, struct error_text *error) {
  const struct control *control = &call->dispatch->control;
  if (control->snapshot_start == NULL)
    return error_text_set(error, FC_EREFUSED,
                          "fcached has no state folder: start it with --state DIR");
  char text[SESSION_TEXT_SIZE];
  int rc = control->snapshot_start(control->arg, error);
  if (rc == 0)
    log_line(call->dispatch->log, LOG_LEVEL_DEBUG, "snapshot requested by %s",
             session_text(call->session, text));
  return rc;
}

enum dispatch_result handle_snapshot(const struct call *call, uint32_t action) {
  bool starts = action == FC_SNAPSHOT_START;
  if (starts && !permissions_allow(call->session, PERMISSION_SNAPSHOT, NULL))
    return call_denied(call, "writing a snapshot");
  struct control_snapshot state = query(&call->dispatch->control);
  bool was_running = state.running != 0;
  if (starts) {
    struct error_text error;
    int rc = start(call, &error);
    if (rc < 0)
      return call_error(call, rc, "%s", error.text);
    state = query(&call->dispatch->control);
  }
  struct fc_snapshot_reply reply = {
      .started = starts && !was_running,
      .running = state.running,
      .ended = state.ended,
      .entries = state.entries,
      .bytes = state.bytes,
      .duration_ns = state.duration_ns,
      .error = fc_str_of(state.error),
  };
  if (state.path != NULL)
    reply.path = fc_str_of(state.path);
  (void)fc_encode_snapshot_reply(&call->dispatch->reply, call->id, &reply);
  return call_reply(call); /* checks `failed` */
}
