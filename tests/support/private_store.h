/* private_store.h - a store in a region that no client maps. */
#ifndef FC_TESTS_PRIVATE_STORE_H
#define FC_TESTS_PRIVATE_STORE_H

#include "daemon/store/store.h"

/* Makes a region and an empty store in it. Both structs must stay in place. A failure ends the
 * test. */
void private_store_init(struct store *store, struct region *region, uint64_t max_bytes,
                        uint32_t max_value, uint64_t seed);
void private_store_deinit(struct store *store, struct region *region);

/* Checks that the entry's value has these bytes. */
void private_store_check_value(const struct entry *entry, const void *value, size_t size);

#endif
