#include "leases_twin.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY TWIN_HOLDERS
#define WAITS_MAX (TWIN_HOLDERS * TWIN_WAITS_EACH)

/* ---- the model ---- */

struct model_lease {
  uint32_t owner; /* NOBODY: there is none */
  uint64_t serial, granted_ns, end_ns;
  uint64_t delayed_before_ns; /* the process of its owner */
};

struct model_wait {
  struct twin_ask ask;
  uint64_t term_ns, since_ns, asked_until_ns, grace_since_ns, until_ns;
  uint64_t order; /* of its setting to until_ns */
  bool closes;    /* it closed a circle when its lease got its owner, or when it was asked */
  uint64_t begun; /* of fc_waits, which tests/unit/proto/test_wall.c proves */
};

struct model_due {
  struct twin_told told[TWIN_WAITS_EACH];
  uint32_t n;
};

struct model {
  struct leases_limits limits;
  uint32_t process[TWIN_HOLDERS];     /* of each; TWIN_PROCESSES: not known */
  uint32_t helper_of[TWIN_PROCESSES]; /* TWIN_PROCESSES: of none */
  struct model_lease leases[TWIN_KEYS];
  struct model_wait waits[WAITS_MAX]; /* in the order of their asking */
  uint32_t n_waits;
  struct fc_waits sharing[TWIN_HOLDERS];
  struct model_due due[TWIN_HOLDERS];
  uint32_t queue[TWIN_HOLDERS], n_queue;
  uint64_t serials, orders;
  uint64_t lease_ns[TWIN_SPACES];
  uint64_t delayed_ns[TWIN_PROCESSES + 1], delayed_until_ns[TWIN_PROCESSES];
  struct twin_graces graces;
  struct counters counters, of_space[TWIN_SPACES];
};

struct twin {
  struct leases leases;
  struct counters counters;
  struct namespace spaces[TWIN_SPACES];
  struct lease_client holders[TWIN_HOLDERS];
  struct lease_process processes[TWIN_PROCESSES];
  uint64_t digest_mask;
  struct model model;
};

static uint32_t space_of(uint32_t key) {
  return key / (TWIN_KEYS / TWIN_SPACES);
}

static uint32_t view_of(uint32_t key) {
  return key / (TWIN_OPS * TWIN_PROMPTS) % TWIN_VIEWS;
}

static uint32_t op_of(uint32_t key) {
  return key / TWIN_PROMPTS % TWIN_OPS;
}

static uint64_t sum(uint64_t a, uint64_t b) {
  return a + b < a ? UINT64_MAX : a + b;
}

static uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

static uint32_t model_held(const struct model *model, uint32_t holder) {
  uint32_t n = 0;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    n += model->leases[key].owner == holder ? 1 : 0;
  return n;
}

static uint32_t model_waits(const struct model *model, uint32_t holder) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < model->n_waits; i++)
    n += model->waits[i].ask.holder == holder ? 1 : 0;
  return n;
}

static void model_end_wait(struct model *model, uint32_t i, enum lease_end end, uint64_t now_ns) {
  struct model_wait wait = model->waits[i];
  uint32_t holder = wait.ask.holder;
  model->n_waits--;
  memmove(&model->waits[i], &model->waits[i + 1], (model->n_waits - i) * sizeof(struct model_wait));
  uint64_t wall_ns = fc_waits_end(&model->sharing[holder], wait.begun, now_ns);
  model->counters.lease_wait_ns += wall_ns;
  model->of_space[space_of(wait.ask.key)].lease_wait_ns += wall_ns;
  struct model_due *due = &model->due[holder];
  ck_assert_uint_lt(due->n, TWIN_WAITS_EACH);
  due->told[due->n++] = (struct twin_told){wait.ask.id, wait.ask.key, end};
  for (uint32_t at = 0; at < model->n_queue; at++)
    if (model->queue[at] == holder)
      return;
  model->queue[model->n_queue++] = holder;
}

