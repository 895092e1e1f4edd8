#include "client/ctl/commands/name_set.h"

#include <stdlib.h>
#include <string.h>

#include "proto/nearest.h"

bool name_set_has(const struct name_set *set, struct fc_str name) {
  for (size_t i = 0; i < set->n; i++)
    if (fc_str_equal(name, fc_str_of(set->names[i])))
      return true;
  return false;
}

bool name_set_add(struct name_set *set, struct fc_str name) {
  char *copy;

  if (set->n == NAME_SET_MAX || name_set_has(set, name))
    return false;
  copy = strndup(name.data, name.size);
  if (copy)
    set->names[set->n++] = copy;
  return copy != NULL;
}

const char *name_set_nearest(const struct name_set *set, const char *word) {
  return fc_nearest(word, (const char *const *)set->names, set->n);
}

void name_set_deinit(struct name_set *set) {
  for (size_t i = 0; i < set->n; i++)
    free(set->names[i]);
  set->n = 0;
}
