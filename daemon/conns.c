#include "daemon/conns.h"

#include <assert.h>
#include <string.h>

#include "daemon/conn.h"
#include "daemon/store.h"
#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/limits.h"

#define SWEEP_MS 250u   /* how late a deadline may be noticed */
#define PRESSURE_MS 10u /* the same for a peer without progress, while others wait for room */
/* Each takes some 50 us, with what comes of it. libuv alone would accept as long as clients come,
 * and nobody else would have a turn: not those that left, either, whose connections would still
 * count. */
#define ACCEPTS_A_TURN 8u
#define SLICES_A_TURN 1u /* of each kind; each takes about a millisecond at worst */

/* ---- turns ---- */

static void enqueue(struct conns_queue *queue, struct conn *conn) {
  conn->queue = queue;
  conn->next_queued = NULL;
  conn->prev_queued = queue->last;
  *(queue->last == NULL ? &queue->first : &queue->last->next_queued) = conn;
  queue->last = conn;
}

static void leave_queue(struct conn *conn) {
  struct conns_queue *queue = conn->queue;
  if (queue == NULL)
    return;
  *(conn->prev_queued == NULL ? &queue->first : &conn->prev_queued->next_queued) =
      conn->next_queued;
  *(conn->next_queued == NULL ? &queue->last : &conn->next_queued->prev_queued) = conn->prev_queued;
  conn->queue = NULL;
}

/* A slice that comes while none waits for its turn needs none. */
static void allow_slices(struct conns *conns) {
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    conns->dispatch->slices[kind] = conns->slices[kind].first == NULL ? SLICES_A_TURN : 0;
}

/* Connections that are queued now: one that queues itself again waits for the next turn. */
static void run_ready(struct conns *conns) {
  for (struct conn *conn = conns->ready.first, *next; conn != NULL; conn = next) {
    next = conn->next_queued;
    leave_queue(conn);
    enqueue(&conns->due, conn);
  }
  while (conns->due.first != NULL) {
    struct conn *conn = conns->due.first;
    leave_queue(conn);
    conn_resume(conn);
  }
}

/* One slice for each of the first connections, which then queue up again. */
static void run_slices(struct conns *conns, enum slice_kind kind) {
  struct conns_queue *queue = &conns->slices[kind];
  unsigned *allowed = &conns->dispatch->slices[kind];
  for (unsigned left = SLICES_A_TURN; left > 0 && queue->first != NULL; left--) {
    struct conn *conn = queue->first;
    leave_queue(conn);
    *allowed = 1;
    conn_resume(conn);
    *allowed = 0;
  }
}

static bool has_queued(const struct conns *conns) {
  bool queued = conns->ready.first != NULL;
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    queued = queued || conns->slices[kind].first != NULL;
  return queued;
}

static void accept_again(struct conns *conns) {
  for (unsigned i = 0; i < CONNS_LISTENERS; i++) {
    uv_stream_t *listener = conns->unaccepted[i];
    conns->unaccepted[i] = NULL;
    if (listener != NULL && !uv_is_closing((uv_handle_t *)listener))
      conns_accept(conns, listener);
  }
}

static void on_turn(uv_idle_t *turn) {
  struct conns *conns = turn->data;
  bool late = conns->accepts_left == 0;
  conns->accepts_left = ACCEPTS_A_TURN;
  if (late)
    accept_again(conns);
  allow_slices(conns);
  run_ready(conns);
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    run_slices(conns, (enum slice_kind)kind);
  allow_slices(conns);
  bool chores = dispatch_has_chores(conns->dispatch) && dispatch_chores(conns->dispatch);
  if (!has_queued(conns) && !chores && conns->accepts_left > 0)
    (void)uv_idle_stop(&conns->turn); /* documented never to fail */
}

