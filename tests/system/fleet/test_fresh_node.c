/* A fresh node of a warm fleet: all values come from the tier, in batches, and none is computed. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/tier_cluster.h"
#include "tests/support/tier_server.h"

#define KEYS 10000u
#define BATCH 64u
#define OP "op"
#define VIEW "view"
#define VALUE_BYTES 300u
#define PUBLISH_TIMEOUT_MS 60000u
#define TIMEOUT_S 120

static struct fcache_hash prompt_of(uint32_t number) {
  return fcache_hash(&number, sizeof number);
}

static void make_value(uint8_t value[VALUE_BYTES], uint32_t number) {
  for (uint32_t i = 0; i < VALUE_BYTES; i++)
    value[i] = (uint8_t)(number >> (i % 4 * 8));
}

static void put_batch(struct fcache *cache, uint32_t first, uint32_t n) {
  static uint8_t bytes[BATCH][VALUE_BYTES];
  struct fcache_hash prompts[BATCH];
  struct fcache_bytes values[BATCH];
  for (uint32_t i = 0; i < n; i++) {
    prompts[i] = prompt_of(first + i);
    make_value(bytes[i], first + i);
    values[i] = (struct fcache_bytes){bytes[i], VALUE_BYTES};
  }
  ck_assert_int_eq(fcache_put_many(cache, OP, VIEW, 0, prompts, values, n, 1000, 0), FCACHE_OK);
}

static int compute_none(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  (void)batch;
  fprintf(stderr, "%zu keys miss on the fresh node, the first is %zu of its batch\n", n, misses[0]);
  *(bool *)arg = true;
  return 1;
}

static void get_batch(struct fcache *cache, uint32_t first, uint32_t n,
                      struct fcache_value values[BATCH]) {
  struct fcache_hash prompts[BATCH];
  uint8_t wanted[VALUE_BYTES];
  bool missed = false;
  for (uint32_t i = 0; i < n; i++)
    prompts[i] = prompt_of(first + i);
  int r = fcache_cached_batch(cache, OP, VIEW, 0, prompts, n, compute_none, &missed, values);
  ck_assert(!missed);
  ck_assert_int_eq(r, FCACHE_OK);
  for (uint32_t i = 0; i < n; i++) {
    make_value(wanted, first + i);
    ck_assert_uint_eq(values[i].size, VALUE_BYTES);
    ck_assert(memcmp(values[i].data, wanted, VALUE_BYTES) == 0);
  }
}

static void start_node(struct daemon *node, const char *url) {
  harness_start(node, "--tier", url, "--tier-deadline=10", "--max-bytes=64m", NULL);
}

static bool has_published(void *arg) {
  return library_stat(arg, "tier_queue_entries") == 0;
}

static void expect_all_come(const char *url) {
  struct daemon warm = {0}, fresh = {0};
  struct fcache_value values[BATCH] = {{0}};
  start_node(&warm, url);
  struct fcache *cache = library_open(warm.socket, "space", "warm", 0);
  for (uint32_t first = 0; first < KEYS; first += BATCH)
    put_batch(cache, first, KEYS - first < BATCH ? KEYS - first : BATCH);
  ck_assert(harness_wait_until(has_published, cache, PUBLISH_TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(cache, "tier_writes_dropped"), 0);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&warm), 0);

  start_node(&fresh, url);
  cache = library_open(fresh.socket, "space", "fresh", 0);
  for (uint32_t first = 0; first < KEYS; first += BATCH)
    get_batch(cache, first, KEYS - first < BATCH ? KEYS - first : BATCH, values);
  ck_assert_uint_eq(library_counters(cache).cache_hits, KEYS);
  ck_assert_uint_eq(library_stat(cache, "tier_hits"), KEYS);
  for (uint32_t i = 0; i < BATCH; i++)
    fcache_value_free(&values[i]);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&fresh), 0);
}

START_TEST(fresh_node_gets_all_values_from_the_tier) {
  static struct tier_server server; /* large */
  const struct tier_server_config config = {.program = tier_engine_program((enum tier_engine)_i)};
  if (config.program == NULL)
    return;
  tier_server_start(&server, &config);
  expect_all_come(server.url);
  tier_server_stop(&server);
}
END_TEST

START_TEST(fresh_node_gets_all_values_from_a_cluster) {
  static struct tier_cluster cluster; /* large */
  const struct tier_server_config config = {.program = tier_engine_program((enum tier_engine)_i)};
  if (config.program == NULL)
    return;
  tier_cluster_start(&cluster, &config);
  expect_all_come(cluster.url);
  tier_cluster_stop(&cluster);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fresh_node");
  TCase *tests = tcase_create("fresh_node");
  tcase_set_timeout(tests, TIMEOUT_S);
  tcase_add_loop_test(tests, fresh_node_gets_all_values_from_the_tier, 0, TIER_ENGINES);
  tcase_add_loop_test(tests, fresh_node_gets_all_values_from_a_cluster, 0, TIER_ENGINES);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
