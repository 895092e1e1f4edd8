/* Gets and puts of one key, and the records of gets and puts. */
#include <assert.h>

#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"

#define NS_PER_MS 1000000u

static_assert((int)LEASE_NONE == (int)FC_LEASE_NONE &&
                  (int)LEASE_GRANTED == (int)FC_LEASE_GRANTED &&
                  (int)LEASE_TAKEN == (int)FC_LEASE_TAKEN,
              "the lease table's answers are sent unchanged");

void call_sets(const struct call *call, struct counters *sets[CALL_SETS]) {
  sets[0] = &call->session->ns->counters;
  sets[1] = &call->dispatch->totals->counters;
}

static void call_trace(const struct call *call, const struct call_record *record, bool hit) {
  const struct fc_key *key = record->key;
  if (!trace_is_on(call->dispatch->trace))
    return;
  struct client_clock clock = client_clock_now();
  struct trace_context context = {
      .probe = record->probe,
      .view = key->view,
      .op = key->op,
      .name_space = call->session->ns->name,
      .client = call->session->name,
      .hit = hit,
  };
  struct trace_event event = {
      .ts_ns = client_time_stamp(&call->session->time, &clock, record->end_ns),
      .wall_ns = record->wall_ns,
      .prompt = key->prompt,
      .top_k = key->top_k,
  };
  trace_write(call->dispatch->trace, &context, &event);
}

void call_record_hit(const struct call *call, const struct call_record *record,
                     const struct entry *entry) {
  struct counters *sets[CALL_SETS];
  struct call_record charged = *record;
  charged.wall_ns = client_time_charge(&call->session->time, record->end_ns, record->wall_ns);
  bool shared = entry_origin(entry) != call->session->origin;
  call_sets(call, sets);
  counters_hit(sets, CALL_SETS, charged.wall_ns, entry_compute_ns(entry), shared);
  call->session->hits++;
  call->session->shared_hits += shared;
  call->dispatch->totals->hits_socket++;
  events_hit(call, record, entry);
  call_trace(call, &charged, true);
}

void call_count_usage(const struct call *call, const struct fc_key *key, struct fc_str probe,
                      const struct usage_counts *more) {
  struct session *session = call->session;
  struct usage_names names = {
      .name_space = session->ns->name, .op = key->op, .view = key->view, .probe = probe};
  usage_add(&call->dispatch->usage, session->user, &names, more);
  usage_counts_add(&session->usage, more);
}

void call_count_usage_hit(const struct call *call, const struct call_record *record,
                          const struct entry *entry) {
  struct usage_counts more = {.hits = 1, .saved_ns = entry_compute_ns(entry)};
  call_count_usage(call, record->key, record->probe, &more);
}

uint64_t call_lease_digest(const struct call *call, const struct fc_key *key) {
  return fc_key_digest(call->session->ns->seed ^ call->dispatch->secret, key);
}

enum lease_answer call_acquire_lease(const struct call *call, const struct fc_key *key,
                                     const struct fc_get *get) {
  struct namespace *ns = call->session->ns;
  struct fleet_asking *asking = &call->session->asking;
  struct lease_request request = {
      .ns = ns,
      .digest = call_lease_digest(call, key),
      .key = key,
      .wants = (get->flags & FC_LEASE) != 0,
      .term_ns = (uint64_t)get->terms.lease_ms * NS_PER_MS,
      .wait_ns = (uint64_t)get->terms.wait_ms * NS_PER_MS,
      .id = call->id,
      .flags = get->flags,
      .probe = get->probe,
      .since_ns = asking->is_timed ? asking->since_ns : 0,
      .begun = asking->begun,
  };
  enum lease_answer answer =
      leases_acquire(&call->dispatch->leases, &call->session->leases, &request, call->start_ns);
  if (answer == LEASE_WAITS)
    asking->is_timed = false; /* the wait has taken the time over */
  return answer;
}

static enum dispatch_result reply_miss(const struct call *call, const struct fc_get *get) {
  struct fc_buf *reply = &call->dispatch->reply;
  uint64_t generation = call->dispatch->store->saved->generation;
  enum lease_answer answer = LEASE_NONE;
  call->dispatch->kind = LATENCY_MISS;
  if (call->session->version >= 3 && ((get->flags & FC_LEASE) != 0 || call->dispatch->leases.n > 0))
    answer = call_acquire_lease(call, &get->key, get);
  if ((get->flags & FC_UNRECORDED) == 0)
    events_miss(call, &get->key, answer);
  if (call->session->version < 3) {
    (void)fc_encode_miss(reply, call->id, generation);
    return call_reply(call); /* checks `failed` */
  }
  if (answer == LEASE_WAITS) {
    call->dispatch->kind = LATENCY_KINDS; /* deferred_replies.c sends the reply, and measures it */
    return DISPATCH_DONE;
  }
  (void)fc_encode_miss_lease(reply, call->id, generation, (enum fc_lease_state)answer);
  return call_reply(call); /* checks `failed` */
}

