/* Hello and welcome: who a client is, which namespace it enters, and what it is handed. */
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "daemon/rings/client_ring.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/shm/region_layout.h"

enum dispatch_result call_refuse_hello(const struct call *call, const char *reason) {
  dispatch_refused(call->dispatch, call->session, reason);
  return DISPATCH_CLOSE;
}

static enum dispatch_result no_namespace(const struct call *call, struct fc_str name, int code) {
  struct user *user = call->session->user;
  char share[USER_TEXT_SIZE];
  if (code == FC_EREFUSED && !user_may_take(user, USER_NAMESPACES, 1))
    (void)call_error(call, code,
                     "namespace %.*s cannot be made: %s: close some clients, or raise "
                     "--max-namespaces",
                     (int)name.size, name.data, user_share_text(user, USER_NAMESPACES, share));
  else if (code == FC_EREFUSED)
    (void)call_error(call, code,
                     "namespace %.*s cannot be made: %u namespaces have clients, which is the "
                     "limit; raise --max-namespaces or close some clients",
                     (int)name.size, name.data, call->dispatch->namespaces->limit);
  else
    (void)call_error(call, code, "%s", fc_error_text(code));
  return call_refuse_hello(call, "its namespace cannot be made");
}

/* A worker that shares another user's namespace gives the options that it gives everywhere: they do
 * not keep it from sharing. */
static void ignore_setting(const struct call *call, const char *what) {
  const struct session *session = call->session;
  char who[SESSION_TEXT_SIZE];
  call->dispatch->settings_ignored++;
  log_line(call->dispatch->log, LOG_LEVEL_DEBUG,
           "the %s of %s is ignored: namespace %.*s is another user's", what,
           session_text(session, who), (int)session->ns->name.size, session->ns->name.data);
}

/* Sets the limits that the hello has. DISPATCH_AGAIN while a lower one still evicts. */
static enum dispatch_result set_limits(const struct call *call, const struct fc_hello *hello) {
  struct namespace_table *table = call->dispatch->namespaces;
  struct namespace *ns = call->session->ns;
  if (!rights_may(call->session, RIGHT_SET_LIMIT, ns)) {
    if (hello->has_max_entries && ns->max_entries != (uint64_t)hello->max_entries)
      ignore_setting(call, "max_entries");
    if (hello->has_max_bytes && ns->max_bytes != hello->max_bytes)
      ignore_setting(call, "max_bytes");
    return DISPATCH_DONE;
  }
  bool more =
      (hello->has_max_entries &&
       namespace_table_set_max_entries(table, ns, hello->max_entries) == NAMESPACE_LIMIT_MORE) ||
      (hello->has_max_bytes &&
       namespace_table_set_max_bytes(table, ns, hello->max_bytes) == NAMESPACE_LIMIT_MORE);
  return more ? DISPATCH_AGAIN /* the next slice after the others had their turn */
              : DISPATCH_DONE;
}

/* Opens the namespace that a hello names, with its limit: DISPATCH_DONE; DISPATCH_AGAIN while a
 * lower limit still evicts; or the hello is refused. */
static enum dispatch_result enter_namespace(const struct call *call, const struct fc_hello *hello) {
  struct namespace_table *table = call->dispatch->namespaces;
  struct session *session = call->session;
  if (hello->name_space.data == NULL)
    return DISPATCH_DONE;
  if (session->reserved) {
    (void)call_error(call, FC_EBUSY, "%s", fc_error_text(FC_EBUSY));
    return call_refuse_hello(call, "this connection is reserved for administrators' tools");
  }
  if (hello->has_max_entries && hello->max_entries <= 0) {
    (void)call_error(call, FC_EMAXENTRIES, "max_entries must be positive; got %lld",
                     (long long)hello->max_entries);
    return call_refuse_hello(call, "max_entries is not positive");
  }
  if (hello->has_max_bytes && hello->max_bytes == 0) {
    (void)call_error(call, FC_EINVAL, "max_bytes must be positive; got 0");
    return call_refuse_hello(call, "max_bytes is not positive");
  }
  if (session->ns == NULL) { /* else this hello was here before */
    struct namespace *ns;
    int rc = namespace_table_open(table, hello->name_space, session->user, &ns);
    if (rc < 0)
      return no_namespace(call, hello->name_space, rc);
    session->ns = ns;
    rights_claim(session);
  }
  return set_limits(call, hello);
}