static void model_end_waits_of(struct model *model, uint32_t holder, enum lease_end end,
                               uint64_t now_ns) {
  for (uint32_t i = 0; i < model->n_waits;)
    if (model->waits[i].ask.holder == holder)
      model_end_wait(model, i, end, now_ns);
    else
      i++;
}

static void model_end_waits_for(struct model *model, uint32_t key, enum lease_end end,
                                uint64_t now_ns) {
  for (uint32_t i = 0; i < model->n_waits;)
    if (model->waits[i].ask.key == key)
      model_end_wait(model, i, end, now_ns);
    else
      i++;
}

enum which { ALL_WAITS, LONG_WAITS }; /* those that closed no circle */

/* Does a holder of process `from` wait for one of `to`? */
static bool model_waits_for(const struct model *model, enum which which, uint32_t from,
                            uint32_t to) {
  for (uint32_t i = 0; i < model->n_waits; i++) {
    const struct model_wait *wait = &model->waits[i];
    const struct model_lease *lease = &model->leases[wait->ask.key];
    if (lease->owner != NOBODY && model->process[wait->ask.holder] == from &&
        model->process[lease->owner] == to && (which == ALL_WAITS || !wait->closes))
      return true;
  }
  return false;
}

static bool model_depends(const struct model *model, enum which which, uint32_t from, uint32_t to) {
  return model->helper_of[to] == from || model_waits_for(model, which, from, to);
}

struct found {
  bool is[TWIN_PROCESSES];
};

/* By growing the set of those that `start` depends on until it grows no more. */
static struct found model_find(const struct model *model, enum which which, uint32_t start) {
  struct found found = {{false}};
  bool grows = start < TWIN_PROCESSES;
  if (grows)
    found.is[start] = true;
  while (grows) {
    grows = false;
    for (uint32_t a = 0; a < TWIN_PROCESSES; a++)
      for (uint32_t b = 0; b < TWIN_PROCESSES; b++)
        if (found.is[a] && !found.is[b] && a != b && model_depends(model, which, a, b))
          found.is[b] = grows = true;
  }
  return found;
}

static bool model_closes_circle(const struct model *model, enum which which, uint32_t from,
                                uint32_t to) {
  if (from == TWIN_PROCESSES || to == TWIN_PROCESSES || from == to)
    return false;
  return model_find(model, which, to).is[from];
}

static bool model_helps(const struct model *model, uint32_t process, uint32_t of) {
  while (process != TWIN_PROCESSES && of != TWIN_PROCESSES) {
    process = model->helper_of[process];
    if (process == of)
      return true;
  }
  return false;
}

/* ---- the model's graces ---- */

static uint64_t model_grace(const struct model *model, uint32_t key) {
  uint64_t lease_ns = model->lease_ns[space_of(key)];
  if (lease_ns == 0)
    return 1000000000;
  uint64_t grace = least(2 * lease_ns, 10000000000u);
  return grace < 100000000 ? 100000000 : grace;
}

static void model_set_until(struct model *model, struct model_wait *wait, uint64_t until_ns) {
  if (wait->until_ns != until_ns)
    wait->order = ++model->orders;
  wait->until_ns = until_ns;
}

static void model_set_grace(struct model *model, struct model_wait *wait, uint64_t now_ns) {
  uint32_t key = wait->ask.key;
  wait->closes = model_closes_circle(model, ALL_WAITS, model->process[wait->ask.holder],
                                     model->process[model->leases[key].owner]);
  wait->grace_since_ns = now_ns;
  uint64_t end_ns = wait->closes ? sum(now_ns, model_grace(model, key)) : UINT64_MAX;
  model->graces.given += end_ns < wait->asked_until_ns;
  model_set_until(model, wait, least(wait->asked_until_ns, end_ns));
}

