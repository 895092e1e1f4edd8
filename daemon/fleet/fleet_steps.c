/* fleet_steps.c - makes clears and deletes in the tier.
 *
 * A delete writes a tombstone before its step, because a node that has learned of the step must not
 * find the value any more. It writes another one afterwards, with the number of the step. If a
 * clear has given the key another name meanwhile, the delete begins again: a value may have been
 * published there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_clears_internal.h"

#define STEP_RETRY_NS FLEET_CLEARS_POLL_NS

static void try(struct fleet_step *step, uint64_t now_ns);
static void done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns);

/* ---- the list ---- */

static void free_step(struct fleet_clears *clears, struct fleet_step *step) {
  struct fleet_step **link = &clears->steps;
  while (*link != step)
    link = &(*link)->next;
  *link = step->next;
  if (step->is_flying)
    fleet_io_cancel(clears->config.io, &step->op);
  clears->n_detached -= step->is_detached;
  free(step);
}

void fleet_steps_deinit(struct fleet_clears *clears) {
  while (clears->steps != NULL)
    free_step(clears, clears->steps);
}

static void tell(const struct fleet_clears *clears) {
  if (clears->config.stepped != NULL)
    clears->config.stepped(clears->config.arg);
}

/* ---- results ---- */

static void fail(struct fleet_step *step, const char *text, uint64_t now_ns) {
  struct fleet_clears *clears = step->clears;
  if (step->state == FLEET_STEP_RUNS)
    (void)snprintf(step->text, sizeof step->text, "%s", text);
  step->state = FLEET_STEP_FAILED;
  if (!step->is_failed)
    step->local = FLEET_CLEARS_LOCAL | fleet_clears_random(clears);
  step->is_failed = true;
  if (step->stage != STEP_LEARNS)
    step->stage = STEP_WAITS;
  if (clears->retry_ns == UINT64_MAX || clears->retry_ns <= now_ns)
    clears->retry_ns = now_ns + STEP_RETRY_NS;
}

static void fail_reply(struct fleet_step *step, const struct fleet_reply *reply, uint64_t now_ns) {
  const char *text = reply->text != NULL              ? reply->text
                     : reply->status == FLEET_TIMEOUT ? "no reply within the deadline"
                                                      : "the connection to the tier was lost";
  fail(step, text, now_ns);
}

/* The step is in the tier, and known here. Frees one that no request uses. */
static void succeed(struct fleet_step *step) {
  step->stage = STEP_ENDED;
  step->is_failed = false;
  if (step->is_detached)
    free_step(step->clears, step);
  else if (step->state == FLEET_STEP_RUNS)
    step->state = FLEET_STEP_DONE;
}

/* ---- operations ---- */

static void submit(struct fleet_step *step, enum fleet_step_stage stage, uint64_t now_ns) {
  step->stage = stage;
  step->op.done = done;
  step->op.class = FLEET_WRITES;
  step->op.deadline_ns = now_ns + step->clears->config.deadline_ns;
  step->is_flying = fleet_io_submit(step->clears->config.io, &step->op, now_ns);
  if (!step->is_flying)
    fail(step, "the tier is not available now", now_ns);
}

static void run_script(struct fleet_step *step, uint64_t now_ns) {
  struct fleet_clears *clears = step->clears;
  fleet_hex(clears->own.id, step->id);
  fleet_hex(step->tag, step->tag_text);
  fleet_hex(clears->config.node, step->node);
  step->op =
      (struct fleet_op){.kind = FLEET_OP_SCRIPT,
                        .key = fleet_key_str(&clears->hash_key),
                        .script = step->is_delete ? &fleet_script_delete : &fleet_script_clear,
                        .args = {fc_str_of(step->id), fc_str_of(step->tag_text),
                                 fc_str_of(step->node), fleet_text_str(&step->detail)},
                        .n_args = 4};
  submit(step, STEP_SCRIPT, now_ns);
}

static uint64_t version_in_tier(const struct fleet_step *step) {
  return fleet_scopes_version_of(&step->clears->scopes, step->select.name_space, step->key.view,
                                 step->key.op);
}

