#include "daemon/requests/dispatch.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/log.h"
#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/explain.h"

#define REPLY_KEPT_BYTES (64u << 10) /* of the buffer for replies, between two of them */

uint64_t call_clock_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void before_evict(void *arg) {
  struct dispatch *dispatch = arg;
  rings_drain_awake(&dispatch->rings);
}

void dispatch_init(struct dispatch *dispatch, const struct dispatch_config *config) {
  *dispatch = (struct dispatch){
      .store = config->store,
      .namespaces = config->namespaces,
      .trace = config->trace,
      .log = config->log,
      .users = config->users,
      .boot_id = config->boot_id,
      .secret = config->secret,
      .started_ns = call_clock_ns(),
      .max_clients = config->max_clients,
      .frames_bytes = config->frames_bytes,
      .replies_bytes = config->replies_bytes,
      .memory = config->memory,
      .region_fd = config->region_fd,
  };
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    dispatch->slices[kind] = UINT_MAX;
  struct rings_config rings = {.store = config->store,
                               .trace = config->trace,
                               .counters = &dispatch->counters,
                               .pool_bytes = config->ring_pool_bytes,
                               .max_clients = config->max_clients};
  rings_init(&dispatch->rings, &rings);
  leases_init(&dispatch->leases, &config->leases, &dispatch->counters);
  dispatch->processes.secret = config->secret;
  dispatch->store->before_evict = before_evict;
  dispatch->store->before_evict_arg = dispatch;
}

void dispatch_deinit(struct dispatch *dispatch) {
  clear_requests_end(dispatch);
  while (dispatch_background_step(dispatch))
    ;
  rings_deinit(&dispatch->rings);
  leases_deinit(&dispatch->leases);
  processes_deinit(&dispatch->processes);
  dispatch->store->before_evict = NULL;
  fc_buf_free(&dispatch->reply);
}

/* ---- replies ---- */

void call_reset_reply(struct dispatch *dispatch) {
  if (dispatch->reply.capacity > REPLY_KEPT_BYTES)
    fc_buf_free(&dispatch->reply);
  fc_buf_reset(&dispatch->reply);
}

/* `tail` is behind the value: `tail_size` bytes, at most 1. */
static enum dispatch_result reply_value(const struct call *call, struct entry *entry, uint8_t tail,
                                        size_t tail_size) {
  struct fc_buf *reply = &call->dispatch->reply;
  struct iovec pieces[2 + FC_REGION_PIECES_MAX];
  struct entry *owners[2 + FC_REGION_PIECES_MAX] = {NULL};
  size_t n = entry_value(entry, &pieces[1]);
  uint32_t size = entry_value_size(entry);
  /* Up to here a copy costs less than a second piece to write. */
  if (size <= CALL_COPY_MAX_BYTES && fc_buf_append(reply, pieces[1].iov_base, size) == 0) {
    (void)fc_buf_append(reply, &tail, tail_size); /* call_reply looks at `failed` */
    return call_reply(call);
  }
  if (reply->failed)
    return DISPATCH_CLOSE; /* no memory even for an error text */
  pieces[0] = (struct iovec){reply->data, reply->size};
  for (size_t i = 1; i <= n; i++)
    owners[i] = entry;
  pieces[1 + n] = (struct iovec){&tail, tail_size}; /* nobody's: it is copied */
  call->sink->send(call->sink, pieces, owners, 1 + n + tail_size);
  return DISPATCH_DONE;
}

enum dispatch_result call_reply_value(const struct call *call, struct entry *entry) {
  return reply_value(call, entry, 0, 0);
}

enum dispatch_result call_reply_waited_value(const struct call *call, struct entry *entry) {
  return reply_value(call, entry, FC_HIT_WAITED, 1);
}

enum dispatch_result call_reply(const struct call *call) {
  struct fc_buf *reply = &call->dispatch->reply;
  if (reply->failed)
    return DISPATCH_CLOSE; /* no memory even for an error text */
  struct iovec piece = {reply->data, reply->size};
  call->sink->send(call->sink, &piece, NULL, 1);
  return DISPATCH_DONE;
}

