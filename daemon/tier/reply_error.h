/* reply_error.h - sorts the error replies of Valkey and Redis by what the client does about them.
 * Their first word is the code: "MOVED 3999 10.0.0.7:6381". Replies are hostile input. No I/O. */
#ifndef FC_DAEMON_REPLY_ERROR_H
#define FC_DAEMON_REPLY_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/tier/cluster_ranges.h"

enum reply_error {
  REPLY_REFUSED,     /* concerns the command: the server itself is well */
  REPLY_WRONG_TYPE,  /* the key has a value of another type */
  REPLY_NO_SCRIPT,   /* EVALSHA: the server does not know the script */
  REPLY_MOVED,       /* another server has the slot */
  REPLY_ASK,         /* another server has the key already: ask it once */
  REPLY_TRY_AGAIN,   /* the slot is moving: the same command succeeds soon */
  REPLY_UNAVAILABLE, /* the server cannot serve this class: LOADING, OOM, READONLY, NOAUTH, ... */
  REPLY_UNAUTHORIZED /* as REPLY_UNAVAILABLE, and another connection may help: NOAUTH, WRONGPASS */
};

/* The server that a redirection names. */
struct redirect {
  uint16_t slot;
  uint16_t port;
  char host[CLUSTER_HOST_BYTES]; /* empty: the host that was asked */
};

/* Returns the kind of an error reply. */
enum reply_error reply_error_kind(const char *text, size_t size);

/* Parses the text of REPLY_MOVED or REPLY_ASK. Returns false if it is malformed. */
bool reply_error_redirect(const char *text, size_t size, struct redirect *redirect);

#endif
