/* conns.h - all connections of the daemon: their number, their turns, the timers that concern
 * several of them, and their end.
 *
 * conn.c and conns.c call each other: a connection schedules itself, and conns resumes it. Loop
 * thread only. */
#ifndef FC_DAEMON_CONNS_H
#define FC_DAEMON_CONNS_H

#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/base/users.h"
#include "daemon/net/input_buffer.h"
#include "daemon/net/owner_deaths.h"
#include "daemon/net/read_budget.h"
#include "daemon/net/reply_budget.h"
#include "daemon/net/send_buffer.h"
#include "daemon/os/peer.h"
#include "daemon/os/ticker.h"
#include "daemon/requests/dispatch.h"

/* Connections above max_clients for administrators, whose tools connect while all others are in
 * use. */
#define CONNS_RESERVED 4u

#define CONNS_LISTENERS 2u

struct conn;

struct conns_limits {
  unsigned max_clients;
  uint64_t hello_timeout_ns;
  uint64_t stall_timeout_ns;
  /* Memory of messages of all clients: half for frames, half for copies in replies. As much as half
   * of it besides for entries that have left the store and are being sent. */
  size_t budget_bytes;
  struct peer_admins admins;
};

struct conns {
  uv_loop_t *loop;
  struct dispatch *dispatch; /* borrowed */
  struct users *users;       /* borrowed */
  struct conns_limits limits;
  struct log *log;
  /* Two pools, because a frame in progress may wait for room for its reply. With one pool, two
   * frames that filled it would wait for each other. */
  struct read_budget frames;
  struct reply_budget replies;
  struct send_buffers send_buffers;

  struct conn *all;
  unsigned count;     /* in `all`: clients, and connections whose sockets linger */
  unsigned allocated; /* also those that are being closed */
  unsigned reserved;  /* of `count`: connections reserved for administrators */

  struct round_robin ready;               /* connections that want a turn */
  struct round_robin slices[SLICE_KINDS]; /* connections that want a slice of that kind */
  uint64_t turn_number;     /* each turn of the loop has two: for queued work and for input */
  uint64_t turn_since_ns;   /* when this turn began to work, uv_hrtime; 0: not yet */
  uint64_t window;          /* number of the time window in which users are counted */
  uint64_t window_ms;       /* its start, by uv_now */
  uint32_t seen;            /* users with requests in it */
  bool contended;           /* several users had requests in this window or the one before */
  bool resuming;            /* queued connections have their turn now */
  bool slicing;             /* one of them has a slice, whatever time its user has used */
  uv_prepare_t reading;     /* runs before input is read */
  uv_idle_t turn;           /* runs while connections are queued or background work is left */
  struct ticker rings;      /* drains rings while there are some */
  unsigned rings_period_ms; /* of `rings`; 0: stopped */
  struct ticker expiry;     /* ends leases and waits */
  struct ticker watchers;   /* resumes watchers while some wait for events */
  bool watchers_wait;       /* `watchers` runs */
  struct owner_deaths owner_deaths;
  uint64_t expiry_ns;     /* when `expiry` fires; UINT64_MAX: not set */
  struct ticker sweep;    /* checks deadlines while there are connections */
  struct ticker pressure; /* drops stalled peers while others wait for memory */
  bool under_pressure;    /* `pressure` runs */

  /* Listeners with a pending connection that could not be accepted yet; or NULL. */
  uv_stream_t *unaccepted[CONNS_LISTENERS];
  unsigned accepts_left; /* in this turn, so that clients that connect all the time leave room */
  bool logged_no_memory, logged_no_descriptors, logged_no_watches;

  bool draining;
  void (*on_shutdown)(void *arg); /* a client requested a shutdown, and has its reply */
  void (*on_empty)(void *arg);    /* see conns_drain */
  void *arg;
  /* Shared by all connections, as one is read at a time. Page-aligned like the kernel's buffers:
   * unaligned, its copy of 3 KB took up to 1.5 us longer (of a put's 12). */
  _Alignas(4096) uint8_t scratch[INPUT_SCRATCH_SIZE];
};

