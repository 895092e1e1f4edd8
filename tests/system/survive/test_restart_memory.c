/* The time to the first hit after a kill, and the memory while entries move to the next region. The
 * same client gets the hits, with the default deadline. FC_RESTART_BYTES=N, FC_RESTART_VALUE=N
 * measure another size of the cache and of its values. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/library.h"
#include "tests/support/service_manager.h"

#define MIB (UINT64_C(1) << 20)

static struct service_manager manager;
static atomic_bool sampling;
static uint64_t peak_bytes;

static uint64_t setting(const char *name, uint64_t usual) {
  const char *text = getenv(name);
  return text == NULL ? usual : strtoull(text, NULL, 10);
}

static void *sample(void *arg) {
  struct timespec pause = {.tv_nsec = 200000};
  (void)arg;
  while (atomic_load(&sampling)) {
    uint64_t bytes = service_manager_bytes(&manager);
    peak_bytes = bytes > peak_bytes ? bytes : peak_bytes;
    (void)nanosleep(&pause, NULL);
  }
  return NULL;
}

static struct fcache_key key_of(uint32_t number) {
  return (struct fcache_key){
      .op = "op", .view = "view", .prompt = fcache_hash(&number, sizeof number)};
}

/* Puts entries until the cache evicts. Returns the number of puts. */
static uint32_t fill(struct fcache *cache, size_t bytes) {
  uint32_t n = 0;
  char *value = calloc(1, bytes);
  ck_assert_ptr_nonnull(value);
  while (n % 1024 != 0 || library_stat(cache, "evictions_bytes") == 0)
    for (uint32_t i = 0; i < 1024; i++, n++) {
      struct fcache_key key = key_of(n);
      memcpy(value, &n, sizeof n);
      ck_assert_int_eq(fcache_put(cache, &key, value, bytes, 0, FCACHE_UNRECORDED), FCACHE_OK);
    }
  free(value);
  return n;
}

static bool get(struct fcache *cache, uint32_t number) {
  struct fcache_key key = key_of(number);
  struct fcache_value value = {0};
  bool hit = fcache_get(cache, &key, FCACHE_UNRECORDED, &value) == FCACHE_OK;
  if (hit)
    ck_assert_int_eq(memcmp(value.data, &number, sizeof number), 0);
  fcache_value_free(&value);
  return hit;
}

START_TEST(restart_of_full_cache_needs_little_memory_and_time) {
  uint64_t max_bytes = setting("FC_RESTART_BYTES", 64 * MIB);
  size_t value_bytes = setting("FC_RESTART_VALUE", 3100);
  char size[32];
  pthread_t sampler;
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *filler, *client;
  (void)snprintf(size, sizeof size, "%" PRIu64, max_bytes);
  service_manager_init(&manager);
  service_manager_start(&manager, "--max-bytes", size, NULL);
  filler = library_open(manager.daemon.socket, "memory", NULL, 0);
  uint32_t n = fill(filler, value_bytes), hits = 0;
  fcache_close(filler);
  options.socket = manager.daemon.socket;
  options.name_space = "memory";
  ck_assert_int_eq(fcache_open(&options, &client, NULL), FCACHE_OK);
  ck_assert(get(client, n - 1));
  uint64_t before_bytes = service_manager_bytes(&manager);
  atomic_store(&sampling, true);
  ck_assert_int_eq(pthread_create(&sampler, NULL, sample, NULL), 0);
  uint64_t began_ns = harness_now_ns();
  service_manager_kill9(&manager);
  uint64_t killed_ns = harness_now_ns();
  service_manager_launch(&manager, (const char *const[]){"--max-bytes", size, NULL});
  while (!get(client, n - 1) || library_counters(client).reconnects == 0)
    if (harness_now_ns() - began_ns > UINT64_C(20000000000))
      ck_abort_msg("no hit: %s; %s", fcache_last_error(client), harness_log(&manager.daemon));
  uint64_t hit_ns = harness_now_ns();
  ck_assert(service_manager_wait_ready(&manager, NULL));
  service_manager_wait_migrated(&manager);
  uint64_t moved_ns = harness_now_ns();
  atomic_store(&sampling, false);
  ck_assert_int_eq(pthread_join(sampler, NULL), 0);
  for (uint32_t i = 0; i < n; i++)
    hits += get(client, i);
  printf("%" PRIu64 " MiB, values of %zu bytes: kill %.1f ms, first hit %.1f ms after the start, "
         "all moved after %.0f ms, memory before %.3f of max_bytes, at most %.3f, %u hits\n",
         max_bytes / MIB, value_bytes, (double)(killed_ns - began_ns) / 1e6,
         (double)(hit_ns - killed_ns) / 1e6, (double)(moved_ns - killed_ns) / 1e6,
         (double)before_bytes / (double)max_bytes, (double)peak_bytes / (double)max_bytes, hits);
  ck_assert_uint_eq(hits, library_stat(client, "entries"));
  ck_assert_uint_le(peak_bytes, max_bytes + max_bytes / 20 + 16 * MIB);
  fcache_close(client);
  service_manager_deinit(&manager);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("restart_memory");
  TCase *tests = tcase_create("restart_memory");

  tcase_set_timeout(tests, 300);
  tcase_add_test(tests, restart_of_full_cache_needs_little_memory_and_time);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
