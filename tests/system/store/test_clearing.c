/* A clear during a computation. A value whose computation began before a clear of its key is not
 * stored afterwards, and a value that the clear did not select is stored. This holds when the
 * daemon restarted in between, because it may have cleared, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/worker_pair.h"

#define RECONNECT_TIMEOUT_MS 20000u

static struct fcache_key key_of(const char *op, const char *view) {
  return library_key(op, view, "the prompt", 5);
}

/* Events during the computation. */
struct computation {
  void (*meanwhile)(const struct computation *computation);
  struct fcache *clearer;
  const char *view, *op; /* the selection of the clear */
};

static void clear_it(const struct computation *computation) {
  ck_assert_int_eq(fcache_clear(computation->clearer, computation->view, computation->op, NULL),
                   FCACHE_OK);
}

static int compute(void *arg, struct fcache_value *value) {
  const struct computation *computation = arg;

  if (computation->meanwhile)
    computation->meanwhile(computation);
  return fcache_value_set(value, "computed", 8);
}

static bool is_stored(const char *op, const char *view, const char *text) {
  struct fcache_key key = key_of(op, view);
  char *got = library_get_text(pair.other, &key);
  bool same = got && strcmp(got, text) == 0;

  ck_assert(!got || same); /* a right value or none */
  free(got);
  return same;
}

/* The caller has its value in any case. */
static void compute_while(struct computation computation, const char *op, const char *view) {
  struct fcache_key key = key_of(op, view);
  struct fcache_value value = {0};

  ck_assert_int_eq(fcache_cached(pair.worker, &key, compute, &computation, &value), FCACHE_OK);
  ck_assert_uint_eq(value.size, 8);
  ck_assert_mem_eq(value.data, "computed", 8);
  fcache_value_free(&value);
}

START_TEST(clear_during_computation_rejects_put) {
  struct computation clearing = {clear_it, pair.other, NULL, NULL};

  compute_while(clearing, "op", "base");
  ck_assert(!is_stored("op", "base", "computed"));
  ck_assert_uint_eq(library_stat(pair.other, "puts_stale"), 1);
  compute_while((struct computation){0}, "op", "base"); /* the next computation is stored */
  ck_assert(is_stored("op", "base", "computed"));
}
END_TEST

START_TEST(clear_by_same_handle_rejects_put) {
  compute_while((struct computation){clear_it, pair.worker, NULL, NULL}, "op", "base");
  ck_assert(!is_stored("op", "base", "computed"));
}
END_TEST

START_TEST(clear_of_other_names_accepts_put) {
  static const struct {
    const char *view, *op;
    bool selects; /* op "op" of view "base" */
  } cases[] = {{"base", NULL, true},  {NULL, "op", true},    {"base", "op", true},
               {"ft", NULL, false},   {NULL, "roll", false}, {"base", "roll", false},
               {"ft", "op", false},   {"bas", NULL, false},  {"base2", NULL, false},
               {"op", "base", false}, {NULL, "o", false}};

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    compute_while((struct computation){clear_it, pair.other, cases[i].view, cases[i].op}, "op",
                  "base");
    ck_assert_msg(is_stored("op", "base", "computed") != cases[i].selects,
                  "a clear of view %s and op %s", cases[i].view ? cases[i].view : "any",
                  cases[i].op ? cases[i].op : "any");
    ck_assert_int_eq(fcache_clear(pair.other, NULL, NULL, NULL), FCACHE_OK);
  }
}
END_TEST

START_TEST(clear_of_other_namespace_accepts_put) {
  struct fcache *stranger = library_open(pair.daemon.socket, "another", NULL, 0);

  compute_while((struct computation){clear_it, stranger, NULL, NULL}, "op", "base");
  ck_assert(is_stored("op", "base", "computed"));
  fcache_close(stranger);
}
END_TEST

/* Far more clears than the log has room for. */
static void clear_a_lot(const struct computation *computation) {
  char view[16];

  for (int i = 0; i < 200; i++) {
    (void)snprintf(view, sizeof view, "v%d", i);
    ck_assert_int_eq(fcache_clear(computation->clearer, i == 7 ? "base" : view, NULL, NULL),
                     FCACHE_OK);
  }
}

START_TEST(clears_past_log_size_reject_put) {
  compute_while((struct computation){clear_a_lot, pair.other, NULL, NULL}, "op", "base");
  ck_assert(!is_stored("op", "base", "computed"));
}
END_TEST

static void put_fresh(const struct computation *computation) {
  struct fcache_key key = key_of("op", "base");

  if (computation->clearer)
    clear_it(computation);
  library_put_text(pair.other, &key, "fresh");
}

START_TEST(put_after_clear_kept) {
  compute_while((struct computation){put_fresh, pair.other, NULL, NULL}, "op", "base");
  ck_assert(is_stored("op", "base", "fresh"));
}
END_TEST

START_TEST(put_second_keeps_first_value) {
  compute_while((struct computation){.meanwhile = put_fresh}, "op", "base");
  ck_assert(is_stored("op", "base", "fresh"));
  ck_assert_uint_eq(library_stat(pair.other, "puts_kept"), 1);
}
END_TEST

