#include "daemon/store/namespace.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

void namespace_init(struct namespace *ns, struct fc_str name, uint64_t seed, uint64_t generation) {
  check_lt(0, name.size);
  check_le(name.size, FC_NAME_MAX);
  check_lt(0, seed);
  memset(ns, 0, sizeof *ns);
  memcpy(ns->name_data, name.data, name.size);
  ns->name = (struct fc_str){ns->name_data, name.size};
  ns->seed = seed;
  clear_log_init(&ns->clears, generation);
}

void namespace_deinit(struct namespace *ns) {
  check_eq(ns->entries, 0);
  check_eq(ns->bytes, 0);
  check_eq(ns->lru.newest | ns->lru.oldest, 0);
  (void)namespace_set_manifest(ns, NULL, (struct fc_str){0}); /* without memory it cannot fail */
}

int namespace_set_manifest(struct namespace *ns, struct user *user, struct fc_str manifest) {
  char *copy = NULL;
  if (fc_str_equal(manifest, ns->manifest))
    return 0; /* the usual case: all workers of a namespace send the same */
  if (manifest.size > 0) {
    copy = malloc(manifest.size);
    if (copy == NULL)
      return FC_ENOMEM;
    memcpy(copy, manifest.data, manifest.size);
  }
  user_uncharge(ns->manifest_user, USER_MANIFEST_BYTES, ns->manifest.size);
  user_charge(user, USER_MANIFEST_BYTES, manifest.size);
  free(ns->manifest_data);
  ns->manifest_user = user;
  ns->manifest_data = copy;
  ns->manifest = (struct fc_str){copy, manifest.size};
  return 0;
}
