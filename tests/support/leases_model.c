#include "tests/support/leases_model.h"

#include <check.h>
#include <string.h>

#include "tests/support/leases_model_graces.h"

uint32_t twin_space_of(uint32_t key) {
  return key / (TWIN_KEYS / TWIN_SPACES);
}

uint32_t twin_view_of(uint32_t key) {
  return key / (TWIN_OPS * TWIN_PROMPTS) % TWIN_VIEWS;
}

uint32_t twin_op_of(uint32_t key) {
  return key / TWIN_PROMPTS % TWIN_OPS;
}

bool twin_selects(const struct twin_select *select, uint32_t key) {
  return (select->space == TWIN_SPACES || select->space == twin_space_of(key)) &&
         (select->view == TWIN_VIEWS || select->view == twin_view_of(key)) &&
         (select->op == TWIN_OPS || select->op == twin_op_of(key));
}

uint32_t leases_model_held(const struct leases_model *model, uint32_t client) {
  uint32_t n = 0;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    n += model->leases[key].owner == client && !model->leases[key].absent ? 1 : 0;
  return n;
}

uint32_t leases_model_absent_held(const struct leases_model *model, uint32_t client) {
  uint32_t n = 0;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    n += model->leases[key].owner == client && model->leases[key].absent ? 1 : 0;
  return n;
}

bool twin_has_handle(uint32_t client) {
  return client % 3 != 0;
}

static uint32_t model_recorded(const struct leases_model *model) {
  uint32_t n = 0;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    n += model->leases[key].owner != NO_CLIENT && model->leases[key].recorded ? 1 : 0;
  return n;
}

uint32_t leases_model_waits(const struct leases_model *model, uint32_t client) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < model->n_waits; i++)
    n += model->waits[i].request.client == client ? 1 : 0;
  return n;
}

static void model_end_wait(struct leases_model *model, uint32_t i, enum lease_end end,
                           uint64_t now_ns) {
  struct model_wait wait = model->waits[i];
  uint32_t client = wait.request.client;
  model->n_waits--;
  memmove(&model->waits[i], &model->waits[i + 1], (model->n_waits - i) * sizeof(struct model_wait));
  uint64_t wall_ns = fc_waits_end(&model->sharing[client], wait.begun, now_ns);
  model->counters.lease_wait_ns += wall_ns;
  model->of_space[twin_space_of(wait.request.key)].lease_wait_ns += wall_ns;
  struct model_due *due = &model->due[client];
  ck_assert_uint_lt(due->n, TWIN_WAITS_EACH);
  due->ended[due->n++] = (struct twin_ended){wait.request.id, wait.request.key, end};
  for (uint32_t at = 0; at < model->n_queue; at++)
    if (model->queue[at] == client)
      return;
  model->queue[model->n_queue++] = client;
}

static void model_end_waits_of(struct leases_model *model, uint32_t client, enum lease_end end,
                               uint64_t now_ns) {
  for (uint32_t i = 0; i < model->n_waits;)
    if (model->waits[i].request.client == client)
      model_end_wait(model, i, end, now_ns);
    else
      i++;
}

static void model_end_waits_for(struct leases_model *model, uint32_t key, enum lease_end end,
                                uint64_t now_ns) {
  for (uint32_t i = 0; i < model->n_waits;)
    if (model->waits[i].request.key == key)
      model_end_wait(model, i, end, now_ns);
    else
      i++;
}

static void model_wait_over(struct leases_model *model, uint32_t i, uint64_t now_ns) {
  if (!leases_model_renews_wait(model, &model->waits[i], now_ns))
    model_end_wait(model, i, LEASE_END_NONE, now_ns);
}

static void model_grant(struct leases_model *model, uint32_t key, uint32_t client, uint64_t end_ns,
                        uint64_t now_ns) {
  model_end_waits_of(model, client, LEASE_END_AGAIN, now_ns);
  model->leases[key].owner = NO_CLIENT; /* its record is free */
  bool is_remote = client == model->remote;
  bool recorded = !is_remote && model_recorded(model) < model->records;
  leases_model_begin_to_hold(model, client, now_ns);
  model->leases[key] =
      (struct model_lease){.owner = client,
                           .serial = ++model->serials,
                           .granted_ns = now_ns,
                           .end_ns = end_ns,
                           .delayed_before_ns = model->delayed_ns[model->process[client]],
                           .recorded = recorded};
  model->counters.leases_granted += !is_remote;
  model->of_space[twin_space_of(key)].leases_granted += !is_remote;
}

