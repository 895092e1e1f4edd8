/* Gives leases up. */
#include <stdlib.h>

#include "client/lib/api/handle.h"
#include "proto/errors.h"

static int call_give_up(struct connection *connection, const struct fc_give_up *give_up) {
  struct fc_reply reply;
  uint32_t id = request_begin(connection, FC_GIVE_UP);
  (void)fc_encode_give_up(&connection->request, id, give_up); /* request_call checks `failed` */
  return request_call(connection, id, NULL, 0, &reply);
}

/* A daemon that restarts knows the leases of the one before it, and others wait for them. */
static void give_up_later(struct connection *connection, const struct fc_give_up *give_up) {
  struct fc_buf message = {0};
  uint32_t id = connection_next_request_id(connection);
  (void)fc_encode_give_up(&message, id, give_up); /* the call checks `failed` */
  connection_send_later(connection, &message);
  fc_buf_free(&message);
}

static int send_give_up(struct fcache *cache, const struct fc_give_up *give_up) {
  struct connection *connection = &cache->connection;
  unsigned repeats = 0;
  int rc = FC_EUNAVAILABLE;
  if (connection_ready(connection))
    do
      rc = call_give_up(connection, give_up);
    while (handle_may_repeat(cache, rc, &repeats));
  if (rc == FC_EUNAVAILABLE)
    give_up_later(connection, give_up);
  /* Others wait for these leases: without memory the end of the connection ends them. */
  return rc == FC_ENOMEM ? connection_fail(connection, rc) : rc;
}

int handle_send_give_up(struct fcache *cache, const struct fc_key *key,
                        const struct fcache_hash *prompts, size_t n) {
  struct connection *connection = &cache->connection;
  struct fc_give_up give_up = {.key = *key};
  bool was_up = connection_ready(connection);
  int rc = 0;
  if (n == 0 || connection->connections == 0 || !connection_has(connection, CONNECTION_LEASES))
    return FCACHE_OK; /* it was granted none */
  size_t most = (connection->max_frame - HANDLE_HEAD_MAX_BYTES) / FC_HASH_SIZE;
  for (size_t at = 0; (rc == 0 || rc == FC_EUNAVAILABLE) && at < n; at += give_up.n) {
    give_up.prompts = prompts[at].bytes;
    give_up.n = (uint32_t)(n - at < most ? n - at : most);
    rc = send_give_up(cache, &give_up);
  }
  return was_up ? handle_outcome(cache, rc, FCACHE_OK) : FCACHE_OK;
}

void handle_give_up_selected(struct fcache *cache, const struct fc_key *key,
                             const struct fcache_hash *prompts, size_t n, handle_select_fn *select,
                             const void *arg) {
  struct fcache_hash *list = malloc(n * sizeof *list);
  size_t chosen = 0;
  if (list == NULL) { /* the end of the connection ends its leases */
    (void)connection_fail(&cache->connection, FC_ENOMEM);
    return;
  }
  for (size_t i = 0; i < n; i++)
    if (select(arg, i))
      list[chosen++] = prompts[i];
  (void)handle_send_give_up(cache, key, list, chosen); /* a failed connection ends its leases */
  free(list);
}

static void remove_misses(struct fcache *cache, const struct fc_key *key,
                          const struct fcache_hash *prompts, size_t n) {
  for (size_t i = 0; i < n && !recent_misses_is_empty(&cache->misses); i++) {
    struct fc_key one = handle_key_at(key, prompts->bytes, i);
    recent_misses_remove(&cache->misses, &one);
  }
}

/* Keys with the same names. */
struct many_keys {
  const struct fcache *cache;
  const struct fc_key *key;
  const struct fcache_hash *prompts;
};

static bool is_leased(const void *arg, size_t i) {
  const struct many_keys *keys = arg;
  struct recent_miss miss = {0};
  struct fc_key key = handle_key_at(keys->key, keys->prompts->bytes, i);
  return recent_misses_find(&keys->cache->misses, &key, &miss) && miss.leased;
}

int handle_finish_put(struct fcache *cache, const struct fc_key *key,
                      const struct fcache_hash *prompts, size_t n, int rc) {
  struct many_keys keys = {cache, key, prompts};
  if (rc == FCACHE_OK)
    remove_misses(cache, key, prompts, n);
  /* After another result the recent misses stay: the caller may retry the put. */
  if (rc != FCACHE_OK && rc != FCACHE_ETOOBIG && n > 0 && !recent_misses_is_empty(&cache->misses))
    handle_give_up_selected(cache, key, prompts, n, is_leased, &keys);
  return rc;
}

int fcache_give_up(struct fcache *cache, const struct fcache_key *key) {
  struct fc_key wire;
  handle_enter(cache);
  int rc = handle_key(cache, key, &wire);
  if (rc < 0)
    return rc;
  recent_misses_remove(&cache->misses, &wire);
  return handle_send_give_up(cache, &wire, &key->prompt, 1);
}

int fcache_give_up_many(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                        const struct fcache_hash *prompts, size_t n) {
  struct fc_key key;
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &key);
  if (rc < 0 || n == 0)
    return rc;
  if (prompts == NULL)
    return connection_set_error(&cache->connection, FC_EINVAL, "prompts is NULL");
  remove_misses(cache, &key, prompts, n);
  return handle_send_give_up(cache, &key, prompts, n);
}
