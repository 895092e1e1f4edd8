/* What gets, puts, cached and batches mean, against a small daemon that stores. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcache.h"
#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_store.h"

#define DEADLINE_MS 20000u /* nothing here is to run into it */

static struct peer_store *store;
static struct fcache *cache, *other;

static struct {
  unsigned n;
  char last[1024];
} lines; /* that the handles said */

static void take_line(void *arg, const char *line) {
  (void)arg;
  lines.n++;
  (void)snprintf(lines.last, sizeof lines.last, "%s", line);
}

static struct fcache *open_one(const char *socket) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error = {0};
  struct fcache *opened;
  options.socket = socket;
  options.name_space = "test";
  options.deadline_ms = DEADLINE_MS;
  options.log = take_line;
  ck_assert_msg(fcache_open(&options, &opened, &error) == FCACHE_OK, "%s", error.text);
  return opened;
}

static void set_up(void) {
  (void)unsetenv("FCACHE_DISABLE");
  lines.n = 0;
  store = malloc(sizeof *store);
  ck_assert_ptr_nonnull(store);
  peer_store_start(store);
  cache = open_one(store->peer.path);
  other = open_one(store->peer.path);
}

static void tear_down(void) {
  fcache_close(cache);
  fcache_close(other);
  peer_store_stop(store);
  free(store);
}

/* What the peer was sent may be looked at while no call is under way: a call ends with
 * the peer's reply, which it sends after its lock. */
static void lock(void) {
  ck_assert_int_eq(pthread_mutex_lock(&store->lock), 0);
}
static void unlock(void) {
  ck_assert_int_eq(pthread_mutex_unlock(&store->lock), 0);
}

static struct peer_put last_put(void) {
  lock();
  ck_assert_uint_gt(store->n_puts, 0);
  struct peer_put put = store->puts[store->n_puts - 1];
  unlock();
  return put;
}

static unsigned puts_seen(void) {
  lock();
  unsigned n = store->n_puts;
  unlock();
  return n;
}

static struct fcache_key key_of(const char *prompt) {
  return (struct fcache_key){
      .op = "op", .view = "base", .prompt = fcache_hash(prompt, strlen(prompt)), .top_k = 3};
}

static void check_get(struct fcache *from, const char *prompt, const char *want) {
  struct fcache_key key = key_of(prompt);
  struct fcache_value value = {0};
  int rc = fcache_get(from, &key, FCACHE_UNRECORDED, &value);
  ck_assert_int_eq(rc, want == NULL ? FCACHE_MISS : FCACHE_OK);
  if (want != NULL) {
    ck_assert_uint_eq(value.size, strlen(want));
    if (value.size > 0)
      ck_assert_mem_eq(value.data, want, value.size);
  }
  fcache_value_free(&value);
}

static void check_put(struct fcache *to, const char *prompt, const char *text, int want) {
  struct fcache_key key = key_of(prompt);
  ck_assert_int_eq(fcache_put(to, &key, text, strlen(text), 1000, 0), want);
}

/* ---- one key ---- */

START_TEST(puts_are_got_and_counted) {
  struct fcache_counters counters;
  struct fcache_key key = key_of("a");
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_set_probe(cache, "kl"), FCACHE_OK);
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_MISS);
  ck_assert_ptr_null(value.data);
  check_put(cache, "a", "one", FCACHE_OK);
  ck_assert_str_eq(last_put().probe, "kl");
  ck_assert_uint_eq(last_put().compute_ns, 1000);
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_OK);
  ck_assert_mem_eq(value.data, "one", 3);
  lock();
  ck_assert_str_eq(store->get_probe, "kl");
  ck_assert_uint_eq(store->get_flags, 0);
  unlock();
  check_put(cache, "a", "two", FCACHE_OK); /* replaces */
  check_get(other, "a", "two");
  ck_assert_int_eq(fcache_put(cache, &key, "three", 5, 1, FCACHE_KEEP_FIRST), FCACHE_NOT_STORED);
  ck_assert_int_eq(fcache_put(cache, &key, "four", 4, 1, FCACHE_UNRECORDED | 0x80), FCACHE_OK);
  ck_assert_uint_eq(last_put().flags, FC_UNRECORDED);
  check_get(other, "a", "four");
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 3);
  ck_assert_uint_eq(counters.forward_passes, 3);
  ck_assert_uint_gt(counters.scoring_wall_ns, 2001);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_int_eq(fcache_set_probe(cache, NULL), FCACHE_OK);
  check_get(cache, "a", "four");
  lock();
  ck_assert_str_eq(store->get_probe, "");
  ck_assert_uint_eq(store->get_flags, FC_UNRECORDED);
  unlock();
  fcache_get_counters(other, &counters);
  ck_assert_uint_eq(counters.cache_hits, 0); /* unrecorded */
  fcache_value_free(&value);
}
END_TEST

