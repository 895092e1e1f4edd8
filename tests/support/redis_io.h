/* redis_io.h - a fleet_io on a real server, for tests of what the scripts do there: it executes the
 * ops one after the other when the test says so, and blocks until the server has replied. */
#ifndef FC_TESTS_REDIS_IO_H
#define FC_TESTS_REDIS_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fleet/fleet_io.h"
#include "tests/support/tier_server.h"

struct redisContext;

struct redis_io {
  struct fleet_io io; /* first */
  struct redisContext *context;
  struct fleet_op *first, *last; /* submitted */
  uint64_t executed[FLEET_OP_KINDS];
  /* Faults, which the test sets at any time */
  bool is_down;        /* submit returns false */
  bool loses_requests; /* no op is executed, and each ends with FLEET_TIMEOUT */
  bool loses_replies;  /* each op is executed, and ends with FLEET_TIMEOUT */
};

void redis_io_init(struct redis_io *io, const struct tier_server *server);
void redis_io_deinit(struct redis_io *io);

/* Executes the oldest op, and calls its `done`. Returns false if there is none. */
bool redis_io_step(struct redis_io *io, uint64_t now_ns);

#endif