/* Updates the waits for a key that has a new owner. */
static void model_wait_for_owner(struct leases_model *model, uint32_t key, uint64_t now_ns) {
  uint32_t owner = model->process[model->leases[key].owner];
  for (uint32_t i = 0; i < model->n_waits;) {
    struct model_wait *wait = &model->waits[i];
    if (wait->request.key == key &&
        leases_model_helps(model, model->process[wait->request.client], owner)) {
      model->graces.dropped++;
      model_end_wait(model, i, LEASE_END_NONE, now_ns);
      continue;
    }
    if (wait->request.key == key)
      leases_model_set_grace(model, wait, now_ns);
    i++;
  }
}

static void model_hand_over(struct leases_model *model, uint32_t key, uint64_t now_ns) {
  model->leases[key] = (struct model_lease){.owner = NO_CLIENT};
  for (uint32_t i = 0; i < model->n_waits; i++) {
    struct model_wait wait = model->waits[i];
    if (wait.request.key != key || !wait.request.wants)
      continue;
    model_end_wait(model, i, LEASE_END_GRANTED, now_ns);
    model_grant(model, key, wait.request.client, model_sum(now_ns, wait.term_ns), now_ns);
    model_wait_for_owner(model, key, now_ns);
    return;
  }
  model_end_waits_for(model, key, LEASE_END_NONE, now_ns);
}

static void model_abandon(struct leases_model *model, uint32_t key, uint64_t now_ns) {
  bool counts = model->leases[key].owner != model->remote;
  model->counters.leases_abandoned += counts;
  model->of_space[twin_space_of(key)].leases_abandoned += counts;
  model_hand_over(model, key, now_ns);
}

uint32_t leases_model_n(const struct leases_model *model) {
  uint32_t n = 0;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    n += model->leases[key].owner != NO_CLIENT ? 1 : 0;
  return n;
}

uint32_t leases_model_due(const struct leases_model *model) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++)
    n += model->due[i].n;
  return n;
}

/* A client takes a lease of an absent owner of its process. */
static enum lease_answer model_take_over(struct leases_model *model, uint32_t key, uint32_t client,
                                         uint64_t now_ns) {
  struct model_lease *lease = &model->leases[key];
  if (leases_model_held(model, client) >= model->limits.leases_each)
    return LEASE_NONE;
  model_end_waits_of(model, client, LEASE_END_AGAIN, now_ns);
  lease->owner = NO_CLIENT;
  leases_model_begin_to_hold(model, client, now_ns);
  lease->owner = client;
  lease->absent = false;
  lease->serial = ++model->serials;
  lease->granted_ns = now_ns;
  lease->delayed_before_ns = model->delayed_ns[model->process[client]];
  return LEASE_GRANTED;
}

enum lease_answer leases_model_acquire(struct leases_model *model,
                                       const struct twin_request *request, uint64_t now_ns) {
  const struct leases_limits *limits = &model->limits;
  uint32_t owner = model->leases[request->key].owner;
  uint64_t term_ns =
      model_least(request->term_ns == 0 ? 300000000000u : request->term_ns, limits->time_max_ns);
  if (owner == NO_CLIENT) {
    if (!request->wants || leases_model_n(model) >= limits->leases ||
        (request->client != model->remote &&
         leases_model_held(model, request->client) >= limits->leases_each))
      return LEASE_NONE;
    model_grant(model, request->key, request->client, model_sum(now_ns, term_ns), now_ns);
    return LEASE_GRANTED;
  }
  bool absent = model->leases[request->key].absent;
  if (owner == request->client && !absent)
    return LEASE_NONE;
  if (absent && request->wants && !twin_has_handle(owner) && model->process[owner] != NO_PROCESS &&
      model->process[owner] == model->process[request->client])
    return model_take_over(model, request->key, request->client, now_ns);
  if (request->wait_ns == 0)
    return LEASE_TAKEN;
  if (leases_model_held(model, request->client) > 0 ||
      model->n_waits + leases_model_due(model) >= limits->waits ||
      leases_model_waits(model, request->client) + model->due[request->client].n >=
          limits->waits_each)
    return LEASE_NONE;
  if (leases_model_helps(model, model->process[request->client], model->process[owner])) {
    model->graces.refused++;
    return LEASE_NONE;
  }
  struct model_wait *wait = &model->waits[model->n_waits++];
  uint64_t until_ns = model_sum(now_ns, model_least(request->wait_ns, limits->time_max_ns));
  *wait = (struct model_wait){.request = *request,
                              .term_ns = term_ns,
                              .since_ns = now_ns,
                              .asked_until_ns = until_ns,
                              .until_ns = until_ns,
                              .order = ++model->orders,
                              .begun = fc_waits_begin(&model->sharing[request->client], now_ns)};
  leases_model_set_grace(model, wait, now_ns);
  return LEASE_WAITS;
}