START_TEST(empty_value_is_a_hit) {
  check_put(cache, "a", "", FCACHE_OK);
  check_get(other, "a", "");
  struct fcache_key key = key_of("b");
  ck_assert_int_eq(fcache_put(cache, &key, NULL, 0, 0, 0), FCACHE_OK);
  check_get(other, "b", "");
}
END_TEST

START_TEST(every_part_of_the_key_counts) {
  check_put(cache, "a", "one", FCACHE_OK);
  struct fcache_key keys[4] = {key_of("a"), key_of("a"), key_of("a"), key_of("a ")};
  keys[0].op = "op2";
  keys[1].view = "ft";
  keys[2].top_k = 4;
  for (int i = 0; i < 4; i++) {
    struct fcache_value value = {0};
    ck_assert_int_eq(fcache_get(cache, &keys[i], 0, &value), FCACHE_MISS);
  }
}
END_TEST

static int compute_never(void *arg, struct fcache_value *value) {
  (void)arg;
  (void)value;
  ck_abort_msg("computed");
}

START_TEST(wrong_arguments_are_named) {
  char long_name[257];
  memset(long_name, 'n', 256);
  long_name[256] = '\0';
  const char *const bad[] = {"", "a\nb", "\xc0\x80", "\xed\xa0\x80", "\x7f", "\xc2\x85", long_name};
  struct fcache_value value = {0};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct fcache_key key = key_of("a");
    key.op = bad[i];
    ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_ENAME);
    ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "op \""));
    ck_assert_ptr_null(strchr(fcache_last_error(cache), '\n'));
    key = key_of("a");
    key.view = bad[i];
    ck_assert_int_eq(fcache_put(cache, &key, "x", 1, 0, 0), FCACHE_ENAME);
    ck_assert_int_eq(fcache_cached(cache, &key, compute_never, NULL, &value), FCACHE_ENAME);
    ck_assert_int_eq(fcache_set_probe(cache, bad[i]), FCACHE_ENAME);
    ck_assert_int_eq(fcache_clear(cache, bad[i], NULL, NULL), FCACHE_ENAME);
    ck_assert_int_eq(
        fcache_cached_batch(cache, "op", bad[i], 0, &key.prompt, 1, NULL, NULL, &value),
        FCACHE_ENAME);
  }
  struct fcache_key key = key_of("a");
  ck_assert_int_eq(fcache_get(cache, NULL, 0, &value), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_get(cache, &key, 0, NULL), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_put(cache, &key, NULL, 1, 0, 0), FCACHE_EINVAL);
  struct fcache_bytes bytes[2] = {{"x", 1}, {NULL, 20000}};
  struct fcache_hash prompts[2] = {{{0}}, {{1}}};
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 3, prompts, bytes, 2, 0, 0), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_cached(cache, &key, NULL, NULL, &value), FCACHE_EINVAL);
  key.op = NULL;
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_EINVAL);
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_misses, 0);
}
END_TEST

