#include "daemon/requests/session.h"

#include <stdio.h>

struct session_owner session_owner_of(const struct lease_client *client) {
  if (client->absent) /* it has told its name to the former daemon */
    return (struct session_owner){.name = fc_str_of("(reconnecting)"), .pid = client->pid};
  if (client->remote)
    return (struct session_owner){.name = fc_str_of("(another node)")};
  const struct session *session = session_of(client);
  return (struct session_owner){session->client_id, session->name, session->pid};
}

const char *session_text(const struct session *session, char text[SESSION_TEXT_SIZE]) {
  const char *name = session->handshake_done ? session->name_data : "a client before its hello";
  (void)snprintf(text, SESSION_TEXT_SIZE, "%s (pid %ld, user %ld)", name, (long)session->pid,
                 (long)session->uid); /* fits */
  return text;
}
