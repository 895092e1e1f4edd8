#include "client/lib/api/clear.h"

#include "client/lib/api/handle.h"
#include "proto/errors.h"

int clear_request(struct connection *connection, const struct fc_clear *clear, uint64_t *removed) {
  struct fc_reply reply;
  uint32_t id = request_begin(connection, FC_CLEAR);
  (void)fc_encode_clear(&connection->request, id, clear); /* request_call checks `failed` */
  int rc = request_call(connection, id, NULL, 0, &reply);
  if (rc == 0)
    *removed = reply.removed;
  return rc;
}

/* Converts a name that may be NULL. Returns whether it is valid. */
static bool copy_optional_name(struct connection *connection, const char *field, const char *name,
                               struct fc_str *out) {
  *out = name == NULL ? (struct fc_str){0} : fc_str_of(name);
  if (name == NULL || fc_name_valid(*out))
    return true;
  (void)connection_set_error(connection, FC_ENAME, "%s \"%.64s\": %s", field, name,
                             fc_error_text(FC_ENAME));
  return false;
}

static int clear(struct fcache *cache, const char *view, const char *op, bool local,
                 uint64_t *removed) {
  struct fc_clear request = {.select.name_space = fc_str_of(cache->connection.name_space),
                             .local = local};
  uint64_t n = 0;
  handle_enter(cache);
  if (!copy_optional_name(&cache->connection, "view", view, &request.select.view) ||
      !copy_optional_name(&cache->connection, "op", op, &request.select.op))
    return FCACHE_ENAME;
  if (!handle_connect_now(cache))
    return FCACHE_EUNAVAILABLE;
  unsigned repeats = 0;
  int rc;
  do
    rc = clear_request(&cache->connection, &request, &n);
  while (handle_may_repeat(cache, rc, &repeats));
  if (rc == 0 && removed != NULL)
    *removed = n;
  return handle_code(rc);
}

int fcache_clear(struct fcache *cache, const char *view, const char *op, uint64_t *removed) {
  return clear(cache, view, op, false, removed);
}

int fcache_clear_local(struct fcache *cache, const char *view, const char *op, uint64_t *removed) {
  return clear(cache, view, op, true, removed);
}