/* Returns the memory for frames above each client's floor: half of the budget, or little more than
 * the largest frame; and a part for whole frames. */
size_t conns_frames_bytes(size_t budget_bytes, uint32_t max_value);

/* Returns the pool of the kernel's send buffers: as much as half of the budget. */
static inline size_t conns_send_bytes(size_t budget_bytes) {
  return budget_bytes / 2;
}

/* Sets the limits of `users` for connections and messages. Returns 0 or FC_EREFUSED. */
int conns_init(struct conns *conns, uv_loop_t *loop, struct dispatch *dispatch, struct users *users,
               const struct conns_limits *limits, struct log *log);

/* Sets other limits. The budget stays as it is. The number of clients and the administrators
 * concern connections that are accepted from now on, the times all. */
void conns_set_limits(struct conns *conns, const struct conns_limits *limits);

/* Begins to watch the owners of adopted leases and the leases' terms, after dispatch_adopt_leases.
 */
void conns_watch_adopted(struct conns *conns);

/* Begins the background work that the dispatch has before its first request, such as the entries of
 * an earlier daemon. */
void conns_run_background(struct conns *conns);

/* The daemon stops: see dispatch_stop_leases. Call it before conns_drain. */
void conns_stop_leases(struct conns *conns);

/* Closes all connections. Then the loop must run until their handles are closed. */
void conns_close(struct conns *conns);

/* Call it after the loop has ended. Asserts that no connection is left. */
void conns_deinit(struct conns *conns);

/* Ends each connection when its accepted work is done and its ring is read. Calls on_empty when
 * none is left. */
void conns_drain(struct conns *conns);

/* ---- accepting ---- */

/* Accepts the pending connection of `listener`. If that is impossible now, tries again in the next
 * turn, or when there is memory; libuv reports no other connection before. For at most
 * CONNS_LISTENERS listeners at a time. */
void conns_accept(struct conns *conns, uv_stream_t *listener);

/* Returns true if the listener has a connection that is to be tried again. */
bool conns_is_unaccepted(const struct conns *conns, const uv_stream_t *listener);

/* ---- turns ---- */

/* Queues the connection for the next turn. Idempotent. */
void conns_enqueue(struct conns *conns, struct conn *conn);

/* Queues the connection for a slice of that kind. One slice of each kind is executed in a turn of
 * the loop, so that short requests do not wait for long ones. Idempotent. */
void conns_enqueue_slice(struct conns *conns, struct conn *conn, enum slice_kind kind);

/* Removes the connection from its queue. Idempotent. */
void conns_dequeue(struct conn *conn);

/* Returns true if the connection's user has used its time in this turn: its request waits for the
 * next one. `uncharged_ns` were used and are not charged yet. */
bool conns_time_is_up(struct conns *conns, struct conn *conn, uint64_t uncharged_ns);

/* Charges time to the connection's user, in this turn. */
void conns_charge_time(struct conns *conns, struct conn *conn, uint64_t ns);

/* A request or a timer begins to work at `now_ns` (uv_hrtime), which is measured until the turn
 * ends. */
static inline void conns_note_turn(struct conns *conns, uint64_t now_ns) {
  if (conns->turn_since_ns == 0)
    conns->turn_since_ns = now_ns;
}

/* ---- timers: call them after what may have changed their times ---- */

void conns_check_pressure(struct conns *conns);      /* a connection waits for memory */
void conns_schedule_background(struct conns *conns); /* dispatch_background_step may have work */
void conns_schedule_rings(struct conns *conns);      /* rings may need a drain sooner */
void conns_schedule_expiry(struct conns *conns);     /* a lease or a wait may end sooner */
void conns_schedule_watchers(struct conns *conns);   /* a watcher may wait */

/* ---- for conn.c ---- */

void conns_add(struct conns *conns, struct conn *conn);
void conns_remove(struct conns *conns, struct conn *conn);
void conns_conn_freed(struct conns *conns); /* a struct conn is freed: another may be accepted */

/* Warns, once, that epoll watches are used up, and what follows for the client. */
void conns_warn_no_watches(struct conns *conns, const char *consequence);

#endif
