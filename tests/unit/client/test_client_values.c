/* Gets and puts of one key or many: values, counters, errors, epochs. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fcache.h"
#include "tests/support/client_fixture.h"
#include "tests/support/runner.h"
#include "tests/support/store_fixture.h"

START_TEST(put_then_get_hit_and_counted) {
  struct fcache_counters counters;
  struct fcache_key key = store_key("a");
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_set_probe(store_cache, "kl"), FCACHE_OK);
  ck_assert_int_eq(fcache_get(store_cache, &key, 0, &value), FCACHE_MISS);
  ck_assert_ptr_null(value.data);
  store_check_put(store_cache, "a", "one", FCACHE_OK);
  ck_assert_str_eq(store_last_put().probe, "kl");
  ck_assert_uint_eq(store_last_put().compute_ns, 1000);
  ck_assert_int_eq(fcache_get(store_cache, &key, 0, &value), FCACHE_OK);
  ck_assert_mem_eq(value.data, "one", 3);
  store_lock();
  ck_assert_str_eq(scripted_store->get_probe, "kl");
  ck_assert_uint_eq(scripted_store->get_flags, 0);
  store_unlock();
  store_check_put(store_cache, "a", "two", FCACHE_OK); /* replaces */
  store_check_get(store_other, "a", "two");
  ck_assert_int_eq(fcache_put(store_cache, &key, "three", 5, 1, FCACHE_KEEP_FIRST),
                   FCACHE_NOT_STORED);
  ck_assert_int_eq(fcache_put(store_cache, &key, "four", 4, 1, FCACHE_UNRECORDED | 0x80),
                   FCACHE_OK);
  ck_assert_uint_eq(store_last_put().flags, FC_UNRECORDED);
  store_check_get(store_other, "a", "four");
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 3);
  ck_assert_uint_eq(counters.forward_passes, 3);
  ck_assert_uint_gt(counters.scoring_wall_ns, 2001);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_int_eq(fcache_set_probe(store_cache, NULL), FCACHE_OK);
  store_check_get(store_cache, "a", "four");
  store_lock();
  ck_assert_str_eq(scripted_store->get_probe, "");
  ck_assert_uint_eq(scripted_store->get_flags, FC_UNRECORDED);
  store_unlock();
  fcache_get_counters(store_other, &counters);
  ck_assert_uint_eq(counters.cache_hits, 0); /* unrecorded */
  fcache_value_free(&value);
}
END_TEST

START_TEST(get_empty_value_hit) {
  store_check_put(store_cache, "a", "", FCACHE_OK);
  store_check_get(store_other, "a", "");
  struct fcache_key key = store_key("b");
  ck_assert_int_eq(fcache_put(store_cache, &key, NULL, 0, 0, 0), FCACHE_OK);
  store_check_get(store_other, "b", "");
}
END_TEST

START_TEST(get_other_key_part_miss) {
  store_check_put(store_cache, "a", "one", FCACHE_OK);
  struct fcache_key keys[4] = {store_key("a"), store_key("a"), store_key("a"), store_key("a ")};
  keys[0].op = "op2";
  keys[1].view = "ft";
  keys[2].top_k = 4;
  for (int i = 0; i < 4; i++) {
    struct fcache_value value = {0};
    ck_assert_int_eq(fcache_get(store_cache, &keys[i], 0, &value), FCACHE_MISS);
  }
}
END_TEST

static int compute_never(void *arg, struct fcache_value *value) {
  (void)arg;
  (void)value;
  ck_abort_msg("computed");
}