/* `number` UINT64_MAX: a delete that no node knows yet. */
static void bury(struct fleet_step *step, enum fleet_step_stage stage, uint64_t number,
                 uint64_t now_ns) {
  const struct fleet_clears_config *config = &step->clears->config;
  struct fc_hash hash = fleet_key_hash(step->select.name_space, &step->key);
  if (stage == STEP_GUARDS)
    step->version = version_in_tier(step);
  const struct fleet_value tombstone = {.stamp = config->stamp(config->arg, now_ns),
                                        .node = config->node,
                                        .version = step->version,
                                        .deleted = number};
  fleet_value_encode_head(&tombstone, &hash, step->head);
  fleet_key_set(&step->name, config->prefix, &hash, step->version, FLEET_KEY_VALUE);
  step->op = (struct fleet_op){.kind = FLEET_OP_OVERWRITE,
                               .key = fleet_key_str(&step->name),
                               .payload = {(const char *)step->head, sizeof step->head},
                               .time_ms = FLEET_TOMBSTONE_MS};
  submit(step, stage, now_ns);
}

/* ---- stages ---- */

static void try(struct fleet_step *step, uint64_t now_ns) {
  if (!step->clears->is_known)
    fleet_refresh_begin(step->clears, now_ns); /* fleet_steps_refreshed goes on */
  else if (step->is_delete)
    bury(step, STEP_GUARDS, UINT64_MAX, now_ns);
  else
    run_script(step, now_ns);
}

static void learn(struct fleet_step *step, uint64_t now_ns) {
  struct fleet_clears *clears = step->clears;
  step->stage = STEP_LEARNS;
  if (step->number > clears->newest) {
    if (step->number > clears->refresh.wanted)
      clears->refresh.wanted = step->number;
    fleet_refresh_begin(clears, now_ns);
  } else if (!step->is_delete) {
    succeed(step);
  } else if (version_in_tier(step) != step->version) {
    try(step, now_ns);
  } else {
    bury(step, STEP_BURIES, step->number, now_ns);
  }
}

static void script_done(struct fleet_step *step, const struct fleet_reply *reply, uint64_t now_ns) {
  if (reply->number > 0 && (uint64_t)reply->number <= FLEET_NUMBER_MAX) {
    step->number = (uint64_t)reply->number;
    learn(step, now_ns);
    return;
  }
  fail(step, "the tier is another than before, or was emptied", now_ns);
  fleet_refresh_begin(step->clears, now_ns);
}

static void done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_step *step = (struct fleet_step *)op;
  struct fleet_clears *clears = step->clears;
  enum fleet_step_stage stage = step->stage;
  step->is_flying = false;
  if (reply->status != FLEET_OK)
    fail_reply(step, reply, now_ns);
  else if (stage == STEP_GUARDS)
    run_script(step, now_ns);
  else if (stage == STEP_SCRIPT)
    script_done(step, reply, now_ns);
  else
    succeed(step);
  tell(clears);
}

/* ---- what the refresh tells ---- */

bool fleet_steps_heard(struct fleet_clears *clears, const struct fleet_record *record) {
  for (struct fleet_step *step = clears->steps; step != NULL; step = step->next)
    if (step->tag == record->tag && record->tag != 0) {
      step->number = record->number;
      return !step->is_learned;
    }
  return false;
}

void fleet_steps_refreshed(struct fleet_clears *clears, bool ok, uint64_t now_ns) {
  struct fleet_step *next;
  bool any = false;
  for (struct fleet_step *step = clears->steps; step != NULL; step = next) {
    next = step->next;
    if (step->is_flying || step->stage == STEP_ENDED)
      continue;
    any = true;
    if (!ok && step->state == FLEET_STEP_RUNS)
      fail(step, "the tier does not answer", now_ns);
    else if (ok && step->stage == STEP_LEARNS)
      learn(step, now_ns);
    else if (ok && step->state == FLEET_STEP_RUNS)
      try(step, now_ns);
  }
  if (any)
    tell(clears);
}

/* The end of an op may free steps. Others follow with the next polls. */
void fleet_steps_end_lost(struct fleet_clears *clears, uint64_t now_ns) {
  for (struct fleet_step *step = clears->steps; step != NULL; step = step->next)
    if (step->is_flying && fleet_io_end_lost(clears->config.io, &step->op, now_ns))
      return;
}

