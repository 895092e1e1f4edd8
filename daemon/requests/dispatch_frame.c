/* One frame: decodes it, waits for what has to come before it, and hands the request to its
 * handler. */
#include "daemon/requests/handlers.h"
#include "proto/errors.h"
#include "proto/wire/explain.h"

/* ---- rings ---- */

static enum dispatch_result wait_for_trace(const struct call *call) {
  call->session->waits_for_trace = true;
  return DISPATCH_RETRY;
}

/* These requests read counters or entries of all clients, or clear or evict entries. */
static bool needs_all_rings(const struct call *call, enum fc_type type) {
  const struct clear_job *clear = call->session->clear;
  bool begins_clear =
      type == FC_CLEAR && (clear == NULL || !clear->started) && !call->sink->peer_gone;
  return begins_clear || type == FC_STATS || type == FC_LIST || type == FC_CLIENTS ||
         type == FC_NAMESPACES || type == FC_USAGE || type == FC_LATENCY || type == FC_TRACE ||
         type == FC_SNAPSHOT || type == FC_SET;
}

/* Drains the client's ring: it recorded those hits before it sent the request. */
static enum dispatch_result drain_before(const struct call *call,
                                         const struct fc_request *request) {
  struct rings *rings = &call->dispatch->rings;
  struct session *session = call->session;
  enum fc_type type = request->type;
  bool done = rings->n == 0 || rings_drain(rings, session->ring);
  /* A ping or a ring request only needs room in the ring. The rest is drained while the client
   * continues. */
  bool needs_room_only = type == FC_PING || type == FC_RING;
  if (!done && !(needs_room_only && rings_has_room(session->ring)))
    return wait_for_trace(call);
  const char *error = dispatch_session_error(session);
  if (error != NULL) {
    dispatch_count_dropped(call->dispatch, session, error);
    (void)call_error(call, FC_EPROTOCOL, "%s", error); /* the connection ends in any case */
    return DISPATCH_CLOSE;
  }
  if (needs_all_rings(call, type))
    rings_drain_all(rings);
  return DISPATCH_DONE;
}

/* ---- routing ---- */

static bool needs_namespace(enum fc_type type) {
  return type == FC_GET || type == FC_PUT || type == FC_GET_MANY || type == FC_PUT_MANY ||
         type == FC_GIVE_UP;
}

static enum dispatch_result handle_ping(const struct call *call) {
  (void)fc_encode_simple(&call->dispatch->reply, FC_REPLY | FC_PING, call->id);
  return call_reply(call); /* checks `failed` */
}

static enum dispatch_result route(const struct call *call, const struct fc_request *request) {
  switch (request->type) {
  case FC_HELLO:
    return handle_hello(call, &request->hello);
  case FC_GET:
    return handle_get(call, &request->get);
  case FC_PUT:
    return handle_put(call, &request->put);
  case FC_GET_MANY:
    return handle_get_many(call, &request->get_many);
  case FC_PUT_MANY:
    return handle_put_many(call, &request->put_many);
  case FC_PING:
    return handle_ping(call);
  case FC_STATS:
    return handle_stats(call, request->select.name_space);
  case FC_CLEAR:
    return handle_clear(call, &request->clear);
  case FC_LIST:
    return handle_list(call, &request->list);
  case FC_TRACE:
    return handle_trace(call, &request->trace);
  case FC_SHUTDOWN:
    return handle_shutdown(call);
  case FC_GIVE_UP:
    return handle_give_up(call, &request->give_up);
  case FC_LEASES:
    return handle_leases(call, &request->page);
  case FC_CLIENTS:
    return handle_clients(call, &request->page);
  case FC_NAMESPACES:
    return handle_namespaces(call, &request->page);
  case FC_RING:
    return handle_ring(call, &request->ring);
  case FC_KILL:
    return handle_kill(call, request->kill);
  case FC_SNAPSHOT:
    return handle_snapshot(call, request->snapshot);
  case FC_RELOAD:
    return handle_reload(call);
  case FC_SETTINGS:
    return handle_settings(call);
  case FC_SET:
    return handle_set(call, &request->set);
  case FC_DELETE:
    return handle_delete(call, &request->delete);
  case FC_USAGE:
    return handle_usage(call, &request->usage);
  case FC_LATENCY:
    return handle_latency(call, request->latency);
  case FC_SLOWEST:
    return handle_slowest(call, &request->slowest);
  case FC_TIER:
    return handle_tier(call, &request->tier);
  case FC_WATCH:
    return handle_watch(call, &request->watch);
  case FC_EVENTS:
    return handle_events(call, &request->events);
  default: /* the decoder returns no other type */
    return call_error_code(call, FC_EPROTOCOL);
  }
}