/* The daemon is told, since the pass was made, but not sent the value; people are told once. */
START_TEST(too_big_names_the_limit) {
  char *data = calloc(1, (16u << 20) + 1);
  struct fcache_key key = key_of("a");
  struct fcache_counters counters;
  ck_assert_ptr_nonnull(data);
  unsigned puts = puts_seen();
  for (unsigned i = 1; i <= 2; i++) {
    ck_assert_int_eq(fcache_put(cache, &key, data, (16u << 20) + 1, 7, 0), FCACHE_ETOOBIG);
    ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "16777216"));
    ck_assert_uint_eq(puts_seen(), puts + i);
    ck_assert_uint_eq(last_put().compute_ns, 7);
    fcache_get_counters(cache, &counters);
    ck_assert_uint_eq(counters.too_big, i);
  }
  ck_assert_uint_eq(lines.n, 1);
  ck_assert_ptr_nonnull(strstr(lines.last, "a value of 16777217 bytes is over the limit"));
  ck_assert_int_eq(fcache_put(cache, &key, data, 16u << 20, 0, 0), FCACHE_OK);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_get(other, &key, 0, &value), FCACHE_OK);
  ck_assert_uint_eq(value.size, 16u << 20);
  fcache_value_free(&value);
  free(data);
}
END_TEST

/* ---- epochs ---- */

START_TEST(put_after_a_miss_says_when_it_began) {
  struct fcache_key key = key_of("a");
  struct fcache_value value = {0};
  uint64_t removed = 0;
  check_put(cache, "p", "preloaded", FCACHE_OK); /* never looked up */
  ck_assert_uint_eq(last_put().epoch.boot_id, 0);
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_clear(other, NULL, NULL, &removed), FCACHE_OK);
  ck_assert_uint_eq(removed, 1);
  check_put(cache, "a", "old", FCACHE_NOT_STORED);
  ck_assert_uint_eq(last_put().epoch.boot_id, PEER_BOOT_ID);
  check_put(cache, "b", "another", FCACHE_OK); /* this key was not looked up */
  check_get(cache, "a", NULL);
  check_put(cache, "a", "new", FCACHE_OK);
  check_get(other, "a", "new");
  /* Whoever clears, and however often the put is tried. */
  ck_assert_int_eq(fcache_clear(cache, NULL, NULL, NULL), FCACHE_OK);
  check_get(cache, "c", NULL);
  ck_assert_int_eq(fcache_clear(cache, NULL, NULL, NULL), FCACHE_OK);
  check_put(cache, "c", "old", FCACHE_NOT_STORED);
  check_put(cache, "c", "old", FCACHE_NOT_STORED);
  check_get(cache, "c", NULL);
  check_put(cache, "c", "new", FCACHE_OK);
}
END_TEST

START_TEST(put_many_after_misses_says_when_they_began) {
  struct fcache_hash prompts[3] = {fcache_hash("a", 1), fcache_hash("b", 1), fcache_hash("c", 1)};
  struct fcache_bytes bytes[2] = {{"B", 1}, {"C", 1}};
  struct fcache_value values[3] = {{0}};
  bool hit[3];
  check_put(cache, "a", "A", FCACHE_OK);
  ck_assert_int_eq(fcache_get_many(cache, "op", "base", 3, prompts, 3, 0, values, hit), FCACHE_OK);
  ck_assert(hit[0] && !hit[1] && !hit[2]);
  ck_assert_int_eq(fcache_clear(other, NULL, NULL, NULL), FCACHE_OK);
  ck_assert_int_eq(fcache_put_many(cache, "op", "base", 3, prompts + 1, bytes, 2, 10, 0),
                   FCACHE_NOT_STORED);
  check_get(other, "b", NULL);
  fcache_value_free(&values[0]);
}
END_TEST

/* Gets of another key, until the handle is connected again. */
static void wait_connected(struct fcache *handle) {
  uint64_t end_ms = runner_now_ms() + DEADLINE_MS;
  while (!fcache_connected(handle)) {
    struct fcache_key key = key_of("another");
    struct fcache_value value = {0};
    ck_assert_int_ge(fcache_get(handle, &key, FCACHE_UNRECORDED, &value), 0);
    fcache_value_free(&value);
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    (void)poll(NULL, 0, 1);
  }
}

