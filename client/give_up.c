/* Leases that are given back. */
#include <string.h>

#include "client/handle.h"
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

int handle_put_done(struct fcache *cache, const struct fc_key *key,
                    const struct fcache_hash *prompts, size_t n, int rc) {
  struct fc_key one = *key;
  for (size_t i = 0; i < n; i++) {
    struct recent_miss noted = {0};
    memcpy(one.prompt.bytes, prompts[i].bytes, FC_HASH_SIZE);
    if (rc == FCACHE_OK)
      recent_forget(&cache->misses, &one);
    else if (rc != FCACHE_ETOOBIG && recent_find(&cache->misses, &one, &noted) && noted.leased)
      (void)handle_give_up(cache, &one, &prompts[i], 1); /* all we can; the note stays: it may be
                                                            tried again, and is as old as it was */
  }
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
