/* hello and ring: the handshake, the client's namespace, and the ring that it gets. */
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/region/region_writer.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "daemon/rings/client_ring.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/shm/region_layout.h"

enum dispatch_result call_refuse_hello(const struct call *call, const char *reason) {
  dispatch_count_refused(call->dispatch, call->session, reason);
  return DISPATCH_CLOSE;
}

/* Refuses a hello whose namespace could not be opened, for `code`. */
static enum dispatch_result refuse_namespace(const struct call *call, struct fc_str name,
                                             int code) {
  struct user *user = call->session->user;
  char share[USER_TEXT_SIZE];
  if (code == FC_EREFUSED && !user_can_charge(user, USER_NAMESPACES, 1))
    (void)call_error(call, code,
                     "namespace %.*s cannot be made: %s: close some clients, or raise "
                     "--max-namespaces",
                     (int)name.size, name.data, user_quota_text(user, USER_NAMESPACES, share));
  else if (code == FC_EREFUSED)
    (void)call_error(call, code,
                     "namespace %.*s cannot be made: %u namespaces have clients, which is the "
                     "limit; raise --max-namespaces or close some clients",
                     (int)name.size, name.data, call->dispatch->namespaces->limit);
  else
    (void)call_error_code(call, code);
  return call_refuse_hello(call, "its namespace cannot be made");
}

/* Ignores a setting for another user's namespace. To refuse the hello would keep workers from
 * sharing, as they send the same options everywhere. */
static void ignore_setting(const struct call *call, const char *what) {
  const struct session *session = call->session;
  char text[SESSION_TEXT_SIZE];
  call->dispatch->totals->settings_ignored++;
  log_line(call->dispatch->log, LOG_LEVEL_DEBUG,
           "the %s of %s is ignored: namespace %.*s is another user's", what,
           session_text(session, text), (int)session->ns->name.size, session->ns->name.data);
}

