/* trace: turns the trace on or off, and reports its state. */
#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "daemon/trace/trace.h"

static int turn_on(const struct call *call, const struct fc_trace *request,
                   struct error_text *error) {
  struct trace *trace = call->dispatch->trace;
  int rc = trace_on_below(trace, request->path, request->mkdir, error);
  char text[SESSION_TEXT_SIZE];
  if (rc == 0)
    log_line(call->dispatch->log, LOG_LEVEL_INFO, "trace turned on by %s: %s",
             session_text(call->session, text), trace_path(trace));
  return rc;
}

static void turn_off(const struct call *call) {
  char text[SESSION_TEXT_SIZE];
  trace_off(call->dispatch->trace);
  log_line(call->dispatch->log, LOG_LEVEL_INFO, "trace turned off by %s",
           session_text(call->session, text));
}

enum dispatch_result handle_trace(const struct call *call, const struct fc_trace *request) {
  const struct trace *trace = call->dispatch->trace;
  if (request->action != FC_TRACE_STATUS &&
      !permissions_allow(call->session, PERMISSION_TRACE, NULL))
    return call_denied(call, "controlling the trace");
  if (request->action == FC_TRACE_OFF)
    turn_off(call);
  if (request->action == FC_TRACE_ON) {
    struct error_text error;
    int rc = turn_on(call, request, &error);
    if (rc < 0)
      return call_error(call, rc, "%s", error.text);
  }
  struct fc_trace_reply state = {
      .on = trace_is_on(trace),
      .path = fc_str_of(trace_path(trace)),
      .lines = trace_lines(trace),
      .lost = trace->lost,
  };
  (void)fc_encode_trace_reply(&call->dispatch->reply, call->id, &state);
  return call_reply(call); /* checks `failed` */
}