enum dispatch_result handle_get(const struct call *call, const struct fc_get *get) {
  struct dispatch *dispatch = call->dispatch;
  const struct namespace *ns = call->session->ns;
  struct entry *found = store_peek(dispatch->store, ns, &get->key);
  if (found == NULL && dispatch->fleet != NULL) {
    enum fleet_answer answer = call_ask_fleet(call, get);
    if (answer == FLEET_WAITS)
      return DISPATCH_RETRY;
    if (answer == FLEET_STORED)
      found = store_peek(dispatch->store, ns, &get->key);
  }
  if (found == NULL)
    return reply_miss(call, get);
  if (!call->sink->can_send(call->sink, CALL_COPIED_BYTES))
    return DISPATCH_RETRY; /* nothing was promoted or counted: the frame is dispatched again */
  (void)fc_encode_hit_head(&dispatch->reply, call->id, dispatch->store->saved->generation,
                           entry_value_size(found));
  enum dispatch_result result = call_reply_value(call, found);
  /* After the reply, so that the client does not wait for the bookkeeping. */
  if ((get->flags & FC_PEEK) == 0)
    store_use(dispatch->store, found, call->start_ns);
  if (result == DISPATCH_DONE && (get->flags & FC_UNRECORDED) == 0) {
    struct call_record record = {
        .key = &get->key, .probe = get->probe, .end_ns = dispatch->sent.ns};
    record.wall_ns = call_wall_ns(call, record.end_ns);
    call_record_hit(call, &record, found);
    call_count_usage_hit(call, &record, found);
  }
  return result;
}

/* Ends the lease of the key that was put. A stale put hands it to the next waiter. A value that is
 * too large ends all waits, because no other client could store it either. */
static void end_lease(const struct call *call, const struct fc_key *key, int outcome) {
  struct leases *leases = &call->dispatch->leases;
  struct session *session = call->session;
  uint64_t digest = call_lease_digest(call, key);
  if (outcome == FC_STORED || outcome == FC_KEPT)
    leases_put(leases, session->ns, digest, key, call->start_ns);
  else
    (void)leases_give_up(leases, &session->leases, session->ns, digest, key, outcome != FC_STALE,
                         call->start_ns); /* false if it has no lease of the key */
}

static struct store_put_info put_info(const struct call *call, const struct fc_put *put) {
  return (struct store_put_info){
      .origin = call->session->origin,
      .compute_ns = client_time_compute_ns(put->compute_ns),
      .now_ns = call->start_ns,
      .keep_first = (put->flags & FC_KEEP_FIRST) != 0,
      .has_generation = put->epoch.boot_id != 0,
      .generation = put->epoch.clear_generation,
  };
}

/* Returns false if the computation began under a daemon of another cache: its generation says
 * nothing about the clears of this one. */
static bool is_of_this_cache(const struct call *call, const struct fc_put *put) {
  const struct dispatch *dispatch = call->dispatch;
  uint64_t boot_id = put->epoch.boot_id;
  bool known = boot_id == 0 || boot_id == dispatch->boot_id;
  for (uint64_t i = 0; i < dispatch->n_boots && !known; i++)
    known = boot_id == dispatch->boots[i];
  return known;
}

bool call_put_has_room(const struct call *call, const struct fc_put *put) {
  struct store_put_info info = put_info(call, put);
  return put->withheld || !is_of_this_cache(call, put) ||
         store_put_has_room(call->dispatch->store, call->session->ns, &put->key, put->value_size,
                            &info);
}

int call_put(const struct call *call, const struct fc_put *put) {
  struct dispatch *dispatch = call->dispatch;
  int outcome = FC_STALE;
  if (put->withheld) {
    outcome = FC_ETOOBIG;
  } else if (is_of_this_cache(call, put)) {
    struct store_put_info info = put_info(call, put);
    outcome = store_put(dispatch->store, call->session->ns, &put->key, put->value, put->value_size,
                        &info);
    if (outcome == FC_STORED && dispatch->fleet != NULL) /* before its lease ends */
      fleet_put(dispatch->fleet, call->session->ns, call_lease_digest(call, &put->key), &put->key,
                &info, put->value, put->value_size, call->start_ns);
  }
  events_put(call, put, outcome);
  if (dispatch->leases.n > 0)
    end_lease(call, &put->key, outcome);
  dispatch->totals->puts_kept += outcome == FC_KEPT;
  dispatch->totals->puts_stale += outcome == FC_STALE;
  dispatch->totals->puts_too_big += outcome == FC_ETOOBIG;
  return outcome;
}

void call_record_put(const struct call *call, const struct call_record *record) {
  struct counters *sets[CALL_SETS];
  call_sets(call, sets);
  counters_miss(sets, CALL_SETS, 1, record->wall_ns);
  call_trace(call, record, false);
}

static enum dispatch_result too_big(const struct call *call, const struct fc_put *put) {
  const struct store *store = call->dispatch->store;
  if (put->withheld)
    return call_error(call, FC_ETOOBIG,
                      "a value that was not sent does not fit: the limit is %u bytes (--max-value)",
                      store->max_value);
  return call_error(call, FC_ETOOBIG,
                    "a value of %u bytes does not fit: the limit is %u bytes (--max-value), and "
                    "%llu in all (--max-bytes)",
                    put->value_size, store->max_value, (unsigned long long)store->max_bytes);
}

enum dispatch_result handle_put(const struct call *call, const struct fc_put *put) {
  if (!call_put_has_room(call, put))
    return DISPATCH_RETRY; /* more is evicted in the next turn */
  int outcome = call_put(call, put);
  if ((put->flags & FC_UNRECORDED) == 0) { /* stored or not, the forward pass was made */
    struct call_record record = {.key = &put->key, .probe = put->probe, .end_ns = call_clock_ns()};
    record.wall_ns = client_time_charge(&call->session->time, record.end_ns, put->compute_ns);
    struct usage_counts more = {.misses = 1, .computed_ns = record.wall_ns};
    more.put_bytes = outcome == FC_STORED ? put->value_size : 0;
    call_record_put(call, &record);
    call_count_usage(call, &put->key, put->probe, &more);
  }
  if (outcome == FC_ETOOBIG)
    return too_big(call, put);
  if (outcome < 0)
    return call_error_code(call, outcome);
  (void)fc_encode_put_reply(&call->dispatch->reply, call->id, (enum fc_put_outcome)outcome);
  return call_reply(call); /* checks `failed` */
}
