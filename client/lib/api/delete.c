#include "client/lib/api/delete.h"

#include "client/lib/api/handle.h"
#include "proto/errors.h"

int delete_request(struct connection *connection, const struct fc_delete *request, bool *existed) {
  struct fc_reply reply;
  int rc = connection_check_supported(connection, CONNECTION_TOOLS, "delete");
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(connection, FC_DELETE);
  (void)fc_encode_delete(&connection->request, id, request); /* request_call checks `failed` */
  rc = request_call(connection, id, NULL, 0, &reply);
  if (rc == 0)
    *existed = reply.existed;
  return rc;
}

static int delete_key(struct fcache *cache, const struct fcache_key *key, bool local) {
  struct fc_delete request = {.name_space = fc_str_of(cache->connection.name_space),
                              .local = local};
  bool existed = false;
  handle_enter(cache);
  int rc = handle_key(cache, key, &request.key);
  if (rc < 0)
    return rc;
  if (!handle_connect_now(cache))
    return FCACHE_EUNAVAILABLE;
  unsigned repeats = 0;
  do
    rc = delete_request(&cache->connection, &request, &existed);
  while (handle_may_repeat(cache, rc, &repeats));
  if (rc < 0)
    return handle_code(rc);
  return existed ? FCACHE_OK : FCACHE_MISS;
}

int fcache_delete(struct fcache *cache, const struct fcache_key *key) {
  return delete_key(cache, key, false);
}

int fcache_delete_local(struct fcache *cache, const struct fcache_key *key) {
  return delete_key(cache, key, true);
}
