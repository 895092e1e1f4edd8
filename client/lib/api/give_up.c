/* Leases that are given back. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/api/handle.h"
#include "proto/errors.h"

static int give_up_some(struct link *link, const struct fc_give_up *give_up) {
  struct fc_reply reply;
  uint32_t id = link_begin(link, FC_GIVE_UP);
  (void)fc_encode_give_up(&link->request, id, give_up); /* the exchange looks at `failed` */
  int rc = link_exchange(link, id, NULL, 0, &reply);
  /* Others wait for us: the end of the connection ends its leases as well. */
  return rc == FC_ENOMEM ? link_lost(link, rc) : rc;
}

int handle_give_up(struct fcache *cache, const struct fc_key *key,
                   const struct fcache_hash *prompts, size_t n) {
  struct link *link = &cache->link;
  struct fc_give_up give_up = {.key = *key};
  int rc = 0;
  if (n == 0 || !link_ready(link) || !link_has_leases(link))
    return FCACHE_OK; /* a connection that has ended took its leases with it */
  size_t most = (link->max_frame - HANDLE_HEAD_MAX_BYTES) / FC_HASH_SIZE;
  for (size_t at = 0; rc == 0 && at < n; at += give_up.n) {
    give_up.prompts = prompts[at].bytes;
    give_up.n = (uint32_t)(n - at < most ? n - at : most);
    rc = give_up_some(link, &give_up);
  }
  return handle_outcome(cache, rc, FCACHE_OK);
}

void handle_give_up_those(struct fcache *cache, const struct fc_key *key,
                          const struct fcache_hash *prompts, size_t n, handle_which_fn *which,
                          const void *arg) {
  struct fcache_hash *list = malloc(n * sizeof *list);
  size_t chosen = 0;
  if (list == NULL) { /* the end of the connection ends its leases as well */
    (void)link_lost(&cache->link, FC_ENOMEM);
    return;
  }
  for (size_t i = 0; i < n; i++)
    if (which(arg, i))
      list[chosen++] = prompts[i];
  (void)handle_give_up(cache, key, list, chosen); /* all we can */
  free(list);
}

/* Keys that differ in their prompts. */
struct many_keys {
  const struct fcache *cache;
  const struct fc_key *key;
  const struct fcache_hash *prompts;
};

static struct fc_key key_at(const struct many_keys *keys, size_t i) {
  struct fc_key key = *keys->key;
  memcpy(key.prompt.bytes, keys->prompts[i].bytes, FC_HASH_SIZE);
  return key;
}

static bool is_leased(const void *arg, size_t i) {
  const struct many_keys *keys = arg;
  struct recent_miss noted = {0};
  struct fc_key key = key_at(keys, i);
  return recent_find(&keys->cache->misses, &key, &noted) && noted.leased;
}

int handle_put_done(struct fcache *cache, const struct fc_key *key,
                    const struct fcache_hash *prompts, size_t n, int rc) {
  struct many_keys keys = {cache, key, prompts};
  for (size_t i = 0; rc == FCACHE_OK && i < n; i++) {
    struct fc_key one = key_at(&keys, i);
    recent_forget(&cache->misses, &one);
  }
  /* The notes stay: the put may be tried again, and its computation is as old as it was. */
  if (rc != FCACHE_OK && rc != FCACHE_ETOOBIG && n > 0 && !recent_is_empty(&cache->misses))
    handle_give_up_those(cache, key, prompts, n, is_leased, &keys);
  return rc;
}

int fcache_give_up(struct fcache *cache, const struct fcache_key *key) {
  struct fc_key wire;
  handle_enter(cache);
  int rc = handle_key(cache, key, &wire);
  if (rc < 0)
    return rc;
  recent_forget(&cache->misses, &wire);
  return handle_give_up(cache, &wire, &key->prompt, 1);
}

int fcache_give_up_many(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                        const struct fcache_hash *prompts, size_t n) {
  struct fc_key key;
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &key);
  if (rc < 0 || n == 0)
    return rc;
  if (prompts == NULL)
    return link_fault(&cache->link, FC_EINVAL, "prompts is NULL");
  struct many_keys keys = {cache, &key, prompts};
  for (size_t i = 0; i < n; i++) {
    struct fc_key one = key_at(&keys, i);
    recent_forget(&cache->misses, &one);
  }
  return handle_give_up(cache, &key, prompts, n);
}