static void model_learn(struct model *model, uint32_t key, uint64_t now_ns) {
  const struct model_lease *lease = &model->leases[key];
  uint32_t process = model->process[lease->owner];
  uint64_t *lease_ns = &model->lease_ns[space_of(key)];
  uint64_t all_ns = now_ns - lease->granted_ns;
  uint64_t delay_ns = model->delayed_ns[process] - lease->delayed_before_ns;
  uint64_t took_ns = all_ns - least(all_ns, delay_ns);
  if (took_ns < all_ns / 8 + 1)
    took_ns = all_ns / 8 + 1;
  took_ns = least(took_ns, 10000000000u);
  if (*lease_ns == 0)
    *lease_ns = took_ns;
  else if (took_ns > *lease_ns)
    *lease_ns += (took_ns - *lease_ns) / 2;
  else
    *lease_ns -= (*lease_ns - took_ns) / 32;
}

static void model_delay(struct model *model, uint32_t process, uint64_t since_ns, uint64_t now_ns) {
  uint64_t *until_ns = &model->delayed_until_ns[process];
  model->delayed_ns[process] += least(now_ns - since_ns, now_ns - *until_ns);
  *until_ns = now_ns;
}

static void model_wait_over(struct model *model, uint32_t i, uint64_t now_ns) {
  struct model_wait *wait = &model->waits[i];
  uint32_t from = model->process[wait->ask.holder];
  uint32_t owner = model->process[model->leases[wait->ask.key].owner];
  if (wait->until_ns < wait->asked_until_ns) {
    if (!model_closes_circle(model, ALL_WAITS, from, owner)) {
      model->graces.lifted++;
      wait->closes = false;
      model_set_until(model, wait, wait->asked_until_ns);
      return;
    }
    model->graces.ended++;
    struct found found = model_find(model, ALL_WAITS, owner);
    for (uint32_t process = 0; process < TWIN_PROCESSES; process++)
      if (found.is[process])
        model_delay(model, process, wait->grace_since_ns, now_ns);
  }
  model_end_wait(model, i, LEASE_END_NONE, now_ns);
}

static void model_grant(struct model *model, uint32_t key, uint32_t holder, uint64_t end_ns,
                        uint64_t now_ns) {
  model_end_waits_of(model, holder, LEASE_END_AGAIN, now_ns);
  model->leases[key] = (struct model_lease){holder, ++model->serials, now_ns, end_ns,
                                            model->delayed_ns[model->process[holder]]};
  model->counters.leases_granted++;
  model->of_space[space_of(key)].leases_granted++;
}

/* The waits for a key that has a new owner. */
static void model_wait_for_owner(struct model *model, uint32_t key, uint64_t now_ns) {
  uint32_t owner = model->process[model->leases[key].owner];
  for (uint32_t i = 0; i < model->n_waits;) {
    struct model_wait *wait = &model->waits[i];
    if (wait->ask.key == key && model_helps(model, model->process[wait->ask.holder], owner)) {
      model->graces.dropped++;
      model_end_wait(model, i, LEASE_END_NONE, now_ns);
      continue;
    }
    if (wait->ask.key == key)
      model_set_grace(model, wait, now_ns);
    i++;
  }
}

static void model_hand_over(struct model *model, uint32_t key, uint64_t now_ns) {
  model->leases[key].owner = NOBODY;
  for (uint32_t i = 0; i < model->n_waits; i++) {
    struct model_wait wait = model->waits[i];
    if (wait.ask.key != key || !wait.ask.wants)
      continue;
    model_end_wait(model, i, LEASE_END_GRANTED, now_ns);
    model_grant(model, key, wait.ask.holder, sum(now_ns, wait.term_ns), now_ns);
    model_wait_for_owner(model, key, now_ns);
    return;
  }
  model_end_waits_for(model, key, LEASE_END_NONE, now_ns);
}

static void model_abandon(struct model *model, uint32_t key, uint64_t now_ns) {
  model->counters.leases_abandoned++;
  model->of_space[space_of(key)].leases_abandoned++;
  model_hand_over(model, key, now_ns);
}