START_TEST(put_after_a_get_that_did_not_reach_the_daemon_is_not_stored) {
  struct fcache_key key = key_of("a");
  struct fcache_value value = {0};
  lock();
  store->hang_up_at_get = true;
  unlock();
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_MISS);
  wait_connected(cache);
  unsigned puts = puts_seen();
  check_put(cache, "a", "old", FCACHE_NOT_STORED);
  ck_assert_uint_eq(puts_seen(), puts);
  check_put(cache, "a", "old", FCACHE_NOT_STORED); /* trying again makes it no newer */
  check_get(cache, "a", NULL);
  check_put(cache, "a", "new", FCACHE_OK);
  check_get(other, "a", "new");
}
END_TEST

START_TEST(lookups_and_puts_may_be_interleaved) {
  struct fcache_value value = {0};
  struct fcache_key a = key_of("a"), b = key_of("b");
  ck_assert_int_eq(fcache_get(cache, &a, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_clear(other, NULL, NULL, NULL), FCACHE_OK);
  ck_assert_int_eq(fcache_get(cache, &b, 0, &value), FCACHE_MISS);
  check_put(cache, "b", "B", FCACHE_OK);
  check_put(cache, "a", "A", FCACHE_NOT_STORED);
  check_get(other, "a", NULL);
  check_get(other, "b", "B");
}
END_TEST

static int compute_and_reconnect(void *arg, struct fcache_value *value) {
  wait_connected(arg);
  return fcache_value_set(value, "mine", 4);
}

START_TEST(nothing_is_put_when_the_lookup_did_not_reach_the_daemon) {
  struct fcache_key key = key_of("a");
  struct fcache_value value = {0};
  struct fcache_counters counters;
  lock();
  store->hang_up_at_get = true;
  unlock();
  ck_assert_int_eq(fcache_cached(cache, &key, compute_and_reconnect, cache, &value), FCACHE_OK);
  ck_assert_mem_eq(value.data, "mine", 4);
  ck_assert(fcache_connected(cache));
  ck_assert_uint_eq(puts_seen(), 0);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.forward_passes, 1);
  ck_assert_uint_ge(counters.degraded, 1);
  fcache_value_free(&value);
}
END_TEST

/* ---- cached ---- */

struct compute {
  unsigned calls;
  const char *text;
  int error;
  void (*meanwhile)(void);
};

static int compute_text(void *arg, struct fcache_value *value) {
  struct compute *compute = arg;
  compute->calls++;
  ck_assert_uint_eq(value->size, 0);
  if (compute->meanwhile != NULL)
    compute->meanwhile();
  if (compute->error != 0)
    return compute->error;
  return fcache_value_set(value, compute->text, strlen(compute->text));
}

static void check_cached(struct fcache *by, const char *prompt, struct compute *compute, int want,
                         const char *text) {
  struct fcache_key key = key_of(prompt);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_value_set(&value, "garbage", 7), FCACHE_OK); /* a used buffer */
  ck_assert_int_eq(fcache_cached(by, &key, compute_text, compute, &value), want);
  if (want == FCACHE_OK) {
    ck_assert_uint_eq(value.size, strlen(text));
    ck_assert_mem_eq(value.data, text, value.size);
  }
  fcache_value_free(&value);
}

