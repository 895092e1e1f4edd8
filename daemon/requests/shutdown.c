/* shutdown: stops the daemon. */
#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"

enum dispatch_result handle_shutdown(const struct call *call) {
  char text[SESSION_TEXT_SIZE];
  if (!permissions_allow(call->session, PERMISSION_SHUTDOWN, NULL))
    return call_denied(call, "shutting down");
  log_line(call->dispatch->log, LOG_LEVEL_INFO, "shut down by %s",
           session_text(call->session, text));
  (void)fc_encode_simple(&call->dispatch->reply, FC_REPLY | FC_SHUTDOWN, call->id);
  (void)call_reply(call); /* the daemon stops even if the reply cannot be sent */
  return DISPATCH_SHUTDOWN;
}
