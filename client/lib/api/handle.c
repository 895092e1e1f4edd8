#include "client/lib/api/handle.h"

#include <string.h>

#include "proto/errors.h"
#include "proto/wall.h"

void handle_enter(struct fcache *cache) {
  if (!connection_forked(&cache->connection)) {
    shm_release_dead(&cache->connection.shm);
    return;
  }
  cache->counters = (struct fcache_counters){0};
  recent_misses_clear(&cache->misses);
}

bool handle_ready(struct fcache *cache) {
  if (connection_ready(&cache->connection))
    return true;
  cache->counters.degraded += !cache->connection.disabled;
  return false;
}

bool handle_connect_now(struct fcache *cache) {
  if (connection_open(&cache->connection) == 0)
    return true;
  cache->counters.degraded += !cache->connection.disabled;
  return false;
}

bool handle_may_repeat(struct fcache *cache, int rc, unsigned *repeats) {
  struct connection *connection = &cache->connection;
  if (rc >= 0 || !connection->lost)
    return false;
  if ((*repeats)++ < HANDLE_REPEATS_MAX)
    return connection_ready(connection);
  (void)connection_reopen_end(connection, rc); /* it does not survive this request */
  return false;
}

/* ---- times and counters ---- */

void handle_add_wall_time(struct fcache *cache, uint64_t wall_ns) {
  fc_sum_add(&cache->counters.scoring_wall_ns, wall_ns);
}

uint64_t handle_since_ns(struct fcache *cache, uint64_t begin_ns) {
  /* A callback during this call may have forked: the child has no region, with the clock. */
  (void)connection_leave_parent(&cache->connection);
  return shm_since_ns(&cache->connection.shm, begin_ns);
}

void handle_count_computed(struct fcache *cache, uint64_t n, uint64_t compute_ns) {
  cache->counters.cache_misses += n;
  cache->counters.forward_passes += n;
  handle_add_wall_time(cache, compute_ns);
}

uint64_t handle_compute_ns(const struct fcache *cache, uint64_t start_ns, uint64_t before_ns) {
  uint64_t took_ns = clock_now_ns() - start_ns, now_ns = cache->counters.scoring_wall_ns;
  uint64_t nested_ns = now_ns > before_ns ? now_ns - before_ns : 0; /* a child starts at 0 */
  return took_ns > nested_ns ? took_ns - nested_ns : 0;
}

/* ---- keys ---- */

struct fc_str handle_probe(const struct fcache *cache) {
  return cache->probe[0] == '\0' ? (struct fc_str){0} : fc_str_of(cache->probe);
}

static int set_name_error(struct fcache *cache, const char *field, const char *name) {
  return connection_set_error(&cache->connection, FC_ENAME, "%s \"%.64s\": %s", field, name,
                              fc_error_text(FC_ENAME));
}

int handle_key(struct fcache *cache, const struct fcache_key *key, struct fc_key *out) {
  if (key == NULL || key->op == NULL || key->view == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL,
                                "the key, its op or its view is NULL: set all three");
  *out =
      (struct fc_key){.op = fc_str_of(key->op), .view = fc_str_of(key->view), .top_k = key->top_k};
  memcpy(out->prompt.bytes, key->prompt.bytes, FC_HASH_SIZE);
  if (!fc_name_valid(out->op))
    return set_name_error(cache, "op", key->op);
  if (!fc_name_valid(out->view))
    return set_name_error(cache, "view", key->view);
  return 0;
}

int handle_batch_key(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                     size_t n, struct fc_key *key) {
  struct fcache_key public_key = {.op = op, .view = view, .top_k = top_k};
  int rc = handle_key(cache, &public_key, key);
  if (rc == 0 && n > UINT32_MAX / FC_HASH_SIZE)
    rc = connection_set_error(&cache->connection, FC_EINVAL,
                              "%zu prompts are too many for one call: split it", n);
  return rc;
}

struct fc_key handle_key_at(const struct fc_key *key, const uint8_t *prompts, size_t i) {
  struct fc_key one = *key;
  memcpy(one.prompt.bytes, prompts + i * FC_HASH_SIZE, FC_HASH_SIZE);
  return one;
}

int fcache_set_probe(struct fcache *cache, const char *probe) {
  shm_forget_labels(&cache->connection.shm);
  if (probe == NULL) {
    cache->probe[0] = '\0';
    return FCACHE_OK;
  }
  struct fc_str text = fc_str_of(probe);
  if (!fc_name_valid(text))
    return set_name_error(cache, "probe", probe);
  memcpy(cache->probe, probe, text.size + 1u);
  return FCACHE_OK;
}

/* ---- results ---- */

int handle_outcome(struct fcache *cache, int rc, int degraded) {
  if (rc == 0 || rc == FC_EINVAL || rc == FC_ENAME || rc == FC_ETOOBIG || rc == FC_ENONAMESPACE)
    return rc;
  cache->counters.degraded++;
  return degraded;
}

/* Returns whether the lookup of `a` was before that of `b`, as the daemon counts. A daemon judges
 * epochs of earlier daemons too, so the order of the connections decides, and not the boot ids. */
static bool is_older(const struct recent_miss *a, const struct recent_miss *b) {
  if (a->connection != b->connection)
    return a->connection < b->connection;
  return a->epoch.clear_generation < b->epoch.clear_generation;
}

bool handle_find_misses(struct fcache *cache, const struct fc_key *key,
                        const struct fcache_hash *prompts, size_t n, struct recent_miss *out) {
  bool any = false, reached = true, leased = n > 0;
  *out = (struct recent_miss){0};
  for (size_t i = 0; i < n; i++) {
    struct recent_miss miss = {0};
    struct fc_key one = prompts == NULL ? *key : handle_key_at(key, prompts->bytes, i);
    bool found = recent_misses_find(&cache->misses, &one, &miss);
    leased = leased && miss.leased;
    if (!found)
      continue; /* not looked up: its computation counts as begun now */
    reached = reached && miss.epoch.boot_id != 0;
    if (!any || is_older(&miss, out))
      *out = miss;
    any = true;
  }
  out->leased = leased;
  return reached;
}