static uint32_t model_n(const struct model *model) {
  return TWIN_KEYS - model_held(model, NOBODY);
}

/* Waits that are over and not answered. */
static uint32_t model_due(const struct model *model) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < TWIN_HOLDERS; i++)
    n += model->due[i].n;
  return n;
}

static enum lease_answer model_ask(struct model *model, const struct twin_ask *ask,
                                   uint64_t now_ns) {
  const struct leases_limits *limits = &model->limits;
  uint32_t owner = model->leases[ask->key].owner;
  uint64_t term_ns = least(ask->term_ns == 0 ? 300000000000u : ask->term_ns, limits->time_max_ns);
  if (owner == NOBODY) {
    if (!ask->wants || model_n(model) >= limits->leases ||
        model_held(model, ask->holder) >= limits->leases_each)
      return LEASE_NONE;
    model_grant(model, ask->key, ask->holder, sum(now_ns, term_ns), now_ns);
    return LEASE_GRANTED;
  }
  if (owner == ask->holder)
    return LEASE_NONE;
  if (ask->wait_ns == 0)
    return LEASE_TAKEN;
  if (model_held(model, ask->holder) > 0 || model->n_waits + model_due(model) >= limits->waits ||
      model_waits(model, ask->holder) + model->due[ask->holder].n >= limits->waits_each)
    return LEASE_NONE;
  if (model_helps(model, model->process[ask->holder], model->process[owner])) {
    model->graces.refused++;
    return LEASE_NONE;
  }
  struct model_wait *wait = &model->waits[model->n_waits++];
  uint64_t until_ns = sum(now_ns, least(ask->wait_ns, limits->time_max_ns));
  *wait = (struct model_wait){.ask = *ask,
                              .term_ns = term_ns,
                              .since_ns = now_ns,
                              .asked_until_ns = until_ns,
                              .until_ns = until_ns,
                              .order = ++model->orders,
                              .begun = fc_waits_begin(&model->sharing[ask->holder], now_ns)};
  model_set_grace(model, wait, now_ns);
  return LEASE_WAITS;
}

/* The first that was granted after serial `after`, of the owner, or of all (NOBODY). TWIN_KEYS:
 * none.
 */
static uint32_t model_oldest(const struct model *model, uint32_t owner, uint64_t after) {
  uint32_t oldest = TWIN_KEYS;
  for (uint32_t key = 0; key < TWIN_KEYS; key++) {
    const struct model_lease *lease = &model->leases[key];
    if (lease->owner != NOBODY && (owner == NOBODY || lease->owner == owner) &&
        lease->serial > after &&
        (oldest == TWIN_KEYS || lease->serial < model->leases[oldest].serial))
      oldest = key;
  }
  return oldest;
}

static uint32_t model_give_up_all(struct model *model, uint32_t holder, uint64_t now_ns) {
  uint32_t n = model_held(model, holder);
  model_end_waits_of(model, holder, LEASE_END_NONE, now_ns);
  for (uint32_t key; (key = model_oldest(model, holder, 0)) != TWIN_KEYS;)
    model_abandon(model, key, now_ns);
  return n;
}

static void model_leave(struct model *model, uint32_t holder, uint64_t now_ns) {
  (void)model_give_up_all(model, holder, now_ns);
  model->due[holder].n = 0;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < model->n_queue; i++)
    if (model->queue[i] != holder)
      model->queue[kept++] = model->queue[i];
  model->n_queue = kept;
}

static void model_clear(struct model *model, const struct twin_select *select, uint64_t now_ns) {
  uint64_t last = model->serials, at = 0;
  for (uint32_t key; (key = model_oldest(model, NOBODY, at)) != TWIN_KEYS;) {
    at = model->leases[key].serial;
    if (at > last)
      return;
    if (twin_selects(select, key))
      model_abandon(model, key, now_ns);
  }
}

