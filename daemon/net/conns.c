#include "daemon/net/conns.h"

#include <assert.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/net/conn.h"
#include "daemon/os/clocksource.h"
#include "daemon/os/epoll_watch.h"
#include "daemon/requests/reclaim.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"

#define SWEEP_MS 250u   /* between two checks of the deadlines */
#define PRESSURE_MS 10u /* between two checks of progress, while others wait for memory */
#define SHARED_MIN_BYTES (1u << 20) /* for frames besides the largest, at least */
#define WHOLE_BYTES (1u << 20)      /* for small frames that are whole and wait for their turn */
/* Each takes about 50 us with its consequences. libuv alone would accept as long as clients
 * connect, and no other connection would have a turn, not even to be closed. */
#define ACCEPTS_A_TURN 8u
#define SLICES_A_TURN 1u /* of each kind; each takes about a millisecond at worst */

/* Time of one user's requests in a turn. It is short while several users have requests, because
 * each request of the others waits for it. It is longer for a user alone, as a turn itself costs
 * some microseconds. */
#define TURN_NS 4000000u
#define TURN_CONTENDED_NS 15000u
#define WINDOW_MS 50u /* users with a request in the last one or two windows contend */

/* ---- turns ---- */

static struct conn *conn_of(struct round_robin_item *item) {
  return (struct conn *)((char *)item - offsetof(struct conn, turn));
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

/* Counts the user in the current window. */
static void note_request(struct conns *conns, struct user *user) {
  if (user->seen == conns->window)
    return;
  user->seen = conns->window;
  conns->contended = ++conns->seen > 1 || conns->contended;
}

static uint64_t spent_ns(const struct conns *conns, const struct user *user) {
  return user->turn == conns->turn_number ? user->spent_ns : 0;
}

static uint64_t time_limit_ns(const struct conns *conns) {
  return conns->contended ? TURN_CONTENDED_NS : TURN_NS;
}

/* Under contention, new input of a user with queued connections is queued behind them. Otherwise
 * the user would have two turns, and its queued connections might never have theirs. */
bool conns_time_is_up(struct conns *conns, struct conn *conn, uint64_t uncharged_ns) {
  struct user *user = conn->session.user;
  note_request(conns, user);
  if (conns->slicing)
    return false;
  if (conns->contended && !conns->resuming && user->queues[SLICE_KINDS].n > 0)
    return true;
  return spent_ns(conns, user) + uncharged_ns >= time_limit_ns(conns);
}

void conns_charge_time(struct conns *conns, struct conn *conn, uint64_t ns) {
  struct user *user = conn->session.user;
  if (user == NULL) /* the connection has closed */
    return;
  user->spent_ns = spent_ns(conns, user) + ns;
  user->turn = conns->turn_number;
}

/* The loop reads its input next: one turn has ended, another begins. */
static void on_reading(uv_prepare_t *reading) {
  struct conns *conns = reading->data;
  if (conns->turn_since_ns != 0)
    latency_add(conns->dispatch->latency, LATENCY_TURN, uv_hrtime() - conns->turn_since_ns);
  conns->turn_since_ns = 0;
  begin_turn(conns);
}

/* A request needs no turn for its slice while no connection is queued for one. */
static void allow_slices(struct conns *conns) {
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    conns->dispatch->slices[kind] = conns->slices[kind].first == NULL ? SLICES_A_TURN : 0;
}

/* Resumes the user's connections that are queued now, at least one, until its time is up. The
 * others, and those that queue themselves again, wait for the next turn. */
static void run_queue(struct conns *conns, struct round_robin_queue *queue) {
  struct user *user = conn_of(queue->first)->session.user;
  user_ref(user); /* it owns the queue, and its last connection may close */
  round_robin_move_last(queue);
  for (uint32_t due = queue->n; due > 0 && queue->n > 0; due--) {
    struct conn *conn = conn_of(queue->first);
    round_robin_remove(&conn->turn);
    conn_resume(conn);
    if (spent_ns(conns, user) >= time_limit_ns(conns))
      break;
  }
  user_unref(user);
}

static void run_ready(struct conns *conns) {
  for (uint32_t queues = conns->ready.n; queues > 0 && conns->ready.first != NULL; queues--)
    run_queue(conns, conns->ready.first);
}

/* Executes the slices of one turn, each for the first connection of the next user. */
static void run_slices(struct conns *conns, enum slice_kind kind) {
  unsigned *allowed = &conns->dispatch->slices[kind];
  for (unsigned left = SLICES_A_TURN; left > 0; left--) {
    struct round_robin_item *item = round_robin_next(&conns->slices[kind]);
    if (item == NULL)
      return;
    *allowed = 1;
    conns->slicing = true;
    conn_resume(conn_of(item));
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
  bool work =
      dispatch_has_background_work(conns->dispatch) && dispatch_background_step(conns->dispatch);
  if (!has_queued(conns) && !work && conns->accepts_left > 0)
    (void)uv_idle_stop(&conns->turn); /* documented never to fail */
}

static void enqueue(struct conns *conns, struct conn *conn, struct round_robin *robin,
                    unsigned queue) {
  if (conn->turn.queue != NULL || conn->closing)
    return;
  round_robin_add(robin, &conn->session.user->queues[queue], &conn->turn);
  (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
}

void conns_run_background(struct conns *conns) {
  if (dispatch_has_background_work(conns->dispatch))
    (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
}

void conns_enqueue(struct conns *conns, struct conn *conn) {
  enqueue(conns, conn, &conns->ready, SLICE_KINDS);
}

void conns_enqueue_slice(struct conns *conns, struct conn *conn, enum slice_kind kind) {
  static_assert(SLICE_KINDS < USER_QUEUES,
                "a user has a queue for each kind, and one for other work");
  enqueue(conns, conn, &conns->slices[kind], kind);
}

void conns_dequeue(struct conn *conn) {
  round_robin_remove(&conn->turn);
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

static void end_if_empty(struct conns *conns) {
  if (conns->draining && conns->count == 0)
    conns->on_empty(conns->arg);
}

/* Retries connections blocked on the trace. Connections with a corrupt ring are dropped. */
static void on_rings(void *arg) {
  struct conns *conns = arg;
  struct rings *rings = &conns->dispatch->rings;
  uint64_t now_ns = uv_hrtime();
  for (struct conn *conn = rings->attention ? conns->all : NULL; conn != NULL; conn = conn->next)
    if (conn->session.waits_for_trace || dispatch_session_error(&conn->session) != NULL)
      conns_enqueue(conns, conn);
  if (rings_calibration_due(rings, now_ns))
    rings_calibrate(rings, clocksource_is_tsc());
  set_rings_period(conns, rings_sweep(rings, now_ns));
}

void conns_schedule_rings(struct conns *conns) {
  if (conns->dispatch->rings.n == 0)
    return;
  unsigned period_ms = rings_period_ms(&conns->dispatch->rings);
  if (conns->rings_period_ms == 0 || (period_ms != 0 && period_ms < conns->rings_period_ms))
    set_rings_period(conns, period_ms);
}

static void on_expiry(void *arg) {
  struct conns *conns = arg;
  conns->expiry_ns = UINT64_MAX;
  dispatch_expire_leases(conns->dispatch);
  conns_schedule_background(conns); /* very many waits may have ended at once */
  conns_schedule_expiry(conns);
}

/* The timer is set for the first lease that ends. If that lease ends early, it fires once without
 * work: that costs less than to set it again at each end of a lease. */
void conns_schedule_expiry(struct conns *conns) {
  uint64_t next_ns = dispatch_next_ns(conns->dispatch);
  if (next_ns >= conns->expiry_ns)
    return;
  conns->expiry_ns = next_ns;
  ticker_once(&conns->expiry, next_ns);
}

/* Watchers get their events in batches, so that a burst of events costs few replies. */
static void on_watchers(void *arg) {
  struct conns *conns = arg;
  conns->watchers_wait = dispatch_resume_watchers(conns->dispatch);
  if (!conns->watchers_wait)
    ticker_stop(&conns->watchers);
}

void conns_schedule_watchers(struct conns *conns) {
  if (conns->watchers_wait || !dispatch_has_watchers(conns->dispatch))
    return;
  conns->watchers_wait = true;
  ticker_start(&conns->watchers, DISPATCH_WATCH_MS);
}

/* ---- memory ---- */

static bool frames_wait(const struct conns *conns) {
  return read_budget_has_waiters(&conns->frames) || conns->frames.starved > 0;
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
    const struct user *user = conn->session.user; /* its connections may wait for each other */
    bool frames = frames_wait(conns) || user_has_waiters(user, USER_FRAME_BYTES);
    bool replies =
        reply_budget_has_waiters(&conns->replies) || user_has_waiters(user, USER_REPLY_BYTES);
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

/* ---- accepting ---- */

bool conns_is_unaccepted(const struct conns *conns, const uv_stream_t *listener) {
  bool found = false;
  for (unsigned i = 0; i < CONNS_LISTENERS; i++)
    found = found || conns->unaccepted[i] == listener;
  return found;
}

/* Remembers the listener for accept_again. */
static void accept_later(struct conns *conns, uv_stream_t *listener) {
  unsigned i = 0;
  while (conns->unaccepted[i] != NULL && conns->unaccepted[i] != listener)
    i++;
  assert(i < CONNS_LISTENERS);
  conns->unaccepted[i] = listener;
}

void conns_accept(struct conns *conns, uv_stream_t *listener) {
  if (conns->accepts_left == 0) {
    accept_later(conns, listener);
    (void)uv_idle_start(&conns->turn, on_turn); /* fails for a NULL callback alone */
    return;
  }
  conns->accepts_left--;
  int rc = conn_accept(conns, listener);
  if (rc == 0) {
    conns->logged_no_memory = false;
    return;
  }
  accept_later(conns, listener);
  if (rc == FC_EBUSY) /* conns_conn_freed tries again */
    return;
  log_once(conns->log, &conns->logged_no_memory, LOG_LEVEL_WARNING,
           "no memory for another client: it waits until there is some");
  if (conns->count == 0)
    ticker_start(&conns->sweep, SWEEP_MS);
}

void conns_warn_no_watches(struct conns *conns, const char *consequence) {
  log_once(conns->log, &conns->logged_no_watches, LOG_LEVEL_WARNING, "%s: %s", consequence,
           EPOLL_WATCH_FULL);
}

/* ---- adding and removing ---- */

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

void conns_conn_freed(struct conns *conns) {
  assert(conns->allocated > conns->count);
  conns->allocated--;
  accept_again(conns);
}

void conns_remove(struct conns *conns, struct conn *conn) {
  assert(conns->count > 0 && conns->reserved >= conn->session.reserved);
  conns->reserved -= conn->session.reserved;
  if (conn->prev != NULL)
    conn->prev->next = conn->next;
  else
    conns->all = conn->next;
  if (conn->next != NULL)
    conn->next->prev = conn->prev;
  if (--conns->count > 0)
    return;
  if (!conns->logged_no_memory)
    ticker_stop(&conns->sweep);
  end_if_empty(conns);
}

size_t conns_frames_bytes(size_t budget_bytes, uint32_t max_value) {
  size_t least = input_buffer_frame_bytes(max_value) + SHARED_MIN_BYTES;
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
  uint32_t max_value = dispatch_max_value(dispatch);
  read_budget_init(&conns->frames,
                   conns_frames_bytes(limits->budget_bytes, max_value) - WHOLE_BYTES,
                   input_buffer_frame_bytes(max_value), WHOLE_BYTES);
  reply_budget_init(&conns->replies, limits->budget_bytes / 2);
  send_buffers_init(&conns->send_buffers, conns_send_bytes(limits->budget_bytes));
  reclaim_init(dispatch, limits->budget_bytes / 2);
  set_user_limits(conns);
  allow_slices(conns);
  conns->accepts_left = ACCEPTS_A_TURN;
  conns->turn.data = conns->reading.data = conns;
  conns->window = 1; /* no user had a request in it */
  if (uv_idle_init(loop, &conns->turn) < 0 || uv_prepare_init(loop, &conns->reading) < 0 ||
      uv_prepare_start(&conns->reading, on_reading) < 0)
    return FC_EREFUSED;
  conns->rings.fd = conns->expiry.fd = conns->pressure.fd = conns->watchers.fd = -1;
  conns->expiry_ns = UINT64_MAX;
  int rc = ticker_init(&conns->sweep, loop, on_sweep, conns);
  if (rc == 0)
    rc = ticker_init(&conns->rings, loop, on_rings, conns);
  if (rc == 0)
    rc = ticker_init(&conns->pressure, loop, on_pressure, conns);
  if (rc == 0)
    rc = ticker_init(&conns->watchers, loop, on_watchers, conns);
  return rc < 0 ? rc : ticker_init(&conns->expiry, loop, on_expiry, conns);
}

void conns_set_limits(struct conns *conns, const struct conns_limits *limits) {
  check_eq(limits->budget_bytes, conns->limits.budget_bytes);
  conns->limits = *limits;
  set_user_limits(conns);
}

static void on_owner_death(void *arg) {
  struct conns *conns = arg;
  dispatch_check_deaths(conns->dispatch);
  conns_schedule_background(conns); /* very many waits may have ended at once */
  conns_schedule_expiry(conns);
}

void conns_watch_adopted(struct conns *conns) {
  int fd = conns->dispatch->owners.deaths_fd;
  if (fd >= 0 &&
      owner_deaths_start(&conns->owner_deaths, conns->loop, fd, on_owner_death, conns) < 0)
    conns_warn_no_watches(conns, "the exit of a process with an adopted lease is not seen");
  conns_schedule_expiry(conns);
}

void conns_stop_leases(struct conns *conns) {
  owner_deaths_close(&conns->owner_deaths); /* before its descriptor is closed */
  dispatch_stop_leases(conns->dispatch);
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
  conns->draining = false; /* on_empty is not called any more */
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
  ticker_close(&conns->watchers);
  owner_deaths_close(&conns->owner_deaths);
}

void conns_deinit(struct conns *conns) {
  assert(conns->all == NULL && conns->count == 0 && conns->allocated == 0 && conns->reserved == 0);
  reclaim_deinit(conns->dispatch);
  read_budget_deinit(&conns->frames);
  reply_budget_deinit(&conns->replies);
  send_buffers_deinit(&conns->send_buffers);
}
