#include "daemon/requests/session.h"

#include <stdio.h>

const char *session_text(const struct session *session, char text[SESSION_TEXT_SIZE]) {
  const char *name = session->handshake_done ? session->name_data : "a client before its hello";
  (void)snprintf(text, SESSION_TEXT_SIZE, "%s (pid %ld, user %ld)", name, (long)session->pid,
                 (long)session->uid); /* fits */
  return text;
}