START_TEST(cached_computes_once_for_all) {
  struct compute compute = {.text = "result"};
  struct fcache_counters counters;
  check_cached(cache, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(last_put().flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(last_put().epoch.boot_id, PEER_BOOT_ID);
  ck_assert_uint_eq(last_put().epoch.clear_generation, 7);
  check_cached(cache, "a", &compute, FCACHE_OK, "result");
  check_cached(other, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(compute.calls, 1);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 1);
  ck_assert_uint_eq(counters.forward_passes, 1);
  ck_assert_uint_eq(counters.batches_sent, 0);
  ck_assert_uint_ge(counters.scoring_wall_ns, last_put().compute_ns);
  fcache_get_counters(other, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.forward_passes, 0);
}
END_TEST

START_TEST(failed_compute_leaves_no_mark) {
  struct compute compute = {.text = "result", .error = 12345};
  struct fcache_counters counters;
  check_cached(cache, "a", &compute, 12345, NULL);
  compute.error = -77;
  check_cached(cache, "a", &compute, -77, NULL);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_misses, 0);
  ck_assert_uint_eq(counters.forward_passes, 0);
  ck_assert_uint_eq(counters.scoring_wall_ns, 0);
  ck_assert_uint_eq(puts_seen(), 0);
}
END_TEST

static void store_meanwhile(void) {
  check_put(other, "a", "first", FCACHE_OK);
}
static void clear_meanwhile(void) {
  ck_assert_int_eq(fcache_clear(other, NULL, NULL, NULL), FCACHE_OK);
}

START_TEST(first_value_stays_and_mine_is_returned) {
  struct compute compute = {.text = "mine", .meanwhile = store_meanwhile};
  check_cached(cache, "a", &compute, FCACHE_OK, "mine");
  check_get(other, "a", "first");
}
END_TEST

START_TEST(clear_meanwhile_is_not_undone) {
  struct compute compute = {.text = "mine", .meanwhile = clear_meanwhile};
  check_cached(cache, "a", &compute, FCACHE_OK, "mine");
  check_get(other, "a", NULL);
  compute.meanwhile = NULL;
  check_cached(cache, "a", &compute, FCACHE_OK, "mine");
  check_get(other, "a", "mine");
}
END_TEST

static int compute_nested(void *arg, struct fcache_value *value) {
  struct compute *inner = arg;
  check_cached(cache, "inner", inner, FCACHE_OK, "inner result");
  check_get(cache, "inner", "inner result");
  ck_assert_int_eq(fcache_set_probe(cache, "inner probe"), FCACHE_OK);
  return fcache_value_set(value, "outer result", 12);
}

START_TEST(compute_may_use_the_handle) {
  struct compute inner = {.text = "inner result"};
  struct fcache_key key = key_of("outer");
  struct fcache_value value = {0};
  struct fcache_counters counters;
  ck_assert_int_eq(fcache_cached(cache, &key, compute_nested, &inner, &value), FCACHE_OK);
  ck_assert_mem_eq(value.data, "outer result", 12);
  check_get(other, "outer", "outer result");
  check_get(other, "inner", "inner result");
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.forward_passes, 2);
  fcache_value_free(&value);
}
END_TEST

/* What the daemon cannot do, or does not like, is no error of the caller. */
START_TEST(cached_returns_whatever_the_daemon_says) {
  static const int codes[] = {FC_ENOMEM,  FC_EREFUSED,  FC_ESHUTDOWN, FC_EINVAL, FC_ETOOBIG,
                              FC_EDENIED, FC_EPROTOCOL, FC_EBUSY,     -999};
  struct compute compute = {.text = "result"};
  lock();
  if (_i % 2 == 0)
    store->get_error = codes[_i / 2];
  else
    store->put_error = codes[_i / 2];
  unlock();
  check_cached(cache, "a", &compute, FCACHE_OK, "result");
  check_cached(cache, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(compute.calls, 2);
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.forward_passes, 2);
}
END_TEST

static void no_stat(void *arg, const struct fcache_stat *stat) {
  (void)arg;
  ck_abort_msg("a figure of no daemon: %s", stat->name);
}

START_TEST(cached_without_a_daemon_computes) {
  struct fcache *alone = open_one("/nonexistent/socket");
  struct compute compute = {.text = "result"};
  struct fcache_counters counters;
  check_cached(alone, "a", &compute, FCACHE_OK, "result");
  check_cached(alone, "a", &compute, FCACHE_OK, "result");
  ck_assert_uint_eq(compute.calls, 2);
  fcache_get_counters(alone, &counters);
  ck_assert_uint_eq(counters.cache_misses, 2);
  ck_assert_uint_eq(counters.forward_passes, 2);
  ck_assert_uint_eq(counters.cache_hits, 0);
  ck_assert_uint_eq(counters.degraded, 2);
  ck_assert_int_eq(fcache_server_stats(alone, no_stat, NULL), FCACHE_EUNAVAILABLE);
  ck_assert_int_eq(fcache_server_stats(alone, NULL, NULL), FCACHE_EINVAL);
  fcache_close(alone);
}
END_TEST