/* The lease whose term passes first, and the wait that is over first. */
static uint32_t model_first_term(const struct model *model) {
  uint32_t first = TWIN_KEYS;
  for (uint32_t key = 0; key < TWIN_KEYS; key++) {
    const struct model_lease *lease = &model->leases[key],
                             *best = &model->leases[first % TWIN_KEYS];
    if (lease->owner != NOBODY && (first == TWIN_KEYS || lease->end_ns < best->end_ns ||
                                   (lease->end_ns == best->end_ns && lease->serial < best->serial)))
      first = key;
  }
  return first;
}

static uint32_t model_first_until(const struct model *model) {
  uint32_t first = 0;
  for (uint32_t i = 1; i < model->n_waits; i++) {
    const struct model_wait *wait = &model->waits[i], *best = &model->waits[first];
    if (wait->until_ns < best->until_ns ||
        (wait->until_ns == best->until_ns && wait->order < best->order))
      first = i;
  }
  return first;
}

static void model_nearest(const struct model *model, uint32_t *key, uint64_t *term_ns,
                          uint32_t *wait, uint64_t *until_ns) {
  *key = model_first_term(model);
  *wait = model_first_until(model);
  *term_ns = *key == TWIN_KEYS ? UINT64_MAX : model->leases[*key].end_ns;
  *until_ns = model->n_waits == 0 ? UINT64_MAX : model->waits[*wait].until_ns;
}

static void model_expire(struct model *model, uint64_t now_ns) {
  for (;;) {
    uint32_t key, wait;
    uint64_t term_ns, until_ns;
    model_nearest(model, &key, &term_ns, &wait, &until_ns);
    if (least(term_ns, until_ns) > now_ns)
      return;
    if (term_ns > until_ns) {
      model_wait_over(model, wait, now_ns);
      continue;
    }
    model->counters.leases_expired++;
    model->of_space[space_of(key)].leases_expired++;
    model_hand_over(model, key, now_ns);
  }
}

/* ---- the comparison of everything ---- */

