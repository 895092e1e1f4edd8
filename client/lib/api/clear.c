#include "client/lib/api/clear.h"

#include "client/lib/api/handle.h"
#include "proto/errors.h"

int clear_ask(struct link *link, const struct fc_select *select, uint64_t *removed) {
  struct fc_reply reply;
  uint32_t id = link_begin(link, FC_CLEAR);
  (void)fc_encode_clear(&link->request, id, select); /* the exchange looks at `failed` */
  int rc = link_exchange(link, id, NULL, 0, &reply);
  if (rc == 0)
    *removed = reply.removed;
  return rc;
}

static bool optional_name(struct link *link, const char *what, const char *name,
                          struct fc_str *out) {
  *out = name == NULL ? (struct fc_str){0} : fc_str_of(name);
  if (name == NULL || fc_name_valid(*out))
    return true;
  (void)link_fault(link, FC_ENAME, "%s \"%.64s\": %s", what, name, fc_error_text(FC_ENAME));
  return false;
}

int fcache_clear(struct fcache *cache, const char *view, const char *op, uint64_t *removed) {
  struct fc_select select = {.name_space = fc_str_of(cache->link.name_space)};
  uint64_t n = 0;
  handle_enter(cache);
  if (!optional_name(&cache->link, "view", view, &select.view) ||
      !optional_name(&cache->link, "op", op, &select.op))
    return FCACHE_ENAME;
  if (!handle_insist(cache))
    return FCACHE_EUNAVAILABLE;
  int rc = clear_ask(&cache->link, &select, &n);
  if (rc == 0 && removed != NULL)
    *removed = n;
  return handle_code(rc);
}