/* ---- batches ---- */

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

START_TEST(batch_computes_what_missed_in_order) {
  struct fcache_hash prompts[6];
  struct fcache_value values[6] = {{0}};
  struct batch batch = {0};
  struct fcache_counters counters;
  hash_numbers(prompts, 6);
  struct fcache_key key = {"op", "base", prompts[2], 3};
  ck_assert_int_eq(fcache_put(other, &key, "value 2", 7, 1, 0), FCACHE_OK);
  ck_assert_int_eq(run_batch(cache, prompts, 6, &batch, values), FCACHE_OK);
  check_values(values, 6, 0);
  static const size_t want[] = {0, 1, 3, 4, 5};
  ck_assert_uint_eq(batch.calls, 1);
  ck_assert_uint_eq(batch.n, 5);
  ck_assert_mem_eq(batch.misses, want, sizeof want);
  struct peer_put put = last_put();
  ck_assert_uint_eq(put.n, 5);
  ck_assert_uint_eq(put.batch, 5);
  ck_assert_uint_eq(put.flags, FC_KEEP_FIRST);
  ck_assert_uint_eq(put.epoch.boot_id, PEER_BOOT_ID);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 5);
  ck_assert_uint_eq(counters.forward_passes, 5);
  ck_assert_uint_eq(counters.batches_sent, 1);
  ck_assert_uint_eq(counters.batched_prompts, 5);
  ck_assert_uint_eq(counters.max_batch_size, 5);
  ck_assert_uint_ge(counters.scoring_wall_ns, put.compute_ns);
  /* all hit now: compute is not called with none */
  ck_assert_int_eq(run_batch(cache, prompts, 6, &batch, values), FCACHE_OK);
  check_values(values, 6, 0);
  ck_assert_uint_eq(batch.calls, 1);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 7);
  ck_assert_uint_eq(counters.batches_sent, 1);
  ck_assert_int_eq(run_batch(cache, NULL, 0, &batch, NULL), FCACHE_OK);
  ck_assert_uint_eq(batch.calls, 1);
  free_values(values, 6);
}
END_TEST

START_TEST(prompt_that_stands_twice_is_passed_twice) {
  struct fcache_hash prompts[3] = {fcache_hash("x", 1), fcache_hash("y", 1), fcache_hash("x", 1)};
  struct fcache_value values[3] = {{0}};
  struct batch batch = {0};
  ck_assert_int_eq(run_batch(cache, prompts, 3, &batch, values), FCACHE_OK);
  check_values(values, 3, 0); /* each its own, as it was computed */
  ck_assert_uint_eq(batch.n, 3);
  struct fcache_value value = {0};
  struct fcache_key key = {"op", "base", prompts[0], 3};
  ck_assert_int_eq(fcache_get(other, &key, 0, &value), FCACHE_OK);
  ck_assert_mem_eq(value.data, "value 0", 7); /* the first stays */
  fcache_value_free(&value);
  free_values(values, 3);
}
END_TEST

START_TEST(wrong_number_of_values_is_an_error) {
  struct fcache_hash prompts[3];
  struct fcache_value values[3] = {{0}};
  struct batch batch = {.fewer = _i == 0 ? 1 : 0, .more = _i == 0 ? 0 : 2};
  struct fcache_counters counters;
  hash_numbers(prompts, 3);
  ck_assert_int_eq(run_batch(cache, prompts, 3, &batch, values), FCACHE_EBATCH);
  ck_assert_str_eq(fcache_last_error(cache),
                   _i == 0 ? "batched compute returned 2 values for 3 misses"
                           : "batched compute returned 5 values for 3 misses");
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_misses, 0);
  ck_assert_uint_eq(counters.batches_sent, 0);
  ck_assert_uint_eq(puts_seen(), 0);
  free_values(values, 3);
}
END_TEST