enum dispatch_result call_reply_if_room(const struct call *call) {
  const struct fc_buf *reply = &call->dispatch->reply;
  if (!reply->failed && !call->sink->can_send(call->sink, reply->size))
    return DISPATCH_RETRY;
  return call_reply(call); /* looks at `failed` */
}

enum dispatch_result call_reply_page(const struct call *call, enum fc_type type,
                                     struct fc_buf *items, const struct page_end *end) {
  struct fc_buf *reply = &call->dispatch->reply;
  (void)fc_encode_list_reply_head(reply, type, call->id, end->cursor, end->cursor_size, end->n);
  (void)fc_buf_append(reply, items->data, items->size); /* `failed`: see call_reply */
  bool failed = items->failed;
  fc_buf_free(items);
  if (failed)
    return DISPATCH_CLOSE; /* no memory even for an error text */
  if (!reply->failed)
    fc_frame_finish(reply, 0, 0);
  return call_reply_if_room(call);
}

static enum dispatch_result send_error(const struct call *call, int code, const char *text) {
  struct fc_buf *reply = &call->dispatch->reply;
  fc_buf_reset(reply);
  (void)fc_encode_error(reply, call->id, code, fc_str_of(text)); /* call_reply looks at `failed` */
  return call_reply(call);
}

enum dispatch_result call_error(const struct call *call, int code, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args); /* cut where longer */
  va_end(args);
  return send_error(call, code, text);
}

void dispatch_send_final_error(struct dispatch *dispatch, struct reply_sink *sink, int code, const char *text) {
  struct call call = {.dispatch = dispatch, .sink = sink};
  (void)send_error(&call, code, text); /* the connection ends anyway */
}

/* ---- who is turned away, and who is cut ---- */

static void log_end(struct dispatch *dispatch, const struct session *session, const char *how,
                    const char *reason) {
  char who[SESSION_TEXT_SIZE];
  log_line(dispatch->log, LOG_LEVEL_DEBUG, "%s: %s: %s", how, session_text(session, who), reason);
}

void dispatch_count_refused(struct dispatch *dispatch, const struct session *session,
                      const char *reason) {
  dispatch->refused++;
  log_end(dispatch, session, "refused", reason);
}

void dispatch_count_dropped(struct dispatch *dispatch, const struct session *session,
                      const char *reason) {
  dispatch->dropped++;
  log_end(dispatch, session, "dropped", reason);
}

uint32_t dispatch_max_body(const struct dispatch *dispatch, const struct session *session) {
  return session->handshake_done ? dispatch->store->max_value + FC_FRAME_SLACK : FC_HELLO_FRAME_MAX;
}

/* ---- the end of a client ---- */

/* Out of the list of the handshake_done. */
static void unlist(struct dispatch *dispatch, struct session *session) {
  if (session->prev != NULL)
    session->prev->next = session->next;
  else
    dispatch->first_session = session->next;
  if (session->next != NULL)
    session->next->prev = session->prev;
  else
    dispatch->last_session = session->prev;
  session->next = session->prev = NULL;
}

void dispatch_release_leases(struct dispatch *dispatch, struct session *session) {
  leases_leave(&dispatch->leases, &session->leases, call_clock_ns());
  deferred_replies_send_all(dispatch);
}

void dispatch_client_gone(struct dispatch *dispatch, struct session *session) {
  leases_leave(&dispatch->leases, &session->leases, call_clock_ns());
  if (session->ring != NULL)
    rings_detach(&dispatch->rings, session->ring);
  session->ring = NULL;
  if (session->clear != NULL && session->clear->started)
    clear_requests_adopt(dispatch, session->clear); /* it holds already */
  else
    free(session->clear);
  session->clear = NULL;
  if (session->ns != NULL)
    namespace_table_close(dispatch->namespaces, session->ns);
  session->ns = NULL;
  if (session->process != NULL)
    processes_leave(&dispatch->processes, session->process);
  session->process = NULL;
  session->leases.process = NULL;
  if (session->handshake_done) {
    dispatch->clients--;
    unlist(dispatch, session);
  }
  session->handshake_done = false;
  deferred_replies_send_all(dispatch);
}

