/* The answers that clients wait for: each goes out when its wait is over and its connection has
 * room for it. */
#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"

/* Answers in one go: 64,000 took 0.1 s, and a second where the value had 8 KB. */
#define ANSWERS_SLICE 256u
/* Of them, those of one client: as many as it may make requests in a turn. */
#define ANSWERS_EACH 16u

/* A wait that is over, and how its client is told. */
struct answer {
  struct call call;
  struct lease_wait *wait;
  struct entry *found; /* NULL: no value */
  enum fc_lease_state state;
};

/* What the wait came to: between its end and the answer a lease may have ended again, and an entry
 * be gone; then the client asks once more. */
static void look(struct answer *answer) {
  const struct lease_wait *wait = answer->wait;
  const struct lease *lease = wait->lease;
  answer->state = wait->end == LEASE_END_NONE ? FC_LEASE_NONE : FC_LEASE_TAKEN;
  if (wait->end == LEASE_END_GRANTED && lease->owner == wait->holder)
    answer->state = FC_LEASE_GRANTED;
  if (wait->end == LEASE_END_PUT)
    answer->found = store_peek(answer->call.dispatch->store, lease->ns, &lease->key);
}

static void record(const struct answer *answer) {
  const struct lease_wait *wait = answer->wait;
  struct counters *sets[CALL_SETS];
  if ((wait->flags & FC_UNRECORDED) != 0)
    return;
  struct call_record record = {.key = &wait->lease->key,
                               .probe = wait->probe,
                               .end_ns = answer->call.start_ns,
                               .wall_ns = wait->wall_ns};
  call_record_hit(&answer->call, &record, answer->found);
  call_sets(&answer->call, sets);
  for (size_t i = 0; i < CALL_SETS; i++)
    sets[i]->coalesced_hits++;
}

/* False: there is no room for it yet. */
static bool give(struct answer *answer) {
  struct dispatch *dispatch = answer->call.dispatch;
  struct session *session = answer->call.session;
  uint64_t generation = dispatch->store->generation;
  enum dispatch_result result;
  look(answer);
  if (!session->sink->can_send(session->sink, CALL_COPIED_BYTES))
    return false;
  call_reset_reply(dispatch);
  if (answer->found == NULL) {
    (void)fc_encode_miss_lease(&dispatch->reply, answer->wait->id, generation, answer->state);
    result = call_reply(&answer->call); /* looks at `failed` */
  } else {
    (void)fc_encode_waited_hit_head(&dispatch->reply, answer->wait->id, generation,
                                    entry_value_size(answer->found));
    result = call_reply_waited_value(&answer->call, answer->found);
    store_use(dispatch->store, answer->found, answer->call.start_ns);
    record(answer);
  }
  if (result == DISPATCH_CLOSE) /* it would wait for ever */
    session->unanswerable = true;
  session->sink->resume(session->sink);
  return true;
}

bool deferred_replies_send(struct dispatch *dispatch, struct session *session) {
  if (session->leases.due_first !=
      NULL) /* hits that it served meanwhile come before, if they can */
    (void)rings_drain(&dispatch->rings, session->ring);
  for (unsigned left = ANSWERS_EACH; left > 0 && session->leases.due_first != NULL; left--) {
    struct answer answer = {
        .call = {.dispatch = dispatch,
                 .session = session,
                 .sink = session->sink,
                 .id = session->leases.due_first->id,
                 .start_ns = call_clock_ns()},
        .wait = session->leases.due_first,
    };
    if (!give(&answer))
      break;
    leases_due_done(&dispatch->leases, &session->leases);
  }
  return session->leases.due_first == NULL;
}

void deferred_replies_send_all(struct dispatch *dispatch) {
  struct leases *leases = &dispatch->leases;
  struct lease_holder *holder;
  uint32_t before = leases->due;
  while (before - leases->due < ANSWERS_SLICE && (holder = leases_next_due(leases)) != NULL) {
    struct session *session = (struct session *)((char *)holder - offsetof(struct session, leases));
    (void)deferred_replies_send(dispatch, session); /* the rest when there is room: dispatch_send_deferred */
  }
}
