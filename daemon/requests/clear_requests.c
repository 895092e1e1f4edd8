/* clear: removes entries in slices, also for clients that have left. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "daemon/requests/permissions.h"
#include "proto/errors.h"

static void record(const struct dispatch *dispatch, struct clear_job *job,
                   const struct fc_select *select) {
  const struct control *control = &dispatch->control;
  if (control->clear_record != NULL)
    job->ticket = control->clear_record(control->arg, select);
}

/* Returns 1 if the clear may be acknowledged, 0 if its record is not on disk yet, or a negative
 * code. */
static int record_state(const struct dispatch *dispatch, const struct clear_job *job) {
  const struct control *control = &dispatch->control;
  return control->clear_record == NULL ? 1 : control->clear_state(control->arg, job->ticket);
}

static struct fc_str copy(char *to, struct fc_str name) {
  if (name.data == NULL)
    return name;
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

/* Copies the selection: the job may outlive the request. */
static void set_select(struct clear_job *job, const struct fc_select *select) {
  if (select == &job->select)
    return;
  job->select.name_space = copy(job->names, select->name_space);
  job->select.view = copy(job->names + FC_NAME_MAX, select->view);
  job->select.op = copy(job->names + (size_t)2 * FC_NAME_MAX, select->op);
}

bool clear_requests_start(struct dispatch *dispatch, struct clear_job *job,
                          const struct fc_select *select, uint64_t now_ns) {
  set_select(job, select);
  struct store_select selected = {.view = select->view, .op = select->op};
  if (select->name_space.data != NULL) {
    selected.ns = namespace_table_find(dispatch->namespaces, select->name_space);
    if (selected.ns == NULL || (job->namespace_id != 0 && job->namespace_id != selected.ns->seed)) {
      job->started = job->clear.finished = true;
      if (selected.ns == NULL)
        record(dispatch, job, select); /* a snapshot may have the namespace */
      return true;
    }
  }
  job->started = store_clear_start(dispatch->store, &job->clear, &selected);
  if (job->started)
    record(dispatch, job, select);
  if (job->started)
    leases_clear(&dispatch->leases, selected.ns, selected.view, selected.op, now_ns);
  return job->started;
}

/* ---- the queue of clears whose clients have left ---- */

static bool covers_name(struct fc_str wide, struct fc_str narrow) {
  return wide.data == NULL || (narrow.data != NULL && fc_str_equal(wide, narrow));
}

static bool covers(const struct fc_select *wide, const struct fc_select *narrow) {
  return covers_name(wide->name_space, narrow->name_space) &&
         covers_name(wide->view, narrow->view) && covers_name(wide->op, narrow->op);
}

/* Returns true if the job clears the namespace with this id, or one of them is any. */
static bool is_of(const struct clear_job *job, uint64_t namespace_id) {
  return job->namespace_id == 0 || namespace_id == 0 || job->namespace_id == namespace_id;
}

/* Removes a job that is finished, or covered by another. */
static void remove_job(struct dispatch *dispatch, struct clear_job **link) {
  struct clear_job *job = *link;
  *link = job->next;
  dispatch->clears_queued.n -= !job->started;
  dispatch->totals->clears++;
  free(job);
}

/* Returns true if a job that has not started covers `select`. Removes jobs that `select` covers. */
static bool merge(struct dispatch *dispatch, const struct fc_select *select,
                  uint64_t namespace_id) {
  struct clear_job **link = &dispatch->clears_queued.first;
  while (*link != NULL) {
    struct clear_job *job = *link;
    bool same = !job->started && is_of(job, namespace_id);
    if (same && covers(&job->select, select))
      return true;
    if (same && covers(select, &job->select))
      remove_job(dispatch, link);
    else
      link = &job->next;
  }
  return false;
}

bool clear_requests_queue(struct dispatch *dispatch, const struct fc_select *select) {
  struct clear_queue *queue = &dispatch->clears_queued;
  const struct namespace *ns = NULL;
  if (select->name_space.data != NULL)
    ns = namespace_table_find(dispatch->namespaces, select->name_space);
  bool is_gone = select->name_space.data != NULL && ns == NULL; /* nothing to clear */
  uint64_t namespace_id = ns == NULL ? 0 : ns->seed;
  if (is_gone || merge(dispatch, select, namespace_id)) {
    dispatch->totals->clears++;
    return true;
  }
  struct clear_job *job = queue->n < CLEAR_REQUESTS_QUEUED_MAX ? calloc(1, sizeof *job) : NULL;
  if (job == NULL)
    return false;
  job->namespace_id = namespace_id;
  set_select(job, select);
  struct clear_job **link = &queue->first;
  while (*link != NULL)
    link = &(*link)->next;
  *link = job;
  queue->n++;
  return true;
}

void clear_requests_adopt(struct dispatch *dispatch, struct clear_job *job) {
  job->next = dispatch->clears_queued.first;
  dispatch->clears_queued.first = job;
}

static bool start_queued(struct dispatch *dispatch, struct clear_job *job) {
  rings_drain_all(&dispatch->rings);
  if (!clear_requests_start(dispatch, job, &job->select, call_clock_ns()))
    return false;
  dispatch->clears_queued.n--;
  return true;
}

bool clear_requests_step(struct dispatch *dispatch) {
  struct clear_job *job = dispatch->clears_queued.first;
  if (job == NULL)
    return false;
  if ((job->started || start_queued(dispatch, job)) &&
      store_clear_step(dispatch->store, &job->clear, STORE_SLICE)) {
    events_clear(dispatch, NULL, &job->select, job->clear.removed);
    remove_job(dispatch, &dispatch->clears_queued.first);
  }
  return dispatch->clears_queued.first != NULL;
}

void clear_requests_end(struct dispatch *dispatch) {
  struct clear_job **link = &dispatch->clears_queued.first;
  while (*link != NULL) {
    if ((*link)->started)
      link = &(*link)->next;
    else
      remove_job(dispatch, link);
  }
  while (clear_requests_step(dispatch))
    ;
}

/* ---- the request ---- */

static bool may_clear(const struct call *call, const struct fc_select *select) {
  if (select->name_space.data == NULL)
    return permissions_allow(call->session, PERMISSION_CLEAR_ALL, NULL);
  return permissions_allow(call->session, PERMISSION_CLEAR_NAMESPACE,
                           namespace_table_find(call->dispatch->namespaces, select->name_space));
}

static enum dispatch_result clear_denied(const struct call *call, const struct fc_select *select) {
  const struct namespace *ns = NULL;
  char owner[64] = "";
  if (select->name_space.data == NULL)
    return call_denied(call, "clearing all namespaces");
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

/* Returns the name as a C string in `text`, or "any". */
static const char *or_any(struct fc_str name, char text[FC_NAME_MAX + 1]) {
  (void)snprintf(text, FC_NAME_MAX + 1, "%.*s", (int)name.size, name.data == NULL ? "" : name.data);
  return name.data == NULL ? "any" : text;
}

static void log_clear(const struct call *call, const struct fc_select *select, uint64_t removed) {
  char text[SESSION_TEXT_SIZE], ns[FC_NAME_MAX + 1], view[FC_NAME_MAX + 1], op[FC_NAME_MAX + 1];
  log_line(call->dispatch->log, LOG_LEVEL_DEBUG,
           "cleared by %s: %" PRIu64 " entries of namespace %s, view %s, op %s",
           session_text(call->session, text), removed, or_any(select->name_space, ns),
           or_any(select->view, view), or_any(select->op, op));
}

static enum dispatch_result cleared(const struct call *call, const struct fc_select *select,
                                    uint64_t removed) {
  log_clear(call, select, removed);
  events_clear(call->dispatch, call->session, select, removed);
  (void)fc_encode_cleared(&call->dispatch->reply, call->id, removed);
  return call_reply(call); /* checks `failed` */
}

/* Begins a clear in the fleet without a client. Returns whether it runs: it comes back as a step
 * that this node applies. */
static bool begin_detached(const struct call *call, const struct fc_clear *clear) {
  struct fleet_clears *clears = call->dispatch->fleet->config.clears;
  struct fleet_step *step = fleet_clears_clear(clears, &clear->select, call->start_ns);
  bool runs = step != NULL && fleet_step_state(step) == FLEET_STEP_RUNS;
  call_leave_step(call->dispatch, &step);
  return runs;
}

/* Goes on in the fleet with a clear whose client has left. Returns whether nothing is left to do
 * here. `step`: of the request, or NULL. */
static bool detach_in_fleet(const struct call *call, const struct fc_clear *clear,
                            struct fleet_step *step) {
  if (step != NULL) {
    bool runs = fleet_step_state(step) == FLEET_STEP_RUNS;
    call_leave_step(call->dispatch, &step);
    return runs;
  }
  if (!may_clear(call, &clear->select))
    return true;
  return call_is_of_fleet(call, clear->select.name_space, clear->local) &&
         (!call->dispatch->fleet->config.writes || begin_detached(call, clear));
}

/* Executes a clear whose client has left, outside of its connection's turns. */
static enum dispatch_result clear_detached(const struct call *call, const struct fc_clear *clear) {
  struct session *session = call->session;
  struct clear_job *job = session->clear;
  session->clear = NULL;
  if (job != NULL && job->started) {
    call_leave_step(call->dispatch, &job->step);
    clear_requests_adopt(call->dispatch, job);
    return DISPATCH_DONE;
  }
  struct fleet_step *step = job == NULL ? NULL : job->step;
  free(job);
  if (detach_in_fleet(call, clear, step) || clear_requests_queue(call->dispatch, &clear->select))
    return DISPATCH_DONE;
  session->slice_kind = SLICE_TOOLS; /* the queue is full: try again in a turn of a slice */
  return DISPATCH_NO_SLICE;
}

/* Replies once the clear is complete. */
static enum dispatch_result clear_ended(const struct call *call, const struct fc_select *select,
                                        int recorded) {
  struct clear_job *job = call->session->clear;
  const char *error = call_step_error(job->step);
  unsigned long long removed = job->clear.removed;
  enum dispatch_result result;
  call->dispatch->totals->clears++;
  if (error != NULL)
    result = call_error(call, FC_EREFUSED,
                        "%llu entries of this daemon were removed, but the fleet was not cleared "
                        "(%s): this daemon clears the fleet when the tier answers. If it stops "
                        "before, clear once more",
                        removed, error);
  else if (recorded < 0)
    result =
        call_error(call, recorded,
                   "%llu entries were removed, but the state folder does not take the record of "
                   "it: a restart from the snapshot may restore them: see the daemon's log",
                   removed);
  else
    result = cleared(call, select, removed);
  call_leave_step(call->dispatch, &job->step);
  free(job);
  call->session->clear = NULL;
  return result;
}

/* Begins the job of a request. Returns NULL with the reply sent in *result. */
static struct clear_job *begin(const struct call *call, const struct fc_clear *clear,
                               enum dispatch_result *result) {
  struct fleet *fleet = call->dispatch->fleet;
  bool is_of_fleet = call_is_of_fleet(call, clear->select.name_space, clear->local);
  if (is_of_fleet && !fleet->config.writes) {
    *result = call_fleet_is_read_only(call);
    return NULL;
  }
  struct clear_job *job = calloc(1, sizeof *job);
  if (job != NULL && is_of_fleet) {
    job->step = fleet_clears_clear(fleet->config.clears, &clear->select, call->start_ns);
    if (job->step == NULL) {
      free(job);
      job = NULL;
    }
  }
  if (job == NULL)
    *result = call_error_code(call, FC_ENOMEM);
  return job;
}

enum dispatch_result handle_clear(const struct call *call, const struct fc_clear *clear) {
  const struct fc_select *select = &clear->select;
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  struct clear_job *job = session->clear;
  enum dispatch_result refused;
  if (call->sink->peer_gone)
    return clear_detached(call, clear);
  /* Checked until the clear starts: another namespace may be created under that name before. */
  if ((job == NULL || (!job->started && job->step == NULL)) && !may_clear(call, select))
    return clear_denied(call, select);
  if (job == NULL)
    job = session->clear = begin(call, clear, &refused);
  if (job == NULL)
    return refused;
  if (!job->started && job->step != NULL && call_waits_for_step(call, job->step))
    return DISPATCH_RETRY;
  bool started = job->started || clear_requests_start(dispatch, job, select, call->start_ns);
  if (!started || !store_clear_step(dispatch->store, &job->clear, STORE_SLICE))
    return DISPATCH_RETRY; /* the next slice in another turn */
  int recorded = record_state(dispatch, job);
  if (recorded == 0) {
    session->waits_for_record = true;
    return DISPATCH_RETRY;
  }
  return clear_ended(call, select, recorded);
}
