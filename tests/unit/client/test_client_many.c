/* fcache_cached_batch, fcache_get_many and fcache_put_many without other clients. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fcache.h"
#include "proto/errors.h"
#include "tests/support/client_fixture.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/scripted_store.h"
#include "tests/support/store_fixture.h"

struct compute {
  unsigned calls;
  const char *text;
  int error;
  void (*meanwhile)(void);
};

struct batch {
  unsigned calls;
  size_t n;
  size_t misses[64];
  int error;
  size_t fewer, more; /* values than misses */
  size_t padding;     /* bytes behind each text */
};

static void make_text(char *to, size_t room, size_t index, size_t padding) {
  int n = snprintf(to, room, "value %zu", index);
  ck_assert_uint_lt((size_t)n + padding, room);
  memset(to + n, '.', padding);
  to[(size_t)n + padding] = '\0';
}

static char text_room[70000];

static int compute_batch(void *arg, const size_t *misses, size_t n, struct fcache_batch *out) {
  struct batch *batch = arg;
  batch->calls++;
  batch->n = n;
  for (size_t i = 0; i < n && i < 64; i++)
    batch->misses[i] = misses[i];
  for (size_t i = 0; i < n - batch->fewer + batch->more; i++) {
    make_text(text_room, sizeof text_room, i < n ? misses[i] : i, batch->padding);
    if (fcache_batch_add(out, text_room, strlen(text_room)) != FCACHE_OK)
      return 1;
  }
  return batch->error;
}

static void hash_numbers(struct fcache_hash *prompts, size_t n) {
  for (size_t i = 0; i < n; i++)
    prompts[i] = fcache_hash(&i, sizeof i);
}

static void free_values(struct fcache_value *values, size_t n) {
  for (size_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
}

static void check_values(const struct fcache_value *values, size_t n, size_t padding) {
  for (size_t i = 0; i < n; i++) {
    make_text(text_room, sizeof text_room, i, padding);
    ck_assert_uint_eq(values[i].size, strlen(text_room));
    ck_assert_mem_eq(values[i].data, text_room, values[i].size);
  }
}

static int run_batch(struct fcache *by, const struct fcache_hash *prompts, size_t n,
                     struct batch *batch, struct fcache_value *values) {
  return fcache_cached_batch(by, "op", "base", 3, prompts, n, compute_batch, batch, values);
}

START_TEST(batch_with_misses_computes_in_order) {
  struct fcache_hash prompts[6];
  struct fcache_value values[6] = {{0}};
  struct batch batch = {0};
  struct fcache_counters counters;
  hash_numbers(prompts, 6);
  struct fcache_key key = {"op", "base", prompts[2], 3};
  ck_assert_int_eq(fcache_put(store_other, &key, "value 2", 7, 1, 0), FCACHE_OK);
  ck_assert_int_eq(run_batch(store_cache, prompts, 6, &batch, values), FCACHE_OK);
  check_values(values, 6, 0);
  static const size_t want[] = {0, 1, 3, 4, 5};
  ck_assert_uint_eq(batch.calls, 1);
  ck_assert_uint_eq(batch.n, 5);
  ck_assert_mem_eq(batch.misses, want, sizeof want);
  struct scripted_put put = store_last_put();
  ck_assert_uint_eq(put.n, 5);
  ck_assert_uint_eq(put.batch, 5);
  ck_assert_uint_eq(put.flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(put.epoch.boot_id, SCRIPTED_BOOT_ID);
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 5);
  ck_assert_uint_eq(counters.forward_passes, 5);
  ck_assert_uint_eq(counters.batches_sent, 1);
  ck_assert_uint_eq(counters.batched_prompts, 5);
  ck_assert_uint_eq(counters.max_batch_size, 5);
  ck_assert_uint_ge(counters.scoring_wall_ns, put.compute_ns);
  /* all are hits: compute is not called */
  ck_assert_int_eq(run_batch(store_cache, prompts, 6, &batch, values), FCACHE_OK);
  check_values(values, 6, 0);
  ck_assert_uint_eq(batch.calls, 1);
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 7);
  ck_assert_uint_eq(counters.batches_sent, 1);
  ck_assert_int_eq(run_batch(store_cache, NULL, 0, &batch, NULL), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  free_values(values, 6);
}
END_TEST

START_TEST(batch_prompt_twice_passed_twice) {
  struct fcache_hash prompts[3] = {fcache_hash("x", 1), fcache_hash("y", 1), fcache_hash("x", 1)};
  struct fcache_value values[3] = {{0}};
  struct batch batch = {0};
  ck_assert_int_eq(run_batch(store_cache, prompts, 3, &batch, values), FCACHE_OK);
  check_values(values, 3, 0); /* each prompt has its own value */
  ck_assert_uint_eq(batch.n, 3);
  struct fcache_value value = {0};
  struct fcache_key key = {"op", "base", prompts[0], 3};
  ck_assert_int_eq(fcache_get(store_other, &key, 0, &value), FCACHE_OK);
  ck_assert_mem_eq(value.data, "value 0", 7); /* the first stays */
  fcache_value_free(&value);
  free_values(values, 3);
}
END_TEST

START_TEST(batch_wrong_number_of_values_error) {
  struct fcache_hash prompts[3];
  struct fcache_value values[3] = {{0}};
  struct batch batch = {.fewer = _i == 0 ? 1 : 0, .more = _i == 0 ? 0 : 2};
  struct fcache_counters counters;
  hash_numbers(prompts, 3);
  ck_assert_int_eq(run_batch(store_cache, prompts, 3, &batch, values), FCACHE_EBATCH);
  ck_assert_str_eq(fcache_last_error(store_cache),
                   _i == 0 ? "batched compute returned 2 values for 3 misses"
                           : "batched compute returned 5 values for 3 misses");
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_misses, 0);
  ck_assert_uint_eq(counters.batches_sent, 0);
  ck_assert_uint_eq(store_puts_seen(), 0);
  free_values(values, 3);
}
END_TEST

