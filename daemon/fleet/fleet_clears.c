#include "daemon/fleet/fleet_clears.h"

#include "daemon/base/check.h"
#include "daemon/fleet/fleet_clears_internal.h"

/* splitmix64 */
/* Nodes that began together, as after a failover, would go on to poll together. */
#define POLL_JITTER_NS (FLEET_CLEARS_POLL_NS / 4)

uint64_t fleet_clears_random(struct fleet_clears *clears) {
  uint64_t z;
  do {
    z = clears->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
  } while (z == 0);
  return z;
}

void fleet_clears_init(struct fleet_clears *clears, const struct fleet_clears_config *config) {
  clears->config = *config;
  clears->random = config->seed ^ config->node;
  clears->own = *config->saved;
  if (clears->own.id == 0 || clears->own.number > FLEET_NUMBER_MAX)
    clears->own = (struct tier_version){0};
  clears->newest = clears->own.number;
  fleet_key_set_shared(&clears->hash_key, config->prefix, "clears");
  fleet_key_set_shared(&clears->log_key, config->prefix, "log");
}

/* A table and the one that takes its place, each with its index, the records of a refresh in memory
 * that doubles, and the text of a merge. */
size_t fleet_clears_bytes_max(void) {
  return (size_t)2 * (FLEET_SCOPES_BYTES_MAX + FLEET_SCOPES_BYTES_MAX / 2) +
         (size_t)2 * FLEET_BATCH_BYTES_MAX + FLEET_SCOPES_BYTES_MAX +
         (size_t)4 * FLEET_STEPS_MAX * sizeof(struct fleet_step);
}

size_t fleet_clears_bytes(const struct fleet_clears *clears) {
  return clears->scopes.bytes + clears->refresh.next.bytes + clears->refresh.batch_capacity +
         clears->n_detached * sizeof(struct fleet_step);
}

void fleet_clears_deinit(struct fleet_clears *clears) {
  fleet_refresh_deinit(clears);
  fleet_steps_deinit(clears);
  fleet_manifests_deinit(clears);
  fleet_scopes_deinit(&clears->scopes);
}

/* ---- for the fills ---- */

uint64_t fleet_clears_version_of(const struct fleet_clears *clears, struct fc_str name_space,
                                 const struct fc_key *key) {
  uint64_t local = fleet_steps_version_of(clears, name_space, key);
  return local != 0 ? local
                    : fleet_scopes_version_of(&clears->scopes, name_space, key->view, key->op);
}

uint64_t fleet_clears_newest(const struct fleet_clears *clears) {
  return clears->newest;
}

void fleet_clears_version_op(const struct fleet_clears *clears, struct fleet_op *op) {
  *op = (struct fleet_op){
      .kind = FLEET_OP_VERSION, .class = FLEET_READS, .key = fleet_key_str(&clears->hash_key)};
}

bool fleet_clears_heard(struct fleet_clears *clears, const struct fleet_reply *reply,
                        uint64_t now_ns) {
  struct tier_version seen;
  if (clears->config.io == NULL)
    return true; /* not in use */
  bool is_valid = fleet_refresh_read(reply, &seen);
  if (is_valid && fleet_refresh_is_equal(clears, &seen))
    return true;
  clears->refresh.is_asked = true;
  if (is_valid && seen.number > clears->refresh.wanted)
    clears->refresh.wanted = seen.number;
  if (clears->refresh.at != FLEET_REFRESH_NONE)
    return false;
  if (!is_valid) {
    clears->refresh.ok = false;
    clears->refresh.at = FLEET_REFRESH_ENDS;
    return false;
  }
  clears->refresh.seen = seen;
  if (seen.number > clears->own.number)
    fleet_refresh_compare(clears, now_ns);
  else
    fleet_refresh_begin(clears, now_ns); /* this reply may be old */
  return false;
}

/* ---- time ---- */

void fleet_clears_tick(struct fleet_clears *clears, uint64_t now_ns) {
  fleet_refresh_tick(clears, now_ns);
  if (clears->retry_ns <= now_ns)
    fleet_steps_retry(clears, now_ns);
  if (clears->poll_ns <= now_ns) {
    clears->poll_ns = now_ns + FLEET_CLEARS_POLL_NS - fleet_clears_random(clears) % POLL_JITTER_NS;
    fleet_steps_end_lost(clears, now_ns);
    fleet_refresh_begin(clears, now_ns);
  }
}

uint64_t fleet_clears_next_ns(const struct fleet_clears *clears) {
  enum fleet_refresh at = clears->refresh.at;
  if (at == FLEET_REFRESH_ENDS)
    return 0;
  uint64_t next_ns = clears->poll_ns < clears->retry_ns ? clears->poll_ns : clears->retry_ns;
  bool applies = at == FLEET_REFRESH_APPLY && clears->refresh.apply_ns < next_ns;
  return applies ? clears->refresh.apply_ns : next_ns;
}
