#include "daemon/requests/dispatch.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "daemon/requests/handlers.h"
#include "proto/limits.h"

static void drain_before_eviction(void *arg) {
  struct dispatch *dispatch = arg;
  rings_drain_before_eviction(&dispatch->rings);
}

/* The deletes before a snapshot are known by the latest generation of one alone. */
static void raise_deletes(const struct dispatch *dispatch, struct store *store) {
  uint64_t last_delete = dispatch->totals->last_delete, newest = store->saved->generation;
  if (last_delete > store->deletes.newest)
    delete_log_raise(&store->deletes, last_delete < newest ? last_delete : newest);
}

/* The secret belongs to the cache, so that the leases of an earlier daemon keep their digests. */
static void begin_totals(struct dispatch *dispatch, const struct dispatch_config *config) {
  dispatch->totals =
      config->totals != NULL && FC_CATALOG_MUTANT != 21 ? config->totals : &dispatch->own_totals;
  if (dispatch->totals->lease_secret == 0)
    dispatch->totals->lease_secret = config->secret;
  dispatch->secret = dispatch->totals->lease_secret;
  dispatch->at_start = *dispatch->totals;
  raise_deletes(dispatch, config->store);
  memcpy(dispatch->evictions_at_start, config->store->saved->evictions,
         sizeof dispatch->evictions_at_start);
}

void dispatch_init(struct dispatch *dispatch, const struct dispatch_config *config) {
  *dispatch = (struct dispatch){
      .store = config->store,
      .namespaces = config->namespaces,
      .trace = config->trace,
      .log = config->log,
      .users = config->users,
      .boot_id = config->boot_id,
      .boots = config->boots,
      .n_boots = config->n_boots,
      .started_ns = call_clock_ns(),
      .started_unix_ns = client_clock_now().real_ns,
      .max_clients = config->max_clients,
      .frames_bytes = config->frames_bytes,
      .replies_bytes = config->replies_bytes,
      .memory_report = config->memory_report,
      .memory_arg = config->memory_arg,
      .control = config->control,
      .survival_report = config->survival_report,
      .survival_arg = config->survival_arg,
      .tier = config->tier,
      .region = config->region,
      .latency = config->latency,
  };
  for (int kind = 0; kind < SLICE_KINDS; kind++)
    dispatch->slices[kind] = UINT_MAX;
  begin_totals(dispatch, config);
  if (config->latency != NULL)
    latency_reset(config->latency, dispatch->started_ns);
  struct rings_config rings = {.store = config->store,
                               .trace = config->trace,
                               .totals = dispatch->totals,
                               .pool_bytes = config->ring_pool_bytes,
                               .max_clients = config->max_clients};
  rings_init(&dispatch->rings, &rings);
  usage_init(&dispatch->usage, dispatch->secret);
  leases_init(&dispatch->leases, &config->leases, &dispatch->totals->counters);
  dispatch->leases.records = config->lease_records;
  dispatch->processes.secret = dispatch->secret;
  struct lease_owners_config owners = {.leases = &dispatch->leases,
                                       .namespaces = config->namespaces,
                                       .processes = &dispatch->processes,
                                       .users = config->users,
                                       .secret = dispatch->secret,
                                       .last_number = &dispatch->totals->next_client_id};
  lease_owners_init(&dispatch->owners, &owners);
  dispatch->fleet_client.remote = true;
  dispatch->store->before_evict = drain_before_eviction;
  dispatch->store->before_evict_arg = dispatch;
  events_init(dispatch);
}

void dispatch_deinit(struct dispatch *dispatch) {
  assert(dispatch->first_session == NULL && dispatch->clients == 0);
  clear_requests_end(dispatch);
  while (dispatch_background_step(dispatch))
    ;
  rings_deinit(&dispatch->rings);
  usage_deinit(&dispatch->usage);
  lease_owners_deinit(&dispatch->owners, call_clock_ns());
  leases_client_gone(&dispatch->leases, &dispatch->fleet_client, call_clock_ns());
  leases_deinit(&dispatch->leases);
  processes_deinit(&dispatch->processes);
  dispatch->store->before_evict = NULL;
  dispatch->store->on_evict = NULL;
  watch_deinit(&dispatch->watch);
  fc_buf_free(&dispatch->reply);
}

void dispatch_set_fleet(struct dispatch *dispatch, struct fleet *fleet) {
  check_eq(dispatch->fleet_client.held, 0);
  assert(fleet == NULL || fleet->config.client == &dispatch->fleet_client);
  dispatch->fleet = fleet;
}

/* ---- refused and dropped clients ---- */

static void log_end(struct dispatch *dispatch, const struct session *session, const char *how,
                    const char *reason) {
  char text[SESSION_TEXT_SIZE];
  log_line(dispatch->log, LOG_LEVEL_DEBUG, "%s: %s: %s", how, session_text(session, text), reason);
}

void dispatch_count_refused(struct dispatch *dispatch, const struct session *session,
                            const char *reason) {
  dispatch->totals->refused++;
  log_end(dispatch, session, "refused", reason);
}

void dispatch_count_dropped(struct dispatch *dispatch, const struct session *session,
                            const char *reason) {
  dispatch->totals->dropped++;
  log_end(dispatch, session, "dropped", reason);
}