/* Sends the error for a body that fc_decode_request refused with `rc`. */
static enum dispatch_result refuse_body(const struct call *call, enum fc_type type, int rc,
                                        const uint8_t *body, uint32_t size) {
  char text[FC_EXPLANATION_SIZE];
  fc_explain_request(body, size, text);
  (void)call_error(call, rc, "%s", text); /* if that fails, the connection fails */
  if (rc == FC_EPROTOCOL)
    dispatch_count_dropped(call->dispatch, call->session, text);
  else if (type == FC_HELLO)
    return call_refuse_hello(call, text);
  return rc == FC_EPROTOCOL ? DISPATCH_CLOSE : DISPATCH_DONE;
}

/* ---- slices ---- */

#define SHORT_KEYS 64u           /* a request of more keys takes one slice or several */
#define SHORT_BYTES (256u << 10) /* or of more bytes of values */

static enum slice_kind slice_of(const struct call *call, const struct fc_request *request) {
  bool is_long = false;
  switch (request->type) {
  case FC_STATS:
  case FC_LIST:
  case FC_LEASES:
  case FC_CLIENTS:
  case FC_NAMESPACES:
  case FC_USAGE:
  case FC_LATENCY:
  case FC_SLOWEST:
  case FC_RELOAD:
  case FC_SETTINGS:
  case FC_TIER:
    return SLICE_TOOLS;
  case FC_CLEAR: /* to queue one takes no slice */
    return call->sink->peer_gone ? SLICE_NONE : SLICE_TOOLS;
  case FC_HELLO:
    is_long = request->hello.has_max_entries || request->hello.has_max_bytes;
    break;
  case FC_GET_MANY:
    is_long = request->get_many.n > SHORT_KEYS;
    break;
  case FC_PUT_MANY:
    is_long = request->put_many.n > SHORT_KEYS || request->put_many.values.size > SHORT_BYTES;
    break;
  case FC_GIVE_UP:
    is_long = request->give_up.n > SHORT_KEYS;
    break;
  default:
    break;
  }
  return is_long ? SLICE_LOOKUPS : SLICE_NONE;
}

/* Returns false if the request needs a slice and none of its kind is left. */
static bool use_slice(const struct call *call, const struct fc_request *request) {
  enum slice_kind kind = slice_of(call, request);
  if (kind == SLICE_NONE)
    return true;
  call->session->slice_kind = kind;
  if (call->dispatch->slices[kind] == 0)
    return false;
  call->dispatch->slices[kind]--;
  return true;
}

/* Returns true if the request has no effect but its reply. (A get whose reply is lost need not
 * promote or count: no client used the value.) */
static bool only_reads(const struct fc_request *request) {
  switch (request->type) {
  case FC_GET:
  case FC_GET_MANY:
  case FC_PING:
  case FC_STATS:
  case FC_LIST:
  case FC_LEASES:
  case FC_CLIENTS:
  case FC_NAMESPACES:
  case FC_USAGE:
  case FC_RING:
  case FC_WATCH:
  case FC_EVENTS:
  case FC_SETTINGS:
  case FC_TIER:
    return true;
  case FC_TRACE:
    return request->trace.action == FC_TRACE_STATUS;
  case FC_SNAPSHOT:
    return request->snapshot == FC_SNAPSHOT_STATUS;
  case FC_LATENCY:
    return !request->latency;
  case FC_SLOWEST:
    return !request->slowest.reset;
  default:
    return false;
  }
}

