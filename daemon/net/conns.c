#include "daemon/net/conns.h"

#include <assert.h>
#include <string.h>

#include "daemon/net/conn.h"
#include "daemon/net/reclaim.h"
#include "daemon/store/store.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"

#define SWEEP_MS 250u   /* how late a deadline may be noticed */
#define PRESSURE_MS 10u /* the same for a peer without progress, while others wait for room */
#define SHARED_MIN_BYTES (1u << 20) /* for frames beside the largest, whatever the budget is */
#define WHOLE_BYTES (1u << 20)      /* for small frames that are whole, and wait for their turn */
/* Each takes some 50 us, with what comes of it. libuv alone would accept as long as clients come,
 * and nobody else would have a turn: not those that left, either, whose connections would still
 * count. */
#define ACCEPTS_A_TURN 8u
#define SLICES_A_TURN 1u /* of each kind; each takes about a millisecond at worst */

/* What one user's requests may take of a turn. Where others have requests too, little: each of
 * theirs waits for it. Alone it has more, as a turn costs some microseconds; but others may come,
 * and wait for the rest of it. */
#define TURN_NS 4000000u
#define TURN_CONTENDED_NS 15000u
#define WINDOW_MS 50u /* a user that had a request in the last one or two is there */

/* ---- turns ---- */

static struct conn *conn_of(struct round_robin_item *turn) {
  return (struct conn *)((char *)turn - offsetof(struct conn, turn));
}

static void begin_turn(struct conns *conns) {
  conns->turn_number++;
  uint64_t now_ms = uv_now(conns->loop);
  if (now_ms < conns->window_ms + WINDOW_MS)
    return;
  conns->contended = conns->seen > 1;
  conns->seen = 0;
  conns->window++;
  conns->window_ms = now_ms;
}

static void see(struct conns *conns, struct user *user) {
  if (user->seen == conns->window)
    return;
  user->seen = conns->window;
  conns->contended = ++conns->seen > 1 || conns->contended;
}

static uint64_t spent_ns(const struct conns *conns, const struct user *user) {
  return user->turn == conns->turn_number ? user->spent_ns : 0;
}

static uint64_t most_ns(const struct conns *conns) {
  return conns->contended ? TURN_CONTENDED_NS : TURN_NS;
}

/* What comes in of a user that has requests queued is queued behind them, where others have some
 * too: else the user would have both turns, and the queued ones might wait for ever. */
bool conns_time_is_up(struct conns *conns, struct conn *conn, uint64_t since_ns) {
  struct user *user = conn->session.user;
  see(conns, user);
  if (conns->slicing)
    return false;
  if (conns->contended && !conns->resuming && user->lines[SLICE_KINDS].n > 0)
    return true;
  return spent_ns(conns, user) + (uv_hrtime() - since_ns) >= most_ns(conns);
}

void conns_charge_time(struct conns *conns, struct conn *conn, uint64_t since_ns) {
  struct user *user = conn->session.user;
  if (user == NULL) /* it is closed */
    return;
  user->spent_ns = spent_ns(conns, user) + (uv_hrtime() - since_ns);
  user->turn = conns->turn_number;
}

static void on_reading(uv_prepare_t *reading) {
  begin_turn(reading->data);
}

/* A slice that comes while none waits for its turn needs none. */
static void allow_slices(struct conns *conns) {
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    conns->dispatch->slices[kind] = conns->slices[kind].first == NULL ? SLICES_A_TURN : 0;
}

/* A user's connections that are queued now, as far as its time goes: one that queues itself again
 * waits for the next turn, as the others do that are not reached. At least one has its turn. */
static void run_line(struct conns *conns, struct round_robin_queue *line) {
  struct user *user = conn_of(line->first)->session.user;
  user_ref(user); /* the line is its, and the last connection may close */
  round_robin_move_last(line);
  for (uint32_t due = line->n; due > 0 && line->n > 0; due--) {
    struct conn *conn = conn_of(line->first);
    round_robin_remove(&conn->turn);
    conn_resume(conn);
    if (spent_ns(conns, user) >= most_ns(conns))
      break;
  }
  user_unref(user);
}