/* There are millions of these, and for each ck_assert that holds Check writes to a file. */
#define MUST(holds)                                                                                \
  do {                                                                                             \
    if (!(holds))                                                                                  \
      ck_abort_msg("%s", #holds);                                                                  \
  } while (0)

static struct lease_client *holder_at(struct twin *twin, uint32_t holder) {
  return &twin->holders[holder];
}

static uint32_t key_number(const struct twin *twin, const struct lease *lease) {
  uint32_t key = lease->key.prompt.bytes[5];
  MUST(lease->ns == &twin->spaces[space_of(key)]);
  return key;
}

static void compare_waits_for(const struct twin *twin, const struct lease *lease, uint32_t key) {
  const struct model *model = &twin->model;
  const struct lease_wait *wait = lease->wait_first;
  uint32_t n = 0;
  for (uint32_t i = 0; i < model->n_waits; i++) {
    if (model->waits[i].ask.key != key)
      continue;
    MUST(wait != NULL);
    MUST(wait->id == model->waits[i].ask.id);
    MUST(wait->since_ns == model->waits[i].since_ns);
    MUST(wait->until.at_ns == model->waits[i].until_ns);
    MUST(wait->asked_until_ns == model->waits[i].asked_until_ns);
    MUST(wait->waiter == &twin->holders[model->waits[i].ask.holder]);
    MUST(wait->lease == lease);
    wait = wait->next;
    n++;
  }
  MUST(wait == NULL);
  MUST(lease->waits == n);
}

static void compare_leases(const struct twin *twin) {
  const struct model *model = &twin->model;
  uint64_t serial = 0;
  uint32_t n = 0;
  for (const struct lease *lease = twin->leases.first; lease != NULL; lease = lease->next) {
    uint32_t key = key_number(twin, lease);
    const struct model_lease *expected = &model->leases[key];
    MUST(lease->serial > serial);
    serial = lease->serial;
    MUST(serial == expected->serial);
    MUST(expected->owner != NOBODY);
    MUST(lease->owner == &twin->holders[expected->owner]);
    MUST(lease->granted_ns == expected->granted_ns);
    MUST(lease->term.at_ns == expected->end_ns);
    compare_waits_for(twin, lease, key);
    n++;
  }
  MUST(n == model_n(model));
  MUST(twin->leases.n == n);
  MUST(twin->leases.waits == model->n_waits);
  MUST(twin->leases.due == model_due(model));
}

static void compare_holder(const struct twin *twin, uint32_t number) {
  const struct lease_client *holder = &twin->holders[number];
  const struct model_due *due = &twin->model.due[number];
  uint32_t n = 0;
  for (const struct lease_wait *wait = holder->due_first; wait != NULL; n++) {
    MUST(n < due->n);
    MUST(wait->id == due->told[n].id);
    MUST(wait->end == due->told[n].end);
    MUST(key_number(twin, wait->lease) == due->told[n].key);
    wait = wait->next_of_client;
  }
  MUST(n == due->n);
  MUST(holder->due == n);
  MUST(holder->held == model_held(&twin->model, number));
  MUST(holder->waits == model_waits(&twin->model, number));
}

/* Of the waits that closed no circle, none waits for itself through others: each circle has one
 * that closed it, and so a grace. And the table's edges are the model's. */
static void compare_processes(const struct twin *twin) {
  const struct model *model = &twin->model;
  for (uint32_t a = 0; a < TWIN_PROCESSES; a++) {
    uint32_t held = 0, edges = 0;
    for (uint32_t i = 0; i < TWIN_HOLDERS; i++)
      held += model->process[i] == a ? model_held(model, i) : 0;
    for (uint32_t b = 0; b < TWIN_PROCESSES; b++) {
      edges += a != b && model_waits_for(model, ALL_WAITS, a, b);
      MUST(a == b || !model_depends(model, LONG_WAITS, a, b) ||
           !model_closes_circle(model, LONG_WAITS, a, b));
    }
    MUST(twin->processes[a].held == held);
    MUST(twin->processes[a].edges == edges);
    MUST(twin->processes[a].delayed_ns == model->delayed_ns[a]);
  }
}

static void compare(const struct twin *twin) {
  const struct model *model = &twin->model;
  compare_processes(twin);
  compare_leases(twin);
  for (uint32_t i = 0; i < TWIN_HOLDERS; i++)
    compare_holder(twin, i);
  MUST(memcmp(&twin->counters, &model->counters, sizeof twin->counters) == 0);
  for (uint32_t i = 0; i < TWIN_SPACES; i++) {
    MUST(memcmp(&twin->spaces[i].counters, &model->of_space[i], sizeof model->of_space[i]) == 0);
    MUST(twin->spaces[i].lease_ns == model->lease_ns[i]);
  }
  uint32_t key, wait;
  uint64_t term_ns, until_ns;
  model_nearest(model, &key, &term_ns, &wait, &until_ns);
  MUST(leases_next_ns(&twin->leases) == least(term_ns, until_ns));
  leases_check(&twin->leases);
}

/* ---- both side by side ---- */

struct twin *twin_open(const struct leases_limits *limits, uint64_t digest_mask) {
  struct twin *twin = calloc(1, sizeof *twin);
  ck_assert_ptr_nonnull(twin);
  ck_assert_uint_le(limits->waits_each, TWIN_WAITS_EACH);
  leases_init(&twin->leases, limits, &twin->counters);
  for (uint32_t i = 0; i < TWIN_SPACES; i++) {
    char name[8];
    snprintf(name, sizeof name, "n%u", i);
    namespace_init(&twin->spaces[i], fc_str_of(name), 77 + i, 1);
  }
  twin->digest_mask = digest_mask;
  twin->model.limits = *limits;
  for (uint32_t i = 0; i < TWIN_HOLDERS; i++)
    twin->model.process[i] = TWIN_PROCESSES;
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++)
    twin->model.helper_of[i] = TWIN_PROCESSES;
  for (uint32_t key = 0; key < TWIN_KEYS; key++)
    twin->model.leases[key].owner = NOBODY;
  return twin;
}

