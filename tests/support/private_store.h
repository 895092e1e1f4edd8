/* private_store.h - a store in a region that no client maps, with a private catalog. */
#ifndef FC_TESTS_PRIVATE_STORE_H
#define FC_TESTS_PRIVATE_STORE_H

#include "daemon/store/store.h"

/* Makes a region, a catalog and an empty store in them. Both structs must stay in place. A failure
 * ends the test. */
void private_store_init(struct store *store, struct region *region, uint64_t max_bytes,
                        uint32_t max_value, uint64_t seed);
/* Asserts that the store is empty. */
void private_store_deinit(struct store *store, struct region *region);

/* Return an allocated catalog for the region of a store, shared if the region is; free one. */
struct catalog *private_catalog_new(const struct region *region);
void private_catalog_free(struct catalog *catalog);

/* Checks that the entry's value has these bytes. */
void private_store_check_value(const struct entry *entry, const void *value, size_t size);

#endif