/* Sets the manifest of the hello's namespace: the latest one replaces the former. A user that holds
 * its share of the memory for manifests is served without: no result depends on one. False: no
 * memory. */
static bool take_manifest(const struct call *call, const struct fc_hello *hello) {
  struct namespace *ns = call->session->ns;
  struct user *user = call->session->user;
  if (ns == NULL)
    return true; /* a tool's says nothing about anything */
  namespace_use(ns, call->start_ns);
  if (hello->manifest.data == NULL || fc_str_equal(hello->manifest, ns->manifest))
    return true;
  if (!rights_may(call->session, RIGHT_SET_MANIFEST, ns)) {
    ignore_setting(call, "manifest");
    return true;
  }
  if (user_may_take(user, USER_MANIFEST_BYTES, hello->manifest.size))
    return namespace_set_manifest(ns, user, hello->manifest) == 0;
  char share[USER_TEXT_SIZE];
  user_count_refused(user, USER_MANIFEST_BYTES);
  log_line(call->dispatch->log, LOG_LEVEL_DEBUG, "manifest of namespace %.*s not kept: %s",
           (int)ns->name.size, ns->name.data, user_share_text(user, USER_MANIFEST_BYTES, share));
  return true;
}

/* ---- region and ring ---- */

static bool can_have_ring(const struct call *call, uint32_t region_layout) {
  return region_layout == FC_REGION_LAYOUT && call->dispatch->region_fd >= 0 &&
         call->session->ns != NULL && !call->sink->deaf; /* it has left */
}

static struct client_ring *make_ring(const struct call *call) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  struct hits_account account = {
      .store = dispatch->store,
      .ns = session->ns,
      .counters = &dispatch->counters,
      .user = session->user,
      .trace = dispatch->trace,
      .name_space = session->ns->name,
      .client = session->name,
      .origin = session_origin(session),
      .started_ns = dispatch->started_ns,
      .time = &session->time,
  };
  return rings_attach(&dispatch->rings, session->version >= 5, &account);
}

/* Sends the reply that was made, with the region and the ring, which is the client's from now on.
 * False: they could not be sent, and nothing was; the ring is gone. */
static bool send_ring(const struct call *call, struct client_ring *ring) {
  struct dispatch *dispatch = call->dispatch;
  bool sent = false;
  if (!dispatch->reply.failed) {
    struct iovec piece = {dispatch->reply.data, dispatch->reply.size};
    int fds[] = {dispatch->region_fd, rings_fd(ring)};
    sent = call->sink->send_with(call->sink, &piece, fds, sizeof fds / sizeof fds[0]);
  }
  rings_handed_over(ring);
  if (sent) {
    call->session->ring = ring;
    return true;
  }
  rings_detach(&dispatch->rings, ring);
  fc_buf_reset(&dispatch->reply);
  return false;
}

/* What the client had recorded in the old ring was read before this request; where lines of that
 * are owed, it keeps that ring for now. */
static struct client_ring *make_another(const struct call *call,
                                        const struct fc_ring_request *request) {
  const struct client_ring *old = call->session->ring;
  if (!can_have_ring(call, request->region_layout))
    return NULL;
  if (old == NULL)
    return make_ring(call);
  return client_ring_is_done(old)
             ? rings_attach_anew(&call->dispatch->rings, old, request->want_slots)
             : NULL;
}

enum dispatch_result greet_ring(const struct call *call, const struct fc_ring_request *request) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  struct client_ring *old = session->ring, *ring = make_another(call, request);
  struct fc_ring_reply reply = {0};
  if (ring != NULL) {
    reply = (struct fc_ring_reply){session->ns->seed, session->client_id};
    (void)fc_encode_ring_reply(&dispatch->reply, call->id, &reply); /* see send_ring */
    if (send_ring(call, ring)) {
      if (old != NULL)
        rings_detach_replaced(&dispatch->rings, old);
      return DISPATCH_DONE;
    }
  }
  reply = (struct fc_ring_reply){0};
  (void)fc_encode_ring_reply(&dispatch->reply, call->id, &reply); /* call_reply looks at `failed` */
  return call_reply(call);
}

/* ---- the welcome ---- */

/* Welcomes with the region and the ring, where the client can read the region and there is a ring.
 * False: nothing was sent. */