void fleet_steps_retry(struct fleet_clears *clears, uint64_t now_ns) {
  struct fleet_step *next;
  clears->retry_ns = UINT64_MAX;
  for (struct fleet_step *step = clears->steps; step != NULL; step = next) {
    next = step->next;
    if (step->is_flying || step->stage == STEP_ENDED || !step->is_failed)
      continue;
    clears->retry_ns = now_ns + STEP_RETRY_NS;
    if (step->stage == STEP_LEARNS || step->number != 0)
      learn(step, now_ns);
    else
      try(step, now_ns);
  }
}

uint64_t fleet_steps_version_of(const struct fleet_clears *clears, struct fc_str name_space,
                                const struct fc_key *key) {
  const struct fc_select one = {name_space, key->view, key->op};
  for (const struct fleet_step *step = clears->steps; step != NULL; step = step->next) {
    if (!step->is_failed || !fleet_scope_covers(&step->select, &one))
      continue;
    if (!step->is_delete ||
        (step->key.top_k == key->top_k &&
         memcmp(&step->key.prompt, &key->prompt, sizeof key->prompt) == 0 &&
         fc_str_equal(step->key.op, key->op) && fc_str_equal(step->key.view, key->view)))
      return step->local;
  }
  return 0;
}

/* ---- for requests ---- */

static struct fleet_step *new_step(struct fleet_clears *clears) {
  struct fleet_step *step = calloc(1, sizeof *step);
  if (step == NULL)
    return NULL;
  step->clears = clears;
  step->tag = fleet_clears_random(clears);
  step->next = clears->steps;
  clears->steps = step;
  return step;
}

struct fleet_step *fleet_clears_clear(struct fleet_clears *clears, const struct fc_select *select,
                                      uint64_t now_ns) {
  struct fleet_step *step = new_step(clears);
  if (step == NULL)
    return NULL;
  fleet_scope_encode(select, &step->detail);
  (void)fleet_scope_decode(fleet_text_str(&step->detail), &step->select); /* it is valid */
  try(step, now_ns);
  return step;
}

struct fleet_step *fleet_clears_delete(struct fleet_clears *clears, struct fc_str name_space,
                                       const struct fc_key *key, uint64_t now_ns) {
  struct fleet_step *step = new_step(clears);
  if (step == NULL)
    return NULL;
  step->is_delete = true;
  step->key = *key;
  fleet_delete_encode(name_space, key, &step->detail);
  const char *text = step->detail.data;
  step->select.name_space = (struct fc_str){text, name_space.size};
  step->key.op = (struct fc_str){text + name_space.size + 1, key->op.size};
  step->key.view = (struct fc_str){step->key.op.data + key->op.size + 1, key->view.size};
  try(step, now_ns);
  return step;
}

enum fleet_step_state fleet_step_state(const struct fleet_step *step) {
  return step->state;
}

const char *fleet_step_text(const struct fleet_step *step) {
  return step->text;
}

/* Too many wait for the tier: one clear of all takes their place. */
static void fold(struct fleet_clears *clears) {
  struct fleet_step *kept = NULL, *next;
  for (struct fleet_step *step = clears->steps; step != NULL; step = next) {
    next = step->next;
    if (!step->is_detached || step->is_flying)
      continue;
    if (kept != NULL) {
      free_step(clears, step);
      continue;
    }
    kept = step;
    step->is_delete = false;
    step->is_learned = true;
    step->number = 0;
    step->stage = STEP_WAITS;
    step->tag = fleet_clears_random(clears);
    fleet_scope_encode(&(struct fc_select){0}, &step->detail);
    step->select = (struct fc_select){0};
  }
}

void fleet_step_end(struct fleet_clears *clears, struct fleet_step *step) {
  if (step->stage == STEP_ENDED) {
    free_step(clears, step);
    return;
  }
  step->is_learned = step->state == FLEET_STEP_RUNS;
  step->is_detached = true;
  if (++clears->n_detached > FLEET_STEPS_MAX)
    fold(clears);
}