START_TEST(hits_stay_counted_when_the_batch_fails) {
  struct fcache_hash prompts[3];
  struct fcache_value values[3] = {{0}};
  struct batch batch = {.error = 99};
  struct fcache_counters counters;
  hash_numbers(prompts, 3);
  struct fcache_key key = {"op", "base", prompts[1], 3};
  ck_assert_int_eq(fcache_put(other, &key, "value 1", 7, 1, 0), FCACHE_OK);
  unsigned puts = puts_seen();
  ck_assert_int_eq(run_batch(cache, prompts, 3, &batch, values), 99);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert_uint_eq(counters.cache_misses, 0);
  ck_assert_uint_eq(counters.batches_sent, 0);
  ck_assert_uint_eq(puts_seen(), puts);
  free_values(values, 3);
}
END_TEST

START_TEST(batch_without_a_daemon_computes_all) {
  struct fcache *alone = open_one("/nonexistent/socket");
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

START_TEST(batch_computes_whatever_the_daemon_says) {
  static const int codes[] = {FC_ENOMEM, FC_EREFUSED, FC_EINVAL, FC_ESHUTDOWN};
  struct fcache_hash prompts[4];
  struct fcache_value values[4] = {{0}};
  struct batch batch = {0};
  lock();
  store->get_error = codes[_i];
  unlock();
  hash_numbers(prompts, 4);
  ck_assert_int_eq(run_batch(cache, prompts, 4, &batch, values), FCACHE_OK);
  check_values(values, 4, 0);
  free_values(values, 4);
}
END_TEST

/* ---- more than a message ---- */

static struct fcache *open_small_frames(void) {
  store->peer.welcome.max_frame = 65536;
  store->peer.welcome.max_value = 32768;
  return open_one(store->peer.path);
}

START_TEST(puts_are_split_at_the_frame) {
  struct fcache *small = open_small_frames();
  struct fcache_hash prompts[7];
  struct fcache_value values[7] = {{0}};
  struct batch batch = {.padding = 30000};
  hash_numbers(prompts, 7);
  ck_assert_int_eq(run_batch(small, prompts, 7, &batch, values), FCACHE_OK);
  check_values(values, 7, 30000);
  ck_assert_uint_eq(puts_seen(), 4); /* two fit in a frame */
  uint32_t n = 0;
  uint64_t compute_ns = 0, last_ns = store->puts[3].compute_ns;
  for (unsigned i = 0; i < 4; i++) {
    ck_assert_uint_eq(store->puts[i].batch, i == 0 ? 7 : 0);
    n += store->puts[i].n;
    compute_ns += store->puts[i].compute_ns;
  }
  ck_assert_uint_eq(n, 7);
  ck_assert_uint_ge(store->puts[0].compute_ns, last_ns * 2 - 2);
  ck_assert_uint_le(store->puts[0].compute_ns, last_ns * 2);
  struct fcache_counters counters;
  fcache_get_counters(small, &counters);
  ck_assert_uint_eq(compute_ns, counters.scoring_wall_ns); /* nothing is left over */
  free_values(values, 7);
  memset(values, 0, sizeof values);
  lock();
  store->part = 2; /* the reply comes in four parts */
  unlock();
  struct batch none = {0};
  ck_assert_int_eq(run_batch(small, prompts, 7, &none, values), FCACHE_OK);
  ck_assert_uint_eq(none.calls, 0);
  check_values(values, 7, 30000);
  free_values(values, 7);
  fcache_close(small);
}
END_TEST

#define MANY 5000u

START_TEST(gets_are_split_at_the_frame) {
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
  lock();
  ck_assert_uint_eq(store->n_gets, 2);
  unlock();
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

START_TEST(too_big_in_a_batch_leaves_the_others_stored) {
  struct fcache *small = open_small_frames();
  struct fcache_hash prompts[3] = {fcache_hash("a", 1), fcache_hash("b", 1), fcache_hash("c", 1)};
  char *data = calloc(1, 40000);
  ck_assert_ptr_nonnull(data);
  struct fcache_bytes bytes[3] = {{"A", 1}, {data, 40000}, {"C", 1}};
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, prompts, bytes, 3, 1, 0),
                   FCACHE_ETOOBIG);
  ck_assert_ptr_nonnull(strstr(fcache_last_error(small), "32768"));
  check_get(small, "a", "A");
  check_get(small, "b", NULL);
  check_get(small, "c", "C");
  bytes[1] = (struct fcache_bytes){"B", 1};
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, prompts, bytes, 3, 1, FCACHE_KEEP_FIRST),
                   FCACHE_NOT_STORED);
  check_get(small, "b", "B");
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, NULL, NULL, 0, 0, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_put_many(small, "op", "base", 3, NULL, NULL, 1, 0, 0), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_get_many(small, "op", "base", 3, NULL, 0, 0, NULL, NULL), FCACHE_OK);
  ck_assert_int_eq(fcache_get_many(small, "op", "base", 3, prompts, 1, 0, NULL, NULL),
                   FCACHE_EINVAL);
  free(data);
  fcache_close(small);
}
END_TEST

