#include "daemon/requests/session.h"

#include <stdio.h>

#include "daemon/leases/processes.h"

uint32_t session_process_number(const struct session *session) {
  return (uint32_t)(session->process != NULL ? session->process->number : session->client_id);
}

const char *session_text(const struct session *session, char text[SESSION_TEXT_SIZE]) {
  const char *name = session->handshake_done ? session->name_data : "a client that has not said hello";
  (void)snprintf(text, SESSION_TEXT_SIZE, "%s (pid %ld, user %ld)", name, (long)session->pid,
                 (long)session->uid); /* fits */
  return text;
}