void dispatch_send_deferred(struct dispatch *dispatch, struct session *session) {
  (void)deferred_replies_send(dispatch, session); /* the rest at the next call */
}

void dispatch_expire_leases(struct dispatch *dispatch) {
  leases_expire(&dispatch->leases, call_clock_ns());
  deferred_replies_send_all(dispatch);
}

bool dispatch_has_background_work(const struct dispatch *dispatch) {
  return dispatch->orphans.first != NULL || dispatch->namespaces->condemned != NULL ||
         dispatch->leases.due_first != NULL;
}

bool dispatch_background_step(struct dispatch *dispatch) {
  /* What is left is looked at below. */
  (void)clear_requests_step(dispatch);
  (void)namespace_table_step(dispatch->namespaces, STORE_SLICE);
  deferred_replies_send_all(dispatch);
  return dispatch_has_background_work(dispatch);
}

/* ---- rings ---- */

const char *dispatch_session_error(const struct session *session) {
  if (session->unanswerable)
    return "there was no memory for an answer that it waits for";
  return session->ring == NULL ? NULL : rings_fault(session->ring);
}

static enum dispatch_result wait_for_trace(const struct call *call) {
  call->session->waits_for_trace = true;
  return DISPATCH_RETRY;
}

static bool closes_trace_file(const struct fc_request *request) {
  return request->type == FC_TRACE && request->trace.action != FC_TRACE_STATUS;
}

/* Are the lines made of all that was before this request? What is owed for hits since then is not
 * its business: under load there is always some. */
static bool file_has_its_lines(struct rings *rings, struct session *session) {
  if (!session->marked_trace) {
    session->marked_trace = !rings_drain_all(rings);
    if (session->marked_trace)
      rings_mark(rings);
  } else {
    session->marked_trace = rings_owe_to_mark(rings);
  }
  return !session->marked_trace;
}

/* What clients served themselves came before the request; where figures are told, or the past is
 * closed, that holds however many clients there are. */
static enum dispatch_result drain_before(const struct call *call,
                                         const struct fc_request *request) {
  struct rings *rings = &call->dispatch->rings;
  struct session *session = call->session;
  enum fc_type type = request->type;
  bool done = rings_drain(rings, session->ring);
  /* A ping asks for no more than room, and may be answered by less than another ring: the rest of
   * the ring is read while the client goes on. */
  bool asks_for_room = type == FC_PING || type == FC_RING;
  if (!done && !(asks_for_room && rings_has_room(session->ring)))
    return wait_for_trace(call);
  const char *fault = dispatch_session_error(session);
  if (fault != NULL) {
    dispatch_count_dropped(call->dispatch, session, fault);
    (void)call_error(call, FC_EPROTOCOL, "%s", fault); /* the connection ends anyway */
    return DISPATCH_CLOSE;
  }
  bool begins_clear = type == FC_CLEAR && session->clear == NULL && !call->sink->peer_gone;
  if (closes_trace_file(request))
    return file_has_its_lines(rings, session) ? DISPATCH_DONE : wait_for_trace(call);
  bool tells = type == FC_STATS || type == FC_LIST || type == FC_CLIENTS || type == FC_NAMESPACES;
  if (tells || type == FC_TRACE || begins_clear)
    (void)rings_drain_all(rings); /* lines that are owed come later */
  return DISPATCH_DONE;
}

/* ---- routing ---- */

static bool needs_namespace(enum fc_type type) {
  return type == FC_GET || type == FC_PUT || type == FC_GET_MANY || type == FC_PUT_MANY ||
         type == FC_GIVE_UP;
}

static bool uses_namespace(enum fc_type type) {
  return needs_namespace(type) && type != FC_GIVE_UP;
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
    (void)fc_encode_simple(&call->dispatch->reply, FC_REPLY | FC_PING, call->id);
    return call_reply(call); /* looks at `failed` */
  case FC_STATS:
    return handle_stats(call, request->select.name_space);
  case FC_CLEAR:
    return handle_clear(call, &request->select);
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
  default: /* the decoder knows only the above */
    return send_error(call, FC_EPROTOCOL, fc_error_text(FC_EPROTOCOL));
  }
}