START_TEST(parts_that_lead_nowhere_end_the_connection) {
  struct fcache_hash prompts[4];
  struct fcache_value values[4] = {{0}};
  struct batch batch = {0};
  lock();
  store->stall_parts = true;
  unlock();
  hash_numbers(prompts, 4);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(run_batch(cache, prompts, 4, &batch, values), FCACHE_OK);
  ck_assert_uint_lt(runner_now_ms() - start_ms, DEADLINE_MS / 2); /* it does not wait for more */
  check_values(values, 4, 0);
  ck_assert(!fcache_connected(cache));
  free_values(values, 4);
}
END_TEST

static TCase *new_case(Suite *suite, const char *name) {
  TCase *tcase = tcase_create(name);
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  suite_add_tcase(suite, tcase);
  return tcase;
}

int main(void) {
  Suite *suite = suite_create("client_cached");
  TCase *tcase = new_case(suite, "one key");
  tcase_add_test(tcase, puts_are_got_and_counted);
  tcase_add_test(tcase, empty_value_is_a_hit);
  tcase_add_test(tcase, every_part_of_the_key_counts);
  tcase_add_test(tcase, wrong_arguments_are_named);
  tcase_add_test(tcase, too_big_names_the_limit);
  tcase_add_test(tcase, put_after_a_miss_says_when_it_began);
  tcase_add_test(tcase, put_many_after_misses_says_when_they_began);
  tcase_add_test(tcase, put_after_a_get_that_did_not_reach_the_daemon_is_not_stored);
  tcase_add_test(tcase, lookups_and_puts_may_be_interleaved);
  tcase_add_test(tcase, nothing_is_put_when_the_lookup_did_not_reach_the_daemon);
  tcase_add_test(tcase, cached_computes_once_for_all);
  tcase_add_test(tcase, failed_compute_leaves_no_mark);
  tcase_add_test(tcase, first_value_stays_and_mine_is_returned);
  tcase_add_test(tcase, clear_meanwhile_is_not_undone);
  tcase_add_test(tcase, compute_may_use_the_handle);
  tcase_add_loop_test(tcase, cached_returns_whatever_the_daemon_says, 0, 18);
  tcase_add_test(tcase, cached_without_a_daemon_computes);
  tcase = new_case(suite, "batches");
  tcase_add_test(tcase, batch_computes_what_missed_in_order);
  tcase_add_test(tcase, prompt_that_stands_twice_is_passed_twice);
  tcase_add_loop_test(tcase, wrong_number_of_values_is_an_error, 0, 2);
  tcase_add_test(tcase, hits_stay_counted_when_the_batch_fails);
  tcase_add_test(tcase, batch_without_a_daemon_computes_all);
  tcase_add_loop_test(tcase, batch_computes_whatever_the_daemon_says, 0, 4);
  tcase_add_test(tcase, puts_are_split_at_the_frame);
  tcase_add_test(tcase, gets_are_split_at_the_frame);
  tcase_add_test(tcase, too_big_in_a_batch_leaves_the_others_stored);
  tcase_add_test(tcase, parts_that_lead_nowhere_end_the_connection);
  return runner_run(suite);
}
