/* The plain hit: the value is in the region, in one lookup without a wait, and its record fits into
 * the ring. Nearly every hit is one. All else (no region, new names, a writer at work, a ring that
 * is full or asleep, a check of the connection, a forked child) is left to hit.c and get.c. */
#include "client/lib/api/handle.h"

#include "proto/wall.h"

#define PLAIN_FLAGS ((unsigned)(FCACHE_LOCAL | FCACHE_LEASE)) /* a hit ignores both */

/* Compares the names, which were checked when the labels were made. Neither has a NUL inside. */
static bool has_names(const struct fcache_key *key, const struct labels *labels) {
  const char *names = (const char *)labels->names;
  return strncmp(key->op, names, labels->op_size) == 0 && key->op[labels->op_size] == '\0' &&
         strncmp(key->view, names + labels->op_size, labels->view_size) == 0 &&
         key->view[labels->view_size] == '\0';
}

int handle_plain_hit_at(struct fcache *cache, const struct labels *labels,
                        const struct region_key *key, unsigned flags, struct fcache_value *value,
                        uint64_t *now_ns) {
  const struct connection *connection = &cache->connection;
  struct shm *shm = &cache->connection.shm;
  struct region_reader_hit hit;
  if ((flags & ~PLAIN_FLAGS) != 0 || fork_check_is_child(connection->fork_check) ||
      connection->forked || shm->region.base == NULL || !region_reader_is_live(&shm->region))
    return HANDLE_UNUSUAL;
  struct fc_ring_hit *record = shm_next_hit(shm, labels);
  if (record == NULL)
    return HANDLE_UNUSUAL;
  enum region_reader_result result = region_reader_get(&shm->region, key, value, &hit);
  if (result != REGION_READER_HIT)
    return result == REGION_READER_NOMEM ? HANDLE_UNUSUAL : FCACHE_MISS;
  uint64_t end_ns = shm_end_ns(shm);
  /* The daemon looks at the slot when it is published. */
  *record = (struct fc_ring_hit){.kind = FC_RING_HIT,
                                 .context = labels->index,
                                 .top_k = key->top_k,
                                 .digest = key->digest,
                                 .end_ns = end_ns,
                                 .wall_ns = end_ns - *now_ns,
                                 .compute_ns = hit.compute_ns,
                                 .origin = hit.origin};
  memcpy(record->prompt, key->prompt, sizeof record->prompt);
  shm_publish_hit(shm);
  cache->counters.region_hits++;
  *now_ns = end_ns;
  return FCACHE_OK;
}

int handle_plain_hit(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                     struct fcache_value *value) {
  struct shm *shm = &cache->connection.shm;
  /* A child has neither region nor ring: the check comes before the clock, which reads the former.
   */
  if (key == NULL || key->op == NULL || key->view == NULL || value == NULL || shm->labels == NULL ||
      shm->region.base == NULL || fork_check_is_child(cache->connection.fork_check))
    return HANDLE_UNUSUAL;
  uint64_t start_ns = shm_begin_ns(shm), now_ns = start_ns;
  struct fc_hash prompt;
  memcpy(prompt.bytes, key->prompt.bytes, sizeof prompt.bytes);
  /* With the names of the latest lookup, which are compared while the bucket is on its way. */
  struct region_key wanted = labels_key(shm->labels, shm->name_space, &prompt, key->top_k);
  region_reader_prefetch(&shm->region, &wanted);
  if (!has_names(key, shm->labels))
    return HANDLE_UNUSUAL;
  int rc = handle_plain_hit_at(cache, shm->labels, &wanted, flags, value, &now_ns);
  if (rc != FCACHE_OK)
    return rc;
  cache->counters.cache_hits++;
  fc_sum_add(&cache->counters.scoring_wall_ns, now_ns - start_ns);
  return FCACHE_OK;
}
