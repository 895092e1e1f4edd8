/* Clears: how they start, and those whose client has left. */
#include <stdlib.h>
#include <string.h>

#include "daemon/requests/handlers.h"

bool clear_requests_start(struct dispatch *dispatch, struct clear_job *job, const struct fc_select *select,
                  uint64_t now_ns) {
  struct store_select what = {.view = select->view, .op = select->op};
  if (select->name_space.data != NULL) {
    what.ns = namespace_table_find(dispatch->namespaces, select->name_space);
    if (what.ns == NULL || (job->namespace_id != 0 && job->namespace_id != what.ns->seed)) {
      job->started = job->clear.finished = true;
      return true;
    }
  }
  job->started = store_clear_start(dispatch->store, &job->clear, &what);
  if (job->started)
    leases_clear(&dispatch->leases, what.ns, what.view, what.op, now_ns);
  return job->started;
}

/* ---- those whose client has left ---- */

static struct fc_str copy(char *to, struct fc_str name) {
  if (name.data == NULL)
    return name;
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

static bool covers_name(struct fc_str wide, struct fc_str narrow) {
  return wide.data == NULL || (narrow.data != NULL && fc_str_equal(wide, narrow));
}

static bool covers(const struct fc_select *wide, const struct fc_select *narrow) {
  return covers_name(wide->name_space, narrow->name_space) &&
         covers_name(wide->view, narrow->view) && covers_name(wide->op, narrow->op);
}

/* Is it the very namespace that `select`, one that is there, names? */
static bool is_of(const struct clear_job *job, uint64_t namespace_id) {
  return job->namespace_id == 0 || namespace_id == 0 || job->namespace_id == namespace_id;
}

/* The job at *link is done, or another does it. */
static void take_out(struct dispatch *dispatch, struct clear_job **link) {
  struct clear_job *job = *link;
  *link = job->next;
  dispatch->orphans.n -= !job->started;
  dispatch->clears++;
  free(job);
}

/* Is there one that covers `select` and has not started? Those that `select` covers go. */
static bool merge(struct dispatch *dispatch, const struct fc_select *select,
                  uint64_t namespace_id) {
  struct clear_job **link = &dispatch->orphans.first;
  while (*link != NULL) {
    struct clear_job *job = *link;
    bool same = !job->started && is_of(job, namespace_id);
    if (same && covers(&job->select, select))
      return true;
    if (same && covers(select, &job->select))
      take_out(dispatch, link);
    else
      link = &job->next;
  }
  return false;
}

bool clear_requests_queue(struct dispatch *dispatch, const struct fc_select *select) {
  struct clear_queue *queue = &dispatch->orphans;
  const struct namespace *ns = NULL;
  if (select->name_space.data != NULL)
    ns = namespace_table_find(dispatch->namespaces, select->name_space);
  bool is_gone = select->name_space.data != NULL && ns == NULL; /* so there is nothing to clear */
  uint64_t namespace_id = ns == NULL ? 0 : ns->seed;
  if (is_gone || merge(dispatch, select, namespace_id)) {
    dispatch->clears++;
    return true;
  }
  struct clear_job *job = queue->n < CLEAR_REQUESTS_QUEUED_MAX ? calloc(1, sizeof *job) : NULL;
  if (job == NULL)
    return false;
  job->namespace_id = namespace_id;
  job->select.name_space = copy(job->names, select->name_space);
  job->select.view = copy(job->names + FC_NAME_MAX, select->view);
  job->select.op = copy(job->names + (size_t)2 * FC_NAME_MAX, select->op);
  struct clear_job **link = &queue->first;
  while (*link != NULL)
    link = &(*link)->next;
  *link = job;
  queue->n++;
  return true;
}

void clear_requests_adopt(struct dispatch *dispatch, struct clear_job *job) {
  job->next = dispatch->orphans.first;
  dispatch->orphans.first = job;
}

static bool begin(struct dispatch *dispatch, struct clear_job *job) {
  (void)rings_drain_all(&dispatch->rings); /* lines that are owed come later */
  if (!clear_requests_start(dispatch, job, &job->select, call_clock_ns()))
    return false;
  dispatch->orphans.n--;
  return true;
}

bool clear_requests_step(struct dispatch *dispatch) {
  struct clear_job *job = dispatch->orphans.first;
  if (job == NULL)
    return false;
  if ((job->started || begin(dispatch, job)) &&
      store_clear_step(dispatch->store, &job->clear, STORE_SLICE))
    take_out(dispatch, &dispatch->orphans.first);
  return dispatch->orphans.first != NULL;
}

void clear_requests_end(struct dispatch *dispatch) {
  struct clear_job **link = &dispatch->orphans.first;
  while (*link != NULL) {
    if ((*link)->started)
      link = &(*link)->next;
    else
      take_out(dispatch, link);
  }
  while (clear_requests_step(dispatch))
    ;
}
