#include "daemon/store/namespace.h"

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
  user_uncharge(ns->manifest_user, USER_MANIFEST_BYTES, ns->manifest.size);
  ns->manifest_user = NULL;
  ns->manifest = (struct fc_str){0};
}

bool namespace_adopt(struct namespace *ns, const struct catalog *catalog, uint64_t index,
                     uint64_t generation) {
  uint32_t name_size = ns->name.size;
  if (ns->number != index + 1 || ns->seed == 0 || name_size == 0 || name_size > FC_NAME_MAX)
    return false;
  ns->name = (struct fc_str){ns->name_data, name_size};
  ns->next = NULL;
  ns->clients = ns->held = 0;
  ns->maker = ns->manifest_user = NULL;
  ns->lru = (struct lru){0};
  ns->entries = ns->bytes = 0;
  ns->lease_first = ns->lease_last = NULL;
  ns->manifest = (struct fc_str){0};
  if (ns->manifest_bytes > 0 && ns->manifest_bytes <= FC_MANIFEST_MAX)
    ns->manifest = (struct fc_str){catalog_at(catalog, CATALOG_MANIFESTS, index),
                                   (uint32_t)ns->manifest_bytes};
  clear_log_adopt(&ns->clears, generation);
  return true;
}

int namespace_set_manifest(struct namespace *ns, struct catalog *catalog, struct user *user,
                           struct fc_str manifest) {
  if (fc_str_equal(manifest, ns->manifest))
    return 0; /* the usual case: all workers of a namespace send the same */
  check_lt(0, ns->number);
  check_le(manifest.size, FC_MANIFEST_MAX);
  uint64_t index = ns->number - 1;
  if (!catalog_commit_one(catalog, CATALOG_MANIFESTS, index, manifest.size))
    return FC_ENOMEM;
  user_uncharge(ns->manifest_user, USER_MANIFEST_BYTES, ns->manifest.size);
  user_charge(user, USER_MANIFEST_BYTES, manifest.size);
  catalog_commit_u64(&ns->manifest_bytes, 0);
  catalog_barrier();
  ns->manifest_user = user;
  ns->manifest = (struct fc_str){0};
  if (manifest.size == 0)
    return 0;
  char *copy = catalog_at(catalog, CATALOG_MANIFESTS, index);
  memcpy(copy, manifest.data, manifest.size);
  ns->manifest = (struct fc_str){copy, manifest.size};
  if (FC_CATALOG_MUTANT != 20)
    catalog_commit_u64(&ns->manifest_bytes, manifest.size);
  return 0;
}