static void run_ready(struct conns *conns) {
  for (uint32_t lines = conns->ready.n; lines > 0 && conns->ready.first != NULL; lines--)
    run_line(conns, conns->ready.first);
}

/* One slice for the first connection of each of the first users, which then queue up again. */
static void run_slices(struct conns *conns, enum slice_kind kind) {
  unsigned *allowed = &conns->dispatch->slices[kind];
  for (unsigned left = SLICES_A_TURN; left > 0; left--) {
    struct round_robin_item *turn = round_robin_next(&conns->slices[kind]);
    if (turn == NULL)
      return;
    *allowed = 1;
    conns->slicing = true;
    conn_resume(conn_of(turn));
    conns->slicing = false;
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
  begin_turn(conns);
  bool late = conns->accepts_left == 0;
  conns->accepts_left = ACCEPTS_A_TURN;
  if (late)
    accept_again(conns);
  allow_slices(conns);
  conns->resuming = true;
  run_ready(conns);
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    run_slices(conns, (enum slice_kind)kind);
  conns->resuming = false;
  allow_slices(conns);
  bool chores = dispatch_has_background_work(conns->dispatch) && dispatch_background_step(conns->dispatch);
  if (!has_queued(conns) && !chores && conns->accepts_left > 0)
    (void)uv_idle_stop(&conns->turn); /* documented never to fail */
}

static void queue_up(struct conns *conns, struct conn *conn, struct round_robin *turns, unsigned line) {
  if (conn->turn.line != NULL || conn->closing)
    return;
  round_robin_add(turns, &conn->session.user->lines[line], &conn->turn);
  (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
}

void conns_enqueue(struct conns *conns, struct conn *conn) {
  queue_up(conns, conn, &conns->ready, SLICE_KINDS);
}

void conns_enqueue_slice(struct conns *conns, struct conn *conn, enum slice_kind kind) {
  static_assert(SLICE_KINDS < USER_LINES, "a user has a line for each kind, and one for the rest");
  queue_up(conns, conn, &conns->slices[kind], kind);
}

void conns_schedule_background(struct conns *conns) {
  if (dispatch_has_background_work(conns->dispatch))
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
    if (conn->session.waits_for_trace || dispatch_session_error(&conn->session) != NULL)
      conns_enqueue(conns, conn);
  set_rings_period(conns, rings_sweep(rings, uv_hrtime()));
  end_if_empty(conns);
}

void conns_schedule_rings(struct conns *conns) {
  unsigned period_ms = rings_period_ms(&conns->dispatch->rings);
  if (conns->rings_period_ms == 0 || (period_ms != 0 && period_ms < conns->rings_period_ms))
    set_rings_period(conns, period_ms);
}

static void on_expiry(void *arg) {
  struct conns *conns = arg;
  conns->expiry_ns = UINT64_MAX;
  dispatch_expire_leases(conns->dispatch);
  conns_schedule_background(conns); /* very many waits may have ended */
  conns_schedule_expiry(conns);
}

/* Set to what was the first to end, it may tick for nothing, once: cheaper than to set it anew at
 * each lease that ends. */
void conns_schedule_expiry(struct conns *conns) {
  uint64_t next_ns = dispatch_next_ns(conns->dispatch);
  if (next_ns >= conns->expiry_ns)
    return;
  conns->expiry_ns = next_ns;
  ticker_once(&conns->expiry, next_ns);
}

/* ---- memory ---- */

/* Frames that wait can be helped by any holder. */
static bool frames_wait(const struct conns *conns) {
  return read_budget_has_waiters(&conns->frames) || conns->starved > 0;
}

static bool is_short_of_memory(const struct conns *conns) {
  return frames_wait(conns) || reply_budget_has_waiters(&conns->replies) ||
         users_have_waiters(conns->users, USER_FRAME_BYTES) ||
         users_have_waiters(conns->users, USER_REPLY_BYTES);
}

static void on_pressure(void *arg) {
  struct conns *conns = arg;
  uint64_t now_ns = uv_hrtime();
  for (struct conn *conn = conns->all, *next; conn != NULL; conn = next) {
    next = conn->next;
    const struct user *user = conn->session.user; /* others of the same user may wait for it */
    bool frames = frames_wait(conns) || user_has_waiters(user, USER_FRAME_BYTES);
    bool replies = reply_budget_has_waiters(&conns->replies) || user_has_waiters(user, USER_REPLY_BYTES);
    conn_check_pressure(conn, frames, replies, now_ns);
  }
  conns->under_pressure = is_short_of_memory(conns);
  if (!conns->under_pressure)
    ticker_stop(&conns->pressure);
}

void conns_check_pressure(struct conns *conns) {
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
  int rc = conn_accept(conns, listener);
  if (rc == 0) {
    conns->said_no_memory = false;
    return;
  }
  try_again(conns, listener);
  if (rc == FC_EBUSY) /* when one of them is gone */
    return;
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
  conns->allocated++;
  if (conns->count++ == 0)
    ticker_start(&conns->sweep, SWEEP_MS);
}

void conns_dequeue(struct conn *conn) {
  round_robin_remove(&conn->turn);
}

void conns_conn_freed(struct conns *conns) {
  conns->allocated--;
  accept_again(conns);
}

void conns_remove(struct conns *conns, struct conn *conn) {
  conns->reserved -= conn->session.reserved;
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

size_t conns_frames_bytes(size_t budget_bytes, uint32_t max_value) {
  size_t least = conn_frame_bytes(max_value) + SHARED_MIN_BYTES;
  return (budget_bytes / 2 > least ? budget_bytes / 2 : least) + WHOLE_BYTES;
}

static void set_user_limits(struct conns *conns) {
  users_set_limit(conns->users, USER_CONNECTIONS, conns->limits.max_clients);
  users_set_limit(conns->users, USER_FRAME_BYTES, conns->frames.shared_limit_bytes);
  users_set_limit(conns->users, USER_REPLY_BYTES, conns->replies.limit_bytes);
}

int conns_init(struct conns *conns, uv_loop_t *loop, struct dispatch *dispatch, struct users *users,
               const struct conns_limits *limits, struct log *log) {
  memset(conns, 0, sizeof *conns);
  conns->loop = loop;
  conns->users = users;
  conns->dispatch = dispatch;
  conns->limits = *limits;
  conns->log = log;
  uint32_t max_value = dispatch->store->max_value;
  read_budget_init(&conns->frames, conns_frames_bytes(limits->budget_bytes, max_value) - WHOLE_BYTES,
              conn_frame_bytes(max_value), WHOLE_BYTES);
  reply_budget_init(&conns->replies, limits->budget_bytes / 2);
  send_buffers_init(&conns->send_buffers, conns_send_bytes(limits->budget_bytes));
  reclaim_begin(conns);
  set_user_limits(conns);
  allow_slices(conns);
  conns->accepts_left = ACCEPTS_A_TURN;
  conns->turn.data = conns->reading.data = conns;
  conns->window = 1; /* no user was seen in it */
  if (uv_idle_init(loop, &conns->turn) < 0 || uv_prepare_init(loop, &conns->reading) < 0 ||
      uv_prepare_start(&conns->reading, on_reading) < 0)
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
  for (struct conn *conn = conns->all, *next; conn != NULL; conn = next) {
    next = conn->next;
    if (conn->lingers)
      conn_abort(conn);
    else
      conn_drain(conn, true);
  }
}

void conns_close(struct conns *conns) {
  conns->draining = false; /* nobody waits for on_empty any more */
  while (conns->all != NULL)
    conn_abort(conns->all);
  if (!uv_is_closing((uv_handle_t *)&conns->turn))
    uv_close((uv_handle_t *)&conns->turn, NULL);
  if (!uv_is_closing((uv_handle_t *)&conns->reading))
    uv_close((uv_handle_t *)&conns->reading, NULL);
  ticker_close(&conns->sweep);
  ticker_close(&conns->rings);
  ticker_close(&conns->expiry);
  ticker_close(&conns->pressure);
}

void conns_deinit(struct conns *conns) {
  reclaim_end(conns);
  read_budget_deinit(&conns->frames);
  reply_budget_deinit(&conns->replies);
  send_buffers_deinit(&conns->send_buffers);
}
