/* Puts of one key. */
#include "client/lib/api/handle.h"
#include "proto/errors.h"

static int call_put(struct connection *connection, struct fc_put *put, const void *data,
                    size_t size, struct fc_reply *reply) {
  put->withheld = size > connection->max_value; /* sent without its bytes: the computation counts */
  put->value_size = put->withheld ? 0 : (uint32_t)size;
  uint32_t id = request_begin(connection, FC_PUT);
  (void)fc_encode_put_head(&connection->request, id, put); /* request_call checks `failed` */
  return request_call(connection, id, data, put->value_size, reply);
}

int handle_send_put(struct fcache *cache, struct fc_put *put, const void *data, size_t size) {
  struct connection *connection = &cache->connection;
  struct fc_reply reply;
  unsigned repeats = 0;
  int rc;
  if (!handle_ready(cache))
    return FCACHE_NOT_STORED;
  put->probe = handle_probe(cache);
  do
    rc = call_put(connection, put, data, size, &reply);
  while (handle_may_repeat(cache, rc, &repeats));
  if (rc == FC_ETOOBIG) {
    cache->counters.too_big++;
    return connection_value_too_big(connection, size);
  }
  if (rc < 0)
    return handle_outcome(cache, rc, FCACHE_NOT_STORED);
  return reply.put == FC_STORED ? FCACHE_OK : FCACHE_NOT_STORED;
}

int fcache_put(struct fcache *cache, const struct fcache_key *key, const void *data, size_t size,
               uint64_t compute_ns, unsigned flags) {
  struct fc_put put = {.flags = flags & (FCACHE_UNRECORDED | FCACHE_KEEP_FIRST),
                       .compute_ns = compute_ns};
  handle_enter(cache);
  int rc = handle_key(cache, key, &put.key);
  if (rc < 0)
    return rc;
  if (data == NULL && size > 0)
    return connection_set_error(&cache->connection, FC_EINVAL,
                                "the address of a value of %zu bytes is NULL", size);
  if ((flags & FCACHE_UNRECORDED) == 0)
    handle_count_computed(cache, 1, compute_ns);
  struct recent_miss miss;
  rc = FCACHE_NOT_STORED;
  if (handle_find_misses(cache, &put.key, NULL, 1, &miss)) {
    put.epoch = miss.epoch;
    put.flags |= miss.leased ? FC_KEEP_FIRST : 0;
    rc = handle_send_put(cache, &put, data, size);
  }
  return handle_finish_put(cache, &put.key, &key->prompt, 1, rc);
}
