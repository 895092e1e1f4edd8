#include "private_store.h"

#include <check.h>

void private_store_init(struct store *store, struct region *region, uint64_t max_bytes,
                        uint32_t max_value, uint64_t seed) {
  struct error_text reason;
  ck_assert_int_eq(region_writer_init(region, max_bytes, max_value, 1, false, &reason), 0);
  ck_assert_int_eq(store_init(store, region, max_bytes, max_value, seed, ~seed), 0);
}

void private_store_deinit(struct store *store, struct region *region) {
  store_deinit(store);
  region_writer_deinit(region);
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
