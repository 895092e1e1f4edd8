/* value.h - room in a caller's value, into which the library receives directly. */
#ifndef FC_CLIENT_VALUE_H
#define FC_CLIENT_VALUE_H

#include "fcache.h"

/* Makes the capacity at least `size` bytes, and keeps the content. Returns FCACHE_OK, or
 * FCACHE_ENOMEM with the value unchanged. */
int value_reserve(struct fcache_value *value, size_t size);

#endif