void twin_close(struct twin *twin) {
  ck_assert_uint_eq(twin_next_due(twin), NOBODY);
  compare(twin);
  leases_deinit(&twin->leases);
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++)
    leases_forget_process(&twin->processes[i]);
  for (uint32_t i = 0; i < TWIN_SPACES; i++)
    namespace_deinit(&twin->spaces[i]);
  free(twin);
}

void twin_set_process(struct twin *twin, uint32_t holder, uint32_t process) {
  ck_assert_uint_eq(twin->holders[holder].held + twin->holders[holder].waits, 0);
  twin->model.process[holder] = process;
  twin->holders[holder].process = process == TWIN_PROCESSES ? NULL : &twin->processes[process];
}

void twin_set_helper(struct twin *twin, uint32_t helper, uint32_t of) {
  twin->model.helper_of[helper] = of;
  leases_set_helper(&twin->processes[helper], &twin->processes[of]);
}

bool twin_closes_circle(const struct twin *twin, const struct twin_ask *ask) {
  const struct model *model = &twin->model;
  uint32_t owner = model->leases[ask->key].owner;
  return owner != NOBODY &&
         model_closes_circle(model, ALL_WAITS, model->process[ask->holder], model->process[owner]);
}

struct twin_graces twin_graces(const struct twin *twin) {
  return twin->model.graces;
}

uint64_t twin_until(const struct twin *twin, uint32_t holder) {
  ck_assert_ptr_nonnull(twin->holders[holder].wait_first);
  return twin->holders[holder].wait_first->until.at_ns;
}

static const char *const view_names[TWIN_VIEWS] = {"base", "ft"};
static const char *const op_names[TWIN_OPS] = {"next_token_dist", "roll"};

static struct fc_key key_of(uint32_t key) {
  struct fc_key made = {.op = fc_str_of(op_names[op_of(key)]),
                        .view = fc_str_of(view_names[view_of(key)])};
  made.prompt.bytes[5] = (uint8_t)key;
  return made;
}

static uint64_t digest_of(const struct twin *twin, uint32_t key) {
  struct fc_key made = key_of(key);
  return fc_key_digest(twin->spaces[space_of(key)].seed, &made) & twin->digest_mask;
}

enum lease_answer twin_ask(struct twin *twin, const struct twin_ask *ask, uint64_t now_ns) {
  struct fc_key key = key_of(ask->key);
  struct lease_request request = {.ns = &twin->spaces[space_of(ask->key)],
                                  .digest = digest_of(twin, ask->key),
                                  .key = &key,
                                  .wants = ask->wants,
                                  .term_ns = ask->term_ns,
                                  .wait_ns = ask->wait_ns,
                                  .id = ask->id};
  enum lease_answer answer =
      leases_acquire(&twin->leases, holder_at(twin, ask->holder), &request, now_ns);
  ck_assert_int_eq(answer, model_ask(&twin->model, ask, now_ns));
  compare(twin);
  return answer;
}

void twin_put(struct twin *twin, uint32_t key, uint64_t now_ns) {
  struct fc_key made = key_of(key);
  leases_put(&twin->leases, &twin->spaces[space_of(key)], digest_of(twin, key), &made, now_ns);
  if (twin->model.leases[key].owner != NOBODY)
    model_learn(&twin->model, key, now_ns);
  twin->model.leases[key].owner = NOBODY;
  model_end_waits_for(&twin->model, key, LEASE_END_PUT, now_ns);
  compare(twin);
}