/* A body that is no request, or none that may be made, for `rc`. */
static enum dispatch_result refuse_body(const struct call *call, enum fc_type type, int rc,
                                        const uint8_t *body, uint32_t size) {
  char text[FC_EXPLANATION_SIZE];
  fc_explain_request(body, size, text);
  (void)send_error(call, rc, text); /* where that fails there is no more to do */
  if (rc == FC_EPROTOCOL)
    dispatch_count_dropped(call->dispatch, call->session, text);
  else if (type == FC_HELLO)
    return call_refuse_hello(call, text);
  return rc == FC_EPROTOCOL ? DISPATCH_CLOSE : DISPATCH_DONE;
}

/* ---- turns ---- */

#define SHORT_KEYS 64u           /* a request of more keys is a slice, or several */
#define SHORT_BYTES (256u << 10) /* one with more bytes of values, too */

static enum slice_kind slice_of(const struct call *call, const struct fc_request *request) {
  bool is_long = false;
  switch (request->type) {
  case FC_STATS:
  case FC_LIST:
  case FC_LEASES:
  case FC_CLIENTS:
  case FC_NAMESPACES:
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

/* Takes a slice. False: there is none left of its kind. */
static bool take_slice(const struct call *call, const struct fc_request *request) {
  enum slice_kind kind = slice_of(call, request);
  if (kind == SLICE_NONE)
    return true;
  call->session->slice_kind = kind;
  if (call->dispatch->slices[kind] == 0)
    return false;
  call->dispatch->slices[kind]--;
  return true;
}

/* Has it no effect but its reply? (A hit's effect on the order and the counters is one of a lookup
 * that somebody made use of.) */
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
  case FC_RING:
    return true;
  case FC_TRACE:
    return request->trace.action == FC_TRACE_STATUS;
  default:
    return false;
  }
}

/* A put_many that is not done was checked when it came; to check each slice's whole body again
 * would take time that grows with the square of its size. */
static int decode(const struct session *session, const uint8_t *body, uint32_t size,
                  struct fc_request *request) {
  return session->many.next > 0 ? fc_decode_request_again(body, size, request)
                                : fc_decode_request(body, size, request);
}

enum dispatch_result dispatch_frame(struct dispatch *dispatch, struct session *session,
                                    struct reply_sink *sink, const uint8_t *body, uint32_t size) {
  /* Room for any reply but those with values, which ask for more themselves. */
  session->waits_for_trace = false;
  /* Who waited has its answers before it asks for more. */
  if (!deferred_replies_send(dispatch, session) || !sink->can_send(sink, 0))
    return DISPATCH_RETRY;
  struct fc_request request;
  int rc = decode(session, body, size, &request);
  struct call call = {dispatch, session, sink, request.id, 0};
  call_reset_reply(dispatch);
  if (rc == 0 && session->handshake_done && sink->peer_gone && only_reads(&request)) {
    session->many = (struct many_progress){0};
    return DISPATCH_DONE;
  }
  if (rc == 0 && !take_slice(&call, &request))
    return DISPATCH_NO_SLICE;
  enum dispatch_result drained = drain_before(&call, &request);
  if (drained != DISPATCH_DONE)
    return drained;
  call.start_ns = call_clock_ns(); /* not before: a hit in a ring is older than this request */
  if (!session->handshake_done && request.type != FC_HELLO && rc != FC_EPROTOCOL) {
    dispatch_count_dropped(dispatch, session, fc_error_text(FC_ENOHELLO));
    (void)send_error(&call, FC_ENOHELLO, fc_error_text(FC_ENOHELLO));
    return DISPATCH_CLOSE;
  }
  if (rc < 0)
    return refuse_body(&call, request.type, rc, body, size);
  if (needs_namespace(request.type) && session->ns == NULL)
    return call_error(&call, FC_ENONAMESPACE,
                      "this client's hello named no namespace, so it can neither get nor put");
  if (uses_namespace(request.type))
    namespace_use(session->ns, call.start_ns);
  if (request.type != FC_PUT_MANY)
    session->batch = (struct batch_progress){0};
  enum dispatch_result result = route(&call, &request);
  deferred_replies_send_all(dispatch);
  return result;
}
