/* value.h - room in a caller's value, for what is received straight into it. */
#ifndef FC_CLIENT_VALUE_H
#define FC_CLIENT_VALUE_H

#include "fcache.h"

/* Makes the capacity at least `size`; the content up to `size` stays, the rest is anything.
 * FCACHE_OK, or FCACHE_ENOMEM with the value as it was. */
int value_reserve(struct fcache_value *value, size_t size);

#endif
