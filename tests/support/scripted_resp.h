/* scripted_resp.h - a tier server that replies as a test says. It runs on the test's loop, and
 * listens on a free port of 127.0.0.1. */
#ifndef FC_TESTS_SCRIPTED_RESP_H
#define FC_TESTS_SCRIPTED_RESP_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/tier/resp_reader.h"

struct scripted_conn;

struct scripted_resp {
  uv_tcp_t listener;
  uint16_t port;
  char url[48]; /* for tier_urls_parse */
  /* Called for each command: an array of texts. Calls scripted_resp_send, scripted_resp_close, or
   * nothing. */
  void (*on_command)(struct scripted_conn *conn, const struct resp_reply *command, void *arg);
  void *arg;
  uint32_t connections, commands;
  struct scripted_conn *first; /* open connections */
};

/* Listens. */
void scripted_resp_start(struct scripted_resp *server, uv_loop_t *loop,
                         void (*on_command)(struct scripted_conn *conn,
                                            const struct resp_reply *command, void *arg),
                         void *arg);

/* Closes all. The loop must run until its handles are closed. */
void scripted_resp_stop(struct scripted_resp *server);

/* Sends bytes, which are copied. */
void scripted_resp_send(struct scripted_conn *conn, const void *bytes, size_t size);
void scripted_resp_send_text(struct scripted_conn *conn, const char *text);

/* Closes the connection after what was sent. */
void scripted_resp_close(struct scripted_conn *conn);

/* Returns whether the command's first word is this, in any case. */
bool scripted_resp_is(const struct resp_reply *command, const char *word);

/* Replies to the commands of the handshake as a single server does. Returns false if the command is
 * another one. */
bool scripted_resp_greet(struct scripted_conn *conn, const struct resp_reply *command);

#endif