/* Sets the hello's limits on its namespace. Returns DISPATCH_RETRY while a lower one evicts. */
static enum dispatch_result set_limits(const struct call *call, const struct fc_hello *hello) {
  struct namespace_table *table = call->dispatch->namespaces;
  struct namespace *ns = call->session->ns;
  if (!permissions_allow(call->session, PERMISSION_SET_LIMIT, ns)) {
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
  return more ? DISPATCH_RETRY : DISPATCH_DONE;
}

/* Opens the hello's namespace and sets its limits. Returns DISPATCH_RETRY while a lower limit
 * evicts, and DISPATCH_CLOSE if the hello is refused. */
static enum dispatch_result enter_namespace(const struct call *call, const struct fc_hello *hello) {
  struct namespace_table *table = call->dispatch->namespaces;
  struct session *session = call->session;
  if (hello->name_space.data == NULL)
    return DISPATCH_DONE;
  if (session->reserved) {
    (void)call_error_code(call, FC_EBUSY);
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
  if (session->ns == NULL) { /* else the hello was dispatched before */
    struct namespace *ns;
    int rc = namespace_table_open(table, hello->name_space, session->user, &ns);
    if (rc < 0)
      return refuse_namespace(call, hello->name_space, rc);
    session->ns = ns;
    permissions_claim_namespace(session);
  }
  return set_limits(call, hello);
}

/* Stores the manifest of a hello on its namespace (last writer wins). Ignores it if the user's
 * share of the memory for manifests is used up, as no result depends on one. Returns false if out
 * of memory. */
static bool set_manifest(const struct call *call, const struct fc_hello *hello) {
  struct namespace *ns = call->session->ns;
  struct user *user = call->session->user;
  if (ns == NULL)
    return true; /* a tool */
  namespace_use(ns, call->start_ns);
  if (hello->manifest.data == NULL || fc_str_equal(hello->manifest, ns->manifest))
    return true;
  if (!permissions_allow(call->session, PERMISSION_SET_MANIFEST, ns)) {
    ignore_setting(call, "manifest");
    return true;
  }
  if (user_can_charge(user, USER_MANIFEST_BYTES, hello->manifest.size))
    return namespace_set_manifest(ns, call->dispatch->store->catalog, user, hello->manifest) == 0;
  char share[USER_TEXT_SIZE];
  user_count_refused(user, USER_MANIFEST_BYTES);
  log_line(call->dispatch->log, LOG_LEVEL_DEBUG, "manifest of namespace %.*s not kept: %s",
           (int)ns->name.size, ns->name.data, user_quota_text(user, USER_MANIFEST_BYTES, share));
  return true;
}

/* ---- region and ring ---- */

static bool can_have_ring(const struct call *call, uint32_t region_layout) {
  return region_layout == FC_REGION_LAYOUT && call->dispatch->region != NULL &&
         call->session->ns != NULL && !call->sink->peer_gone;
}

static struct client_ring *make_ring(const struct call *call) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  struct latency *latency = dispatch->latency;
  struct hits_account account = {
      .store = dispatch->store,
      .ns = session->ns,
      .counters = &dispatch->totals->counters,
      .user = session->user,
      .trace = dispatch->trace,
      .times = latency == NULL ? NULL : &latency->kinds[LATENCY_REGION_HIT],
      .watch = &dispatch->watch,
      .name_space = session->ns->name,
      .client = session->name,
      .origin = session->origin,
      .started_ns = dispatch->started_ns,
      .time = &session->time,
      .usage = &dispatch->usage,
      .client_usage = &session->usage,
  };
  return rings_attach(&dispatch->rings, session->version >= 5, &account);
}

/* Sends the encoded reply with the descriptors of region and ring, and attaches the ring to the
 * session. Returns false if nothing could be sent: then the ring is freed. */
static bool send_ring(const struct call *call, struct client_ring *ring) {
  struct dispatch *dispatch = call->dispatch;
  bool sent = false;
  if (!dispatch->reply.failed) {
    struct iovec piece = {dispatch->reply.data, dispatch->reply.size};
    int fds[FC_REGION_PASSED_MAX];
    unsigned n = region_writer_fds(dispatch->region, fds);
    fds[n++] = rings_fd(ring);
    dispatch->sent.ns = call_clock_ns();
    sent = call->sink->send_with(call->sink, &piece, fds, n);
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

/* Makes a ring for a client that has none, or a larger one in place of its own. The old ring was
 * drained before this request. If its trace lines are not written yet, the client keeps it. */
static struct client_ring *make_requested_ring(const struct call *call,
                                               const struct fc_ring_request *request) {
  const struct client_ring *old = call->session->ring;
  if (!can_have_ring(call, request->region_layout))
    return NULL;
  if (old == NULL)
    return make_ring(call);
  return client_ring_is_drained(old)
             ? rings_attach_anew(&call->dispatch->rings, old, request->want_slots)
             : NULL;
}

enum dispatch_result handle_ring(const struct call *call, const struct fc_ring_request *request) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  struct client_ring *old = session->ring, *ring = make_requested_ring(call, request);
  struct fc_ring_reply reply = {0};
  if (ring != NULL) {
    reply = (struct fc_ring_reply){session->ns->seed, session->client_id};
    (void)fc_encode_ring_reply(&dispatch->reply, call->id, &reply); /* send_ring checks `failed` */
    if (send_ring(call, ring)) {
      if (old != NULL)
        rings_detach_replaced(&dispatch->rings, old);
      return DISPATCH_DONE;
    }
  }
  reply = (struct fc_ring_reply){0};
  (void)fc_encode_ring_reply(&dispatch->reply, call->id, &reply); /* call_reply checks `failed` */
  return call_reply(call);
}

/* ---- the welcome ---- */

/* Sends the welcome with region and ring. Returns false, with nothing sent, if the client cannot
 * map the region or there is no ring for it. */
static bool welcome_with_ring(const struct call *call, uint32_t region_layout,
                              struct fc_welcome welcome) {
  struct session *session = call->session;
  session->region_requested = welcome.version >= 2 && can_have_ring(call, region_layout);
  struct client_ring *ring = session->region_requested ? make_ring(call) : NULL;
  if (ring == NULL)
    return false;
  welcome.namespace_id = session->ns->seed;
  welcome.client_id = session->client_id;
  (void)fc_encode_welcome(&call->dispatch->reply, call->id,
                          &welcome); /* send_ring checks `failed` */
  return send_ring(call, ring);
}

static enum dispatch_result send_welcome(const struct call *call, const struct fc_hello *hello) {
  struct dispatch *dispatch = call->dispatch;
  struct fc_welcome welcome = {
      .version = call->session->version,
      .server = fc_str_of("fcached " FC_VERSION),
      .boot_id = dispatch->boot_id,
      .clear_generation = dispatch->store->saved->generation,
      .max_value = dispatch->store->max_value,
      .max_frame = dispatch_max_body(dispatch, call->session),
  };
  if (welcome_with_ring(call, hello->region_layout, welcome))
    return DISPATCH_DONE;
  (void)fc_encode_welcome(&dispatch->reply, call->id, &welcome); /* call_reply checks `failed` */
  return call_reply(call);
}

static void list_append(struct dispatch *dispatch, struct session *session) {
  session->prev = dispatch->last_session;
  if (session->prev != NULL)
    session->prev->next = session;
  else
    dispatch->first_session = session;
  dispatch->last_session = session;
}

/* Adds the session to those of its process. If the process is unknown, each connection counts as a
 * process of its own. */
static void join_process(struct dispatch *dispatch, struct session *session) {
  session->origin = (uint32_t)session->client_id;
  session->process =
      processes_join(&dispatch->processes, session->pid, session->start_time, session->client_id);
  if (session->process == NULL)
    return;
  session->origin = (uint32_t)session->process->number;
  session->leases.process = &session->process->leases;
}

/* Gives the session the leases that its handle was granted by the former daemon. */
static void claim_leases(const struct call *call, const struct fc_hello *hello) {
  struct session *session = call->session;
  session->leases.pid = session->pid;
  session->leases.start_time = session->start_time;
  session->leases.handle = hello->handle;
  if (session->ns != NULL)
    lease_owners_claim(&call->dispatch->owners, &session->leases, session->ns, call->start_ns);
}

/* A range that begins above its end contains no version. */
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

/* Fills in the session, and adds it to the list. */
static void start_session(const struct call *call, const struct fc_hello *hello) {
  struct session *session = call->session;
  struct dispatch *dispatch = call->dispatch;
  memcpy(session->name_data, hello->client.data, hello->client.size);
  session->name = (struct fc_str){session->name_data, hello->client.size};
  session->handshake_done = true;
  session->version =
      hello->version_max < FC_PROTOCOL_VERSION ? hello->version_max : FC_PROTOCOL_VERSION;
  session->handshake_ns = call->start_ns;
  session->time = (struct client_time){.since_ns = call->start_ns};
  session->sink = call->sink;
  join_process(dispatch, session);
  claim_leases(call, hello);
  dispatch->clients++;
  session->serial = ++dispatch->totals->connections;
  list_append(dispatch, session);
}

enum dispatch_result handle_hello(const struct call *call, const struct fc_hello *hello) {
  struct session *session = call->session;
  struct dispatch *dispatch = call->dispatch;
  if (session->handshake_done) {
    (void)call_error(call, FC_EPROTOCOL, "a second hello: open another connection instead");
    dispatch_count_dropped(dispatch, session, "a second hello");
    return DISPATCH_CLOSE;
  }
  if (!has_common_version(hello))
    return refuse_versions(call, hello);
  enum dispatch_result entered = enter_namespace(call, hello);
  if (entered != DISPATCH_DONE)
    return entered;
  if (!set_manifest(call, hello)) {
    (void)call_error_code(call, FC_ENOMEM);
    return call_refuse_hello(call, "no memory for its manifest");
  }
  call_compare_manifest(call, hello->manifest);
  start_session(call, hello);
  return send_welcome(call, hello);
}