/* Returns the first key whose lease was granted after serial `after`, of the owner or of all
 * (NO_CLIENT), or TWIN_KEYS. */
static uint32_t model_oldest(const struct leases_model *model, uint32_t owner, uint64_t after) {
  uint32_t oldest = TWIN_KEYS;
  for (uint32_t key = 0; key < TWIN_KEYS; key++) {
    const struct model_lease *lease = &model->leases[key];
    if (lease->owner != NO_CLIENT &&
        (owner == NO_CLIENT || (lease->owner == owner && !lease->absent)) &&
        lease->serial > after &&
        (oldest == TWIN_KEYS || lease->serial < model->leases[oldest].serial))
      oldest = key;
  }
  return oldest;
}

uint32_t leases_model_give_up_all(struct leases_model *model, uint32_t client, uint64_t now_ns) {
  uint32_t n = leases_model_held(model, client);
  model_end_waits_of(model, client, LEASE_END_NONE, now_ns);
  for (uint32_t key; (key = model_oldest(model, client, 0)) != TWIN_KEYS;)
    model_abandon(model, key, now_ns);
  return n;
}

void leases_model_client_gone(struct leases_model *model, uint32_t client, uint64_t now_ns) {
  (void)leases_model_give_up_all(model, client, now_ns);
  model->due[client].n = 0;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < model->n_queue; i++)
    if (model->queue[i] != client)
      model->queue[kept++] = model->queue[i];
  model->n_queue = kept;
}

/* ---- over a restart ---- */

static void model_forget_waits(struct leases_model *model, uint64_t now_ns) {
  for (uint32_t client = 0; client < TWIN_CLIENTS; client++) {
    model_end_waits_of(model, client, LEASE_END_NONE, now_ns);
    model->due[client].n = 0;
  }
  model->n_queue = 0;
}

void leases_model_restart(struct leases_model *model, const uint32_t *keys, uint32_t n,
                          uint64_t now_ns) {
  struct model_lease before[TWIN_KEYS];
  model_forget_waits(model, now_ns);
  memcpy(before, model->leases, sizeof before);
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    model->leases[key] = (struct model_lease){.owner = NO_CLIENT};
  model->serials = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct model_lease lease = before[keys[i]];
    ck_assert(lease.owner != NO_CLIENT && lease.recorded);
    if (lease.end_ns <= now_ns || leases_model_n(model) >= model->limits.leases ||
        leases_model_absent_held(model, lease.owner) >= model->limits.leases_each)
      continue;
    lease.absent = true;
    lease.serial = ++model->serials;
    lease.end_ns = now_ns + model_least(lease.end_ns - now_ns, model->limits.time_max_ns);
    lease.delayed_before_ns = model->delayed_ns[model->process[lease.owner]];
    leases_model_begin_to_hold(model, lease.owner, lease.granted_ns);
    model->leases[keys[i]] = lease;
  }
}

void leases_model_claim(struct leases_model *model, uint32_t client, uint64_t now_ns) {
  (void)now_ns; /* the waits have the same process to wait for */
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    if (model->leases[key].owner == client && model->leases[key].absent)
      model->leases[key].absent = false;
}

void leases_model_owner_gone(struct leases_model *model, uint32_t client, uint64_t now_ns) {
  while (leases_model_absent_held(model, client) > 0) {
    uint32_t first = TWIN_KEYS;
    for (uint32_t key = 0; key < TWIN_KEYS; key++)
      if (model->leases[key].owner == client && model->leases[key].absent &&
          (first == TWIN_KEYS || model->leases[key].serial < model->leases[first].serial))
        first = key;
    model_abandon(model, first, now_ns);
  }
}

void leases_model_clear(struct leases_model *model, const struct twin_select *select,
                        uint64_t now_ns) {
  uint64_t last = model->serials, at = 0;
  for (uint32_t key; (key = model_oldest(model, NO_CLIENT, at)) != TWIN_KEYS;) {
    at = model->leases[key].serial;
    if (at > last)
      return;
    if (twin_selects(select, key))
      model_abandon(model, key, now_ns);
  }
}