bool twin_give_up(struct twin *twin, uint32_t holder, uint32_t key, bool for_all, uint64_t now_ns) {
  struct model *model = &twin->model;
  struct fc_key made = key_of(key);
  bool had = leases_give_up(&twin->leases, holder_at(twin, holder), &twin->spaces[space_of(key)],
                            digest_of(twin, key), &made, for_all, now_ns);
  ck_assert(had == (model->leases[key].owner == holder));
  if (had && for_all) {
    model->leases[key].owner = NOBODY;
    model->counters.leases_abandoned++;
    model->of_space[space_of(key)].leases_abandoned++;
    model_end_waits_for(model, key, LEASE_END_NONE, now_ns);
  } else if (had) {
    model_abandon(model, key, now_ns);
  }
  compare(twin);
  return had;
}

uint32_t twin_give_up_all(struct twin *twin, uint32_t holder, uint64_t now_ns) {
  uint32_t n = leases_give_up_all(&twin->leases, holder_at(twin, holder), now_ns);
  ck_assert_uint_eq(n, model_give_up_all(&twin->model, holder, now_ns));
  compare(twin);
  return n;
}

void twin_leave(struct twin *twin, uint32_t holder, uint64_t now_ns) {
  leases_client_gone(&twin->leases, holder_at(twin, holder), now_ns);
  model_leave(&twin->model, holder, now_ns);
  compare(twin);
  ck_assert(!holder_at(twin, holder)->is_queued);
  ck_assert_ptr_null(holder_at(twin, holder)->due_first);
}

/* What has had its time is over: no wait is longer than was asked for. */
void twin_expire(struct twin *twin, uint64_t now_ns) {
  leases_expire(&twin->leases, now_ns);
  model_expire(&twin->model, now_ns);
  compare(twin);
  ck_assert_uint_gt(leases_next_ns(&twin->leases), now_ns);
}

uint64_t twin_next_ns(const struct twin *twin) {
  return leases_next_ns(&twin->leases);
}

bool twin_selects(const struct twin_select *select, uint32_t key) {
  return (select->space == TWIN_SPACES || select->space == space_of(key)) &&
         (select->view == TWIN_VIEWS || select->view == view_of(key)) &&
         (select->op == TWIN_OPS || select->op == op_of(key));
}

void twin_clear(struct twin *twin, const struct twin_select *select, uint64_t now_ns) {
  const struct fc_str any = {0};
  leases_clear(&twin->leases, select->space == TWIN_SPACES ? NULL : &twin->spaces[select->space],
               select->view == TWIN_VIEWS ? any : fc_str_of(view_names[select->view]),
               select->op == TWIN_OPS ? any : fc_str_of(op_names[select->op]), now_ns);
  model_clear(&twin->model, select, now_ns);
  compare(twin);
}

uint32_t twin_next_due(struct twin *twin) {
  struct model *model = &twin->model;
  struct lease_client *holder = leases_next_due(&twin->leases);
  uint32_t expected = NOBODY;
  while (expected == NOBODY && model->n_queue > 0) {
    if (model->due[model->queue[0]].n > 0)
      expected = model->queue[0];
    memmove(model->queue, model->queue + 1, --model->n_queue * sizeof model->queue[0]);
  }
  ck_assert_ptr_eq(holder, expected == NOBODY ? NULL : holder_at(twin, expected));
  return expected;
}

bool twin_take_due(struct twin *twin, uint32_t holder, struct twin_told *told) {
  struct model_due *due = &twin->model.due[holder];
  if (holder_at(twin, holder)->due_first == NULL)
    return false;
  ck_assert_uint_gt(due->n, 0);
  *told = due->told[0];
  memmove(due->told, due->told + 1, --due->n * sizeof *told);
  leases_due_done(&twin->leases, holder_at(twin, holder));
  compare(twin);
  return true;
}

const struct leases *twin_table(const struct twin *twin) {
  return &twin->leases;
}

uint32_t twin_owner(const struct twin *twin, uint32_t key) {
  return twin->model.leases[key].owner;
}

uint32_t twin_waits_of(const struct twin *twin, uint32_t holder) {
  return twin->holders[holder].waits;
}
