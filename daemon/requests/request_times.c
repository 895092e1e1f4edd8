/* The times of requests: into the histograms, and into the log of the slowest ones. */
#include "daemon/requests/handlers.h"
#include "proto/wire/message_table.h"

enum latency_kind request_times_kind(const struct fc_request *request) {
  switch (request->type) {
  case FC_GET:
    return LATENCY_HIT;
  case FC_PUT:
    return LATENCY_PUT;
  case FC_GET_MANY:
    return LATENCY_GET_MANY;
  case FC_PUT_MANY:
    return LATENCY_PUT_MANY;
  case FC_DELETE:
    return LATENCY_DELETE;
  case FC_CLEAR:
    return LATENCY_CLEAR;
  case FC_STATS:
  case FC_LIST:
  case FC_LEASES:
  case FC_CLIENTS:
  case FC_NAMESPACES:
  case FC_USAGE:
  case FC_LATENCY:
  case FC_SLOWEST:
  case FC_TIER:
    return LATENCY_LISTING;
  default:
    return LATENCY_OTHER;
  }
}

/* ---- the slow log ---- */

static const char *name_of(enum fc_type type) {
  const struct fc_message_info *message = fc_request_table;
  while (message->name != NULL && message->type != (uint32_t)type)
    message++;
  return message->name == NULL ? "" : message->name;
}

/* Sets the names and the number of the keys that the request concerns. */
static uint32_t describe(const struct fc_request *request, struct fc_str names[SLOW_NAMES]) {
  const struct fc_key *key = NULL;
  const struct fc_select *select = NULL;
  uint32_t keys = 0;
  switch (request->type) {
  case FC_GET:
    key = &request->get.key;
    keys = 1;
    break;
  case FC_PUT:
    key = &request->put.key;
    keys = 1;
    break;
  case FC_DELETE:
    names[SLOW_NAMESPACE] = request->delete.name_space;
    key = &request->delete.key;
    keys = 1;
    break;
  case FC_GET_MANY:
    key = &request->get_many.key;
    keys = request->get_many.n;
    break;
  case FC_PUT_MANY:
    key = &request->put_many.key;
    keys = request->put_many.n;
    break;
  case FC_GIVE_UP:
    key = &request->give_up.key;
    keys = request->give_up.n;
    break;
  case FC_STATS:
    select = &request->select;
    break;
  case FC_CLEAR:
    select = &request->clear.select;
    break;
  case FC_LIST:
    select = &request->list.select;
    break;
  default:
    break;
  }
  if (select != NULL)
    names[SLOW_NAMESPACE] = select->name_space;
  names[SLOW_OP] = key != NULL ? key->op : select != NULL ? select->op : (struct fc_str){0};
  names[SLOW_VIEW] = key != NULL ? key->view : select != NULL ? select->view : (struct fc_str){0};
  return keys;
}

static void log_slow(const struct call *call, const struct fc_request *request, uint32_t size,
                     uint64_t queue_ns, uint64_t total_ns) {
  const struct session *session = call->session;
  const struct request_times *times = &session->times;
  struct fc_str names[SLOW_NAMES] = {[SLOW_CLIENT] = session->name,
                                     [SLOW_NAMESPACE] = session->ns == NULL ? (struct fc_str){0}
                                                                            : session->ns->name};
  struct slow_request slow = {.request = name_of(request->type),
                              .ended_ns = call->dispatch->ended_ns,
                              .total_ns = total_ns,
                              .queue_ns = queue_ns,
                              .serve_ns = times->serve_ns,
                              .send_ns = times->send_ns,
                              .bytes = size + times->bytes,
                              .client_id = session->client_id,
                              .pid = session->pid,
                              .keys = describe(request, names)};
  slow_log_add(&call->dispatch->latency->slow, &slow, names);
}

/* ---- times ---- */

/* Adds the dispatch that has just ended to the times of its request. */
static void add_slice(const struct call *call, struct request_times *times) {
  const struct dispatch *dispatch = call->dispatch;
  uint64_t end_ns = dispatch->ended_ns;
  uint64_t sent_ns = dispatch->sent.ns < call->start_ns ? end_ns : dispatch->sent.ns;
  times->serve_ns += sent_ns - call->start_ns;
  times->send_ns += end_ns - sent_ns;
  times->bytes += dispatch->sent.bytes;
}

/* The request waited while it was not executed, and not parked either. */
static uint64_t queue_ns_of(const struct call *call, const struct request_times *times) {
  uint64_t end_ns = call->dispatch->ended_ns;
  uint64_t busy_ns = times->serve_ns + times->send_ns + times->tier_ns;
  uint64_t since_ns = times->arrived_ns == 0 ? call->start_ns : times->arrived_ns;
  return end_ns - since_ns > busy_ns ? end_ns - since_ns - busy_ns : 0;
}

void request_times_add(const struct call *call, const struct fc_request *request, uint32_t size,
                       enum dispatch_result result) {
  struct dispatch *dispatch = call->dispatch;
  struct request_times *times = &call->session->times;
  struct latency *latency = dispatch->latency;
  if (call->start_ns != 0)
    add_slice(call, times);
  if (call->session->waits_for_fleet && times->parked_ns == 0)
    times->parked_ns = dispatch->ended_ns;
  if (result == DISPATCH_RETRY || result == DISPATCH_NO_SLICE)
    return;
  if (times->tier_ns > 0) /* also if it waits for a lease next */
    latency_add(latency, LATENCY_TIER, times->tier_ns);
  if (latency != NULL && dispatch->kind != LATENCY_KINDS) {
    uint64_t queue_ns = queue_ns_of(call, times);
    uint64_t total_ns = queue_ns + times->serve_ns + times->send_ns + times->tier_ns;
    latency_add(latency, dispatch->kind, total_ns);
    latency_add(latency, LATENCY_QUEUE, queue_ns);
    latency_add(latency, LATENCY_SERVE, times->serve_ns);
    latency_add(latency, LATENCY_SEND, times->send_ns);
    /* A hello that was refused has no client. */
    if (call->session->handshake_done &&
        slow_log_takes(&latency->slow, total_ns, dispatch->ended_ns))
      log_slow(call, request, size, queue_ns, total_ns);
  }
  *times = (struct request_times){0};
}
