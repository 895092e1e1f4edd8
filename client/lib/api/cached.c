/* Look up, else compute and put: what the library is for. Nothing of the handle is
 * held across a callback, which may use the same handle. */
#include "client/lib/api/handle.h"
#include "proto/errors.h"

int fcache_cached(struct fcache *cache, const struct fcache_key *key, fcache_compute_fn *compute,
                  void *arg, struct fcache_value *value) {
  struct fc_put put = {.flags = FC_KEEP_FIRST};
  handle_enter(cache);
  int rc = handle_key(cache, key, &put.key);
  if (rc < 0)
    return rc;
  if (compute == NULL || value == NULL)
    return link_fault(&cache->link, FC_EINVAL, "compute or value is NULL");
  rc = handle_lookup(cache, &put.key, FCACHE_LEASE, cache->wait_ms, value, &put.epoch);
  if (rc == FCACHE_OK || rc == FCACHE_ENOMEM)
    return rc;
  if (rc == HANDLE_ENDED)
    return cache->asker.verdict;
  bool leased = rc == FCACHE_LEASED;
  value->size = 0; /* a miss, or a daemon that refused: compute either way */
  uint64_t start_ns = channel_clock_ns(), before_ns = cache->counters.scoring_wall_ns;
  rc = compute(arg, value);
  put.compute_ns = handle_compute_ns(cache, start_ns, before_ns);
  handle_enter(cache); /* compute may have forked */
  if (rc != 0) {
    if (leased)
      (void)handle_give_up(cache, &put.key, &key->prompt, 1); /* its failure is the one to tell */
    return rc;
  }
  cache->counters.cache_misses++;
  cache->counters.forward_passes++;
  handle_charge(cache, put.compute_ns);
  /* Without a lookup that reached the daemon nobody knows what was cleared meanwhile. */
  if (put.epoch.boot_id == 0)
    return FCACHE_OK;
  rc = handle_put(cache, &put, value->data, value->size);
  if (rc == FCACHE_NOT_STORED && leased) /* the daemon need not have heard of it */
    (void)handle_give_up(cache, &put.key, &key->prompt, 1);
  return FCACHE_OK; /* the caller has its value anyway */
}
