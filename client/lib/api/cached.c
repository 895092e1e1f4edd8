/* fcache_cached: looks up a key, or computes and puts it. The callback may use the same handle, so
 * nothing in the handle belongs to the outer call while it runs. */
#include "client/lib/api/handle.h"
#include "proto/errors.h"

/* Calls `compute`, and counts and puts its value. */
static int compute_and_put(struct fcache *cache, struct fc_put *put,
                           const struct fcache_hash *prompt, bool leased,
                           fcache_compute_fn *compute, void *arg, struct fcache_value *value) {
  value->size = 0;
  uint64_t start_ns = clock_now_ns(), before_ns = cache->counters.scoring_wall_ns;
  int rc = compute(arg, value);
  put->compute_ns = handle_compute_ns(cache, start_ns, before_ns);
  handle_enter(cache); /* compute may have forked */
  if (rc != 0) {
    if (leased)
      (void)handle_send_give_up(cache, &put->key, prompt,
                                1); /* the caller gets the error of compute */
    return rc;
  }
  handle_count_computed(cache, 1, put->compute_ns);
  /* If the lookup did not reach the daemon, the client does not know what was cleared since. */
  if (put->epoch.boot_id == 0)
    return FCACHE_OK;
  rc = handle_send_put(cache, put, value->data, value->size);
  if (rc == FCACHE_NOT_STORED && leased) /* the daemon may not have received the put */
    (void)handle_send_give_up(cache, &put->key, prompt, 1);
  return FCACHE_OK; /* the caller has its value, stored or not */
}

int fcache_cached(struct fcache *cache, const struct fcache_key *key, fcache_compute_fn *compute,
                  void *arg, struct fcache_value *value) {
  struct fc_put put = {.flags = FC_KEEP_FIRST};
  if (compute != NULL && handle_plain_hit(cache, key, FCACHE_LEASE, value) == FCACHE_OK)
    return FCACHE_OK;
  handle_enter(cache);
  int rc = handle_key(cache, key, &put.key);
  if (rc < 0)
    return rc;
  if (compute == NULL || value == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL, "compute or value is NULL");
  rc = handle_lookup(cache, &put.key, FCACHE_LEASE, cache->wait_ms, value, &put.epoch);
  if (rc == FCACHE_OK || rc == FCACHE_ENOMEM)
    return rc;
  if (rc == HANDLE_WAIT_CANCELLED)
    return cache->waiting.cancel_code;
  /* A miss, or an error of the daemon: compute either way. */
  return compute_and_put(cache, &put, &key->prompt, rc == FCACHE_LEASED, compute, arg, value);
}
