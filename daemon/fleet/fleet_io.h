/* fleet_io.h - what the fleet needs from the transport to the tier: operations on named keys, with
 * replies. daemon/tier/ implements it on sockets, and tests and the simulation without any.
 *
 * OWNERSHIP. The caller owns a fleet_op and all that it points to. From a submit that returned true
 * the transport borrows both, until it calls `done` (exactly once) or until cancel returns. Both
 * give the op back: `done` may free it or submit it again. The reply and all that it points to are
 * borrowed during `done` only.
 *
 * NO RE-ENTRANCE. Neither submit nor cancel calls `done`, of this op or another. A failure that
 * submit finds out is its result, and any later one is delivered in another turn. `done` may call
 * submit and cancel.
 *
 * ORDER. Ops whose keys have one hash tag reach the tier in the order in which they were submitted,
 * unless a connection fails or the tier redirects one of them. The transport collects the ops of a
 * turn and writes once for each server.
 *
 * LOST CONNECTIONS. A server that has served gets a deadline to come back (grace.h). Until then
 * submit takes ops, and those that were not sent wait, each until its own deadline. READ, VERSION,
 * LEASE, LIST, TABLE and GET_FIELD are sent again if they had no reply, with `sent` false until
 * then. A LEASE that was granted before is granted again. Other ops that were sent end with
 * FLEET_DOWN.
 *
 * TIME. All times are CLOCK_MONOTONIC in ns. An op without the first byte of its reply at
 * `deadline_ns`, or without the whole reply FLEET_IO_DEADLINES times as long after its submit, ends
 * with FLEET_TIMEOUT. It may have been executed.
 *
 * LOST OPS. Sessions wait for fills, and a fill waits for its op. A transport that forgot an op
 * would make them wait for ever. So the owner looks at it after FLEET_IO_LOST_DEADLINES, by
 * fleet_io_end_lost. One thread. */
#ifndef FC_DAEMON_FLEET_IO_H
#define FC_DAEMON_FLEET_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"

#define FLEET_IO_DEADLINES 4u
#define FLEET_IO_LOST_DEADLINES 8u
#define FLEET_OP_ARGS 6u /* of a script */

/* The operations, as commands of the tier. `key`, `more` and so on are fields of the op. NONE is
 * FLEET_NONE, the status of the reply. */
enum fleet_op_kind {
  FLEET_OP_READ,      /* GETRANGE key 0 limit-1: reply.value, or NONE if it is empty */
  FLEET_OP_VERSION,   /* HMGET key id n: reply.value is `id` and reply.number is `n` (0 without
                         one); NONE if there is neither */
  FLEET_OP_LEASE,     /* SET more token NX PX time_ms, then GETRANGE key 0 limit-1, in one
                         pipeline: reply.granted and reply.value (empty: size 0). The token is
                         in no other lease */
  FLEET_OP_PUBLISH,   /* SET key payload NX [PX time_ms]: NONE if the key has a value */
  FLEET_OP_OVERWRITE, /* SET key payload [PX time_ms] */
  FLEET_OP_SCRIPT,    /* EVALSHA script 1 key args..., or EVAL if the tier does not know it:
                         reply.number; or reply.value for a string, reply.items for a list */
  FLEET_OP_LIST,      /* LRANGE key first last: reply.items */
  FLEET_OP_TABLE,     /* HGETALL key: reply.items, field and value in turn */
  FLEET_OP_GET_FIELD, /* HGET key more: reply.value, or NONE */
  FLEET_OP_SET_FIELD, /* HSET key more payload */
  FLEET_OP_KINDS
};

/* A breaker (breaker.h) counts each class for itself: a full tier refuses writes and serves reads.
 */
enum fleet_op_class { FLEET_READS, FLEET_WRITES, FLEET_OP_CLASSES };

enum fleet_status {
  FLEET_OK,
  FLEET_NONE,    /* executed, without a value or an effect: see the kinds */
  FLEET_TIMEOUT, /* past a deadline: executed or not */
  FLEET_DOWN,    /* the connection was lost, or the breaker opened: executed or not */
  FLEET_REFUSED, /* the tier's error reply: `text` has it */
  FLEET_WRONG,   /* the key has a value of another type (WRONGTYPE), or the reply makes no sense */
  FLEET_STATUSES
};

struct fleet_reply {
  enum fleet_status status;
  bool granted;      /* LEASE: the lease was free, and has our token now */
  int64_t number;    /* SCRIPT, VERSION */
  const void *value; /* READ, LEASE, VERSION, GET_FIELD, SCRIPT */
  size_t size;
  const struct fc_str *items; /* LIST, TABLE, SCRIPT */
  size_t n_items;
  const char *text; /* the cause of a failure, for people: one line; NULL: none */
};

/* A script of the tier. Static. */
struct fleet_script {
  const char *name; /* for people */
  const char *text;
};

struct fleet_op {
  /* Set by the caller before submit. Those that the kind does not name are not read. */
  enum fleet_op_kind kind;
  enum fleet_op_class class;
  struct fc_str key;     /* its name in the tier; also names the server in a cluster */
  struct fc_str more;    /* LEASE: the name of the lease. *_FIELD: the field */
  struct fc_str token;   /* LEASE */
  struct fc_str payload; /* PUBLISH, OVERWRITE, SET_FIELD */
  uint64_t time_ms;      /* LEASE; PUBLISH and OVERWRITE: 0 for ever */
  uint64_t limit;        /* READ, LEASE: bytes, at least 1 */
  int64_t first, last;   /* LIST */
  const struct fleet_script *script;
  struct fc_str args[FLEET_OP_ARGS];
  uint32_t n_args;
  uint64_t deadline_ns; /* for the first byte of the reply */
  void (*done)(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns);

  /* Written by fleet_io_submit and fleet_io_end_lost. */
  uint64_t lost_ns; /* when the owner calls fleet_io_end_lost */
  bool is_overdue;  /* it was called after that once */

  /* Written by the transport, read by the caller. submit resets them. */
  bool sent;      /* it has been written, or its writing has begun */
  bool answering; /* the first bytes of its reply have come */

  /* Private to the transport. submit resets them too. */
  struct fleet_op *next, *prev;
  void *server;
  uint64_t submitted_ns, end_ns, permit;
  uint32_t tries, step;
  uint16_t slot;
};

/* The transport. Outlives the fleet. */
struct fleet_io {
  /* Takes the op. Returns false, with the op still the caller's, if its server cannot be asked at
   * present: the breaker of its class is open, or it has no connection and none may be made. This
   * costs nothing. */
  bool (*submit)(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns);
  /* Gives a submitted op back without a reply. It may be executed later. */
  void (*cancel)(struct fleet_io *io, struct fleet_op *op);
  uint64_t lost; /* ops that fleet_io_end_lost has ended */
};

/* As `submit`. */
bool fleet_io_submit(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns);
static inline void fleet_io_cancel(struct fleet_io *io, struct fleet_op *op) {
  io->cancel(io, op);
}

/* Ends a submitted op that is lost: cancels it, calls `done` with FLEET_TIMEOUT, and returns true.
 * Does nothing before op->lost_ns. The first call after that only makes op->lost_ns later: the
 * daemon itself may have been stopped, and its transport have had no turn since. */
bool fleet_io_end_lost(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns);

#endif
