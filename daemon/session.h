/* session.h - what a connection has said and done: the dispatcher's view of a
 * client. Plain data, owned by its connection. */
#ifndef FC_DAEMON_SESSION_H
#define FC_DAEMON_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/counters.h"
#include "proto/key.h"
#include "proto/limits.h"

struct namespace;
struct clear_job;

struct session {
  uint64_t client_id; /* never used twice; the owner of what this client puts */
  bool greeted;       /* a hello was accepted */
  bool admin;         /* may clear what is not its own, control the trace, shut down */
  char name_data[FC_NAME_MAX + 1];
  struct namespace *ns; /* a counted reference; NULL: a tool */
  struct counters counters;
  struct fc_str name;      /* of the client: points into name_data */
  uint32_t many_next;      /* get_many under way: the first index not answered yet */
  struct clear_job *clear; /* a clear under way: owned; NULL: none */
};

#endif
