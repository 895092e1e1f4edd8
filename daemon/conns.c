#include "daemon/conns.h"

#include <string.h>

#include "daemon/conn.h"
#include "proto/errors.h"

#define SWEEP_MS 250u /* how late a deadline may be noticed */

static void on_turn(uv_idle_t *turn) {
  struct conns *conns = turn->data;
  /* Only who is queued now: one that queues itself again waits for the next turn. */
  struct conn *conn = conns->ready_first;
  conns->ready_first = conns->ready_last = NULL;
  while (conn != NULL) {
    struct conn *next = conn->next_ready;
    conn->next_ready = NULL;
    conn->ready = false;
    conn_resume(conn);
    conn = next;
  }
  bool chores = dispatch_has_chores(conns->dispatch) && dispatch_chores(conns->dispatch);
  if (conns->ready_first == NULL && !chores)
    (void)uv_idle_stop(&conns->turn); /* documented never to fail */
}

void conns_ready(struct conns *conns, struct conn *conn) {
  if (conn->ready || conn->closing)
    return;
  conn->ready = true;
  conn->next_ready = NULL;
  if (conns->ready_last != NULL)
    conns->ready_last->next_ready = conn;
  else
    conns->ready_first = conn;
  conns->ready_last = conn;
  (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
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

static void leave_ready(struct conns *conns, struct conn *conn) {
  struct conn *before = NULL;
  for (struct conn *c = conns->ready_first; c != NULL; before = c, c = c->next_ready) {
    if (c != conn)
      continue;
    if (before != NULL)
      before->next_ready = conn->next_ready;
    else
      conns->ready_first = conn->next_ready;
    if (conns->ready_last == conn)
      conns->ready_last = before;
    break;
  }
  conn->ready = false;
}

void conns_accept(struct conns *conns, uv_stream_t *listener) {
  int rc = conn_accept(conns, listener);
  conns->unaccepted = rc < 0 ? listener : NULL;
  if (rc == 0) {
    conns->said_no_memory = false;
    return;
  }
  log_once(conns->log, &conns->said_no_memory, LOG_LEVEL_WARNING,
           "no memory for another client: it waits until there is some");
  if (conns->count == 0)
    ticker_start(&conns->sweep, SWEEP_MS);
}

static void on_sweep(void *arg) {
  struct conns *conns = arg;
  if (conns->unaccepted != NULL && !uv_is_closing((uv_handle_t *)conns->unaccepted))
    conns_accept(conns, conns->unaccepted);
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
  /* on_turn may hold a chain that this connection is part of: it stays linked
   * there, and conn_resume ignores it once it is closing. */
  leave_ready(conns, conn);
  if (conn->prev != NULL)
    conn->prev->next = conn->next;
  else
    conns->all = conn->next;
  if (conn->next != NULL)
    conn->next->prev = conn->prev;
  if (--conns->count > 0)
    return;
  if (conns->unaccepted == NULL)
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
  quota_init(&conns->frames, limits->budget_bytes / 2);
  quota_init(&conns->replies, limits->budget_bytes / 2);
  conns->turn.data = conns;
  if (uv_idle_init(loop, &conns->turn) < 0)
    return FC_EREFUSED;
  conns->rings.fd = conns->expiry.fd = -1; /* may be closed without */
  conns->expiry_ns = UINT64_MAX;
  int rc = ticker_init(&conns->sweep, loop, on_sweep, conns);
  if (rc == 0)
    rc = ticker_init(&conns->rings, loop, on_rings, conns);
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
}

void conns_deinit(struct conns *conns) {
  quota_deinit(&conns->frames);
  quota_deinit(&conns->replies);
}
