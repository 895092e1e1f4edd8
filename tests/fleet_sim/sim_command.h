/* sim_command.h - one operation on its way to a simulated tier server and back: a copy of the
 * fleet_op, because the node may take that back in the meantime, and the reply. */
#ifndef FC_TESTS_SIM_COMMAND_H
#define FC_TESTS_SIM_COMMAND_H

#include "daemon/fleet/fleet_io.h"
#include "tests/fleet_sim/sim_db.h"

struct sim_command {
  struct sim_command *next, *next_in_flight;
  struct fleet_op *op;       /* NULL: it was cancelled or has ended, or it is a probe */
  enum fleet_op_class class; /* whose breaker it concerns: */
  uint64_t permit;           /* 0: it is a probe */
  uint64_t deadline_ns;
  bool again;     /* its op was sent before, by a connection that was lost */
  uint64_t limit; /* of the bytes of a reply's value */
  struct fleet_op copy;
  struct sim_blob *payload;
  /* The reply. */
  enum fleet_status status;
  bool granted;
  int64_t number;
  struct sim_blob *value;
  struct sim_items items;
  struct fc_str *views; /* of the items */
  char bytes[];         /* of the copy's texts */
};

struct sim_command *sim_command_new(struct fleet_op *op);
void sim_command_free(struct sim_command *command);

/* Runs the command as a tier server does, and keeps the reply. */
void sim_command_execute(struct sim_command *command, struct sim_db *db, uint64_t now_ns);

/* Returns the reply, which borrows from the command. */
struct fleet_reply sim_command_reply(struct sim_command *command);

#endif