void leases_model_delete(struct leases_model *model, uint32_t key, uint64_t now_ns) {
  if (model->leases[key].owner != NO_CLIENT)
    model_abandon(model, key, now_ns);
}

/* Find the lease whose term expires first, and the wait that ends first. */
static uint32_t model_first_term(const struct leases_model *model) {
  uint32_t first = TWIN_KEYS;
  for (uint32_t key = 0; key < TWIN_KEYS; key++) {
    const struct model_lease *lease = &model->leases[key],
                             *best = &model->leases[first % TWIN_KEYS];
    if (lease->owner != NO_CLIENT &&
        (first == TWIN_KEYS || lease->end_ns < best->end_ns ||
         (lease->end_ns == best->end_ns && lease->serial < best->serial)))
      first = key;
  }
  return first;
}

static uint32_t model_first_until(const struct leases_model *model) {
  uint32_t first = 0;
  for (uint32_t i = 1; i < model->n_waits; i++) {
    const struct model_wait *wait = &model->waits[i], *best = &model->waits[first];
    if (wait->until_ns < best->until_ns ||
        (wait->until_ns == best->until_ns && wait->order < best->order))
      first = i;
  }
  return first;
}

static void model_nearest(const struct leases_model *model, uint32_t *key, uint64_t *term_ns,
                          uint32_t *wait, uint64_t *until_ns) {
  *key = model_first_term(model);
  *wait = model_first_until(model);
  *term_ns = *key == TWIN_KEYS ? UINT64_MAX : model->leases[*key].end_ns;
  *until_ns = model->n_waits == 0 ? UINT64_MAX : model->waits[*wait].until_ns;
}

void leases_model_expire(struct leases_model *model, uint64_t now_ns) {
  for (;;) {
    uint32_t key, wait;
    uint64_t term_ns, until_ns;
    model_nearest(model, &key, &term_ns, &wait, &until_ns);
    if (model_least(term_ns, until_ns) > now_ns)
      return;
    if (term_ns > until_ns) {
      model_wait_over(model, wait, now_ns);
      continue;
    }
    bool counts = model->leases[key].owner != model->remote;
    model->counters.leases_expired += counts;
    model->of_space[twin_space_of(key)].leases_expired += counts;
    model_hand_over(model, key, now_ns);
  }
}

uint64_t leases_model_next_ns(const struct leases_model *model) {
  uint32_t key, wait;
  uint64_t term_ns, until_ns;
  model_nearest(model, &key, &term_ns, &wait, &until_ns);
  return model_least(term_ns, until_ns);
}

void leases_model_put(struct leases_model *model, uint32_t key, uint64_t now_ns) {
  if (model->leases[key].owner != NO_CLIENT && model->leases[key].owner != model->remote)
    leases_model_record_duration(model, key, now_ns);
  model->leases[key] = (struct model_lease){.owner = NO_CLIENT};
  model_end_waits_for(model, key, LEASE_END_PUT, now_ns);
}

bool leases_model_give_up(struct leases_model *model, uint32_t client, uint32_t key, bool for_all,
                          uint64_t now_ns) {
  if (model->leases[key].owner != client || model->leases[key].absent)
    return false;
  if (!for_all) {
    model_abandon(model, key, now_ns);
    return true;
  }
  model->leases[key] = (struct model_lease){.owner = NO_CLIENT};
  model->counters.leases_abandoned += client != model->remote;
  model->of_space[twin_space_of(key)].leases_abandoned += client != model->remote;
  model_end_waits_for(model, key, LEASE_END_NONE, now_ns);
  return true;
}

uint32_t leases_model_next_due(struct leases_model *model) {
  uint32_t next = NO_CLIENT;
  while (next == NO_CLIENT && model->n_queue > 0) {
    if (model->due[model->queue[0]].n > 0)
      next = model->queue[0];
    memmove(model->queue, model->queue + 1, --model->n_queue * sizeof model->queue[0]);
  }
  return next;
}

void leases_model_init(struct leases_model *model, const struct leases_limits *limits) {
  memset(model, 0, sizeof *model);
  model->limits = *limits;
  model->remote = NO_CLIENT;
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++)
    model->process[i] = NO_PROCESS;
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++)
    model->helper_of[i] = NO_PROCESS;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    model->leases[key].owner = NO_CLIENT;
}
