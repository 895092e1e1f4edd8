/* fleet_apply.c - applies clears and deletes of the fleet to the local cache, in their order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/fleet/fleet_clears_internal.h"

/* Until a clear that could not start is tried again. */
#define APPLY_RETRY_NS UINT64_C(1000000)
/* Records applied in one turn: each clear examines the bounds of the cache, and a delete an entry.
 */
#define APPLY_TURN 256u

bool fleet_apply_add(struct fleet_clears *clears, char kind, uint64_t number, uint64_t tag,
                     uint64_t node, struct fc_str detail) {
  if (clears->refresh.takes_table &&
      clears->refresh.batch_size + FLEET_RECORD_MAX > FLEET_BATCH_BYTES_MAX) {
    clears->refresh.batch_size = 0;
    return fleet_apply_add_all(clears);
  }
  size_t most = clears->refresh.batch_size + FLEET_RECORD_MAX;
  if (most > clears->refresh.batch_capacity) {
    size_t capacity = 2 * most;
    char *batch = realloc(clears->refresh.batch, capacity);
    if (batch == NULL)
      return false;
    clears->refresh.batch = batch;
    clears->refresh.batch_capacity = capacity;
  }
  int size = snprintf(clears->refresh.batch + clears->refresh.batch_size, FLEET_RECORD_MAX,
                      "%c%c%llu%c%016llx%c%016llx%c%.*s", kind, FLEET_SEPARATOR,
                      (unsigned long long)number, FLEET_SEPARATOR, (unsigned long long)tag,
                      FLEET_SEPARATOR, (unsigned long long)node, FLEET_SEPARATOR, (int)detail.size,
                      detail.data == NULL ? "" : detail.data);
  check_lt(size, (int)FLEET_RECORD_MAX);
  clears->refresh.batch_size += (size_t)size + 1;
  return true;
}

bool fleet_apply_add_all(struct fleet_clears *clears) {
  return fleet_apply_add(clears, FLEET_RECORD_CLEAR, 1, 0, 0, fc_str_of("\x1f\x1f"));
}

static bool is_shared(const struct fleet_clears *clears, struct fc_str name_space) {
  const struct fleet_clears_config *config = &clears->config;
  return config->selects == NULL || config->selects(config->arg, name_space);
}

/* Returns false if the local cache does not take it yet. */
static bool apply(struct fleet_clears *clears, const struct fleet_record *record, uint64_t now_ns) {
  const struct fleet_clears_config *config = &clears->config;
  struct fc_str name_space = record->select.name_space;
  bool is_ours = fleet_steps_heard(clears, record);
  bool concerns_us = !is_ours && (name_space.size == 0 || is_shared(clears, name_space));
  switch (record->kind) {
  case FLEET_RECORD_CLEAR:
    if (concerns_us && !config->clear(config->arg, &record->select, now_ns))
      return false;
    if (!clears->refresh.takes_table)
      fleet_scopes_raise(&clears->scopes, &record->select, record->number);
    break;
  case FLEET_RECORD_DELETE:
    clears->had_deletes = true;
    if (concerns_us)
      config->delete (config->arg, name_space, &record->key, now_ns);
    break;
  case FLEET_RECORD_MANIFEST:
    if (record->node != config->node && config->manifest_differs != NULL)
      config->manifest_differs(config->arg, name_space, record->node);
    return true;
  default:
    return true;
  }
  clears->learned += concerns_us;
  return true;
}

/* The version is saved after the clear has begun, so that a daemon that is killed in between clears
 * once more. */
static void raise(struct fleet_clears *clears, uint64_t number, uint64_t tag) {
  clears->own.number = clears->newest = number;
  clears->own.tag = tag;
  *clears->config.saved = clears->own;
}

static void end_batch(struct fleet_clears *clears, uint64_t now_ns) {
  clears->refresh.batch_size = clears->refresh.applied = 0;
  if (clears->refresh.takes_table) {
    clears->refresh.takes_table = false;
    fleet_scopes_deinit(&clears->scopes);
    clears->scopes = clears->refresh.next;
    clears->refresh.next = (struct fleet_scopes){0};
    clears->own.id = clears->refresh.target.id;
    clears->is_known = true;
    clears->had_deletes = clears->refresh.has_deletes;
    raise(clears, clears->refresh.target.number, clears->refresh.target.tag);
  }
  fleet_refresh_applied(clears, now_ns);
}

void fleet_apply_step(struct fleet_clears *clears, uint64_t now_ns) {
  for (unsigned n = 0; n < APPLY_TURN; n++) {
    struct fleet_record record;
    if (clears->refresh.applied == clears->refresh.batch_size) {
      end_batch(clears, now_ns);
      return;
    }
    const char *text = clears->refresh.batch + clears->refresh.applied;
    struct fc_str whole = {text, (uint32_t)strlen(text)};
    check_eq(fleet_record_decode(whole, &record), true); /* it was before */
    if (!apply(clears, &record, now_ns)) {
      clears->refresh.apply_ns = now_ns + APPLY_RETRY_NS;
      return;
    }
    clears->refresh.applied += (size_t)whole.size + 1;
    if (!clears->refresh.takes_table)
      raise(clears, record.number, record.tag);
  }
  clears->refresh.apply_ns = now_ns; /* the rest in another turn */
}
