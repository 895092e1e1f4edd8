#include "daemon/namespace.h"

#include <assert.h>
#include <string.h>

void namespace_init(struct namespace *ns, struct fc_str name, uint64_t seed, uint64_t generation) {
  assert(name.size >= 1 && name.size <= FC_NAME_MAX);
  memset(ns, 0, sizeof *ns);
  memcpy(ns->name_data, name.data, name.size);
  ns->name = (struct fc_str){ns->name_data, name.size};
  ns->seed = seed;
  lru_init(&ns->lru);
  clear_log_init(&ns->clears, generation);
}

void namespace_deinit(struct namespace *ns) {
  assert(ns->entries == 0 && ns->bytes == 0);
  (void)ns; /* without assertions */
}