static void queue_up(struct conns *conns, struct conn *conn, struct conns_queue *queue) {
  if (conn->queue != NULL || conn->closing)
    return;
  enqueue(queue, conn);
  (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
}

void conns_ready(struct conns *conns, struct conn *conn) {
  queue_up(conns, conn, &conns->ready);
}

void conns_slice(struct conns *conns, struct conn *conn, enum slice_kind kind) {
  queue_up(conns, conn, &conns->slices[kind]);
}

void conns_chores(struct conns *conns) {
  if (dispatch_has_chores(conns->dispatch))
    (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
}

static void set_rings_period(struct conns *conns, unsigned period_ms) {
  if (period_ms == conns->rings_period_ms)
    return;
  conns->rings_period_ms = period_ms;
  if (period_ms == 0)
    ticker_stop(&conns->rings);
  else
    ticker_start(&conns->rings, period_ms);
}

/* Is it the end: is nobody left, and no line of the trace owed to who was there? */
static void end_if_empty(struct conns *conns) {
  if (conns->draining && conns->count == 0 && !rings_owe_lines(&conns->dispatch->rings))
    conns->on_empty(conns->arg);
}

/* Who waits for the trace tries again; whose ring is bad is dropped. */
static void on_rings(void *arg) {
  struct conns *conns = arg;
  struct rings *rings = &conns->dispatch->rings;
  for (struct conn *conn = rings->attention ? conns->all : NULL; conn != NULL; conn = conn->next)
    if (conn->session.waits_for_trace || dispatch_fault(&conn->session) != NULL)
      conns_ready(conns, conn);
  set_rings_period(conns, rings_sweep(rings));
  end_if_empty(conns);
}

void conns_rings(struct conns *conns) {
  unsigned period_ms = rings_period_ms(&conns->dispatch->rings);
  if (conns->rings_period_ms == 0 || (period_ms != 0 && period_ms < conns->rings_period_ms))
    set_rings_period(conns, period_ms);
}

static void on_expiry(void *arg) {
  struct conns *conns = arg;
  conns->expiry_ns = UINT64_MAX;
  dispatch_expire(conns->dispatch);
  conns_chores(conns); /* very many waits may have ended */
  conns_expiry(conns);
}

/* Set to what was the first to end, it may tick for nothing, once: cheaper than to set it anew at
 * each lease that ends. */
void conns_expiry(struct conns *conns) {
  uint64_t next_ns = dispatch_next_ns(conns->dispatch);
  if (next_ns >= conns->expiry_ns)
    return;
  conns->expiry_ns = next_ns;
  ticker_once(&conns->expiry, next_ns);
}

/* ---- memory ---- */

/* Large frames that wait can be helped by any holder. Of the replies, large ones wait for what
 * their like hold until the stall timeout, so that slow readers are left in peace; small ones do
 * not. */
static bool is_short_of_memory(const struct conns *conns) {
  return intake_has_waiters(&conns->frames) || quota_has_waiters(&conns->replies, QUOTA_SMALL);
}

static void on_pressure(void *arg) {
  struct conns *conns = arg;
  uint64_t now_ns = uv_hrtime();
  for (struct conn *conn = conns->all, *next; conn != NULL; conn = next) {
    next = conn->next;
    bool frames = intake_has_waiters(&conns->frames);
    bool replies = quota_has_waiters(&conns->replies, QUOTA_SMALL);
    conn_give_way(conn, frames, replies, now_ns);
  }
  conns->under_pressure = is_short_of_memory(conns);
  if (!conns->under_pressure)
    ticker_stop(&conns->pressure);
}

void conns_pressure(struct conns *conns) {
  if (conns->under_pressure || !is_short_of_memory(conns))
    return;
  conns->under_pressure = true;
  ticker_start(&conns->pressure, PRESSURE_MS);
}

/* ---- entering and leaving ---- */

bool conns_is_unaccepted(const struct conns *conns, const uv_stream_t *listener) {
  bool found = false;
  for (unsigned i = 0; i < CONNS_LISTENERS; i++)
    found = found || conns->unaccepted[i] == listener;
  return found;
}

static void try_again(struct conns *conns, uv_stream_t *listener) {
  unsigned i = 0;
  while (conns->unaccepted[i] != NULL && conns->unaccepted[i] != listener)
    i++;
  assert(i < CONNS_LISTENERS); /* there are no more */
  conns->unaccepted[i] = listener;
}

void conns_accept(struct conns *conns, uv_stream_t *listener) {
  if (conns->accepts_left == 0) {
    try_again(conns, listener);
    (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
    return;
  }
  conns->accepts_left--;
  if (conn_accept(conns, listener) == 0) {
    conns->said_no_memory = false;
    return;
  }
  try_again(conns, listener);
  log_once(conns->log, &conns->said_no_memory, LOG_LEVEL_WARNING,
           "no memory for another client: it waits until there is some");
  if (conns->count == 0)
    ticker_start(&conns->sweep, SWEEP_MS);
}

static void on_sweep(void *arg) {
  struct conns *conns = arg;
  accept_again(conns);
  uint64_t now_ns = uv_hrtime();
  for (struct conn *conn = conns->all, *next; conn != NULL; conn = next) {
    next = conn->next;
    conn_check_deadlines(conn, now_ns);
  }
}

void conns_add(struct conns *conns, struct conn *conn) {
  conn->prev = NULL;
  conn->next = conns->all;
  if (conns->all != NULL)
    conns->all->prev = conn;
  conns->all = conn;
  if (conns->count++ == 0)
    ticker_start(&conns->sweep, SWEEP_MS);
}

void conns_remove(struct conns *conns, struct conn *conn) {
  leave_queue(conn);
  if (conn->prev != NULL)
    conn->prev->next = conn->next;
  else
    conns->all = conn->next;
  if (conn->next != NULL)
    conn->next->prev = conn->prev;
  if (--conns->count > 0)
    return;
  if (!conns->said_no_memory)
    ticker_stop(&conns->sweep);
  end_if_empty(conns);
}

int conns_init(struct conns *conns, uv_loop_t *loop, struct dispatch *dispatch,
               const struct conns_limits *limits, struct log *log) {
  memset(conns, 0, sizeof *conns);
  conns->loop = loop;
  conns->dispatch = dispatch;
  conns->limits = *limits;
  conns->log = log;
  size_t frame_bytes = (size_t)dispatch->store->max_value + FC_FRAME_SLACK + FC_FRAME_HEADER;
  intake_init(&conns->frames, limits->budget_bytes / 2, frame_bytes);
  quota_init(&conns->replies, limits->budget_bytes / 2,
             (size_t)dispatch->store->max_value + SENDER_SMALL);
  allow_slices(conns);
  conns->accepts_left = ACCEPTS_A_TURN;
  conns->turn.data = conns;
  if (uv_idle_init(loop, &conns->turn) < 0)
    return FC_EREFUSED;
  conns->rings.fd = conns->expiry.fd = conns->pressure.fd = -1; /* may be closed without */
  conns->expiry_ns = UINT64_MAX;
  int rc = ticker_init(&conns->sweep, loop, on_sweep, conns);
  if (rc == 0)
    rc = ticker_init(&conns->rings, loop, on_rings, conns);
  if (rc == 0)
    rc = ticker_init(&conns->pressure, loop, on_pressure, conns);
  return rc < 0 ? rc : ticker_init(&conns->expiry, loop, on_expiry, conns);
}

void conns_drain(struct conns *conns) {
  conns->draining = true;
  end_if_empty(conns);
  for (struct conn *conn = conns->all; conn != NULL; conn = conn->next)
    conn_drain(conn, true);
}

void conns_close(struct conns *conns) {
  conns->draining = false; /* nobody waits for on_empty any more */
  while (conns->all != NULL)
    conn_close(conns->all);
  if (!uv_is_closing((uv_handle_t *)&conns->turn))
    uv_close((uv_handle_t *)&conns->turn, NULL);
  ticker_close(&conns->sweep);
  ticker_close(&conns->rings);
  ticker_close(&conns->expiry);
  ticker_close(&conns->pressure);
}

void conns_deinit(struct conns *conns) {
  intake_deinit(&conns->frames);
  quota_deinit(&conns->replies);
}