START_TEST(clear_between_get_and_put_rejects_put) {
  struct fcache_key key = key_of("op", "base");
  struct fcache_value value = {0};

  ck_assert_int_eq(fcache_get(pair.worker, &key, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_clear(pair.other, "base", NULL, NULL), FCACHE_OK);
  ck_assert_int_eq(fcache_put(pair.worker, &key, "old", 3, 0, 0), FCACHE_NOT_STORED);
  ck_assert(!is_stored("op", "base", "old"));
  ck_assert_int_eq(fcache_get(pair.worker, &key, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_put(pair.worker, &key, "new", 3, 0, 0), FCACHE_OK);
  ck_assert(is_stored("op", "base", "new"));
}
END_TEST

/* ---- batches ---- */

static int compute_all(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  const struct computation *computation = arg;
  int rc = 0;

  (void)misses;
  computation->meanwhile(computation);
  for (size_t i = 0; i < n && rc == 0; i++)
    rc = fcache_batch_add(batch, "computed", 8);
  return rc;
}

START_TEST(clear_during_batch_rejects_its_puts) {
  enum { N = 3 };
  static const struct {
    const char *view;
    unsigned stored;
  } cases[] = {{"base", 0}, {"ft", N}};

  for (size_t i = 0; i < 2; i++) {
    struct computation computation = {clear_it, pair.other, cases[i].view, NULL};
    struct fcache_hash prompts[N] = {fcache_hash("a", 1), fcache_hash("b", 1), fcache_hash("c", 1)};
    struct fcache_value values[N] = {0};
    bool hit[N];
    unsigned stored = 0;

    ck_assert_int_eq(fcache_cached_batch(pair.worker, "op", "base", 5, prompts, N, compute_all,
                                         &computation, values),
                     FCACHE_OK);
    for (size_t j = 0; j < N; j++)
      ck_assert_mem_eq(values[j].data, "computed", 8);
    ck_assert_int_eq(
        fcache_get_many(pair.other, "op", "base", 5, prompts, N, FCACHE_UNRECORDED, values, hit),
        FCACHE_OK);
    for (size_t j = 0; j < N; j++) {
      stored += hit[j];
      fcache_value_free(&values[j]);
    }
    ck_assert_uint_eq(stored, cases[i].stored);
  }
}
END_TEST

/* ---- another daemon in between ---- */

static bool reconnects(void *arg) {
  struct fcache *cache = *(struct fcache **)arg;
  struct fcache_key key = key_of("op", "unused");
  struct fcache_value value = {0};

  (void)fcache_get(cache, &key, FCACHE_UNRECORDED,
                   &value); /* notices the restart, or tries again */
  fcache_value_free(&value);
  return fcache_connected(cache);
}

static void restart(void) {
  ck_assert_int_eq(harness_stop(&pair.daemon), 0);
  harness_start(&pair.daemon, NULL);
}

static void restart_alone(const struct computation *computation) {
  (void)computation;
  restart();
}

static void restart_and_reconnect(const struct computation *computation) {
  (void)computation;
  restart();
  ck_assert(harness_wait_until(reconnects, &pair.worker, RECONNECT_TIMEOUT_MS));
}

START_TEST(daemon_restarted_rejects_earlier_put) {
  static void (*const ways[])(const struct computation *) = {restart_alone, restart_and_reconnect};

  for (size_t i = 0; i < 2; i++) {
    compute_while((struct computation){.meanwhile = ways[i]}, "op", "base");
    ck_assert(harness_wait_until(reconnects, &pair.other, RECONNECT_TIMEOUT_MS));
    ck_assert(!is_stored("op", "base", "computed"));
    /* the worker reconnected, and the new daemon, of another cache, does not know the epoch */
    ck_assert_uint_eq(library_stat(pair.other, "puts_stale"), 1);
    ck_assert(harness_wait_until(reconnects, &pair.worker, RECONNECT_TIMEOUT_MS));
    compute_while((struct computation){0}, "op", "base");
    ck_assert(is_stored("op", "base", "computed"));
    /* for the next round */
    ck_assert_int_eq(fcache_clear(pair.other, NULL, NULL, NULL), FCACHE_OK);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("clearing");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, pair_set_up, pair_tear_down);
  tcase_add_test(tcase, clear_during_computation_rejects_put);
  tcase_add_test(tcase, clear_by_same_handle_rejects_put);
  tcase_add_test(tcase, clear_of_other_names_accepts_put);
  tcase_add_test(tcase, clear_of_other_namespace_accepts_put);
  tcase_add_test(tcase, clears_past_log_size_reject_put);
  tcase_add_test(tcase, put_after_clear_kept);
  tcase_add_test(tcase, put_second_keeps_first_value);
  tcase_add_test(tcase, clear_between_get_and_put_rejects_put);
  tcase_add_test(tcase, clear_during_batch_rejects_its_puts);
  tcase_add_test(tcase, daemon_restarted_rejects_earlier_put);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
