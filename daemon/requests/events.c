/* Events of requests, evictions and leases for the watchers (watch.h). */
#include <assert.h>

#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"
#include "proto/errors.h"

static_assert((int)FC_MISS_PLAIN == (int)LEASE_NONE && (int)FC_MISS_GRANTED == (int)LEASE_GRANTED &&
                  (int)FC_MISS_TAKEN == (int)LEASE_TAKEN && (int)FC_MISS_WAITS == (int)LEASE_WAITS,
              "the lease table's answers are the details of a miss");
static_assert((int)FC_PUT_STORED == (int)FC_STORED && (int)FC_PUT_KEPT == (int)FC_KEPT &&
                  (int)FC_PUT_STALE == (int)FC_STALE,
              "outcomes are details");
static_assert((int)FC_EVICTION_ENTRIES == (int)EVICT_ENTRIES &&
                  (int)FC_EVICTION_BYTES == (int)EVICT_BYTES &&
                  (int)FC_EVICTION_OWN_BYTES == (int)EVICT_OWN_BYTES &&
                  (int)FC_EVICTION_FORCED == (int)EVICT_FORCED &&
                  (int)FC_EVICTION_CHAIN == (int)EVICT_CHAIN,
              "causes are details");
static_assert((int)FC_LEASE_BEGINS == (int)LEASE_BEGINS && (int)FC_LEASE_PUT == (int)LEASE_PUT &&
                  (int)FC_LEASE_ENDED == (int)LEASE_ENDED &&
                  (int)FC_LEASE_EXPIRED == (int)LEASE_EXPIRED,
              "changes of a lease are details");

/* Returns whether an event of that kind must be made. Counts it if it is only lost. */
static bool is_needed(struct watch *watch, enum fc_event_kind kind) {
  if (!watch_wants(watch, kind))
    return false;
  if (!watch_only_loses(watch, kind))
    return true;
  watch_lose(watch, kind, 1);
  return false;
}

/* ---- requests ---- */

/* An event about a key, caused by the client of the call. */
static struct fc_event event_of(const struct call *call, enum fc_event_kind kind,
                                const struct fc_key *key) {
  return (struct fc_event){.kind = kind,
                           .name_space = call->session->ns->name,
                           .key = *key,
                           .has_prompt = true,
                           .client = call->session->name};
}

/* Returns whether this is the first hit on a value that no client of this node put. It is counted
 * already, unless the get only peeked. */
static bool is_from_tier(const struct call *call, const struct entry *entry) {
  return call->dispatch->fleet != NULL && entry_origin(entry) == 0 && entry->hits <= 1;
}

void events_hit(const struct call *call, const struct call_record *record,
                const struct entry *entry) {
  if (!is_needed(&call->dispatch->watch, FC_EVENT_HIT))
    return;
  struct fc_event event = event_of(call, FC_EVENT_HIT, record->key);
  event.bytes = entry_value_size(entry);
  event.cost_ns = client_time_compute_ns(entry_compute_ns(entry));
  event.detail = record->waited              ? FC_HIT_AFTER_WAIT
                 : is_from_tier(call, entry) ? FC_HIT_TIER
                                             : FC_HIT_MESSAGE;
  watch_add(&call->dispatch->watch, &event);
}

void events_miss(const struct call *call, const struct fc_key *key, uint32_t detail) {
  if (!is_needed(&call->dispatch->watch, FC_EVENT_MISS))
    return;
  struct fc_event event = event_of(call, FC_EVENT_MISS, key);
  event.detail = detail;
  watch_add(&call->dispatch->watch, &event);
}

static uint32_t put_detail(int outcome) {
  if (outcome >= 0)
    return (uint32_t)outcome;
  return outcome == FC_ETOOBIG ? FC_PUT_TOO_BIG : FC_PUT_FAILED;
}

void events_put(const struct call *call, const struct fc_put *put, int outcome) {
  if (!is_needed(&call->dispatch->watch, FC_EVENT_PUT))
    return;
  struct fc_event event = event_of(call, FC_EVENT_PUT, &put->key);
  event.bytes = put->value_size;
  event.cost_ns = client_time_compute_ns(put->compute_ns);
  event.detail = put_detail(outcome);
  watch_add(&call->dispatch->watch, &event);
}

void events_delete(struct dispatch *dispatch, const struct session *client,
                   const struct fc_delete *request, bool existed) {
  if (!is_needed(&dispatch->watch, FC_EVENT_DELETE))
    return;
  struct fc_event event = {.kind = FC_EVENT_DELETE,
                           .name_space = request->name_space,
                           .key = request->key,
                           .has_prompt = true,
                           .count = existed};
  if (client != NULL)
    event.client = client->name;
  watch_add(&dispatch->watch, &event);
}

void events_clear(struct dispatch *dispatch, const struct session *client,
                  const struct fc_select *select, uint64_t removed) {
  if (!is_needed(&dispatch->watch, FC_EVENT_CLEAR))
    return;
  struct fc_event event = {.kind = FC_EVENT_CLEAR,
                           .name_space = select->name_space,
                           .key = {.op = select->op, .view = select->view},
                           .client = client == NULL ? (struct fc_str){0} : client->name,
                           .count = removed};
  watch_add(&dispatch->watch, &event);
}

/* ---- evictions and leases ---- */

/* The bytes of an entry in a source are not verified, so its key is not read. */
static void on_evict(void *arg, const struct namespace *ns, const struct entry *entry,
                     enum evict_cause cause) {
  struct dispatch *dispatch = arg;
  if (!is_needed(&dispatch->watch, FC_EVENT_EVICTION))
    return;
  struct fc_event event = {.kind = FC_EVENT_EVICTION,
                           .name_space = ns->name,
                           .detail = (uint32_t)cause,
                           .count = entry->hits};
  if (!heap_is_in_source(&dispatch->store->heap, entry)) {
    event.key = entry_key(entry);
    event.has_prompt = true;
    event.bytes = entry_value_size(entry);
    event.cost_ns = client_time_compute_ns(entry_compute_ns(entry));
  }
  watch_add(&dispatch->watch, &event);
}

static void on_lease(void *arg, const struct lease *lease, enum lease_change change,
                     uint64_t now_ns) {
  struct dispatch *dispatch = arg;
  if (dispatch->fleet != NULL)
    fleet_lease_changed(dispatch->fleet, lease, change, now_ns);
  if (!is_needed(&dispatch->watch, FC_EVENT_LEASE))
    return;
  struct fc_event event = {.kind = FC_EVENT_LEASE,
                           .name_space = lease->ns->name,
                           .key = lease->key,
                           .has_prompt = true,
                           .client = session_owner_of(lease->owner).name,
                           .detail = (uint32_t)change};
  if (change != LEASE_BEGINS && now_ns > lease->granted_ns)
    event.cost_ns = now_ns - lease->granted_ns;
  watch_add(&dispatch->watch, &event);
}

void events_init(struct dispatch *dispatch) {
  dispatch->store->on_evict = on_evict;
  dispatch->store->on_evict_arg = dispatch;
  dispatch->leases.on_change = on_lease;
  dispatch->leases.on_change_arg = dispatch;
}