START_TEST(call_wrong_argument_error_names_it) {
  char long_name[257];
  memset(long_name, 'n', 256);
  long_name[256] = '\0';
  const char *const bad[] = {"", "a\nb", "\xc0\x80", "\xed\xa0\x80", "\x7f", "\xc2\x85", long_name};
  struct fcache_value value = {0};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct fcache_key key = store_key("a");
    key.op = bad[i];
    ck_assert_int_eq(fcache_get(store_cache, &key, 0, &value), FCACHE_ENAME);
    ck_assert_ptr_nonnull(strstr(fcache_last_error(store_cache), "op \""));
    ck_assert_ptr_null(strchr(fcache_last_error(store_cache), '\n'));
    key = store_key("a");
    key.view = bad[i];
    ck_assert_int_eq(fcache_put(store_cache, &key, "x", 1, 0, 0), FCACHE_ENAME);
    ck_assert_int_eq(fcache_cached(store_cache, &key, compute_never, NULL, &value), FCACHE_ENAME);
    ck_assert_int_eq(fcache_set_probe(store_cache, bad[i]), FCACHE_ENAME);
    ck_assert_int_eq(fcache_clear(store_cache, bad[i], NULL, NULL), FCACHE_ENAME);
    ck_assert_int_eq(
        fcache_cached_batch(store_cache, "op", bad[i], 0, &key.prompt, 1, NULL, NULL, &value),
        FCACHE_ENAME);
  }
  struct fcache_key key = store_key("a");
  ck_assert_int_eq(fcache_get(store_cache, NULL, 0, &value), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_get(store_cache, &key, 0, NULL), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_put(store_cache, &key, NULL, 1, 0, 0), FCACHE_EINVAL);
  struct fcache_bytes bytes[2] = {{"x", 1}, {NULL, 20000}};
  struct fcache_hash prompts[2] = {{{0}}, {{1}}};
  ck_assert_int_eq(fcache_put_many(store_cache, "op", "base", 3, prompts, bytes, 2, 0, 0),
                   FCACHE_EINVAL);
  ck_assert_int_eq(fcache_cached(store_cache, &key, NULL, NULL, &value), FCACHE_EINVAL);
  key.op = NULL;
  ck_assert_int_eq(fcache_get(store_cache, &key, 0, &value), FCACHE_EINVAL);
  struct fcache_counters counters;
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.cache_misses, 0);
}
END_TEST

/* The put counts at the daemon, without its value. The library logs the first one. */
START_TEST(put_too_big_error_names_limit) {
  char *data = calloc(1, (16u << 20) + 1);
  struct fcache_key key = store_key("a");
  struct fcache_counters counters;
  ck_assert_ptr_nonnull(data);
  unsigned puts = store_puts_seen();
  for (unsigned i = 1; i <= 2; i++) {
    ck_assert_int_eq(fcache_put(store_cache, &key, data, (16u << 20) + 1, 7, 0), FCACHE_ETOOBIG);
    ck_assert_ptr_nonnull(strstr(fcache_last_error(store_cache), "16777216"));
    ck_assert_uint_eq(store_puts_seen(), puts + i);
    ck_assert_uint_eq(store_last_put().compute_ns, 7);
    fcache_get_counters(store_cache, &counters);
    ck_assert_uint_eq(counters.too_big, i);
  }
  ck_assert_uint_eq(client_lines.n, 1);
  ck_assert_ptr_nonnull(strstr(client_lines.last, "a value of 16777217 bytes is over the limit"));
  ck_assert_int_eq(fcache_put(store_cache, &key, data, 16u << 20, 0, 0), FCACHE_OK);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_get(store_other, &key, 0, &value), FCACHE_OK);
  ck_assert_uint_eq(value.size, 16u << 20);
  fcache_value_free(&value);
  free(data);
}
END_TEST

