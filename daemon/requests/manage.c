/* What people and tools ask for: clear, list, trace, shutdown, kill. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "daemon/store/store_list.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"

#define LIST_EXAMINED_MAX 2048u /* entries a request: a millisecond or two at worst */
#define LIST_PAGE_MAX 1000u     /* entries a reply, whatever was asked for */
#define LIST_PAGE_BYTES (256u << 10)

static enum dispatch_result denied(const struct call *call, const char *what) {
  return call_error(call, FC_EDENIED, "%s: %s", what, fc_error_text(FC_EDENIED));
}

/* ---- clear ---- */

static bool may_clear(const struct call *call, const struct fc_select *select) {
  if (select->name_space.data == NULL)
    return rights_may(call->session, RIGHT_CLEAR_ALL, NULL);
  return rights_may(call->session, RIGHT_CLEAR_NAMESPACE,
                    namespace_table_find(call->dispatch->namespaces, select->name_space));
}

static enum dispatch_result clear_denied(const struct call *call, const struct fc_select *select) {
  const struct namespace *ns = NULL;
  char owner[64] = "";
  if (select->name_space.data == NULL)
    return denied(call, "clearing all namespaces");
  ns = namespace_table_find(call->dispatch->namespaces, select->name_space);
  if (ns != NULL && ns->has_owner)
    (void)snprintf(owner, sizeof owner, "the user that made it (uid %lu), ",
                   (unsigned long)ns->owner);
  return call_error(
      call, FC_EDENIED,
      "clearing namespace %.*s: only %sthe daemon's user, root and its admin group may "
      "do that",
      (int)select->name_space.size, select->name_space.data, owner);
}

static const char *or_any(struct fc_str name, char text[FC_NAME_MAX + 1]) {
  (void)snprintf(text, FC_NAME_MAX + 1, "%.*s", (int)name.size, name.data == NULL ? "" : name.data);
  return name.data == NULL ? "any" : text;
}

static void log_clear(const struct call *call, const struct fc_select *select, uint64_t removed) {
  char who[SESSION_TEXT_SIZE], ns[FC_NAME_MAX + 1], view[FC_NAME_MAX + 1], op[FC_NAME_MAX + 1];
  log_line(call->dispatch->log, LOG_LEVEL_DEBUG,
           "cleared by %s: %" PRIu64 " entries of namespace %s, view %s, op %s",
           session_text(call->session, who), removed, or_any(select->name_space, ns),
           or_any(select->view, view), or_any(select->op, op));
}

static enum dispatch_result cleared(const struct call *call, const struct fc_select *select,
                                    uint64_t removed) {
  log_clear(call, select, removed);
  (void)fc_encode_cleared(&call->dispatch->reply, call->id, removed);
  return call_reply(call); /* looks at `failed` */
}

/* Its client has left: no answer, and no turns of this connection. */
static enum dispatch_result clear_for_nobody(const struct call *call,
                                             const struct fc_select *select) {
  struct session *session = call->session;
  struct clear_job *job = session->clear;
  session->clear = NULL;
  if (job != NULL && job->started) {
    clears_adopt(call->dispatch, job);
    return DISPATCH_DONE;
  }
  free(job);
  if (!may_clear(call, select) || clears_queue(call->dispatch, select))
    return DISPATCH_DONE;
  session->slice_kind = SLICE_TOOLS; /* tried again with those that wait for their turns */
  return DISPATCH_LATER;
}

enum dispatch_result manage_clear(const struct call *call, const struct fc_select *select) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  if (call->sink->deaf)
    return clear_for_nobody(call, select);
  /* Until it starts: meanwhile another namespace may have been made under that name. */
  if ((session->clear == NULL || !session->clear->started) && !may_clear(call, select))
    return clear_denied(call, select);
  if (session->clear == NULL)
    session->clear = calloc(1, sizeof *session->clear);
  struct clear_job *job = session->clear;
  if (job == NULL)
    return call_error(call, FC_ENOMEM, "%s", fc_error_text(FC_ENOMEM));
  bool started = job->started || clears_start(dispatch, job, select, call->start_ns);
  if (!started || !store_clear_step(dispatch->store, &job->clear, STORE_SLICE))
    return DISPATCH_AGAIN; /* the next slice after the others had their turn */
  uint64_t removed = job->clear.removed;
  free(job);
  session->clear = NULL;
  dispatch->clears++;
  return cleared(call, select, removed);
}

/* ---- list ---- */

struct page {
  struct fc_buf entries; /* encoded, behind one another */
  uint32_t n;
  uint64_t now_ns;
};

