/* tier_link.h - one server of the tier: its connection, the ops that wait for it, its breakers, and
 * its grace. Private to daemon/tier.
 *
 *   DOWN        no connection. Ops may wait: then the next turn connects
 *   CONNECTING  the name is looked up, the socket connects, or TLS shakes hands
 *   GREETING    connected; AUTH, SELECT, CLIENT SETNAME and CLUSTER SLOTS have been sent
 *   READY       ops are sent
 *
 * Ops first wait in a queue, and are given back from there if the breaker opens. When they are
 * written they become calls (tier_calls.h).
 *
 * A connection that is lost while a breaker is closed is followed by a grace (fleet/grace.h), in
 * which the link connects again and again. The queue waits, each op until its deadline. Reads and
 * leases without a reply go back into it. Other writes that were sent fail. At the end of the grace
 * without a connection both breakers open, and all ops fail. */
#ifndef FC_DAEMON_TIER_LINK_H
#define FC_DAEMON_TIER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config/tier_url.h"
#include "daemon/fleet/breaker.h"
#include "daemon/fleet/fleet_io.h"
#include "daemon/fleet/fleet_report.h"
#include "daemon/fleet/grace.h"
#include "daemon/tier/host_lookup.h"
#include "daemon/tier/resp_reader.h"
#include "daemon/tier/resp_writer.h"
#include "daemon/tier/tier_calls.h"
#include "daemon/tier/tier_stream.h"

#define TIER_NAME_BYTES 280u /* "HOST:PORT", or "unix:PATH" */
#define TIER_CAUSE_BYTES 200u
#define TIER_TRIES_MAX 5u /* of an op that the tier redirects, in all */
#define TIER_PROBE_KEY_BYTES 128u

struct tier_io;

enum tier_link_state { LINK_DOWN, LINK_CONNECTING, LINK_GREETING, LINK_READY };

struct tier_link_counts {
  uint64_t reads, hits, misses, writes, timeouts, errors, connections, redirects;
};

struct tier_link {
  struct tier_io *tier;
  struct tier_link *next; /* in the list of all servers */
  uint64_t serial;
  char name[TIER_NAME_BYTES];
  const struct tier_address *addresses; /* places of the same server, of which one is used */
  size_t n_addresses, address;
  struct tier_address own; /* of a server of a cluster */

  enum tier_link_state state;
  struct host_lookup lookup;
  struct host_addresses found; /* by the latest lookup */
  size_t found_address;        /* of `addresses`: that of the latest lookup */
  size_t found_next;           /* the first of them that was not tried */
  uint64_t found_ns;
  struct tier_stream *stream; /* NULL: none */
  struct resp_reader reader;  /* while there is a stream */
  uint64_t begun_ns;          /* of the connection */
  uint64_t progress_ns;       /* of the latest bytes, or of the first call without a reply */
  uint32_t greetings;         /* replies of the handshake that are missing */
  bool paused;                /* another server receives a large reply */
  bool resume;                /* its turn has come */
  uint64_t paused_ns;         /* since then */

  struct fleet_op *first, *last; /* the queue */
  uint32_t n_queued;
  struct tier_calls calls;
  struct fleet_op *writing; /* the op of the last call, of which a part is written */
  size_t written;           /* its whole commands */
  struct resp_position position;

  struct breaker breakers[FLEET_OP_CLASSES];
  bool probe_wanted[FLEET_OP_CLASSES];
  uint64_t since_ns[FLEET_OP_CLASSES];             /* the breaker's state began */
  char causes[FLEET_OP_CLASSES][TIER_CAUSE_BYTES]; /* of its latest opening */
  char refused[TIER_CAUSE_BYTES];                  /* the latest error about a lease */
  bool stopped[FLEET_OP_CLASSES];                  /* as the log last said */
  uint64_t stopped_ns;

  struct grace grace;
  char lost_text[TIER_CAUSE_BYTES]; /* of the latest loss in the grace */

  bool connect_wanted; /* also without an op */
  bool slots_wanted;   /* ask for the map of the cluster */
  bool move_wanted;    /* close the connection and connect to the next address */
  bool gone;           /* it has left the cluster: free it when its calls have ended */
  bool is_replica;     /* by its reply to ROLE */
  size_t n_replicas;   /* addresses in a row with a replica */
  bool broken;         /* close the connection in the next turn, because of: */
  enum breaker_cause broken_cause;
  bool broken_lost; /* as tier_link_break_lost says */
  char broken_text[TIER_CAUSE_BYTES];
  bool other_address; /* and try another address */

  uint16_t probe_key; /* see tier_send.c */
  uint32_t n_slots;   /* of a cluster */
  const char *role;
  struct tier_link_counts counts;
  struct fc_histogram latencies[FLEET_OP_CLASSES];
};

