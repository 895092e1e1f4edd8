/* session.h - the state of a client that requests/ keeps for its connection. Plain data, owned by
 * the connection. */
#ifndef FC_DAEMON_SESSION_H
#define FC_DAEMON_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/fleet/fleet.h"
#include "daemon/leases/leases.h"
#include "daemon/rings/client_time.h"
#include "daemon/usage/usage.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/wire/message.h"

struct namespace;
struct user;
struct clear_job;
struct client_ring;
struct process;
struct reply_sink;
struct watcher;

/* Progress of a request of many keys, which is executed in slices. Zero between requests. */
struct many_progress {
  uint32_t next;                   /* the first index that is not done */
  size_t values_bytes;             /* put_many: encoded bytes of the values that are done */
  struct fc_put_many_reply counts; /* put_many: so far */
  int failed;                      /* put_many: an FC_* error, or 0 */
  uint64_t wall_ns;                /* put_many: charged time of the values that are not done */
  uint32_t given_up;               /* give_up: leases so far */
};

/* A batch whose values come in several consecutive put_many. Zero: none. */
struct batch_progress {
  uint32_t size; /* prompts received */
  uint32_t left; /* prompts that may follow, by the size that the client stated */
};

/* The times of the request in progress, over all of its slices. Zero between requests. */
struct request_times {
  uint64_t arrived_ns; /* CLOCK_MONOTONIC, set by the caller of dispatch_frame; 0: not known */
  uint64_t serve_ns, send_ns, tier_ns; /* so far: see enum latency_kind */
  uint64_t parked_ns; /* CLOCK_MONOTONIC, since it waits for the tier; 0: it does not */
  uint64_t bytes;     /* of its replies so far */
};

/* What the request in progress has asked the fleet for. Zero between requests. */
struct fleet_asking {
  uint32_t keys;     /* those before this index were asked for, and are not asked for again */
  uint32_t waited;   /* a get_many: the fills before this index were waited for, or the last is */
  bool is_timed;     /* it was parked: its time counts from then on, */
  uint64_t since_ns; /* CLOCK_MONOTONIC, */
  uint64_t begun;    /* with this share of leases.sharing */
};

/* A delete whose reply has to wait. Zero between requests. */
struct deleting {
  bool active;     /* it is in effect, and its record is not on disk yet: */
  uint64_t ticket; /* of the record; see struct control */
  bool existed;
  struct fleet_step *step; /* in the fleet; NULL: none */
};

/* A request that takes a good part of a millisecond, or several turns, is executed in slices. The
 * slices of one kind take turns, so short requests do not wait for long ones, nor workers for
 * tools. */
enum slice_kind {
  SLICE_LOOKUPS,           /* requests of many keys; a lower limit */
  SLICE_TOOLS,             /* stats, listings, clears */
  SLICE_KINDS,             /* users.h has a queue for each: USER_QUEUES */
  SLICE_NONE = SLICE_KINDS /* a short request */
};

struct session {
  uint64_t client_id;  /* never reused */
  pid_t pid;           /* of the peer, from the kernel; 0: in another pid namespace */
  uint64_t start_time; /* of that process, see peer.h; 0: unknown */
  uid_t uid;
  bool uid_unknown;      /* several users may have that uid: see id_map.h */
  struct user *user;     /* borrowed; NULL: unknown, see users.h */
  bool reserved;         /* uses a connection that is reserved for administrators */
  bool killed;           /* an administrator closed it */
  bool handshake_done;   /* a hello was accepted */
  uint32_t version;      /* of the protocol; 0 before the welcome */
  uint64_t serial;       /* order of the welcomes */
  uint64_t handshake_ns; /* CLOCK_MONOTONIC */
  bool admin;            /* has an administrator's permissions: see permissions.h */
  char name_data[FC_NAME_MAX + 1];
  struct namespace *ns; /* a counted reference; NULL: a tool */
  bool made_namespace;  /* its hello created the namespace */
  struct fc_str name;   /* of the client: points into name_data */
  struct many_progress many;
  struct batch_progress batch;
  struct request_times times;
  struct fleet_waiter waiter; /* while the request is parked */
  struct fleet_asking asking;
  struct client_time time;
  struct clear_job *clear; /* the clear in progress: owned; NULL: none */
  struct deleting deleting;
  struct client_ring *ring;    /* owned, see rings.h; NULL: none */
  bool region_requested;       /* its hello requested the region, and it can have a ring */
  struct lease_client leases;  /* its leases and waits */
  struct process *process;     /* since the welcome; NULL: unknown */
  uint32_t origin;             /* number of its process in the entries that it puts */
  struct reply_sink *sink;     /* borrowed; set by the welcome */
  bool reply_lost;             /* no memory for a deferred reply: the connection must end */
  uint64_t hits, shared_hits;  /* recorded hits by message; a ring's are in its account */
  struct usage_counts usage;   /* of the connection, with the flushed hits of its rings */
  struct session *next, *prev; /* in dispatch->first_session */
  bool waits_for_trace;        /* the last frame, or the end, is tried again by the rings' timer */
  struct watcher *watcher;     /* its events, see watch.h; NULL: it watches nothing */
  bool waits_for_events;       /* the last frame is tried again by dispatch_resume_watchers */
  bool waits_for_record;       /* the last frame is tried again by dispatch_clears_recorded */
  bool waits_for_fleet;        /* the last frame is tried again by dispatch_fill_resolved */
  enum slice_kind slice_kind;  /* of the last frame that returned DISPATCH_NO_SLICE */
};

/* Returns whether something else than a turn continues the last frame, which was not finished. */
static inline bool session_waits(const struct session *session) {
  return session->waits_for_trace || session->waits_for_record || session->waits_for_fleet ||
         session->waits_for_events;
}

/* Returns the session of a waiter, or of a lease's owner that is neither absent nor remote. */
static inline struct session *session_of(const struct lease_client *client) {
  return (struct session *)((uintptr_t)client - offsetof(struct session, leases));
}

/* The owner of a lease, for listings. */
struct session_owner {
  uint64_t client_id; /* 0: absent, or another node */
  struct fc_str name;
  pid_t pid;
};
struct session_owner session_owner_of(const struct lease_client *client);

#define SESSION_TEXT_SIZE (FC_NAME_MAX + 64)

/* Writes "NAME (pid P, user U)" for the log into `text`, and returns it. */
const char *session_text(const struct session *session, char text[SESSION_TEXT_SIZE]);

#endif