/* Each arena counts from 0 on. */
void dispatch_count_moved(struct dispatch *dispatch) {
  uint64_t now = dispatch->store->heap.arena.moved_bytes;
  uint64_t before = now < dispatch->moved_bytes ? 0 : dispatch->moved_bytes;
  dispatch->totals->region_moved_bytes += now - before;
  dispatch->moved_bytes = now;
  uint64_t dropped = 0;
  for (int cause = 0; cause < ADOPT_CAUSES; cause++)
    dropped += dispatch->store->migration.dropped[cause];
  dispatch->totals->adopt_dropped += dropped - dispatch->migration_dropped;
  dispatch->migration_dropped = dropped;
}

uint32_t dispatch_max_body(const struct dispatch *dispatch, const struct session *session) {
  return session->handshake_done ? dispatch->store->max_value + FC_FRAME_SLACK : FC_HELLO_FRAME_MAX;
}

/* ---- the end of a client ---- */

static void list_remove(struct dispatch *dispatch, struct session *session) {
  assert(dispatch->clients > 0);
  *(session->prev != NULL ? &session->prev->next : &dispatch->first_session) = session->next;
  *(session->next != NULL ? &session->next->prev : &dispatch->last_session) = session->prev;
  session->next = session->prev = NULL;
  dispatch->clients--;
}

void dispatch_release_leases(struct dispatch *dispatch, struct session *session) {
  dispatch_leave_fill(dispatch, session);
  leases_client_gone(&dispatch->leases, &session->leases, call_clock_ns());
  deferred_replies_send_all(dispatch);
}

static void release_clear(struct dispatch *dispatch, struct session *session) {
  struct clear_job *job = session->clear;
  session->clear = NULL;
  call_leave_step(dispatch, &session->deleting.step);
  if (job != NULL)
    call_leave_step(dispatch, &job->step);
  if (job != NULL && job->started)
    clear_requests_adopt(dispatch, job); /* it is in effect already */
  else
    free(job);
}

/* Tools, which look up nothing, are not counted. Idempotent. */
static void count_client_left(struct dispatch *dispatch, struct session *session) {
  const struct usage_counts *usage = &session->usage;
  if (usage->hits == 0 && usage->misses == 0)
    return;
  usage_counts_add(&dispatch->usage_left, usage);
  dispatch->clients_left++;
  session->usage = (struct usage_counts){0};
}

void dispatch_client_gone(struct dispatch *dispatch, struct session *session) {
  dispatch_leave_fill(dispatch, session);
  leases_client_gone(&dispatch->leases, &session->leases, call_clock_ns());
  if (session->ring != NULL)
    rings_detach(&dispatch->rings, session->ring);
  session->ring = NULL;
  watch_end(&dispatch->watch, session->watcher);
  session->watcher = NULL;
  release_clear(dispatch, session);
  if (session->ns != NULL)
    namespace_table_close(dispatch->namespaces, session->ns);
  session->ns = NULL;
  if (session->process != NULL)
    processes_leave(&dispatch->processes, session->process);
  session->process = NULL;
  session->leases.process = NULL;
  if (session->handshake_done)
    list_remove(dispatch, session);
  session->handshake_done = false;
  count_client_left(dispatch, session);
  deferred_replies_send_all(dispatch);
}

void dispatch_send_deferred(struct dispatch *dispatch, struct session *session) {
  if (session->leases.due_first != NULL)
    (void)deferred_replies_send(dispatch, session); /* the next call sends the rest */
}

void dispatch_expire_leases(struct dispatch *dispatch) {
  leases_expire(&dispatch->leases, call_clock_ns());
  lease_owners_sweep(&dispatch->owners);
  deferred_replies_send_all(dispatch);
}

void dispatch_clears_recorded(struct dispatch *dispatch) {
  for (struct session *session = dispatch->first_session; session != NULL; session = session->next)
    if (session->waits_for_record) {
      session->waits_for_record = false;
      session->sink->resume(session->sink);
    }
}

/* ---- leases over a restart ---- */

struct lease_owners_report dispatch_adopt_leases(struct dispatch *dispatch) {
  return lease_owners_adopt(&dispatch->owners, call_clock_ns());
}

void dispatch_check_deaths(struct dispatch *dispatch) {
  lease_owners_check_deaths(&dispatch->owners, call_clock_ns());
  deferred_replies_send_all(dispatch);
}

void dispatch_stop_leases(struct dispatch *dispatch) {
  dispatch->watch.stopping = true;
  uint64_t now_ns = call_clock_ns();
  for (struct session *session = dispatch->first_session; session != NULL; session = session->next)
    leases_forget_waits(&dispatch->leases, &session->leases, now_ns);
  leases_stop(&dispatch->leases);
  if (dispatch->fleet != NULL)
    fleet_stop(dispatch->fleet, now_ns);
  leases_client_gone(&dispatch->leases, &dispatch->fleet_client, now_ns);
  lease_owners_deinit(&dispatch->owners, now_ns);
}

bool dispatch_has_background_work(const struct dispatch *dispatch) {
  return dispatch->clears_queued.first != NULL || dispatch->namespaces->pending_delete != NULL ||
         dispatch->leases.due_first != NULL || store_has_background_work(dispatch->store);
}

bool dispatch_background_step(struct dispatch *dispatch) {
  uint64_t start_ns = call_clock_ns();
  (void)clear_requests_step(dispatch);
  (void)namespace_table_step(dispatch->namespaces, STORE_SLICE);
  (void)store_background_step(dispatch->store);
  deferred_replies_send_all(dispatch);
  latency_add(dispatch->latency, LATENCY_BACKGROUND, call_clock_ns() - start_ns);
  return dispatch_has_background_work(dispatch);
}

const char *dispatch_session_error(const struct session *session) {
  if (session->reply_lost)
    return "out of memory for a deferred reply";
  return session->ring == NULL ? NULL : rings_error(session->ring);
}
