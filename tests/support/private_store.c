#include "private_store.h"

#include <check.h>
#include <stdlib.h>

#include "daemon/store/adopt.h"

struct catalog *private_catalog_new(const struct region *region) {
  struct catalog *catalog = malloc(sizeof *catalog);
  struct catalog_sizes sizes = {.areas[CATALOG_LEASES] = {256, 64}};
  struct error_text error;
  ck_assert_ptr_nonnull(catalog);
  store_catalog_sizes(&sizes);
  ck_assert_int_eq(catalog_create(catalog, &sizes, region->arena_size / CATALOG_CHUNK_BYTES,
                                  region->index_fd >= 0, &error),
                   0);
  return catalog;
}

void private_catalog_free(struct catalog *catalog) {
  catalog_deinit(catalog);
  free(catalog);
}

void private_store_init(struct store *store, struct region *region, uint64_t max_bytes,
                        uint32_t max_value, uint64_t seed) {
  struct error_text reason;
  ck_assert_int_eq(region_writer_init(region, max_bytes, max_value, 1, false, &reason), 0);
  ck_assert_int_eq(
      store_init(store, region, private_catalog_new(region), max_bytes, max_value, seed, ~seed), 0);
}

void private_store_deinit(struct store *store, struct region *region) {
  struct catalog *catalog = store->catalog;
  ck_assert_uint_eq(store->entries, 0);
  ck_assert_uint_eq(store->bytes, 0);
  ck_assert_uint_eq(store->n_active_clears, 0);
  ck_assert_uint_eq(store->lru.newest | store->lru.oldest, 0);
  store_deinit(store);
  region_writer_deinit(region);
  private_catalog_free(catalog);
}

void private_store_check_value(const struct entry *entry, const void *value, size_t size) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  const uint8_t *expected = value;
  size_t n = entry_value(entry, pieces), done = 0;
  ck_assert_uint_eq(entry_value_size(entry), size);
  for (size_t i = 0; i < n; i++) {
    ck_assert_uint_le(pieces[i].iov_len, size - done);
    ck_assert_mem_eq(pieces[i].iov_base, expected + done, pieces[i].iov_len);
    done += pieces[i].iov_len;
  }
  ck_assert_uint_eq(done, size);
}