START_TEST(batch_compute_fails_hits_stay_counted) {
  struct fcache_hash prompts[3];
  struct fcache_value values[3] = {{0}};
  struct batch batch = {.error = 99};
  struct fcache_counters counters;
  hash_numbers(prompts, 3);
  struct fcache_key key = {"op", "base", prompts[1], 3};
  ck_assert_int_eq(fcache_put(store_other, &key, "value 1", 7, 1, 0), FCACHE_OK);
  unsigned puts = store_puts_seen();
  ck_assert_int_eq(run_batch(store_cache, prompts, 3, &batch, values), 99);
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 0);
  ck_assert_uint_eq(counters.batches_sent, 0);
  ck_assert_uint_eq(store_puts_seen(), puts);
  free_values(values, 3);
}
END_TEST

START_TEST(batch_daemon_absent_computes_all) {
  struct fcache *alone = client_open("/nonexistent/socket", CLIENT_LONG_MS);
  struct fcache_hash prompts[4];
  struct fcache_value values[4] = {{0}};
  struct batch batch = {0};
  struct fcache_counters counters;
  hash_numbers(prompts, 4);
  ck_assert_int_eq(run_batch(alone, prompts, 4, &batch, values), FCACHE_OK);
  check_values(values, 4, 0);
  fcache_get_counters(alone, &counters);
  ck_assert_uint_eq(counters.cache_misses, 4);
  ck_assert_uint_eq(counters.batches_sent, 1);
  ck_assert_uint_eq(counters.degraded, 1);
  free_values(values, 4);
  fcache_close(alone);
}
END_TEST

START_TEST(batch_daemon_error_computes) {
  static const int codes[] = {FC_ENOMEM, FC_EREFUSED, FC_EINVAL, FC_ESHUTDOWN};
  struct fcache_hash prompts[4];
  struct fcache_value values[4] = {{0}};
  struct batch batch = {0};
  store_lock();
  scripted_store->get_error = codes[_i];
  store_unlock();
  hash_numbers(prompts, 4);
  ck_assert_int_eq(run_batch(store_cache, prompts, 4, &batch, values), FCACHE_OK);
  check_values(values, 4, 0);
  free_values(values, 4);
}
END_TEST

static struct fcache *open_small_frames(void) {
  scripted_store->scripted.welcome.max_frame = 65536;
  scripted_store->scripted.welcome.max_value = 32768;
  return client_open(scripted_store->scripted.path, CLIENT_LONG_MS);
}

START_TEST(put_many_over_frame_limit_split) {
  struct fcache *small = open_small_frames();
  struct fcache_hash prompts[7];
  struct fcache_value values[7] = {{0}};
  struct batch batch = {.padding = 30000};
  hash_numbers(prompts, 7);
  ck_assert_int_eq(run_batch(small, prompts, 7, &batch, values), FCACHE_OK);
  check_values(values, 7, 30000);
  ck_assert_uint_eq(store_puts_seen(), 4); /* two fit in a frame */
  uint32_t n = 0;
  uint64_t compute_ns = 0, last_ns = scripted_store->puts[3].compute_ns;
  for (unsigned i = 0; i < 4; i++) {
    ck_assert_uint_eq(scripted_store->puts[i].batch, i == 0 ? 7 : 0);
    n += scripted_store->puts[i].n;
    compute_ns += scripted_store->puts[i].compute_ns;
  }
  ck_assert_uint_eq(n, 7);
  ck_assert_uint_ge(scripted_store->puts[0].compute_ns, last_ns * 2 - 2);
  ck_assert_uint_le(scripted_store->puts[0].compute_ns, last_ns * 2);
  struct fcache_counters counters;
  fcache_get_counters(small, &counters);
  ck_assert_uint_eq(compute_ns, counters.scoring_wall_ns); /* nothing is left over */
  free_values(values, 7);
  memset(values, 0, sizeof values);
  store_lock();
  scripted_store->part = 2; /* the reply comes in four parts */
  store_unlock();
  struct batch none = {0};
  ck_assert_int_eq(run_batch(small, prompts, 7, &none, values), FCACHE_OK);
  ck_assert_uint_eq(none.calls, 0);
  check_values(values, 7, 30000);
  free_values(values, 7);
  fcache_close(small);
}
END_TEST