START_TEST(put_after_miss_has_its_epoch) {
  struct fcache_key key = store_key("a");
  struct fcache_value value = {0};
  uint64_t removed = 0;
  store_check_put(store_cache, "p", "preloaded", FCACHE_OK); /* never looked up */
  ck_assert_uint_eq(store_last_put().epoch.boot_id, 0);
  ck_assert_int_eq(fcache_get(store_cache, &key, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_clear(store_other, NULL, NULL, &removed), FCACHE_OK);
  ck_assert_uint_eq(removed, 1);
  store_check_put(store_cache, "a", "old", FCACHE_NOT_STORED);
  ck_assert_uint_eq(store_last_put().epoch.boot_id, SCRIPTED_BOOT_ID);
  store_check_put(store_cache, "b", "another", FCACHE_OK); /* this key was not looked up */
  store_check_get(store_cache, "a", NULL);
  store_check_put(store_cache, "a", "new", FCACHE_OK);
  store_check_get(store_other, "a", "new");
  /* A clear by any client counts, and a second put does not help. */
  ck_assert_int_eq(fcache_clear(store_cache, NULL, NULL, NULL), FCACHE_OK);
  store_check_get(store_cache, "c", NULL);
  ck_assert_int_eq(fcache_clear(store_cache, NULL, NULL, NULL), FCACHE_OK);
  store_check_put(store_cache, "c", "old", FCACHE_NOT_STORED);
  store_check_put(store_cache, "c", "old", FCACHE_NOT_STORED);
  store_check_get(store_cache, "c", NULL);
  store_check_put(store_cache, "c", "new", FCACHE_OK);
}
END_TEST

START_TEST(put_many_after_misses_has_earliest_epoch) {
  struct fcache_hash prompts[3] = {fcache_hash("a", 1), fcache_hash("b", 1), fcache_hash("c", 1)};
  struct fcache_bytes bytes[2] = {{"B", 1}, {"C", 1}};
  struct fcache_value values[3] = {{0}};
  bool hit[3];
  store_check_put(store_cache, "a", "A", FCACHE_OK);
  ck_assert_int_eq(fcache_get_many(store_cache, "op", "base", 3, prompts, 3, 0, values, hit),
                   FCACHE_OK);
  ck_assert(hit[0] && !hit[1] && !hit[2]);
  ck_assert_int_eq(fcache_clear(store_other, NULL, NULL, NULL), FCACHE_OK);
  ck_assert_int_eq(fcache_put_many(store_cache, "op", "base", 3, prompts + 1, bytes, 2, 10, 0),
                   FCACHE_NOT_STORED);
  store_check_get(store_other, "b", NULL);
  fcache_value_free(&values[0]);
}
END_TEST

/* Gets of another key, until the handle is connected again. */
static void wait_connected(struct fcache *handle) {
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (!fcache_connected(handle)) {
    struct fcache_key key = store_key("another");
    struct fcache_value value = {0};
    ck_assert_int_ge(fcache_get(handle, &key, FCACHE_UNRECORDED, &value), 0);
    fcache_value_free(&value);
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    (void)poll(NULL, 0, 1);
  }
}

START_TEST(put_after_unreached_get_not_stored) {
  struct fcache_key key = store_key("a");
  struct fcache_value value = {0};
  store_lock();
  scripted_store->hang_ups_at_get = 4;
  store_unlock();
  ck_assert_int_eq(fcache_get(store_cache, &key, 0, &value), FCACHE_MISS);
  wait_connected(store_cache);
  unsigned puts = store_puts_seen();
  store_check_put(store_cache, "a", "old", FCACHE_NOT_STORED);
  ck_assert_uint_eq(store_puts_seen(), puts);
  store_check_put(store_cache, "a", "old", FCACHE_NOT_STORED); /* a second put has the same epoch */
  store_check_get(store_cache, "a", NULL);
  store_check_put(store_cache, "a", "new", FCACHE_OK);
  store_check_get(store_other, "a", "new");
}
END_TEST

START_TEST(put_interleaved_with_gets_has_own_epoch) {
  struct fcache_value value = {0};
  struct fcache_key a = store_key("a"), b = store_key("b");
  ck_assert_int_eq(fcache_get(store_cache, &a, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_clear(store_other, NULL, NULL, NULL), FCACHE_OK);
  ck_assert_int_eq(fcache_get(store_cache, &b, 0, &value), FCACHE_MISS);
  store_check_put(store_cache, "b", "B", FCACHE_OK);
  store_check_put(store_cache, "a", "A", FCACHE_NOT_STORED);
  store_check_get(store_other, "a", NULL);
  store_check_get(store_other, "b", "B");
}
END_TEST

static int compute_and_reconnect(void *arg, struct fcache_value *value) {
  wait_connected(arg);
  return fcache_value_set(value, "mine", 4);
}

START_TEST(cached_after_unreached_lookup_puts_nothing) {
  struct fcache_key key = store_key("a");
  struct fcache_value value = {0};
  struct fcache_counters counters;
  store_lock();
  scripted_store->hang_ups_at_get = 4;
  store_unlock();
  ck_assert_int_eq(fcache_cached(store_cache, &key, compute_and_reconnect, store_cache, &value),
                   FCACHE_OK);
  ck_assert_mem_eq(value.data, "mine", 4);
  ck_assert(fcache_connected(store_cache));
  ck_assert_uint_eq(store_puts_seen(), 0);
  fcache_get_counters(store_cache, &counters);
  ck_assert_uint_eq(counters.forward_passes, 1);
  ck_assert_uint_ge(counters.degraded, 1);
  fcache_value_free(&value);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_values");
  TCase *tcase = tcase_create("client_values");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, store_set_up, store_tear_down);
  tcase_add_test(tcase, put_then_get_hit_and_counted);
  tcase_add_test(tcase, get_empty_value_hit);
  tcase_add_test(tcase, get_other_key_part_miss);
  tcase_add_test(tcase, call_wrong_argument_error_names_it);
  tcase_add_test(tcase, put_too_big_error_names_limit);
  tcase_add_test(tcase, put_after_miss_has_its_epoch);
  tcase_add_test(tcase, put_many_after_misses_has_earliest_epoch);
  tcase_add_test(tcase, put_after_unreached_get_not_stored);
  tcase_add_test(tcase, put_interleaved_with_gets_has_own_epoch);
  tcase_add_test(tcase, cached_after_unreached_lookup_puts_nothing);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