/* Makes a server in the state DOWN. `addresses` is borrowed; NULL: *own is copied. Returns NULL if
 * memory or descriptors are out. */
struct tier_link *tier_link_new(struct tier_io *tier, const struct tier_address *addresses,
                                size_t n, const struct tier_address *own);

/* Closes the connection. Its ops are given back without a call of `done`. The memory is freed when
 * the loop has closed the handles. */
void tier_link_free(struct tier_link *link);

/* As fleet_io.h says. `flags` are those of tier_commands.h. */
bool tier_link_submit(struct tier_link *link, struct fleet_op *op, uint32_t flags);
void tier_link_cancel(struct tier_link *link, struct fleet_op *op);

/* Ends an op that is in no queue and no call. */
void tier_link_finish(struct tier_link *link, struct fleet_op *op, const struct fleet_reply *reply,
                      uint64_t now_ns);

/* Closes the connection, which has no calls, as after an idle time. Not within resp_reader_feed. */
void tier_link_rest(struct tier_link *link);

/* Returns whether the link is that of the URLs. */
bool tier_link_is_seed(const struct tier_link *link);

/* Connects, sends, or closes a broken connection, whatever is due. Once per turn. */
void tier_link_turn(struct tier_link *link, uint64_t now_ns);

/* Acts on deadlines and probes that are due. Call it after the loop has received all that has
 * arrived. */
void tier_link_expire(struct tier_link *link, uint64_t now_ns);

/* Returns when the next deadline or probe may be due, or UINT64_MAX. */
uint64_t tier_link_next_ns(const struct tier_link *link);

/* ---- between the files of the server ---- */

/* tier_failure.c: marks the connection broken. The next turn closes it. The first mark counts.
 * _lost: the server may be back soon, so there may be a grace. */
void tier_link_break(struct tier_link *link, enum breaker_cause cause, const char *text);
void tier_link_break_lost(struct tier_link *link, const char *text);

/* Closes the connection, reports to the breakers, and gives all ops back. tier_link_lose does so
 * only if there is no grace. tier_link_fail_broken does one of both for a connection that is marked
 * broken. Not within resp_reader_feed. */
void tier_link_fail(struct tier_link *link, enum breaker_cause cause, const char *text,
                    uint64_t now_ns);
void tier_link_lose(struct tier_link *link, const char *text, uint64_t now_ns);
void tier_link_fail_broken(struct tier_link *link, uint64_t now_ns);

/* While there is a grace: ends the ops whose deadline has passed, or the grace; and returns when
 * something of it is due. */
void tier_link_expire_grace(struct tier_link *link, uint64_t now_ns);
uint64_t tier_link_next_of_grace_ns(const struct tier_link *link);

/* tier_link.c: closes the connection. The calls and the queue stay. */
void tier_link_close(struct tier_link *link);

/* Puts an op that was sent before those of the queue, which were not. */
void tier_link_put_back(struct tier_link *link, struct fleet_op *op, uint32_t flags);

/* Sets the name from the address that is used. */
void tier_link_set_name(struct tier_link *link);

/* Removes an op from the queue. */
void tier_link_unlink(struct tier_link *link, struct fleet_op *op);

/* Counts a result for the breaker of a class. `text` says why it failed. */
void tier_link_succeeded(struct tier_link *link, enum fleet_op_class class, uint64_t permit,
                         uint64_t now_ns);
void tier_link_failed(struct tier_link *link, enum fleet_op_class class, uint64_t permit,
                      enum breaker_cause cause, const char *text, uint64_t now_ns);

/* Logs if the server serves less or more than the log last said. */
void tier_link_log_state(struct tier_link *link, uint64_t now_ns);

/* tier_connect.c */
void tier_link_connect(struct tier_link *link, uint64_t now_ns);
void tier_link_found(void *arg, const struct host_addresses *found, const char *error);
extern const struct tier_stream_events tier_link_events;

/* tier_greeting.c: sends the handshake's commands, and takes a reply to one. */
void tier_greeting_send(struct tier_link *link, uint64_t now_ns);
void tier_greeting_reply(struct tier_link *link, enum tier_call_kind kind,
                         const struct resp_reply *reply, uint64_t now_ns);

/* tier_send.c: writes as much as there is room for. */
void tier_link_send(struct tier_link *link, uint64_t now_ns);
/* Makes a read of a key of the server, which shows whether it serves keys. */
void tier_link_make_probe(struct tier_link *link, struct resp_command *command,
                          enum fleet_op_class class, char key[TIER_PROBE_KEY_BYTES]);

/* tier_receive.c: a callback of the reader. */
void tier_link_reply(void *arg, const struct resp_reply *reply);
/* Sets the reader's limit for the oldest call. */
void tier_link_set_limit(struct tier_link *link);

#endif
