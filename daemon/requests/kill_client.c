/* kill: closes a client's connection. */
#include <inttypes.h>

#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"

static struct session *find_client(const struct dispatch *dispatch, uint64_t client_id) {
  struct session *session = dispatch->first_session;
  while (session != NULL && session->client_id != client_id)
    session = session->next;
  return session;
}

/* The connection may be the caller's own: it ends in its next turn, after this reply. */
enum dispatch_result handle_kill(const struct call *call, uint64_t client_id) {
  if (!permissions_allow(call->session, PERMISSION_KILL, NULL))
    return call_denied(call, "closing a client's connection");
  struct session *session = find_client(call->dispatch, client_id);
  char text[SESSION_TEXT_SIZE], by[SESSION_TEXT_SIZE];
  if (session != NULL) {
    log_line(call->dispatch->log, LOG_LEVEL_INFO, "client %" PRIu64 ", %s, closed by %s", client_id,
             session_text(session, text), session_text(call->session, by));
    session->killed = true;
    session->sink->resume(session->sink);
  }
  (void)fc_encode_killed(&call->dispatch->reply, call->id, session != NULL);
  return call_reply(call); /* checks `failed` */
}
