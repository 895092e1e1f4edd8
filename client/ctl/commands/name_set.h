/* name_set.h - the different names of a listing, in the order in which they came. */
#ifndef FC_CTL_NAME_SET_H
#define FC_CTL_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/key.h"

#define NAME_SET_MAX 4096u

/* Large: a variable of it is static. Zeroed, it is empty. */
struct name_set {
  char *names[NAME_SET_MAX]; /* owned */
  size_t n;
};

/* Copies a name. Returns true if it is a new one. False, too, if the set is full, or without
 * memory: then the name is missing. */
bool name_set_add(struct name_set *set, struct fc_str name);

bool name_set_has(const struct name_set *set, struct fc_str name);

/* Returns the name that is near to `word`, or NULL. The set owns it. */
const char *name_set_nearest(const struct name_set *set, const char *word);

void name_set_deinit(struct name_set *set); /* idempotent */

#endif
