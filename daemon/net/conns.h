/* conns.h - all connections of a daemon: their number, their turns, their end. */
#ifndef FC_DAEMON_CONNS_H
#define FC_DAEMON_CONNS_H

#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/base/users.h"
#include "daemon/net/read_budget.h"
#include "daemon/net/reply_budget.h"
#include "daemon/net/send_buffer.h"
#include "daemon/net/ticker.h"
#include "daemon/os/peer.h"
#include "daemon/requests/dispatch.h"

/* Beyond max_clients, for administrators: their tools connect while all others are in use. */
#define CONNS_RESERVED 4u

struct conn;

struct conns_limits {
  unsigned max_clients;
  uint64_t hello_timeout_ns;
  uint64_t stall_timeout_ns;
  /* In flight, all clients together: half for frames; half for what replies copy, and as much for
   * entries that have left the store and are being sent. */
  size_t budget_bytes;
  struct peer_admins admins;
};

#define CONNS_LISTENERS 2u

struct conns {
  uv_loop_t *loop;
  struct dispatch *dispatch; /* borrowed */
  struct users *users;       /* borrowed */
  struct conns_limits limits;
  struct log *log;
  /* Apart, because a frame in work may wait for room for its reply: from one pool, two frames that
   * filled it would wait for ever. */
  struct read_budget frames;
  struct reply_budget replies;
  struct send_buffers send_buffers;
  struct conn *all;
  unsigned count;     /* of `all`: clients, and those whose sockets linger */
  unsigned allocated; /* those that are being closed included */
  unsigned starved;   /* see struct conn */
  unsigned reserved;  /* of `count`, connections that are reserved for administrators */
  uint64_t next_client_id;
  struct round_robin ready;               /* connections that want another turn */
  struct round_robin slices[SLICE_KINDS]; /* whose next request is a slice (enum slice_kind) */
  uint64_t turn_number;             /* a turn of the loop has two: what was queued, what comes in */
  uint64_t window;                  /* number of the one under way, in which users are counted */
  uint64_t window_ms;               /* when it began, as uv_now has it */
  uint32_t seen;                    /* users with requests in it */
  bool contended;                   /* there were several, in it or in the one before */
  bool resuming;                    /* connections that were queued have their turn */
  bool slicing;                     /* one of these has a slice, whatever its user had before */
  uv_prepare_t reading;             /* before what comes in is read */
  uv_idle_t turn;                   /* runs while a connection is queued or there are chores */
  struct ticker rings;              /* reads the rings while there are some */
  unsigned rings_period_ms;         /* of `rings`; 0: stopped */
  struct ticker expiry;             /* ends leases and waits that have had their time */
  uint64_t expiry_ns;               /* when it is set to; UINT64_MAX: it is not */
  struct ticker sweep;              /* looks at the deadlines while there are connections */
  struct ticker pressure;           /* cuts who is stalled while others wait for room */
  bool under_pressure;              /* it runs */
  /* Listeners with a connection that libuv has accepted and we have not taken; or NULL. */
  uv_stream_t *unaccepted[CONNS_LISTENERS];
  unsigned accepts_left; /* in this turn: one client that connects all the time takes no more */
  bool said_no_memory, said_no_descriptors, said_no_watches;
  bool draining;
  void (*on_shutdown)(void *arg); /* a client asked for the daemon's end, and was answered */
  void (*on_empty)(void *arg);    /* after conns_drain: see there */
  void *arg;
  /* What is being read, for one connection at a time. On a page's boundary, as the kernel's own
   * buffers are: elsewhere its copy of 3 KB took up to 1.5 us longer (of a put's 12). */
  _Alignas(4096) uint8_t scratch[65536];
};

/* Memory for frames beyond each client's floor: half of the budget, or a little more than the
 * largest frame; and some for frames that are whole. */
size_t conns_frames_bytes(size_t budget_bytes, uint32_t max_value);

/* The pool of large send buffers, which are the kernel's: as much as half of the budget. */
static inline size_t conns_send_bytes(size_t budget_bytes) {
  return budget_bytes / 2;
}

/* Sets the limits of `users` that concern connections and messages. */
int conns_init(struct conns *conns, uv_loop_t *loop, struct dispatch *dispatch, struct users *users,
               const struct conns_limits *limits, struct log *log);

/* Takes the connection that `listener` has pending, or sees that it is tried again, in the next
 * turn or when there is memory: libuv accepts no other before that one. At most CONNS_LISTENERS
 * listeners at a time. */
void conns_accept(struct conns *conns, uv_stream_t *listener);

/* Has the listener a connection that is to be tried again? */
bool conns_is_unaccepted(const struct conns *conns, const uv_stream_t *listener);

/* Closes what is left; the loop must then run until the handles are closed. The rings are not
 * looked at any more: lines that they owe are the caller's to see to (rings_pay_all). */
void conns_close(struct conns *conns);

/* After the loop has ended. */
void conns_deinit(struct conns *conns);

/* Every connection ends when what it had sent is answered; when the last one is gone, and the lines
 * of the trace that their rings owed are made, then on_empty. */
void conns_drain(struct conns *conns);

/* Queues a connection for the next turn, unless it is queued; idempotent. */
void conns_enqueue(struct conns *conns, struct conn *conn);

/* Queues a connection until there is a turn for a slice of that kind. One slice of each kind is
 * done in one turn of the loop, so that short requests in between do not wait for long ones. */
void conns_enqueue_slice(struct conns *conns, struct conn *conn, enum slice_kind kind);

/* The connection has a request: has its user had its time in this turn? Then the request waits for
 * the next turn. `since_ns`: of its time, this part is not counted yet (conns_charge_time). */
bool conns_time_is_up(struct conns *conns, struct conn *conn, uint64_t since_ns);

/* Counts the time since then as its user's, in this turn. */
void conns_charge_time(struct conns *conns, struct conn *conn, uint64_t since_ns);

/* Some connection waits for memory: while that is so, a peer that holds some and makes no progress
 * is cut. */
void conns_check_pressure(struct conns *conns);

/* Makes sure that the dispatcher's chores are done in the turns to come. */
void conns_schedule_background(struct conns *conns);

/* Makes sure that the rings are looked at as often as what is known of them asks for. */
void conns_schedule_rings(struct conns *conns);

/* Makes sure that leases and waits end in time. */
void conns_schedule_expiry(struct conns *conns);

/* For conn.c: entering and leaving the set. */
void conns_add(struct conns *conns, struct conn *conn);
void conns_remove(struct conns *conns, struct conn *conn);
void conns_dequeue(struct conn *conn); /* it gets no more turns */
void conns_conn_freed(struct conns *conns); /* a struct conn is gone: another may be accepted */

#endif
