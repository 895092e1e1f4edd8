/* Deferred replies: those to gets that waited for another client's lease. Each is sent when its
 * wait has ended and its connection has room. */
#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"

/* Replies in one go. 64,000 took 0.1 s, and a second with values of 8 KB. */
#define REPLIES_PER_SLICE 256u
/* Of these, replies of one client: the number of requests that it may make in a turn. */
#define REPLIES_PER_CLIENT 16u

/* A wait that has ended, and its result. */
struct outcome {
  struct call call;
  struct lease_wait *wait;
  struct entry *found; /* NULL: no value */
  enum fc_lease_state state;
};

/* Since the wait ended, the lease may have ended again, or the entry may be gone. Then the client
 * sends its get again. */
static void find_outcome(struct outcome *outcome) {
  const struct lease_wait *wait = outcome->wait;
  const struct lease *lease = wait->lease;
  outcome->state = wait->end == LEASE_END_NONE ? FC_LEASE_NONE : FC_LEASE_TAKEN;
  if (wait->end == LEASE_END_GRANTED && lease->owner == wait->waiter)
    outcome->state = FC_LEASE_GRANTED;
  if (wait->end == LEASE_END_PUT)
    outcome->found = store_peek(outcome->call.dispatch->store, lease->ns, &lease->key);
}

static void record(const struct outcome *outcome) {
  const struct lease_wait *wait = outcome->wait;
  struct counters *sets[CALL_SETS];
  if ((wait->flags & FC_UNRECORDED) != 0)
    return;
  struct call_record record = {.key = &wait->lease->key,
                               .probe = wait->probe,
                               .end_ns = outcome->call.start_ns,
                               .wall_ns = wait->wall_ns,
                               .waited = true};
  call_record_hit(&outcome->call, &record, outcome->found);
  call_count_usage_hit(&outcome->call, &record, outcome->found);
  call_sets(&outcome->call, sets);
  for (size_t i = 0; i < CALL_SETS; i++)
    sets[i]->coalesced_hits++;
}

/* Returns false if the sink has no room yet. */
static bool send_reply(struct outcome *outcome) {
  struct dispatch *dispatch = outcome->call.dispatch;
  struct session *session = outcome->call.session;
  uint64_t generation = dispatch->store->saved->generation;
  enum dispatch_result result;
  find_outcome(outcome);
  if (!session->sink->can_send(session->sink, CALL_COPIED_BYTES))
    return false;
  call_reset_reply(dispatch);
  if (outcome->found == NULL) {
    (void)fc_encode_miss_lease(&dispatch->reply, outcome->wait->id, generation, outcome->state);
    result = call_reply(&outcome->call); /* checks `failed` */
  } else {
    (void)fc_encode_waited_hit_head(&dispatch->reply, outcome->wait->id, generation,
                                    entry_value_size(outcome->found));
    result = call_reply_waited_value(&outcome->call, outcome->found);
    store_use(dispatch->store, outcome->found, outcome->call.start_ns);
    record(outcome);
  }
  if (result == DISPATCH_CLOSE) /* the client would wait without an end */
    session->reply_lost = true;
  else
    latency_add(dispatch->latency, LATENCY_LEASE_WAIT, dispatch->sent.ns - outcome->wait->since_ns);
  session->sink->resume(session->sink);
  return true;
}

bool deferred_replies_send(struct dispatch *dispatch, struct session *session) {
  struct lease_client *waiter = &session->leases;
  if (waiter->due_first != NULL) /* hits that the client served itself come first */
    (void)rings_drain(&dispatch->rings, session->ring);
  for (unsigned left = REPLIES_PER_CLIENT; left > 0 && waiter->due_first != NULL; left--) {
    struct outcome outcome = {
        .call = {.dispatch = dispatch,
                 .session = session,
                 .sink = session->sink,
                 .id = waiter->due_first->id,
                 .start_ns = call_clock_ns()},
        .wait = waiter->due_first,
    };
    if (!send_reply(&outcome))
      break;
    leases_due_done(&dispatch->leases, waiter);
  }
  return waiter->due_first == NULL;
}

void deferred_replies_send_all(struct dispatch *dispatch) {
  struct leases *leases = &dispatch->leases;
  struct lease_client *waiter;
  if (leases->due_first == NULL)
    return;
  uint32_t before = leases->due;
  while (before - leases->due < REPLIES_PER_SLICE && (waiter = leases_next_due(leases)) != NULL)
    /* dispatch_send_deferred sends the rest. */
    (void)deferred_replies_send(dispatch, session_of(waiter));
}
