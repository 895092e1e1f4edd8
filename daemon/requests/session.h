/* session.h - what a connection has said and done: the dispatcher's view of a
 * client. Plain data, owned by its connection. */
#ifndef FC_DAEMON_SESSION_H
#define FC_DAEMON_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/leases/leases.h"
#include "daemon/rings/client_time.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/wire/message.h"

struct namespace;
struct user;
struct clear_job;
struct client_ring;
struct process;
struct sink;

/* How far a get_many or put_many is, of which a part is done in each turn. Zero between requests.
 */
struct many_progress {
  uint32_t next;                   /* the first index that is not done */
  size_t values_bytes;             /* put_many: of the encoded values that are done */
  struct fc_put_many_reply counts; /* put_many: so far */
  int failed;                      /* put_many: an FC_* error; 0: none */
  uint64_t wall_ns;                /* put_many: charged, of the values that are not done */
  uint32_t given_up;               /* give_up: leases, so far */
};

/* A batch whose values come in several put_many, one behind the other. Zero: none. */
struct batch_progress {
  uint32_t size; /* prompts that came */
  uint32_t left; /* that it may still have, by what the client said of it */
};

/* What takes a good part of a millisecond, or many turns, is done in slices, and those of a kind
 * take turns: so short requests do not wait for long ones, nor workers for tools. */
enum slice_kind {
  SLICE_LOOKUPS,           /* many keys at once; a lower limit */
  SLICE_TOOLS,             /* stats, listings, clears */
  SLICE_KINDS,             /* users.h counts them in USER_LINES */
  SLICE_NONE = SLICE_KINDS /* short */
};

struct session {
  uint64_t client_id;  /* never used twice */
  pid_t pid;           /* of the peer, as the kernel has it; 0: of another pid namespace */
  uint64_t start_time; /* of that process, see peer.h; 0: not known */
  uid_t uid;
  bool uid_unknown;    /* the number may be any user's: see id_map.h */
  struct user *user;   /* of that uid; borrowed; NULL: not known, see users.h */
  bool reserved;       /* it has a connection that is reserved for administrators' tools */
  bool killed;         /* an administrator wants it closed */
  bool greeted;        /* a hello was accepted */
  uint32_t version;    /* of the protocol; 0 before the welcome */
  uint64_t serial;     /* order of the welcomes */
  uint64_t greeted_ns; /* CLOCK_MONOTONIC */
  bool admin;          /* has the rights of an administrator: see permissions.h */
  char name_data[FC_NAME_MAX + 1];
  struct namespace *ns; /* a counted reference; NULL: a tool */
  bool made_namespace;  /* its hello made it */
  struct fc_str name;   /* of the client: points into name_data */
  struct many_progress many;
  struct batch_progress batch;
  struct client_time time;
  struct clear_job *clear;     /* a clear under way: owned; NULL: none */
  struct client_ring *ring;    /* owned, see rings.h; NULL: it has none */
  bool asked_for_region;       /* and it could have it: it is to have a ring */
  struct lease_holder leases;  /* what it computes and waits for */
  struct process *process;     /* since the welcome; NULL: not known, a process of its own */
  struct sink *sink;           /* for answers to waits; borrowed, set by the welcome */
  bool unanswerable;           /* there was no memory for such an answer: it is to be dropped */
  uint64_t hits, shared_hits;  /* recorded, that were messages; a ring's are in its account */
  struct session *next, *prev; /* among the greeted, in the order of their welcomes */
  bool marked_trace;           /* a request waits for the lines up to rings_mark */
  bool waits_for_trace;        /* the last frame is to be tried again when a timer says so */
  enum slice_kind slice_kind;  /* of the last frame that came to DISPATCH_LATER */
};

/* What its entries say of who put them (entry_origin): the same for all connections of a process.
 */
uint32_t session_origin(const struct session *session);

#define SESSION_TEXT_SIZE (FC_NAME_MAX + 64)

/* Who it is, for the log: "NAME (pid P, user U)". Returns `text`. */
const char *session_text(const struct session *session, char text[SESSION_TEXT_SIZE]);

#endif
