#include "tests/support/good_client.h"

#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/stamped.h"

enum { NUMBERS = 16, VERSION = 4 };

void good_client_open(struct good_client *good, const char *socket) {
  *good = (struct good_client){.cache = library_open(socket, "good", "good", 0)};
  for (uint64_t i = 0; i < NUMBERS; i++)
    ck_assert_int_eq(stamped_put(good->cache, &good->value, i, VERSION), FCACHE_OK);
}

void good_client_close(struct good_client *good) {
  fcache_close(good->cache);
  fcache_value_free(&good->value);
  *good = (struct good_client){0};
}

void good_client_check(struct good_client *good) {
  struct library_stats stats = {0};

  for (uint64_t i = 0; i < 10u * NUMBERS; i++) {
    struct fcache_key key = stamped_key(i % NUMBERS);
    uint64_t version;

    EXPECT_EQUAL(fcache_get(good->cache, &key, 0, &good->value), FCACHE_OK);
    EXPECT(stamped_check(&good->value, i % NUMBERS, &version) && version == VERSION);
    good->hits++;
  }
  struct fcache_counters counters = library_counters(good->cache);
  ck_assert_uint_eq(counters.region_hits, good->hits);
  ck_assert_uint_eq(counters.reconnects, 0);
  ck_assert_uint_eq(counters.unrecorded, 0);
  library_stats_read(good->cache, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, "good", "cache_hits"), good->hits);
  library_stats_free(&stats);
}
