/* Clears and deletes in the fleet (daemon/fleet/fleet_clears.h): those of requests on their way
 * there, and those of other nodes on their way into the cache. */
#include <stdlib.h>

#include "daemon/requests/handlers.h"
#include "proto/errors.h"

/* ---- of this node ---- */

bool call_is_of_fleet(const struct call *call, struct fc_str name_space, bool local) {
  const struct fleet *fleet = call->dispatch->fleet;
  if (fleet == NULL || local)
    return false;
  const struct fleet_clears_config *config = &fleet->config.clears->config;
  return config->io != NULL && (name_space.data == NULL || config->selects == NULL ||
                                config->selects(config->arg, name_space));
}

enum dispatch_result call_fleet_is_read_only(const struct call *call) {
  return call_error(call, FC_EREFUSED,
                    "nothing was removed: this daemon may not write to the tier (--tier-mode "
                    "read-only). Ask a daemon that may, or remove from this one alone (--local)");
}

bool call_waits_for_step(const struct call *call, const struct fleet_step *step) {
  bool waits = fleet_step_state(step) == FLEET_STEP_RUNS;
  call->session->waits_for_record = waits;
  return waits;
}

const char *call_step_error(const struct fleet_step *step) {
  bool failed = step != NULL && fleet_step_state(step) == FLEET_STEP_FAILED;
  return failed ? fleet_step_text(step) : NULL;
}

void call_compare_manifest(const struct call *call, struct fc_str manifest) {
  const struct namespace *ns = call->session->ns;
  if (ns != NULL && manifest.data != NULL && call_is_of_fleet(call, ns->name, false))
    fleet_clears_manifest(call->dispatch->fleet->config.clears, ns->name, manifest, call->start_ns);
}

void call_leave_step(struct dispatch *dispatch, struct fleet_step **step) {
  if (*step != NULL)
    fleet_step_end(dispatch->fleet->config.clears, *step);
  *step = NULL;
}

/* ---- of other nodes ---- */

bool dispatch_learn_clear(struct dispatch *dispatch, const struct fc_select *select,
                          uint64_t now_ns) {
  struct clear_job *job = calloc(1, sizeof *job);
  if (job == NULL)
    return false;
  rings_drain_all(&dispatch->rings);
  if (!clear_requests_start(dispatch, job, select, now_ns)) {
    free(job);
    return false;
  }
  clear_requests_adopt(dispatch, job);
  return true;
}

void dispatch_learn_delete(struct dispatch *dispatch, struct fc_str name_space,
                           const struct fc_key *key, uint64_t now_ns) {
  const struct fc_delete request = {.name_space = name_space, .key = *key};
  uint64_t ticket;
  (void)call_delete_key(dispatch, NULL, &request, now_ns, &ticket); /* nobody waits for it */
}