static bool welcome_with_ring(const struct call *call, uint32_t region_layout,
                              struct fc_welcome welcome) {
  struct session *session = call->session;
  session->asked_for_region = welcome.version >= 2 && can_have_ring(call, region_layout);
  struct client_ring *ring = session->asked_for_region ? make_ring(call) : NULL;
  if (ring == NULL)
    return false;
  welcome.namespace_id = session->ns->seed;
  welcome.client_id = session->client_id;
  (void)fc_encode_welcome(&call->dispatch->reply, call->id, &welcome); /* see send_ring */
  return send_ring(call, ring);
}

static enum dispatch_result welcome(const struct call *call, const struct fc_hello *hello) {
  struct dispatch *dispatch = call->dispatch;
  struct fc_welcome welcome = {
      .version = call->session->version,
      .server = fc_str_of("fcached " FC_VERSION),
      .boot_id = dispatch->boot_id,
      .clear_generation = dispatch->store->generation,
      .max_value = dispatch->store->max_value,
      .max_frame = dispatch_max_body(dispatch, call->session),
  };
  if (welcome_with_ring(call, hello->region_layout, welcome))
    return DISPATCH_DONE;
  (void)fc_encode_welcome(&dispatch->reply, call->id, &welcome); /* call_reply looks at `failed` */
  return call_reply(call);
}

/* The last of the greeted. */
static void list(struct dispatch *dispatch, struct session *session) {
  session->prev = dispatch->last_session;
  if (session->prev != NULL)
    session->prev->next = session;
  else
    dispatch->first_session = session;
  dispatch->last_session = session;
}

/* Its connections are of one process. Where that is not known, each is one of its own. */
static void join_process(struct dispatch *dispatch, struct session *session) {
  session->process =
      processes_join(&dispatch->processes, session->pid, session->start_time, session->client_id);
  if (session->process != NULL)
    session->leases.process = &session->process->leases;
}

/* A range that begins above its end has no version at all. */
static bool has_common_version(const struct fc_hello *hello) {
  return hello->version_min <= hello->version_max && hello->version_min <= FC_PROTOCOL_VERSION &&
         hello->version_max >= FC_PROTOCOL_VERSION_MIN;
}

static enum dispatch_result refuse_versions(const struct call *call, const struct fc_hello *hello) {
  if (hello->version_min > hello->version_max)
    (void)call_error(call, FC_EVERSION, "hello: version_min %u is above version_max %u",
                     hello->version_min, hello->version_max);
  else
    (void)call_error(call, FC_EVERSION,
                     "fcached " FC_VERSION " speaks protocol %u to %u, this client %u to %u: "
                     "update the older side",
                     FC_PROTOCOL_VERSION_MIN, FC_PROTOCOL_VERSION, hello->version_min,
                     hello->version_max);
  return call_refuse_hello(call, "no protocol version in common");
}

enum dispatch_result greet(const struct call *call, const struct fc_hello *hello) {
  struct session *session = call->session;
  struct dispatch *dispatch = call->dispatch;
  if (session->greeted) {
    (void)call_error(call, FC_EPROTOCOL, "a second hello: open another connection instead");
    dispatch_dropped(dispatch, session, "a second hello");
    return DISPATCH_CLOSE;
  }
  if (!has_common_version(hello))
    return refuse_versions(call, hello);
  enum dispatch_result entered = enter_namespace(call, hello);
  if (entered != DISPATCH_DONE)
    return entered;
  if (!take_manifest(call, hello)) {
    (void)call_error(call, FC_ENOMEM, "%s", fc_error_text(FC_ENOMEM));
    return call_refuse_hello(call, "no memory for its manifest");
  }
  memcpy(session->name_data, hello->client.data, hello->client.size);
  session->name = (struct fc_str){session->name_data, hello->client.size};
  session->greeted = true;
  session->version =
      hello->version_max < FC_PROTOCOL_VERSION ? hello->version_max : FC_PROTOCOL_VERSION;
  session->greeted_ns = call->start_ns;
  session->time = (struct client_time){.since_ns = call->start_ns};
  session->sink = call->sink;
  join_process(dispatch, session);
  dispatch->clients++;
  session->serial = ++dispatch->connections;
  list(dispatch, session);
  return welcome(call, hello);
}
