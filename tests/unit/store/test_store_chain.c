/* Keys that share a bucket: the bound of its chain. */
#include <check.h>

#include "tests/support/colliding.h"
#include "tests/support/runner.h"
#include "tests/support/store_world.h"

static void set_up(void) {
  world_open_two(1 << 20, 4096);
}

static void put_colliding(struct namespace *space, uint32_t i) {
  struct fc_key key = colliding_key(space->seed, "op", "base", i);
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&world.store, space, &key, "v", 1, &info), FC_STORED);
}

static struct entry *find_colliding(struct namespace *space, uint32_t i) {
  struct fc_key key = colliding_key(space->seed, "op", "base", i);
  return store_peek(&world.store, space, &key);
}

static uint64_t digest_of_colliding(struct namespace *space) {
  struct fc_key key = colliding_key(space->seed, "op", "base", 0);
  return fc_key_digest(space->seed, &key);
}

static uint32_t longest_chain(void) {
  uint32_t longest = 0;
  for (uint64_t bucket = 0; bucket < world.region.n_buckets; bucket++) {
    uint64_t digest = ((bucket << 32) + world.region.n_buckets - 1) / world.region.n_buckets << 32;
    uint32_t n = 0;
    for (const struct fc_region_entry *at = region_writer_first(&world.region, digest); at != NULL;
         at = region_writer_next(&world.region, at))
      n++;
    longest = n > longest ? n : longest;
  }
  return longest;
}

/* Returns the number of a key of `world.other` in the bucket of the colliding keys of `world.ns`.
 */
static uint32_t neighbour_in_bucket(void) {
  uint64_t bucket = fc_region_bucket_of(digest_of_colliding(world.ns), world.region.n_buckets);
  for (uint32_t n = 0;; n++) {
    struct fc_key key = key_number(n);
    if (fc_region_bucket_of(fc_key_digest(world.other->seed, &key), world.region.n_buckets) ==
        bucket)
      return n;
  }
}

START_TEST(puts_colliding_keys_bound_chain) {
  const uint32_t many = 1000;
  for (uint32_t i = 0; i < many; i++)
    put_colliding(world.ns, i);
  ck_assert_uint_eq(longest_chain(), STORE_CHAIN_MAX);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_CHAIN], many - STORE_CHAIN_MAX);
  ck_assert_uint_eq(world.ns->evictions[EVICT_CHAIN], many - STORE_CHAIN_MAX);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_BYTES], 0);
  for (uint32_t i = 0; i < many; i++)
    ck_assert_int_eq(find_colliding(world.ns, i) != NULL, i >= many - STORE_CHAIN_MAX);
}
END_TEST

START_TEST(put_into_full_bucket_evicts_oldest) {
  for (uint32_t i = 0; i < STORE_CHAIN_MAX; i++)
    put_colliding(world.ns, i);
  put_colliding(world.ns, 5); /* a replacement needs no room in the bucket */
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_CHAIN], 0);
  store_use(&world.store, find_colliding(world.ns, 0), 1);
  put_colliding(world.ns, STORE_CHAIN_MAX);
  ck_assert_ptr_nonnull(find_colliding(world.ns, 0));
  ck_assert_ptr_null(find_colliding(world.ns, 1));
  ck_assert_ptr_nonnull(find_colliding(world.ns, 2));
}
END_TEST

START_TEST(puts_into_full_bucket_evict_own_namespace) {
  uint32_t n = neighbour_in_bucket();
  world_put(world.other, n, "neighbour's");
  for (uint32_t i = 0; i < 10 * STORE_CHAIN_MAX; i++)
    put_colliding(world.ns, i);
  ck_assert(world_has(world.other, n));
  ck_assert_uint_eq(longest_chain(), STORE_CHAIN_MAX);
  ck_assert_uint_eq(world.other->evictions[EVICT_CHAIN], 0);
}
END_TEST

START_TEST(put_of_other_namespace_into_full_bucket_stored) {
  uint32_t n = neighbour_in_bucket();
  for (uint32_t i = 0; i < STORE_CHAIN_MAX; i++)
    put_colliding(world.ns, i);
  world_put(world.other, n, "neighbour's");
  ck_assert(world_has(world.other, n));
  ck_assert_ptr_null(find_colliding(world.ns, 0));
  ck_assert_uint_eq(world.ns->evictions[EVICT_CHAIN], 1);
  ck_assert_uint_eq(longest_chain(), STORE_CHAIN_MAX);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_chain");
  TCase *tcase = tcase_create("store_chain");
  tcase_add_checked_fixture(tcase, set_up, world_close);
  tcase_add_test(tcase, puts_colliding_keys_bound_chain);
  tcase_add_test(tcase, put_into_full_bucket_evicts_oldest);
  tcase_add_test(tcase, puts_into_full_bucket_evict_own_namespace);
  tcase_add_test(tcase, put_of_other_namespace_into_full_bucket_stored);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