static bool add_to_page(void *arg, const struct entry *entry) {
  struct page *page = arg;
  struct fc_list_entry item = {
      .name_space = entry_namespace(entry)->name,
      .key = entry_key(entry),
      .value_size = entry_value_size(entry),
      .charge = heap_charge_of(entry),
      .compute_ns = entry_compute_ns(entry),
      .idle_ns = page->now_ns - entry->last_use_ns,
      .hits = entry->hits,
  };
  if (page->entries.size > LIST_PAGE_BYTES || fc_encode_list_entry(&page->entries, &item) < 0)
    return false;
  page->n++;
  return true;
}

enum dispatch_result manage_list(const struct call *call, const struct fc_list *list) {
  struct dispatch *dispatch = call->dispatch;
  struct store_select what = {.view = list->select.view, .op = list->select.op};
  struct store_cursor cursor;
  if (store_cursor_decode(&cursor, list->cursor, list->cursor_size) < 0)
    return call_error(call, FC_EINVAL, "a list cursor is one that a list reply gave, or empty");
  if (list->limit == 0)
    return call_error(call, FC_EINVAL, "a list of at most 0 entries was asked for: ask for 1");
  struct page page = {.now_ns = call->start_ns};
  uint32_t limit = list->limit < LIST_PAGE_MAX ? list->limit : LIST_PAGE_MAX;
  bool more = false;
  bool there = true;
  if (list->select.name_space.data != NULL) {
    what.ns = namespace_table_find(dispatch->namespaces, list->select.name_space);
    there = what.ns != NULL;
  }
  if (there)
    more =
        store_list(dispatch->store, &what, limit, LIST_EXAMINED_MAX, &cursor, add_to_page, &page);
  uint8_t bytes[STORE_CURSOR_SIZE];
  store_cursor_encode(&cursor, bytes);
  struct page_end end = {page.n, bytes, more ? sizeof bytes : 0};
  return call_reply_page(call, FC_LIST, &page.entries, &end);
}

/* ---- trace, shutdown and kill ---- */

static void log_by(const struct call *call, const char *what) {
  char who[SESSION_TEXT_SIZE];
  log_line(call->dispatch->log, LOG_LEVEL_INFO, "%s by %s", what, session_text(call->session, who));
}

static int trace_on_for(const struct call *call, struct fc_str path, struct error_text *fault) {
  int rc = trace_on_below(call->dispatch->trace, path, fault);
  char who[SESSION_TEXT_SIZE];
  if (rc == 0)
    log_line(call->dispatch->log, LOG_LEVEL_INFO, "trace turned on by %s: %s",
             session_text(call->session, who), trace_path(call->dispatch->trace));
  return rc;
}

enum dispatch_result manage_trace(const struct call *call, const struct fc_trace *request) {
  struct trace *trace = call->dispatch->trace;
  if (request->action != FC_TRACE_STATUS && !rights_may(call->session, RIGHT_TRACE, NULL))
    return denied(call, "controlling the trace");
  if (request->action == FC_TRACE_OFF) {
    trace_off(trace);
    log_by(call, "trace turned off");
  }
  if (request->action == FC_TRACE_ON) {
    struct error_text fault;
    int rc = trace_on_for(call, request->path, &fault);
    if (rc < 0)
      return call_error(call, rc, "%s", fault.text);
  }
  struct fc_trace_reply state = {
      .on = trace_is_on(trace),
      .path = fc_str_of(trace_path(trace)),
      .lines = trace_lines(trace),
      .lost = trace->lost,
  };
  (void)fc_encode_trace_reply(&call->dispatch->reply, call->id, &state);
  return call_reply(call); /* looks at `failed` */
}

enum dispatch_result manage_shutdown(const struct call *call) {
  if (!rights_may(call->session, RIGHT_SHUTDOWN, NULL))
    return denied(call, "shutting down");
  log_by(call, "shut down");
  (void)fc_encode_simple(&call->dispatch->reply, FC_REPLY | FC_SHUTDOWN, call->id);
  (void)call_reply(call); /* the daemon stops whether or not the asker hears of it */
  return DISPATCH_SHUTDOWN;
}

static struct session *find_client(const struct dispatch *dispatch, uint64_t client_id) {
  struct session *session = dispatch->first_session;
  while (session != NULL && session->client_id != client_id)
    session = session->next;
  return session;
}

/* The connection ends at its next turn, which is after this reply: it may be the asker's own. */
enum dispatch_result manage_kill(const struct call *call, uint64_t client_id) {
  if (!call->session->admin)
    return denied(call, "closing a client's connection");
  struct session *session = find_client(call->dispatch, client_id);
  char who[SESSION_TEXT_SIZE], by[SESSION_TEXT_SIZE];
  if (session != NULL) {
    log_line(call->dispatch->log, LOG_LEVEL_INFO, "client %" PRIu64 ", %s, closed by %s", client_id,
             session_text(session, who), session_text(call->session, by));
    session->killed = true;
    session->sink->wake(session->sink);
  }
  (void)fc_encode_killed(&call->dispatch->reply, call->id, session != NULL);
  return call_reply(call); /* looks at `failed` */
}
