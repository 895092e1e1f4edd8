/* Hello and welcome: who a client is, which namespace it enters, and what it is handed. */
#include <string.h>

#include "daemon/dispatch_parts.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/region.h"

enum dispatch_result call_refuse_hello(const struct call *call, const char *reason) {
  dispatch_refused(call->dispatch, call->session, reason);
  return DISPATCH_CLOSE;
}

static enum dispatch_result no_namespace(const struct call *call, struct fc_str name, int code) {
  if (code == FC_EREFUSED)
    (void)call_error(call, code,
                     "namespace %.*s cannot be made: %u namespaces have clients, which is the "
                     "limit; raise --max-namespaces or close some clients",
                     (int)name.size, name.data, call->dispatch->namespaces->limit);
  else
    (void)call_error(call, code, "%s", fc_error_text(code));
  return call_refuse_hello(call, "its namespace cannot be made");
}

/* Opens the namespace that a hello names, with its limit: DISPATCH_DONE; DISPATCH_AGAIN while a
 * lower limit still evicts; or the hello is refused. */
static enum dispatch_result enter_namespace(const struct call *call, const struct fc_hello *hello) {
  struct namespace_table *table = call->dispatch->namespaces;
  struct session *session = call->session;
  if (hello->name_space.data == NULL)
    return DISPATCH_DONE;
  if (hello->has_max_entries && hello->max_entries <= 0) {
    (void)call_error(call, FC_EMAXENTRIES, "max_entries must be positive; got %lld",
                     (long long)hello->max_entries);
    return call_refuse_hello(call, "max_entries is not positive");
  }
  if (session->ns == NULL) { /* else this hello was here before */
    struct namespace *ns;
    int rc = namespace_table_open(table, hello->name_space, &ns);
    if (rc < 0)
      return no_namespace(call, hello->name_space, rc);
    session->ns = ns;
  }
  if (hello->has_max_entries && namespace_table_set_max_entries(
                                    table, session->ns, hello->max_entries) == NAMESPACE_LIMIT_MORE)
    return DISPATCH_AGAIN; /* the next slice after the others had their turn */
  return DISPATCH_DONE;
}

/* The manifest that a hello has becomes its namespace's: the latest stands. False: no memory. */
static bool take_manifest(const struct call *call, const struct fc_hello *hello) {
  struct namespace *ns = call->session->ns;
  if (ns == NULL)
    return true; /* a tool's says nothing about anything */
  namespace_use(ns, call->start_ns);
  return hello->manifest.data == NULL || namespace_set_manifest(ns, hello->manifest) == 0;
}

/* Gives the client its ring, where it can read the region, there is one, and it has not left. */
static bool give_ring(const struct call *call, const struct fc_hello *hello) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  if (hello->region_layout != FC_REGION_LAYOUT || dispatch->region_fd < 0 || session->ns == NULL ||
      call->sink->deaf)
    return false;
  struct hits_account account = {
      .store = dispatch->store,
      .ns = session->ns,
      .counters = &dispatch->counters,
      .trace = dispatch->trace,
      .name_space = session->ns->name,
      .client = session->name,
      .origin = session_origin(session),
      .started_ns = dispatch->started_ns,
      .time = &session->time,
  };
  session->ring = rings_attach(&dispatch->rings, &account);
  return session->ring != NULL;
}

/* Welcomes with the region and the ring. False: they could not be sent, and nothing was. */
static bool welcome_with_ring(const struct call *call, struct fc_welcome welcome) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  welcome.namespace_id = session->ns->seed;
  welcome.client_id = session->client_id;
  bool sent = false;
  if (fc_encode_welcome(&dispatch->reply, call->id, &welcome) == 0) {
    struct iovec piece = {dispatch->reply.data, dispatch->reply.size};
    int fds[] = {dispatch->region_fd, rings_fd(session->ring)};
    sent = call->sink->send_with(call->sink, &piece, fds, sizeof fds / sizeof fds[0]);
  }
  rings_handed_over(session->ring);
  if (sent)
    return true;
  rings_detach(&dispatch->rings, session->ring);
  session->ring = NULL;
  fc_buf_reset(&dispatch->reply);
  return false;
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
  if (welcome.version >= 2 && give_ring(call, hello) && welcome_with_ring(call, welcome))
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
      processes_join(&dispatch->processes, session->pid, session->birth, session->client_id);
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