/* ---- a frame ---- */

/* A put_many in progress was checked when it came. To check its whole body for each slice would
 * take time that grows with the square of its size. */
static int decode(const struct session *session, const uint8_t *body, uint32_t size,
                  struct fc_request *request) {
  return session->many.next > 0 ? fc_decode_request_again(body, size, request)
                                : fc_decode_request(body, size, request);
}

/* Executes a decoded request of a session whose handshake is done, or its hello. */
static enum dispatch_result execute(const struct call *call, const struct fc_request *request) {
  struct session *session = call->session;
  if (needs_namespace(request->type) && session->ns == NULL)
    return call_error(call, FC_ENONAMESPACE,
                      "this client's hello named no namespace, so it can neither get nor put");
  if (needs_namespace(request->type) && request->type != FC_GIVE_UP)
    namespace_use(session->ns, call->start_ns);
  if (request->type != FC_PUT_MANY)
    session->batch = (struct batch_progress){0};
  enum dispatch_result result = route(call, request);
  struct request_sent sent = call->dispatch->sent;
  if (call->dispatch->owners.n > 0) /* the request may have ended a lease of one */
    lease_owners_sweep(&call->dispatch->owners);
  if (call->dispatch->leases.due_first != NULL)
    deferred_replies_send_all(call->dispatch);
  call->dispatch->sent = sent; /* the replies since then are those of other requests */
  return result;
}

/* Decodes the frame into *request and executes it. Sets call->start_ns if it was executed. */
static enum dispatch_result run_frame(struct call *call, const uint8_t *body, uint32_t size,
                                      struct fc_request *request) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  int rc = decode(session, body, size, request);
  call->id = request->id;
  call_reset_reply(dispatch);
  if (rc == 0 && session->handshake_done && call->sink->peer_gone && only_reads(request)) {
    session->many = (struct many_progress){0};
    return DISPATCH_DONE;
  }
  if (rc == 0 && !use_slice(call, request))
    return DISPATCH_NO_SLICE;
  enum dispatch_result drained = drain_before(call, request);
  if (drained != DISPATCH_DONE)
    return drained;
  call->start_ns = call_clock_ns(); /* after draining: hits in a ring are older than the request */
  if (!session->handshake_done && request->type != FC_HELLO && rc != FC_EPROTOCOL) {
    dispatch_count_dropped(dispatch, session, fc_error_text(FC_ENOHELLO));
    (void)call_error_code(call, FC_ENOHELLO);
    return DISPATCH_CLOSE;
  }
  if (rc < 0)
    return refuse_body(call, request->type, rc, body, size);
  dispatch->kind = request_times_kind(request);
  return execute(call, request);
}

/* The request is finished. It may have been parked until it was dispatched for another reason. */
static void end_asking(const struct call *call) {
  struct session *session = call->session;
  if (session->asking.keys == 0)
    return;
  dispatch_leave_fill(call->dispatch, session);
  call_end_time(call);
  session->asking = (struct fleet_asking){0};
}

enum dispatch_result dispatch_frame(struct dispatch *dispatch, struct session *session,
                                    struct reply_sink *sink, const uint8_t *body, uint32_t size) {
  struct fc_request request;
  struct call call = {dispatch, session, sink, 0, 0};
  enum dispatch_result result = DISPATCH_RETRY;
  session->waits_for_trace = session->waits_for_record = session->waits_for_events = false;
  session->waits_for_fleet = false;
  /* Send replies to finished waits before handling the next request. */
  dispatch_send_deferred(dispatch, session);
  dispatch->kind = LATENCY_KINDS;
  dispatch->sent = (struct request_sent){0};
  /* Room for a reply without a value. Handlers ask for more themselves. */
  if (session->leases.due_first == NULL && sink->can_send(sink, 0))
    result = run_frame(&call, body, size, &request);
  dispatch->ended_ns = call_clock_ns();
  if (result != DISPATCH_RETRY && result != DISPATCH_NO_SLICE)
    end_asking(&call);
  request_times_add(&call, &request, size, result);
  return result;
}
