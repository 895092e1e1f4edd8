#include "tests/support/leases_model_graces.h"

bool leases_model_waits_for(const struct leases_model *model, enum model_edges edges, uint32_t from,
                            uint32_t to) {
  for (uint32_t i = 0; i < model->n_waits; i++) {
    const struct model_wait *wait = &model->waits[i];
    const struct model_lease *lease = &model->leases[wait->request.key];
    if (lease->owner != NO_CLIENT && model->process[wait->request.client] == from &&
        model->process[lease->owner] == to && (edges == ALL_WAITS || !wait->closes))
      return true;
  }
  return false;
}

bool leases_model_depends(const struct leases_model *model, enum model_edges edges, uint32_t from,
                          uint32_t to) {
  return model->helper_of[to] == from || leases_model_waits_for(model, edges, from, to);
}

struct found {
  bool is[TWIN_PROCESSES];
};

/* Grows the set of processes that `start` depends on until it grows no more. */
static struct found model_find(const struct leases_model *model, enum model_edges edges,
                               uint32_t start) {
  struct found found = {{false}};
  bool grows = start < TWIN_PROCESSES;
  if (grows)
    found.is[start] = true;
  while (grows) {
    grows = false;
    for (uint32_t a = 0; a < TWIN_PROCESSES; a++)
      for (uint32_t b = 0; b < TWIN_PROCESSES; b++)
        if (found.is[a] && !found.is[b] && a != b && leases_model_depends(model, edges, a, b))
          found.is[b] = grows = true;
  }
  return found;
}

bool leases_model_closes_cycle(const struct leases_model *model, enum model_edges edges,
                               uint32_t from, uint32_t to) {
  if (from == NO_PROCESS || to == NO_PROCESS || from == to)
    return false;
  return model_find(model, edges, to).is[from];
}

bool leases_model_helps(const struct leases_model *model, uint32_t process, uint32_t of) {
  while (process != NO_PROCESS && of != NO_PROCESS) {
    process = model->helper_of[process];
    if (process == of)
      return true;
  }
  return false;
}

/* ---- graces ---- */

static uint64_t model_grace(const struct leases_model *model, uint32_t key) {
  uint64_t lease_ns = model->lease_ns[twin_space_of(key)];
  if (lease_ns == 0)
    return 1000000000;
  uint64_t grace = model_least(2 * lease_ns, 10000000000u);
  return grace < 100000000 ? 100000000 : grace;
}

static void model_set_until(struct leases_model *model, struct model_wait *wait,
                            uint64_t until_ns) {
  if (wait->until_ns != until_ns)
    wait->order = ++model->orders;
  wait->until_ns = until_ns;
}

void leases_model_set_grace(struct leases_model *model, struct model_wait *wait, uint64_t now_ns) {
  uint32_t key = wait->request.key;
  wait->closes = leases_model_closes_cycle(model, ALL_WAITS, model->process[wait->request.client],
                                           model->process[model->leases[key].owner]);
  wait->grace_since_ns = now_ns;
  bool is_remote = model->leases[key].owner == model->remote &&
                   model->process[wait->request.client] != NO_PROCESS;
  if (is_remote) {
    model_set_until(model, wait,
                    model_least(wait->asked_until_ns, model_sum(now_ns, model_grace(model, key))));
    return;
  }
  uint64_t end_ns = wait->closes ? model_sum(now_ns, model_grace(model, key)) : UINT64_MAX;
  model->graces.given += end_ns < wait->asked_until_ns;
  model_set_until(model, wait, model_least(wait->asked_until_ns, end_ns));
}

void leases_model_record_duration(struct leases_model *model, uint32_t key, uint64_t now_ns) {
  const struct model_lease *lease = &model->leases[key];
  uint32_t process = model->process[lease->owner];
  uint64_t *lease_ns = &model->lease_ns[twin_space_of(key)];
  uint64_t all_ns = now_ns - lease->granted_ns;
  uint64_t delay_ns = model->delayed_ns[process] - lease->delayed_before_ns;
  uint64_t took_ns = all_ns - model_least(all_ns, delay_ns);
  if (took_ns < all_ns / 8 + 1)
    took_ns = all_ns / 8 + 1;
  took_ns = model_least(took_ns, 10000000000u);
  if (*lease_ns == 0)
    *lease_ns = took_ns;
  else if (took_ns > *lease_ns)
    *lease_ns += (took_ns - *lease_ns) / 2;
  else
    *lease_ns -= (*lease_ns - took_ns) / 32;
}

static void model_delay(struct leases_model *model, uint32_t process, uint64_t since_ns,
                        uint64_t now_ns) {
  uint64_t *until_ns = &model->delayed_until_ns[process];
  model->delayed_ns[process] += model_least(now_ns - since_ns, now_ns - *until_ns);
  *until_ns = now_ns;
}

static uint32_t model_held_by_process(const struct leases_model *model, uint32_t process) {
  uint32_t n = 0;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    n +=
        model->leases[key].owner != NO_CLIENT && model->process[model->leases[key].owner] == process
            ? 1
            : 0;
  return n;
}

void leases_model_begin_to_hold(struct leases_model *model, uint32_t client, uint64_t now_ns) {
  uint32_t process = model->process[client];
  if (process != NO_PROCESS && model_held_by_process(model, process) == 0)
    model->holds_since_ns[process] = now_ns;
}

/* Returns when the process, or one that it helps, began to hold; UINT64_MAX: none holds. */
static uint64_t model_holds_since(const struct leases_model *model, uint32_t process) {
  uint64_t since_ns = UINT64_MAX;
  for (; process != NO_PROCESS; process = model->helper_of[process])
    if (model_held_by_process(model, process) > 0)
      since_ns = model_least(since_ns, model->holds_since_ns[process]);
  return since_ns;
}

/* Returns true if the wait for the remote client goes on for another grace. */
static bool model_renews_grace(struct leases_model *model, struct model_wait *wait,
                               uint64_t now_ns) {
  uint64_t since_ns = model_holds_since(model, model->process[wait->request.client]);
  uint64_t grace = model_grace(model, wait->request.key);
  if (since_ns == UINT64_MAX)
    since_ns = now_ns;
  else if (since_ns < wait->grace_since_ns)
    since_ns = wait->grace_since_ns;
  if (now_ns >= model_sum(since_ns, grace))
    return false;
  model_set_until(model, wait, model_least(wait->asked_until_ns, model_sum(since_ns, grace)));
  return true;
}

bool leases_model_renews_wait(struct leases_model *model, struct model_wait *wait,
                              uint64_t now_ns) {
  uint32_t from = model->process[wait->request.client];
  uint32_t owner = model->process[model->leases[wait->request.key].owner];
  if (wait->until_ns >= wait->asked_until_ns)
    return false;
  if (model->leases[wait->request.key].owner == model->remote) {
    bool renewed = model_renews_grace(model, wait, now_ns);
    *(renewed ? &model->graces.renewed : &model->graces.remote) += 1;
    return renewed;
  }
  if (!leases_model_closes_cycle(model, ALL_WAITS, from, owner)) {
    model->graces.lifted++;
    wait->closes = false;
    model_set_until(model, wait, wait->asked_until_ns);
    return true;
  }
  model->graces.ended++;
  struct found found = model_find(model, ALL_WAITS, owner);
  for (uint32_t process = 0; process < TWIN_PROCESSES; process++)
    if (found.is[process])
      model_delay(model, process, wait->grace_since_ns, now_ns);
  return false;
}
