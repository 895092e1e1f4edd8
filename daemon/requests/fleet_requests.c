/* Requests that ask the fleet (daemon/fleet): a miss whose get asks for a lease parks its session
 * until the fill of its key is resolved. Then the frame is dispatched again, and asks no second
 * time. */
#include "daemon/requests/handlers.h"

/* A client of protocol version 2 knows no leases. */
bool call_may_ask_fleet(const struct call *call, uint32_t flags) {
  return call->dispatch->fleet != NULL && (flags & FC_LEASE) != 0 && call->session->version >= 3;
}

/* The time of the request counts from here on: see call_wall_ns. */
static void begin_time(const struct call *call) {
  struct fleet_asking *asking = &call->session->asking;
  if (asking->is_timed)
    return;
  asking->is_timed = true;
  asking->since_ns = call->start_ns;
  asking->begun = fc_waits_begin(&call->session->leases.sharing, call->start_ns);
}

static void park(const struct call *call) {
  call->session->waits_for_fleet = true;
  begin_time(call);
}

enum fleet_answer call_ask_fleet(const struct call *call, const struct fc_get *get) {
  struct session *session = call->session;
  enum fleet_answer answer = FLEET_GO_ON;
  if (session->waiter.fill != NULL) { /* it was dispatched for another reason */
    answer = FLEET_WAITS;
  } else if (call_may_ask_fleet(call, get->flags) && session->asking.keys == 0) {
    session->asking.keys = 1;
    answer = fleet_miss(call->dispatch->fleet, &session->waiter, session->ns,
                        call_lease_digest(call, &get->key), &get->key, call->start_ns);
  }
  if (answer == FLEET_WAITS)
    park(call);
  return answer;
}

void call_begin_fill(const struct call *call, const struct fc_key *key) {
  struct session *session = call->session;
  (void)fleet_begin(call->dispatch->fleet, session->ns, call_lease_digest(call, key), key,
                    call->start_ns); /* the caller looks again, and waits for pending ones */
}

bool call_waits_for_fill(const struct call *call, const struct fc_key *key) {
  struct session *session = call->session;
  if (session->waiter.fill == NULL &&
      fleet_wait(call->dispatch->fleet, &session->waiter, session->ns, call_lease_digest(call, key),
                 key, call->start_ns) != FLEET_WAITS)
    return false;
  park(call);
  return true;
}

uint64_t call_wall_ns(const struct call *call, uint64_t end_ns) {
  struct fc_waits *sharing = &call->session->leases.sharing;
  struct fleet_asking *asking = &call->session->asking;
  uint64_t begun = asking->is_timed ? asking->begun : fc_waits_begin(sharing, call->start_ns);
  asking->is_timed = false;
  return fc_waits_end(sharing, begun, end_ns);
}

void call_end_time(const struct call *call) {
  if (call->session->asking.is_timed)
    (void)call_wall_ns(call, call->start_ns); /* nothing is charged: a put counts a miss */
}

/* ---- parked sessions ---- */

static struct session *session_of_waiter(struct fleet_waiter *waiter) {
  return (struct session *)((uintptr_t)waiter - offsetof(struct session, waiter));
}

/* The session is not parked any more: adds the time to its request. */
static void unpark(struct session *session) {
  struct request_times *times = &session->times;
  uint64_t now_ns = call_clock_ns();
  session->waits_for_fleet = false;
  if (times->parked_ns != 0)
    times->tier_ns += now_ns - times->parked_ns;
  times->parked_ns = 0;
}

void dispatch_fill_resolved(struct fleet_waiter *waiter) {
  struct session *session = session_of_waiter(waiter);
  unpark(session);
  session->sink->resume(session->sink);
}

void dispatch_leave_fill(struct dispatch *dispatch, struct session *session) {
  if (session->waiter.fill == NULL)
    return;
  fleet_leave(dispatch->fleet, &session->waiter);
  unpark(session);
}
