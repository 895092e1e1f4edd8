/* private_store.h - a store in a region that no client maps. */
#ifndef TESTS_UNIT_PRIVATE_STORE_H
#define TESTS_UNIT_PRIVATE_STORE_H

#include "daemon/store/store.h"

/* Fails the test where it cannot. Both structs must stay where they are. */
void private_store_init(struct store *store, struct region *region, uint64_t max_bytes,
                        uint32_t max_value, uint64_t seed);
void private_store_deinit(struct store *store, struct region *region);

/* The entry's value has these bytes. */
void private_store_check_value(const struct entry *entry, const void *value, size_t size);

#endif