#define MANY 5000u

START_TEST(get_many_over_frame_limit_split) {
  struct fcache *small = open_small_frames();
  struct fcache_hash *prompts = calloc(MANY, sizeof *prompts);
  struct fcache_bytes *bytes = calloc(MANY, sizeof *bytes);
  struct fcache_value *values = calloc(MANY, sizeof *values);
  bool *hit = calloc(MANY, sizeof *hit);
  ck_assert(prompts != NULL && bytes != NULL && values != NULL && hit != NULL);
  hash_numbers(prompts, MANY);
  for (size_t i = 0; i < MANY; i++)
    bytes[i] = (struct fcache_bytes){&prompts[i], i % 2 == 0 ? sizeof prompts[i] : 0};
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, prompts, bytes, MANY - 1, 1, 0),
                   FCACHE_OK);
  ck_assert_int_eq(fcache_get_many(small, "op", "base", 3, prompts, MANY, 0, values, hit),
                   FCACHE_OK);
  store_lock();
  ck_assert_uint_eq(scripted_store->n_gets, 2);
  store_unlock();
  for (size_t i = 0; i < MANY - 1; i++) {
    ck_assert(hit[i]);
    ck_assert_uint_eq(values[i].size, bytes[i].size);
    if (bytes[i].size > 0)
      ck_assert_mem_eq(values[i].data, &prompts[i], sizeof prompts[i]);
  }
  ck_assert(!hit[MANY - 1]);
  struct fcache_counters counters;
  fcache_get_counters(small, &counters);
  ck_assert_uint_eq(counters.cache_hits, MANY - 1);
  free_values(values, MANY);
  free(prompts);
  free(bytes);
  free(values);
  free(hit);
  fcache_close(small);
}
END_TEST

START_TEST(put_many_one_too_big_others_stored) {
  struct fcache *small = open_small_frames();
  struct fcache_hash prompts[3] = {fcache_hash("a", 1), fcache_hash("b", 1), fcache_hash("c", 1)};
  char *data = calloc(1, 40000);
  ck_assert_ptr_nonnull(data);
  struct fcache_bytes bytes[3] = {{"A", 1}, {data, 40000}, {"C", 1}};
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, prompts, bytes, 3, 1, 0),
                   FCACHE_ETOOBIG);
  ck_assert_ptr_nonnull(strstr(fcache_last_error(small), "32768"));
  store_check_get(small, "a", "A");
  store_check_get(small, "b", NULL);
  store_check_get(small, "c", "C");
  bytes[1] = (struct fcache_bytes){"B", 1};
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, prompts, bytes, 3, 1, FCACHE_KEEP_FIRST),
                   FCACHE_NOT_STORED);
  store_check_get(small, "b", "B");
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, NULL, NULL, 0, 0, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, NULL, NULL, 1, 0, 0), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_get_many(small, "op", "base", 3, NULL, 0, 0, NULL, NULL), FCACHE_OK);
  ck_assert_int_eq(fcache_get_many(small, "op", "base", 3, prompts, 1, 0, NULL, NULL),
                   FCACHE_EINVAL);
  free(data);
  fcache_close(small);
}
END_TEST

START_TEST(get_many_part_without_progress_closes) {
  struct fcache_hash prompts[4];
  struct fcache_value values[4] = {{0}};
  struct batch batch = {0};
  store_lock();
  scripted_store->stall_parts = true;
  store_unlock();
  hash_numbers(prompts, 4);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(run_batch(store_cache, prompts, 4, &batch, values), FCACHE_OK);
  ck_assert_uint_lt(runner_now_ms() - start_ms, CLIENT_LONG_MS / 2); /* no wait for further bytes */
  check_values(values, 4, 0);
  ck_assert(!fcache_connected(store_cache));
  free_values(values, 4);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_many");
  TCase *tcase = tcase_create("client_many");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, store_set_up, store_tear_down);
  tcase_add_test(tcase, batch_with_misses_computes_in_order);
  tcase_add_test(tcase, batch_prompt_twice_passed_twice);
  tcase_add_loop_test(tcase, batch_wrong_number_of_values_error, 0, 2);
  tcase_add_test(tcase, batch_compute_fails_hits_stay_counted);
  tcase_add_test(tcase, batch_daemon_absent_computes_all);
  tcase_add_loop_test(tcase, batch_daemon_error_computes, 0, 4);
  tcase_add_test(tcase, put_many_over_frame_limit_split);
  tcase_add_test(tcase, get_many_over_frame_limit_split);
  tcase_add_test(tcase, put_many_one_too_big_others_stored);
  tcase_add_test(tcase, get_many_part_without_progress_closes);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
