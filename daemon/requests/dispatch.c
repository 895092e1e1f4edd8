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
  rings_drain_before_eviction(&dispatch->rings);
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
  clears_end(dispatch);
  while (dispatch_chores(dispatch))
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
  if (!reply->failed && !call->sink->has_room(call->sink, reply->size))
    return DISPATCH_AGAIN;
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

void dispatch_last_words(struct dispatch *dispatch, struct sink *sink, int code, const char *text) {
  struct call call = {.dispatch = dispatch, .sink = sink};
  (void)send_error(&call, code, text); /* the connection ends anyway */
}

/* ---- who is turned away, and who is cut ---- */

static void log_end(struct dispatch *dispatch, const struct session *session, const char *how,
                    const char *reason) {
  char who[SESSION_TEXT_SIZE];
  log_line(dispatch->log, LOG_LEVEL_DEBUG, "%s: %s: %s", how, session_text(session, who), reason);
}

void dispatch_refused(struct dispatch *dispatch, const struct session *session,
                      const char *reason) {
  dispatch->refused++;
  log_end(dispatch, session, "refused", reason);
}

void dispatch_dropped(struct dispatch *dispatch, const struct session *session,
                      const char *reason) {
  dispatch->dropped++;
  log_end(dispatch, session, "dropped", reason);
}

uint32_t dispatch_max_body(const struct dispatch *dispatch, const struct session *session) {
  return session->greeted ? dispatch->store->max_value + FC_FRAME_SLACK : FC_HELLO_FRAME_MAX;
}

/* ---- the end of a client ---- */

/* Out of the list of the greeted. */
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

void dispatch_let_go(struct dispatch *dispatch, struct session *session) {
  leases_client_gone(&dispatch->leases, &session->leases, call_clock_ns());
  waits_answer_all(dispatch);
}

void dispatch_leave(struct dispatch *dispatch, struct session *session) {
  leases_client_gone(&dispatch->leases, &session->leases, call_clock_ns());
  if (session->ring != NULL)
    rings_detach(&dispatch->rings, session->ring);
  session->ring = NULL;
  if (session->clear != NULL && session->clear->started)
    clears_adopt(dispatch, session->clear); /* it holds already */
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
  if (session->greeted) {
    dispatch->clients--;
    unlist(dispatch, session);
  }
  session->greeted = false;
  waits_answer_all(dispatch);
}

void dispatch_resume(struct dispatch *dispatch, struct session *session) {
  (void)waits_answer(dispatch, session); /* the rest at the next call */
}

void dispatch_expire(struct dispatch *dispatch) {
  leases_expire(&dispatch->leases, call_clock_ns());
  waits_answer_all(dispatch);
}

bool dispatch_has_chores(const struct dispatch *dispatch) {
  return dispatch->orphans.first != NULL || dispatch->namespaces->condemned != NULL ||
         dispatch->leases.due_first != NULL;
}

bool dispatch_chores(struct dispatch *dispatch) {
  /* What is left is looked at below. */
  (void)clears_step(dispatch);
  (void)namespace_table_step(dispatch->namespaces, STORE_SLICE);
  waits_answer_all(dispatch);
  return dispatch_has_chores(dispatch);
}

/* ---- rings ---- */

const char *dispatch_fault(const struct session *session) {
  if (session->unanswerable)
    return "there was no memory for an answer that it waits for";
  return session->ring == NULL ? NULL : rings_error(session->ring);
}

static enum dispatch_result wait_for_trace(const struct call *call) {
  call->session->waits_for_trace = true;
  return DISPATCH_AGAIN;
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
  const char *fault = dispatch_fault(session);
  if (fault != NULL) {
    dispatch_dropped(call->dispatch, session, fault);
    (void)call_error(call, FC_EPROTOCOL, "%s", fault); /* the connection ends anyway */
    return DISPATCH_CLOSE;
  }
  bool begins_clear = type == FC_CLEAR && session->clear == NULL && !call->sink->deaf;
  bool tells = type == FC_STATS || type == FC_LIST || type == FC_CLIENTS || type == FC_NAMESPACES;
  if (tells || type == FC_TRACE || begins_clear)
    rings_drain_all(rings);

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
    return greet(call, &request->hello);
  case FC_GET:
    return lookup_get(call, &request->get);
  case FC_PUT:
    return lookup_put(call, &request->put);
  case FC_GET_MANY:
    return many_get(call, &request->get_many);
  case FC_PUT_MANY:
    return many_put(call, &request->put_many);
  case FC_PING:
    (void)fc_encode_simple(&call->dispatch->reply, FC_REPLY | FC_PING, call->id);
    return call_reply(call); /* looks at `failed` */
  case FC_STATS:
    return manage_stats(call, request->select.name_space);
  case FC_CLEAR:
    return manage_clear(call, &request->select);
  case FC_LIST:
    return manage_list(call, &request->list);
  case FC_TRACE:
    return manage_trace(call, &request->trace);
  case FC_SHUTDOWN:
    return manage_shutdown(call);
  case FC_GIVE_UP:
    return manage_give_up(call, &request->give_up);
  case FC_LEASES:
    return manage_leases(call, &request->page);
  case FC_CLIENTS:
    return manage_clients(call, &request->page);
  case FC_NAMESPACES:
    return manage_namespaces(call, &request->page);
  case FC_RING:
    return greet_ring(call, &request->ring);
  case FC_KILL:
    return manage_kill(call, request->kill);
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
    dispatch_dropped(call->dispatch, call->session, text);
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
    return call->sink->deaf ? SLICE_NONE : SLICE_TOOLS;
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
                                    struct sink *sink, const uint8_t *body, uint32_t size) {
  /* Room for any reply but those with values, which ask for more themselves. */
  session->waits_for_trace = false;
  /* Who waited has its answers before it asks for more. */
  if (!waits_answer(dispatch, session) || !sink->has_room(sink, 0))
    return DISPATCH_AGAIN;
  struct fc_request request;
  int rc = decode(session, body, size, &request);
  struct call call = {dispatch, session, sink, request.id, 0};
  call_reset_reply(dispatch);
  if (rc == 0 && session->greeted && sink->deaf && only_reads(&request)) {
    session->many = (struct many_progress){0};
    return DISPATCH_DONE;
  }
  if (rc == 0 && !take_slice(&call, &request))
    return DISPATCH_LATER;
  enum dispatch_result drained = drain_before(&call, &request);
  if (drained != DISPATCH_DONE)
    return drained;
  call.start_ns = call_clock_ns(); /* not before: a hit in a ring is older than this request */
  if (!session->greeted && request.type != FC_HELLO && rc != FC_EPROTOCOL) {
    dispatch_dropped(dispatch, session, fc_error_text(FC_ENOHELLO));
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
  waits_answer_all(dispatch);
  return result;
}
